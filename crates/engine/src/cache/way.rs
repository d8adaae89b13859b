//! The way of a read through what is kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_model::query::{Fleeting, Query};
use freehold_store::{Moment, Position, Question, Stamp, Tenant, digest_of};

use super::{
    Cache, Consistency, Entry, Found, Status, Turn, VOUCHED, Wanted, entry::Known, memory::Name,
    others::Others,
};
use crate::{
    Engine, Snapshot,
    error::Error,
    read::{After, Answer, Manner, Read},
};

/// What a request is, once for all steps.
pub(super) struct Asked<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) read: Read<'a>,
    pub(super) manner: &'a Manner,
    pub(super) arrived: Instant,
    /// An answer that was right then is good enough.
    pub(super) since: Instant,
    /// One that shows this is good enough, whenever it was right.
    pub(super) position: Option<Position>,
    pub(super) name: Name,
}

impl Engine {
    /// Reads as [`Engine::read_as`], or gives what was read before if it may be given. `turn` is waited for before a tenant's
    /// statement is run, and what it gives is held meanwhile.
    ///
    /// # Errors
    /// As [`Engine::read_as`] and [`Engine::read_after`]; what `turn` refuses.
    pub async fn read_kept(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        manner: &Manner,
        wanted: Wanted<'_>,
        turn: &impl Turn,
    ) -> Result<Found, Error> {
        let arrived = Instant::now();
        let position = match wanted.after {
            Some(after) => Some(self.store.read_position(after.token).await?),
            None => None,
        };
        let Some(cache) = self.cache.clone().filter(|_| manner.purpose.is_none()) else {
            let _turn = turn.take().await?;
            let answer = self.read_now(tenant, read, manner, wanted.after, position).await?;
            return Ok(not_kept(answer, "off"));
        };
        let snapshot = self.snapshot();
        let since = match wanted.consistency {
            Consistency::Bounded(age) => arrived.checked_sub(age).unwrap_or(arrived),
            Consistency::Strong | Consistency::Session => arrived,
        };
        let name = name_of(&snapshot, tenant, read, manner);
        let asked = Asked { tenant, read, manner, arrived, since, position, name };
        cache.wish(&snapshot, &asked);
        let found = match self.recall(&cache, &asked, &wanted).await? {
            Ok(found) => found,
            Err(old) => self.make(&cache, &snapshot, &asked, wanted, old, turn).await?,
        };
        cache.0.counts.add(tenant.id(), read.entity, found.status, found.entry.answer.body.len());
        self.verify(&cache, &snapshot, &asked, &found);
        self.with_token(found).await
    }

    /// The kept answer if it may be given; else that of the name, if there is one.
    async fn recall(
        &self,
        cache: &Cache,
        asked: &Asked<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Result<Found, Option<Arc<Entry>>>, Error> {
        let Some(entry) = cache.0.memory.get(&asked.name) else { return Ok(Err(None)) };
        // What a read model shows of a write follows from the workers' snapshot, not from that of the answer.
        let waits = asked.position.is_some_and(|position| position.read().is_none())
            && entry.sources.iter().any(|name| self.snapshot().model.read(name).is_some());
        if waits {
            return Ok(Err(Some(entry)));
        }
        let known = entry.known();
        let shows = asked.position.is_none_or(|position| known.moment.shows(position));
        let by_token = wanted.consistency == Consistency::Session && asked.position.is_some();
        // A key that is revoked counts for no longer than this, whatever age an answer may have.
        let lately = asked.arrived.checked_sub(VOUCHED).unwrap_or(asked.arrived);
        let allowed_since = if by_token { lately } else { asked.since.max(lately) };
        if shows
            && (known.at >= asked.since || by_token)
            && cache.was_allowed(asked.tenant, allowed_since)
        {
            return Ok(Ok(found(entry, Status::Hit, asked.arrived)));
        }
        match self.still(cache, asked.tenant, &entry).await? {
            true => Ok(Ok(found(entry, Status::Hit, asked.arrived))),
            false => Ok(Err(Some(entry))),
        }
    }

    /// Whether it is what PostgreSQL would say now, and who asks may ask.
    async fn still(&self, cache: &Cache, tenant: &Tenant, entry: &Entry) -> Result<bool, Error> {
        let (at, current) = cache.0.checks.ask(Question::new(tenant, &entry.sources)).await?;
        if !current.allowed {
            // The statement that follows is refused with the right words.
            cache.disallow(tenant);
            return Ok(false);
        }
        cache.allow(tenant, at);
        let is_same = current.stamp == Some(entry.stamp);
        if is_same {
            entry.confirm(Known { at, moment: current.moment });
        }
        Ok(is_same)
    }

    /// Reads, keeps what may be kept, and lets those who wait for the same have it.
    pub(super) async fn make(
        &self,
        cache: &Cache,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        wanted: Wanted<'_>,
        old: Option<Arc<Entry>>,
        turn: &impl Turn,
    ) -> Result<Found, Error> {
        let Asked { tenant, read, manner, .. } = *asked;
        let query = self.understand(snapshot, tenant, read, manner).await?;
        let sources = query.sources(&snapshot.model).map_err(Fleeting::as_str);
        let models: Vec<&str> = query
            .reads()
            .iter()
            .filter(|name| snapshot.model.read(name).is_some())
            .map(|name| &***name)
            .collect();
        let waits =
            asked.position.is_some_and(|position| position.read().is_none()) && !models.is_empty();
        let sources = match sources {
            Ok(sources) if !waits && !cache.0.memory.is_fleeting(&asked.name) => sources,
            reason => {
                let _turn = turn.take().await?;
                let answer =
                    self.read_now(tenant, read, manner, wanted.after, asked.position).await?;
                return Ok(not_kept(
                    answer,
                    reason.err().unwrap_or(if waits { "token" } else { "fleeting" }),
                ));
            }
        };
        let (flight, waited) = cache.0.flights.enter(asked.name).await;
        if waited
            && let Some(entry) = cache.0.memory.get(&asked.name)
            && !old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &entry))
            && (entry.known().at >= asked.arrived && cache.was_allowed(tenant, asked.arrived)
                || self.still(cache, tenant, &entry).await?)
        {
            return Ok(found(entry, Status::Collapsed, asked.arrived));
        }
        let lease = match self.shared_answer(cache, asked).await? {
            Others::Have(entry) => {
                drop(flight);
                return Ok(found(entry, Status::Shared, asked.arrived));
            }
            Others::Lack(lease) => lease,
        };
        let held = turn.take().await?;
        let (answer, at, stamp) = self.read_stamped(snapshot, asked, query, &sources).await?;
        drop(held);
        cache.allow(tenant, at);
        let status = if old.is_some() { Status::Stale } else { Status::Miss };
        let is_sure = answer.search.as_ref().is_none_or(|search| search.complete);
        let fits = answer.body.len() <= cache.0.config.answer_max;
        let Some((stamp, moment)) = stamp.filter(|_| is_sure && fits) else {
            cache.0.memory.let_go(asked.name);
            let reason = if !is_sure {
                "approximate"
            } else if fits {
                "restart"
            } else {
                "size"
            };
            return Ok(not_kept(answer, reason));
        };
        let entry = Arc::new(Entry::new(answer, sources, stamp, Known { at, moment }));
        cache.0.memory.put(asked.name, tenant.id(), Arc::clone(&entry));
        if let Some(lease) = lease {
            lease.give(&entry);
        }
        drop(flight);
        Ok(found(entry, status, asked.arrived))
    }

    /// Reads with the stamp of the sources, which were asked for after the time that it says.
    async fn read_stamped(
        &self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        mut query: Query,
        sources: &[String],
    ) -> Result<(Answer, Instant, Option<(Stamp, Moment)>), Error> {
        query.stamped(sources);
        let at = Instant::now();
        let (answer, stamp) =
            self.answer_stamped(snapshot, asked.tenant, query, asked.manner).await?;
        Ok((answer, at, stamp))
    }

    /// Reads without looking at what is kept.
    async fn read_now(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        manner: &Manner,
        after: Option<After<'_>>,
        position: Option<Position>,
    ) -> Result<Answer, Error> {
        match after.filter(|_| position.is_some_and(|position| position.read().is_none())) {
            Some(after) => self.read_after(tenant, read, manner, after).await,
            None => self.read_as(tenant, read, manner).await,
        }
    }

    async fn with_token(&self, mut found: Found) -> Result<Found, Error> {
        if !matches!(found.status, Status::Bypass(_)) {
            let position = self.store.position_at(found.entry.known().moment).await?;
            found.token = Some(self.store.position_text(position));
        }
        Ok(found)
    }
}

fn found(entry: Arc<Entry>, status: Status, arrived: Instant) -> Found {
    let age = arrived.saturating_duration_since(entry.known().at);
    Found { entry, status, age, token: None }
}

fn not_kept(answer: Answer, reason: &'static str) -> Found {
    let known = Known { at: Instant::now(), moment: Moment::default() };
    let entry = Arc::new(Entry::new(answer, Vec::new(), Stamp([0; 16]), known));
    Found { entry, status: Status::Bypass(reason), age: Duration::ZERO, token: None }
}

/// Everything that an answer depends on but the rows: the tenant and what who asks may do in it, the model, and the question as it
/// was written, with the manner in which it is to be answered.
pub(super) fn name_of(
    snapshot: &Snapshot,
    tenant: &Tenant,
    read: Read<'_>,
    manner: &Manner,
) -> Name {
    let Manner { shape, range, zone, recall, purpose: _ } = manner;
    let zone = zone.as_ref().map_or("", |zone| zone.as_str());
    let manner = format!("{shape:?} {range:?} {zone} {recall:?} {}", read.count);
    let authority =
        format!("{} {:?} {:?}", tenant.role().as_str(), tenant.scope(), tenant.bounds().rows);
    digest_of(&[
        env!("CARGO_PKG_VERSION").as_bytes(),
        tenant.id().as_bytes(),
        authority.as_bytes(),
        &snapshot.version.to_be_bytes(),
        read.entity.as_bytes(),
        read.query.as_bytes(),
        manner.as_bytes(),
    ])
}
