//! Answers that are kept ready: `[cache.NAME]` in the model names queries, and for each tenant that asked for one lately its
//! answer is made again as soon as it has changed, before anybody asks.
//!
//! Many of them are compared in one statement, so that looking often costs little; an answer that is still right is known to
//! be so from then on, which serves reads that may be a little old without asking PostgreSQL at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_store::{Question, Tenant};

use super::{
    Cache,
    entry::Known,
    memory::Name,
    way::{Asked, name_of},
};
use crate::{
    Engine, Snapshot,
    error::Error,
    read::{Manner, Read},
};

/// How often they are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// Most answers that are kept ready.
const READY_MAX: usize = 50_000;

/// Answers that are made at once: the rest of the connections is for who asks.
const AT_ONCE: usize = 2;

/// Those that are kept ready.
#[derive(Default)]
pub(super) struct Ready(Mutex<HashMap<Name, Wish>>);

/// One of them.
#[derive(Clone)]
struct Wish {
    tenant: Tenant,
    entity: String,
    query: String,
    count: bool,
    manner: Manner,
    until: Instant,
    version: i64,
}

impl Cache {
    /// Notes that somebody asked, if it is one of the model's kept queries.
    pub(super) fn wish(&self, snapshot: &Snapshot, asked: &Asked<'_>) {
        let Read { entity, query, count } = asked.read;
        let kept = snapshot
            .model
            .caches()
            .iter()
            .find(|kept| kept.entity == entity && kept.query == query);
        let Some(kept) = kept else { return };
        let until = asked.arrived + Duration::from_secs(u64::from(kept.warm_minutes) * 60);
        let mut ready = self.0.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wish) = ready.get_mut(&asked.name) {
            wish.until = until;
        } else if ready.len() < READY_MAX {
            let wish = Wish {
                tenant: asked.tenant.clone(),
                entity: entity.to_owned(),
                query: query.to_owned(),
                count,
                manner: asked.manner.clone(),
                until,
                version: snapshot.version,
            };
            ready.insert(asked.name, wish);
        }
    }

    /// How many answers are kept ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.0.ready.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn wishes(&self, version: i64) -> Vec<(Name, Wish)> {
        let now = Instant::now();
        let mut ready = self.0.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|_, wish| wish.until > now && wish.version == version);
        ready.iter().map(|(name, wish)| (*name, wish.clone())).collect()
    }

    fn forget(&self, name: &Name) {
        self.0.ready.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Engine {
    /// Keeps the answers ready that the model says are, until the process ends. Run it beside what serves them.
    pub async fn keep_ready_forever(&self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Err(error) = self.keep_ready().await {
                tracing::warn!(%error, "kept queries could not be looked at; they are read when they are asked for");
            }
        }
    }

    /// Looks at each once, and makes those again that have changed. Says how many those were.
    ///
    /// # Errors
    /// If PostgreSQL cannot be asked.
    pub async fn keep_ready(&self) -> Result<usize, Error> {
        let Some(cache) = self.cache.clone() else { return Ok(0) };
        let snapshot = self.snapshot();
        let wishes = cache.wishes(snapshot.version);
        let mut old = Vec::new();
        for part in wishes.chunks(1_000) {
            old.extend(self.changed(&cache, part).await?);
        }
        let made = old.len();
        let mut making = tokio::task::JoinSet::new();
        for wish in old {
            if making.len() >= AT_ONCE {
                making.join_next().await;
            }
            let (engine, cache, snapshot) = (self.clone(), cache.clone(), Arc::clone(&snapshot));
            making.spawn(async move {
                if let Err(error) = engine.make_ready(&cache, &snapshot, &wish).await {
                    tracing::debug!(%error, entity = wish.entity, "a kept query could not be read");
                }
            });
        }
        while making.join_next().await.is_some() {}
        Ok(made)
    }

    /// Those that are not what PostgreSQL would say; the others are known to be.
    async fn changed(&self, cache: &Cache, wishes: &[(Name, Wish)]) -> Result<Vec<Wish>, Error> {
        let (mut old, mut asked, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        for (name, wish) in wishes {
            match cache.0.memory.get(name) {
                Some(entry) => {
                    questions.push(Question::new(&wish.tenant, &entry.sources));
                    asked.push((name, wish, entry));
                }
                None => old.push(wish.clone()),
            }
        }
        if questions.is_empty() {
            return Ok(old);
        }
        let at = Instant::now();
        let answers = self.store.stamps(&questions).await?;
        for ((name, wish, entry), current) in asked.into_iter().zip(answers) {
            if !current.allowed {
                cache.forget(name);
            } else if current.stamp == Some(entry.stamp) {
                cache.allow(&wish.tenant, at);
                entry.confirm(Known { at, moment: current.moment });
            } else {
                old.push(wish.clone());
            }
        }
        Ok(old)
    }

    async fn make_ready(
        &self,
        cache: &Cache,
        snapshot: &Snapshot,
        wish: &Wish,
    ) -> Result<(), Error> {
        let read = Read { entity: &wish.entity, query: &wish.query, count: wish.count };
        let now = Instant::now();
        let name = name_of(snapshot, &wish.tenant, read, &wish.manner);
        let asked = Asked {
            tenant: &wish.tenant,
            read,
            manner: &wish.manner,
            arrived: now,
            since: now,
            position: None,
            name,
        };
        let old = cache.0.memory.get(&name);
        self.make(cache, snapshot, &asked, super::Wanted::default(), old, &()).await.map(drop)
    }
}
