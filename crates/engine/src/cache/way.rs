//! The way of a read through what is kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_model::query::{ById, Fleeting, Query, Sources};
use freehold_store::{Current, Moment, Position, Question, Stamp, Tenant, digest_of};

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

impl Asked<'_> {
    /// Whether the answer shows what it has to.
    fn shown_by(&self, entry: &Entry) -> bool {
        self.position.is_none_or(|position| entry.known().moment.shows(position))
    }

    /// Since when it must be known that the answer is right and may be given. What does not show the position yet is asked
    /// about anew: what was heard may be from before it.
    fn right_since(&self, entry: &Entry) -> Instant {
        if self.shown_by(entry) { self.since.max(self.lately()) } else { self.arrived }
    }

    /// A key that is revoked counts for no longer than from then, whatever age an answer may have.
    fn lately(&self) -> Instant {
        self.arrived.checked_sub(VOUCHED).unwrap_or(self.arrived)
    }
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
            let read = self.read_now(tenant, read, manner, wanted.after, position);
            return Ok(not_kept(Box::pin(read).await?, "off"));
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
            // Boxed, so that a hit need not carry the room for it.
            Err(old) => Box::pin(self.make(&cache, &snapshot, &asked, wanted, old, turn)).await?,
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
        let since = asked.right_since(&entry);
        let by_token = wanted.consistency == Consistency::Session && asked.position.is_some();
        let is_given = if by_token {
            asked.shown_by(&entry) && cache.was_allowed(asked.tenant, asked.lately())
        } else {
            asked.shown_by(&entry)
                && entry.known().at >= asked.since
                && cache.was_allowed(asked.tenant, since)
        };
        if is_given {
            return Ok(Ok(found(entry, Status::Hit, asked.arrived)));
        }
        match self.still(cache, asked.tenant, &entry, since).await? {
            true => Ok(Ok(found(entry, Status::Hit, asked.arrived))),
            false => Ok(Err(Some(entry))),
        }
    }

    /// Whether it is what PostgreSQL would say, or has said at that time or later, and who asks may ask.
    async fn still(
        &self,
        cache: &Cache,
        tenant: &Tenant,
        entry: &Entry,
        since: Instant,
    ) -> Result<bool, Error> {
        let question = Question::new(tenant, &entry.sources);
        let (at, current) = match cache.0.checks.heard(&question) {
            Some(heard) if heard.0 >= since => heard,
            // A stamp that has gone never comes back, so there is nothing to ask.
            Some((at, now)) if at >= entry.known().at && now.stamp != Some(entry.stamp) => {
                return Ok(false);
            }
            _ => cache.0.checks.ask(question).await?,
        };
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
        if waited && let Some(entry) = self.made_meanwhile(cache, asked, old.as_ref()).await? {
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
        let (answer, at, stamp, sources) =
            self.read_stamped(snapshot, asked, query, sources).await?;
        drop(held);
        cache.allow(tenant, at);
        if let Some((stamp, moment)) = stamp {
            let current = Current { allowed: true, stamp: Some(stamp), moment };
            cache.0.checks.hear(Question::new(tenant, &sources), (at, current));
        }
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

    /// What somebody else has made, if it is not the `old` one and may be given.
    async fn made_meanwhile(
        &self,
        cache: &Cache,
        asked: &Asked<'_>,
        old: Option<&Arc<Entry>>,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let made = cache.0.memory.get(&asked.name);
        let made = made.filter(|made| !old.is_some_and(|old| Arc::ptr_eq(old, made)));
        let Some(entry) = made else { return Ok(None) };
        let since = asked.right_since(&entry);
        let is_right = entry.known().at >= since && cache.was_allowed(asked.tenant, since)
            || self.still(cache, asked.tenant, &entry, since).await?;
        Ok(is_right.then_some(entry))
    }

    /// Reads with the stamp of what the answer is made of, which was asked for after the time that it says. Where a row that was
    /// asked for by its id is not there, only the whole table says when it is, so that is read again.
    async fn read_stamped(
        &self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        mut query: Query,
        sources: Sources,
    ) -> Result<(Answer, Instant, Option<(Stamp, Moment)>, Vec<String>), Error> {
        if let Some(ById { rows, parts }) = sources.by_id {
            let mut query = query.clone();
            query.stamped(&parts);
            let at = Instant::now();
            let (answer, stamp) =
                self.answer_stamped(snapshot, asked.tenant, query, asked.manner).await?;
            if answer.rows == rows {
                return Ok((answer, at, stamp, parts));
            }
        }
        query.stamped(&sources.tables);
        let at = Instant::now();
        let (answer, stamp) =
            self.answer_stamped(snapshot, asked.tenant, query, asked.manner).await?;
        Ok((answer, at, stamp, sources.tables))
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
