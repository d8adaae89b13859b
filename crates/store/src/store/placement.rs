//! Which tenants have partitions of their own, as this process knows it.
//!
//! A server keeps all of them in mind, because their number is bounded, and looks for changes once a second. What it
//! knows decides how a statement is prepared and which way a search takes, never what a tenant may see.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use uuid::Uuid;

use super::{Store, Tenant};
use crate::error::{Error, Fault};

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
    /// Partitions of tenants' own by entity.
    counts: HashMap<String, usize>,
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
        *self.0.placements.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    pub(super) fn placements(&self) -> Arc<Known> {
        Arc::clone(&self.0.placements.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// The most partitions of tenants' own that one entity has.
    pub(super) fn most(&self) -> usize {
        self.counts.values().copied().max().unwrap_or_default()
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
