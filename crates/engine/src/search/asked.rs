//! Searches of tenants that wait, for a minute at most and in memory alone, to be asked again for a measurement.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

use freehold_model::query::Query;
use freehold_store::Tenant;
use tokio::sync::Notify;

use super::{
    Key,
    measured::{K, LADDER, STEPS},
};

/// Questions that one measurement takes.
const MOST: usize = 40;

/// Questions of which is known that they were asked before; then all are forgotten.
const SEEN_MAX: usize = 10_000;

/// Where measurements wait for questions.
#[derive(Debug, Default)]
pub(super) struct Asked {
    waiting: HashMap<Key, Waiting>,
    /// Keyed hashes: the same question again would say nothing new.
    seen: HashSet<u64>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whoever asked first: what others see may be something else.
    asker: Option<Tenant>,
    questions: Vec<Query>,
    full: Arc<Notify>,
}

impl Asked {
    /// Begins to take questions about an index; gives what tells that there are enough.
    pub(super) fn open(&mut self, key: &Key) -> Arc<Notify> {
        self.waiting.entry(key.clone()).or_default().full.clone()
    }

    /// Whether a question about the index would be taken.
    pub(super) fn wants(&self, key: &Key) -> bool {
        self.waiting.get(key).is_some_and(|waiting| waiting.questions.len() < MOST)
    }

    /// Takes a question, unless it was asked before or somebody else asks it.
    pub(super) fn note(&mut self, key: &Key, tenant: &Tenant, query: &Query) {
        let Some(waiting) = self.waiting.get_mut(key).filter(|it| it.questions.len() < MOST) else {
            return;
        };
        let asker = waiting.asker.get_or_insert_with(|| tenant.clone());
        if (asker.role(), asker.principal()) != (tenant.role(), tenant.principal()) {
            return;
        }
        let Some(probe) = query.probe(key.0, LADDER[STEPS - 1], K as u64) else { return };
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        if self.seen.insert(self.hasher.hash_one((probe.text(), probe.params()))) {
            waiting.questions.push(query.clone());
            if waiting.questions.len() == MOST {
                waiting.full.notify_one();
            }
        }
    }

    /// Ends the taking, and gives what there is.
    pub(super) fn take(&mut self, key: &Key) -> Option<(Tenant, Vec<Query>)> {
        let Waiting { asker, questions, .. } = self.waiting.remove(key)?;
        Some((asker?, questions))
    }
}
