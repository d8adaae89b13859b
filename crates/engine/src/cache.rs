//! Answers that are kept: what was read once is not read again while it is the same.
//!
//! PostgreSQL decides whether it is. A statement answers with its rows and with the stamp of the tables it read, of one
//! snapshot; two snapshots with the same stamp see the same rows. So an answer may be given again if its stamp is compared
//! with what the stamp is now, which takes one small question for many requests together, and nothing has to be invalidated:
//! not when psql writes, not when a server dies between two steps, not when Redis forgets. Where an answer is kept, in this
//! process or in Redis, only decides how fast it is found.
//!
//! name → kept? → known to be right since when? → stamp compared → else one reads, and the others wait for it

mod check;
mod counts;
mod entry;
mod flight;
mod memory;
mod others;
mod remote;
mod told;
mod verify;
mod warm;
mod way;

pub use counts::Tally;
pub use entry::Entry;
pub(crate) use entry::etag;
pub use freehold_store::seal::{ANSWER_OVERHEAD, AnswerKeys, AnswerName, Closed};
pub use remote::{Lease, Loser, Shared, SharedConfig, SharedState, Winner};
pub use told::Told;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_store::{Store, Tenant};
use uuid::Uuid;

use self::{check::Checks, counts::Counts, flight::Flights, memory::Memory};
use crate::{Engine, error::Refusal, read::After};

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
    ready: warm::Ready,
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
            ready: warm::Ready::default(),
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

    /// The same engine, which keeps no answers.
    #[must_use]
    pub fn keeping_nothing(mut self) -> Self {
        self.cache = None;
        self
    }

    /// What keeps this engine's answers, if anything does.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }
}
