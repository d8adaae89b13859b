//! Answers that are kept: what was read once is not read again while it is the same.
//!
//! PostgreSQL decides whether it is. A statement answers with its rows and with the stamp of the tables it read, of one
//! snapshot; two snapshots with the same stamp see the same rows. So an answer may be given again if its stamp is compared
//! with what the stamp is now, which takes one small question for many requests together, and nothing has to be invalidated:
//! not when psql writes, not when a server dies between two steps, not when Redis forgets. Where an answer is kept, in this
//! process or in Redis, only decides how fast it is found.
//!
//! name → kept? → known to be right since when? → stamp compared → else one reads, and the others wait for it

mod asked;
mod check;
mod counts;
mod entry;
mod flight;
mod memory;
mod others;
mod shared;
mod verify;

pub use counts::Tally;
pub use entry::Entry;
pub use freehold_store::seal::{ANSWER_OVERHEAD, AnswerKeys, AnswerName, Closed};
pub use shared::{Lease, Loser, Shared, SharedConfig, SharedState, Winner};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_model::query::{Fleeting, Query};
use freehold_store::{Current, Moment, Position, Question, Stamp, Store, Tenant};
use uuid::Uuid;

use self::{
    asked::{Asked, name_of},
    check::Checks,
    counts::Counts,
    entry::Known,
    flight::Flights,
    memory::Memory,
    others::Others,
};
use crate::{
    Engine, Snapshot,
    error::{Error, Refusal},
    read::{After, Answer, Manner, Read},
};

/// How long a key or tenant that was allowed is taken for allowed where an answer may be old.
const VOUCHED: Duration = Duration::from_secs(1);

/// Most who asks that are remembered.
const ASKING_MAX: usize = 50_000;

/// What is kept, and how much.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Bytes of the level in the process.
    pub memory: u64,
    /// Most bytes of one answer.
    pub answer_max: usize,
    /// Of how many hits one is read again to see whether it was right; 0 for none.
    pub verify_one_in: u32,
}

impl Default for CacheConfig {
    /// 256 MiB, 1 MiB, one of 1,000.
    fn default() -> Self {
        Self { memory: 256 << 20, answer_max: 1 << 20, verify_one_in: 1_000 }
    }
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// As if nothing were kept: it shows all that was committed before it was asked for.
    Strong,
    /// It shows what the session wrote and read before, which a token says. Without a token as [`Consistency::Strong`].
    #[default]
    Session,
    /// It was right at some time no longer ago than this.
    Bounded(Duration),
}

/// What limits how many statements are run at once.
pub trait Turn: Sync {
    /// Held while one runs.
    type Pass: Send;

    /// Waits until one may be run.
    fn take(&self) -> impl Future<Output = Result<Self::Pass, Refusal>> + Send;
}

/// No limit.
impl Turn for () {
    type Pass = ();

    async fn take(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// How an answer may be found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// How old it may be.
    pub consistency: Consistency,
    /// What it has to show.
    pub after: Option<After<'a>>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// From this process's memory.
    Hit,
    /// From the level that servers share.
    Shared,
    /// Somebody else was just making it.
    Collapsed,
    /// It was there, and old.
    Stale,
    /// It was not there.
    Miss,
    /// It is not kept, and why: one word.
    Bypass(&'static str),
}

/// An answer, and what is known of it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The answer.
    pub entry: Arc<Entry>,
    /// Where it came from.
    pub status: Status,
    /// How long ago it was certainly right; nothing if it was while it was asked for.
    pub age: Duration,
    /// What shows at least as much as this answer, for the next read; none if it is not known.
    pub token: Option<String>,
}

/// What keeps answers. Clones share it.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    config: CacheConfig,
    memory: Memory,
    shared: Option<Shared>,
    checks: Checks,
    flights: Flights,
    counts: Counts,
    /// Who was allowed to ask, and when.
    asking: Mutex<HashMap<(Uuid, Uuid, u8), Instant>>,
}

impl Cache {
    fn new(store: Store, config: CacheConfig, shared: Option<Shared>) -> Self {
        Self(Arc::new(Inner {
            memory: Memory::new(config.memory),
            shared,
            config,
            checks: Checks::new(store),
            flights: Flights::default(),
            counts: Counts::default(),
            asking: Mutex::default(),
        }))
    }

    /// What it did, by tenant and relation; those of more than a hundred tenants together under the id zero.
    #[must_use]
    pub fn tallies(&self) -> Vec<(Uuid, String, Tally)> {
        self.0.counts.all()
    }

    /// Entries, bytes, and of each tenant its bytes and how many entries had to go for want of room.
    #[must_use]
    pub fn usage(&self) -> (u64, u64, Vec<(Uuid, u64, u64)>) {
        self.0.memory.usage()
    }

    /// What the level that servers share did, if there is one.
    #[must_use]
    pub fn shared(&self) -> Option<SharedState> {
        self.0.shared.as_ref().map(Shared::state)
    }

    /// Shared answers that did not open, so were another tenant's or changed.
    #[must_use]
    pub fn alarms(&self) -> u64 {
        self.0.counts.alarms()
    }

    /// Statements that compared stamps, and requests that waited for them.
    #[must_use]
    pub fn checks(&self) -> (u64, u64) {
        self.0.checks.counts()
    }

    fn was_allowed(&self, tenant: &Tenant, since: Instant) -> bool {
        let asking = self.0.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.get(&who(tenant)).is_some_and(|at| *at >= since)
    }

    fn allow(&self, tenant: &Tenant, at: Instant) {
        let mut asking = self.0.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.len() >= ASKING_MAX {
            asking.retain(|_, at| at.elapsed() < VOUCHED);
        }
        let last = asking.entry(who(tenant)).or_insert(at);
        *last = at.max(*last);
    }

    fn disallow(&self, tenant: &Tenant) {
        self.0.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&who(tenant));
    }
}

fn who(tenant: &Tenant) -> (Uuid, Uuid, u8) {
    (tenant.id(), tenant.principal().unwrap_or_default(), tenant.role() as u8)
}

impl Engine {
    /// The same engine, which keeps answers: here, and in the level that servers share if there is one.
    #[must_use]
    pub fn keeping(mut self, config: CacheConfig, shared: Option<Shared>) -> Self {
        self.cache = Some(Cache::new(self.store.clone(), config, shared));
        self
    }

    /// What keeps this engine's answers, if anything does.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

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
        let (known, since) = (entry.known(), asked.allowed_since(&entry));
        let by_token = wanted.consistency == Consistency::Session && asked.position.is_some();
        let is_given = if by_token {
            asked.shown_by(&entry) && cache.was_allowed(asked.tenant, asked.lately())
        } else {
            asked.shown_by(&entry)
                && known.at >= asked.since
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
        let (at, current) = match cache.0.checks.heard(&question, since) {
            Some(heard) => heard,
            None => cache.0.checks.ask(question).await?,
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
    async fn make(
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
        {
            let (known, since) = (entry.known(), asked.allowed_since(&entry));
            if known.at >= since && cache.was_allowed(tenant, since)
                || self.still(cache, tenant, &entry, since).await?
            {
                return Ok(found(entry, Status::Collapsed, asked.arrived));
            }
        }
        let lease = match self.from_others(cache, asked).await? {
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
