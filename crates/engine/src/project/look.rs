//! How projecting goes, for people: whether a read model is right, how far it is, what could not be done.

use freehold_store::{Lag, Parked, Tenant};
use serde_json::Value;

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    read::count,
};

/// Keys shown of those that are wrong.
const SAMPLES: u32 = 20;

/// How the table of a read model differs from its definition, for one tenant, in one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Rows the table lacks.
    pub missing: u64,
    /// Rows it has too many.
    pub extra: u64,
    /// Rows with other values.
    pub different: u64,
    /// Some of their keys: `[{"fault": …, "key": […]}]`.
    pub sample: Value,
}

impl Compared {
    /// Whether there is no difference.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.missing + self.extra + self.different == 0
    }
}

impl Engine {
    /// Compares a read model of a tenant with its definition. On a live system changes that workers have still to follow
    /// count as differences.
    ///
    /// # Errors
    /// `NoSuchEntity` if there is no such read model; faults.
    pub async fn check_read(&self, tenant: &Tenant, name: &str) -> Result<Compared, Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(name).ok_or_else(|| no_such_read(name))?;
        let row = self.store.run(tenant, &read.check(read.name(), SAMPLES)).await?;
        Ok(Compared {
            missing: count(row.int(0)),
            extra: count(row.int(1)),
            different: count(row.int(2)),
            sample: row
                .text(3)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        })
    }

    /// How far behind read models are, and the `limit` tenants that are furthest behind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn lag(&self, limit: usize) -> Result<Vec<Lag>, Error> {
        self.store.projection_status(limit).await
    }

    /// Units that could not be brought up to date.
    ///
    /// # Errors
    /// Faults only.
    pub async fn parked(&self, limit: usize) -> Result<Vec<Parked>, Error> {
        self.store.parked_units(limit).await
    }

    /// Has parked units tried again at once; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn replay(&self, read: Option<&str>) -> Result<u64, Error> {
        let replayed = self.store.replay(read).await?;
        self.store.wake();
        Ok(replayed)
    }
}

pub(crate) fn no_such_read(name: &str) -> Refusal {
    Refusal::new(Code::NoSuchEntity, "there is no such read model").detail(name)
}
