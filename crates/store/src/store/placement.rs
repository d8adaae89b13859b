//! Which tenants have partitions of their own, as this process knows it.
//!
//! A server keeps all of them in mind, because their number is bounded, and looks for changes once a second. What it
//! knows decides how a statement is prepared and which way a search takes, never what a tenant may see.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use freehold_model::Sql;
use uuid::Uuid;

use super::{Store, Tenant};
use crate::error::{Error, Fault};

/// With more partitions of tenants' own of an entity than this, whatever has to do with it names its tenant.
///
/// A plan for all tenants locks every partition with its indexes before it prunes them, and a server has 6,400 locks by
/// default: with 50 a point read takes 240, with 1,000 it took 4,040. It took 40 µs of the server with none, 91 with 50, 343
/// with 200 and 1,214 with 1,000; one that names its tenant 32 to 49 whatever their number, but has to be planned for each
/// tenant and connection, which took 160 to 490. So by time naming pays from about 200 partitions on, and by locks it has to
/// begin long before: at 50 a shared plan costs every request 51 µs more, naming costs one whose tenant comes in turns with
/// many others 300, and 25 requests at once take all locks that there are by default. None at all would make every small tenant's
/// requests the slower ones as soon as one tenant is promoted.
const SHARED_MAX: usize = 50;

/// Plans made with the values at hand, which are pruned before anything is locked.
const ANEW: &str = "set local plan_cache_mode = force_custom_plan";

/// How statements of a transaction are written: for all tenants alike, or with the tenant's id beside the wall.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    tenant: Uuid,
    known: Arc<Known>,
    /// Whether they are those of workers, who may have to do without.
    is_worker: bool,
}

impl Wording {
    /// The text to prepare. Those that name a tenant are kept among the 64 of a connection like all others.
    pub(crate) fn of<'a>(&self, sql: &'a Sql) -> Cow<'a, str> {
        match self.names(sql) {
            false => Cow::Borrowed(sql.text()),
            true => Cow::Owned(sql.text_for(&self.tenant.to_string())),
        }
    }

    /// Whether it names its tenant: if it has to do with an entity of which the tenant has a partition of its own, or very many have.
    fn names(&self, sql: &Sql) -> bool {
        let (known, own) = (&self.known, self.known.own.get(&self.tenant));
        let apart = |entity: &String| {
            own.is_some_and(|own| own.contains_key(entity))
                || known.counts.get(entity).is_some_and(|count| *count > SHARED_MAX)
        };
        !(self.is_worker && known.unnamed.load(Ordering::Relaxed))
            && sql.entities().iter().any(apart)
    }

    /// A statement was refused for want of rights. Says whether it can be tried again: workers of a database whose read models are
    /// older than their right to name tenants do without from now on, until partitions come or go.
    pub(crate) fn was_refused(&self, sql: &Sql) -> bool {
        let named = self.is_worker && self.names(sql);
        if named {
            tracing::warn!(
                "workers may not name tenants, and lock all partitions; the next `freehold apply` lets them"
            );
            self.known.unnamed.store(true, Ordering::Relaxed);
        }
        named
    }

    /// What has to be set before the statement, if anything. PostgreSQL looks after references by statements of its own, which
    /// nobody can word; a kept plan of theirs locks all partitions of the other table for each row.
    pub(crate) fn setting(&self, sql: &Sql) -> Option<&'static str> {
        (self.known.most > SHARED_MAX && sql.writes()).then_some(ANEW)
    }

    /// The same and what the statement itself asks for, to be put behind the opening of a transaction.
    pub(crate) fn settings(&self, sql: &Sql) -> String {
        let settings = self.setting(sql).into_iter().chain([sql.settings()]);
        let settings = settings.filter(|setting| !setting.is_empty());
        settings.map(|setting| format!("; {setting}")).collect()
    }
}

/// Where a tenant's rows of one entity are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Whether they are in a partition of the tenant's own.
    pub own: bool,
    /// About how many there are; 0 where nobody has counted.
    pub rows: u64,
    /// Bytes of the partition with its indexes; 0 where there is none.
    pub bytes: u64,
    /// Its approximate indexes. Empty on a shelf, where there is none.
    pub indexes: Vec<Graph>,
}

/// An HNSW index of a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The vector field.
    pub field: String,
    /// Links of each element.
    pub m: u32,
    /// Candidates kept in mind while it is built.
    pub ef_construction: u32,
}

/// All partitions of tenants' own, at one moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    change: i64,
    own: HashMap<Uuid, HashMap<String, Placement>>,
    /// How many partitions of tenants' own each entity has.
    counts: HashMap<String, usize>,
    /// The most that one has.
    most: usize,
    /// Whether workers were refused to name tenants.
    unnamed: AtomicBool,
}

pub(super) type State = RwLock<Arc<Known>>;

impl Store {
    /// Where the tenant's rows of an entity are, as far as this process knows: it looks once a second.
    #[must_use]
    pub fn placement(&self, tenant: &Tenant, entity: &str) -> Placement {
        let known = self.placements();
        let place = known.own.get(&tenant.id()).and_then(|own| own.get(entity));
        place.cloned().unwrap_or_default()
    }

    /// Looks whether partitions came or went, and takes them over.
    ///
    /// # Errors
    /// Faults only; then what was known stays.
    pub async fn refresh_placements(&self) -> Result<(), Error> {
        let doing = "looking for tenants' own partitions";
        let rows = self.ask(doing, "select freehold.placement_pulse()", &[]).await?;
        let change = rows.first().and_then(|row| row.int(0)).unwrap_or_default();
        if change == self.placements().change {
            return Ok(());
        }
        let text = "select tenant, entity, rows, bytes, indexes from freehold.placements()";
        let mut known = Known { change, ..Known::default() };
        for row in &self.ask(doing, text, &[]).await? {
            let tenant = row.text(0).and_then(|id| id.parse().ok());
            let tenant: Uuid = tenant.ok_or_else(|| Fault::new(doing, "no tenant"))?;
            let entity = row.text(1).unwrap_or_default().to_owned();
            let count = |at| row.int(at).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
            let place = Placement {
                own: true,
                rows: count(2),
                bytes: count(3),
                indexes: graphs(row.text(4).unwrap_or_default()),
            };
            *known.counts.entry(entity.clone()).or_default() += 1;
            known.own.entry(tenant).or_default().insert(entity, place);
        }
        known.most = known.counts.values().copied().max().unwrap_or_default();
        *self.0.placements.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    /// How the tenant's statements are written.
    pub(crate) fn wording(&self, tenant: &Tenant) -> Wording {
        Wording { tenant: tenant.id(), known: self.placements(), is_worker: false }
    }

    /// How a worker's statements about the tenant are written.
    pub(crate) fn workers_wording(&self, tenant: &Tenant) -> Wording {
        Wording { is_worker: true, ..self.wording(tenant) }
    }

    fn placements(&self) -> Arc<Known> {
        Arc::clone(&self.0.placements.read().unwrap_or_else(PoisonError::into_inner))
    }
}

// A line each: field, m, ef_construction.
fn graphs(text: &str) -> Vec<Graph> {
    let graph = |line: &str| {
        let mut words = line.split(' ');
        let field = words.next()?.to_owned();
        let (m, ef_construction) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Graph { field, m, ef_construction })
    };
    text.lines().filter_map(graph).collect()
}
