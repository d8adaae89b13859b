//! What the cache did, by tenant and relation.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use super::Status;

/// Tenants that are counted by their id; those that come later are counted together, under the id zero.
const TENANTS_MAX: usize = 100;

/// What it did for one tenant and relation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers from the process's memory.
    pub hits: u64,
    /// Answers from the shared level.
    pub shared: u64,
    /// Answers that another request had just made.
    pub collapsed: u64,
    /// Answers that were there, and old.
    pub stale: u64,
    /// Answers that were not there.
    pub missed: u64,
    /// Answers that are not kept.
    pub bypassed: u64,
    /// Bytes that were answered without PostgreSQL.
    pub bytes: u64,
    /// Hits that were read again to see whether they were right.
    pub verified: u64,
    /// Those that were wrong.
    pub wrong: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    tallies: Mutex<BTreeMap<Uuid, BTreeMap<String, Tally>>>,
    alarms: AtomicU64,
}

impl Counts {
    pub(super) fn add(&self, tenant: Uuid, relation: &str, status: Status, bytes: usize) {
        self.change(tenant, relation, |tally| {
            let (count, is_hit) = match status {
                Status::Hit => (&mut tally.hits, true),
                Status::Shared => (&mut tally.shared, true),
                Status::Collapsed => (&mut tally.collapsed, true),
                Status::Stale => (&mut tally.stale, false),
                Status::Miss => (&mut tally.missed, false),
                Status::Bypass(_) => (&mut tally.bypassed, false),
            };
            *count += 1;
            tally.bytes += if is_hit { bytes as u64 } else { 0 };
        });
    }

    pub(super) fn verified(&self, tenant: Uuid, relation: &str, is_right: bool) {
        self.change(tenant, relation, |tally| {
            tally.verified += 1;
            tally.wrong += u64::from(!is_right);
        });
    }

    /// A shared answer did not open.
    pub(super) fn alarm(&self) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }

    pub(super) fn all(&self) -> Vec<(Uuid, String, Tally)> {
        let all = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let each = |(tenant, relations): (&Uuid, &BTreeMap<String, Tally>)| {
            let tenant = *tenant;
            let each = relations.iter().map(move |(name, tally)| (tenant, name.clone(), *tally));
            each.collect::<Vec<_>>()
        };
        all.iter().flat_map(each).collect()
    }

    fn change(&self, tenant: Uuid, relation: &str, change: impl FnOnce(&mut Tally)) {
        let mut all = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = all.contains_key(&tenant) || all.len() < TENANTS_MAX;
        let relations = all.entry(if is_known { tenant } else { Uuid::nil() }).or_default();
        match relations.get_mut(relation) {
            Some(tally) => change(tally),
            None => change(relations.entry(relation.to_owned()).or_default()),
        }
    }
}
