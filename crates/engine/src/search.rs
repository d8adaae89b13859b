//! Search: which way it goes, and what its answer says of itself.
//!
//! A tenant on a shelf is searched exactly: every row that fits is measured. A tenant with a partition of its own has an
//! approximate index, which is asked if it is known to find enough: its recall is measured against true neighbours, and
//! nothing is promised that was not measured. What an index answers with too few rows is answered again, exactly.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_model::query::Query;
use freehold_store::Tenant;

use crate::{Engine, error::Error, read::count};

mod ample;
mod asked;
mod behind;
mod calibrate;
mod comparable;
mod measured;

use ample::{Ample, Filter};
use asked::Asked;
use calibrate::About;
pub use measured::{Measured, Point};

/// Rows that are measured one by one rather than asked of an index, if no more fit the filters: an index would be
/// followed past most of its rows to find these few.
const FEW: u64 = 4_000;

/// How long a measurement waits for searches of the tenant's, which it then asks again; they are kept no longer.
const GATHER: Duration = Duration::from_secs(60);

/// How sure an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Recall {
    /// As sure as [`Recall::DEFAULT`].
    #[default]
    Usual,
    /// Every row is measured.
    Exact,
    /// At least this share of the true nearest, between 0 and 1, as measured on the tenant's index.
    AtLeast(f64),
    /// What the index gives at its fastest.
    Fast,
}

impl Recall {
    /// What is asked for unless something else is.
    pub const DEFAULT: f64 = 0.99;

    /// Reads `exact`, `fast` or a number.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "exact" => Some(Self::Exact),
            "fast" => Some(Self::Fast),
            _ => match text.parse::<f64>() {
                Ok(share) if share > 0.0 && share < 1.0 => Some(Self::AtLeast(share)),
                Ok(1.0) => Some(Self::Exact),
                _ => None,
            },
        }
    }
}

/// What a search says of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// How the rows were found.
    pub path: Path,
    /// Rows of the tenant that were measured: all that fit the filters and have a vector, or the candidates an index
    /// gave. With `rank`, those of all its rankers together. Unknown where only embeds are searched.
    pub scanned: Option<u64>,
    /// Whether these are surely the nearest.
    pub complete: bool,
    /// The share of the true nearest to be expected: 1 if complete, else as measured on the tenant's index.
    pub recall: f64,
    /// Whether there are more rows than this page and those before it. Unknown where only embeds are searched.
    pub more: Option<bool>,
}

/// How the rows of a search were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Every row was measured.
    Exact,
    /// An approximate index gave the candidates, with so many kept in mind.
    Index {
        /// pgvector's `hnsw.ef_search`.
        ef_search: u32,
    },
    /// An index gave too few, so every row was measured.
    Corrected,
    /// The vectors are sealed: each was opened and measured.
    Sealed,
}

impl Search {
    /// As the dictionary of a structured HTTP field.
    #[must_use]
    pub fn field(&self) -> String {
        let path = match self.path {
            Path::Exact => "exact".to_owned(),
            Path::Index { ef_search } => format!("index, ef={ef_search}"),
            Path::Corrected => "exact, corrected=?1".to_owned(),
            Path::Sealed => "sealed".to_owned(),
        };
        let scanned = self.scanned.map(|rows| format!(", scanned={rows}")).unwrap_or_default();
        let more = self.more.map(|more| format!(", more=?{}", u8::from(more))).unwrap_or_default();
        format!(
            "path={path}{scanned}, complete=?{}, recall={}{more}",
            u8::from(self.complete),
            (self.recall * 1000.0).floor() / 1000.0,
        )
    }
}

/// An index of a tenant's own.
type Key = (u128, String, String);

/// What is known of tenants' own indexes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    known: HashMap<Key, Arc<Measured>>,
    /// Those that are being measured.
    busy: HashSet<Key>,
    ample: Ample,
    asked: Asked,
}

pub(crate) type Shared = Arc<Mutex<Indexes>>;

impl Engine {
    /// Decides the way of a search that may go over an index, and lets the query go it.
    pub(crate) async fn choose(
        &self,
        tenant: &Tenant,
        query: &mut Query,
        recall: Recall,
    ) -> Result<Option<(u32, f64)>, Error> {
        let Some(wanted) = query.indexable().filter(|_| recall != Recall::Exact) else {
            return Ok(None);
        };
        let placement = self.store.placement(tenant, query.entity());
        if !placement.own || !placement.indexes.iter().any(|graph| graph.field == wanted.field) {
            return Ok(None);
        }
        let key = key(tenant, query.entity(), wanted.field);
        let (k, filtered) = (wanted.k, wanted.filtered);
        let known = self.measured(tenant, &key);
        let point = known.and_then(|it| it.choose(recall, k));
        let wants = self.indexes().asked.wants(&key);
        if (point.is_none() && !wants) || (filtered && !self.fits_many(tenant, query).await?) {
            return Ok(None);
        }
        if wants {
            self.indexes().asked.note(&key, tenant, query);
        }
        let Some(point) = point else { return Ok(None) };
        query.by_index(tenant.id().as_u128(), point.ef_search);
        Ok(Some((point.ef_search.max(u32::try_from(k).unwrap_or(u32::MAX)), point.recall)))
    }

    async fn fits_many(&self, tenant: &Tenant, query: &Query) -> Result<bool, Error> {
        let fitting = query.fitting(FEW);
        let filter = Filter::of(tenant.id().as_u128(), &fitting);
        if self.indexes().ample.has(filter, Instant::now()) {
            return Ok(true);
        }
        let few = self.store.run(tenant, &fitting).await?;
        let many = count(few.int(0)) >= FEW;
        if many {
            self.indexes().ample.note(filter, Instant::now());
        }
        Ok(many)
    }

    /// An index gave too few rows for the query: whether many fit is looked for anew.
    pub(crate) fn gave_few(&self, tenant: &Tenant, query: &Query) {
        let filter = Filter::of(tenant.id().as_u128(), &query.fitting(FEW));
        self.indexes().ample.forget(filter);
    }

    /// What is known of an index; if more is to be known, it is measured in the background. What nothing is known of at
    /// once, else after searches of the tenant's were gathered, by which it is measured best.
    fn measured(&self, tenant: &Tenant, key: &Key) -> Option<Arc<Measured>> {
        let mut indexes = self.indexes();
        let known = indexes.known.get(key).cloned();
        let due = known.as_ref().is_none_or(|it| it.is_due(Instant::now()));
        if due && indexes.busy.insert(key.clone()) {
            let full = indexes.asked.open(key);
            let wait = known.as_ref().map_or(Duration::ZERO, |_| GATHER);
            let (engine, tenant, key) = (self.clone(), tenant.clone(), key.clone());
            tokio::spawn(async move {
                // Late or full, what there is is taken.
                let _ = tokio::time::timeout(wait, full.notified()).await;
                if let Err(error) = engine.calibrate(&tenant, &key.1, &key.2).await {
                    tracing::warn!(error = %error, "the recall of an index could not be measured");
                }
                engine.indexes().busy.remove(&key);
            });
        }
        known
    }

    /// Measures the recall of a tenant's index, with the searches that wait for it, and keeps it in mind with what was known
    /// before.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn calibrate(
        &self,
        tenant: &Tenant,
        entity: &str,
        field: &str,
    ) -> Result<Arc<Measured>, Error> {
        let key = key(tenant, entity, field);
        let (before, searches) = {
            let mut indexes = self.indexes();
            (indexes.known.get(&key).cloned(), indexes.asked.take(&key))
        };
        let about = About { engine: self, tenant, entity, field };
        let measured = Arc::new(about.round(before.as_deref(), searches).await?);
        self.indexes().known.insert(key, measured.clone());
        Ok(measured)
    }

    /// What is known of the recall of a tenant's index, if anything is.
    #[must_use]
    pub fn recall_of(&self, tenant: &Tenant, entity: &str, field: &str) -> Option<Arc<Measured>> {
        self.indexes().known.get(&key(tenant, entity, field)).cloned()
    }

    fn indexes(&self) -> std::sync::MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(tenant: &Tenant, entity: &str, field: &str) -> Key {
    (tenant.id().as_u128(), entity.to_owned(), field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_is_a_word_or_a_share() {
        assert_eq!(Recall::read("exact"), Some(Recall::Exact));
        assert_eq!(Recall::read("0.95"), Some(Recall::AtLeast(0.95)));
        assert_eq!(Recall::read("1"), Some(Recall::Exact));
        for bad in ["", "0", "-1", "1.5", "NaN", "most"] {
            assert_eq!(Recall::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_field_says_everything() {
        let search = Search {
            path: Path::Index { ef_search: 80 },
            scanned: Some(10),
            complete: false,
            recall: 0.9954,
            more: Some(true),
        };
        assert_eq!(
            search.field(),
            "path=index, ef=80, scanned=10, complete=?0, recall=0.995, more=?1"
        );
    }
}
