//! Definitions of read models that are being built beside those that are read.

use super::{Projection, due::count};
use crate::{
    apply::Building,
    error::{Error, Fault},
    store::{Store, tenant_in},
};

/// How far a table is that is being built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Built {
    /// Tenants for whom it is filled.
    pub filled: u64,
    /// Tenants that can be worked in.
    pub tenants: u64,
    /// Units filled.
    pub units: u64,
}

impl Store {
    /// At most `limit` projections of it for which there is something to do: those to be filled, then those that have
    /// changes to follow.
    ///
    /// # Errors
    /// Faults only.
    pub async fn build_due(
        &self,
        building: &Building,
        limit: usize,
    ) -> Result<Vec<Projection>, Error> {
        let doing = "looking for what is to be built";
        let text =
            "select id, name from freehold.build_due($1, $2::text::integer, $3::text::bigint)";
        let (version, limit) = (building.version.to_string(), limit.to_string());
        let rows = self.ask(doing, text, &[&*building.read, &version, &limit].map(Some)).await?;
        let due = rows.iter().map(|row| {
            Some(Projection {
                tenant: tenant_in(row)?,
                model: building.read.to_string(),
                version: building.version,
            })
        });
        let due: Option<Vec<Projection>> = due.collect();
        Ok(due.ok_or_else(|| Fault::new(doing, "a row without its fields"))?)
    }

    /// How far it is; `None` if it was given up.
    ///
    /// # Errors
    /// Faults only.
    pub async fn build_state(&self, building: &Building) -> Result<Option<Built>, Error> {
        let doing = "asking how far a build is";
        let text = "select filled, tenants, units from freehold.build_state($1, $2::text::integer)";
        let version = building.version.to_string();
        let rows = self.ask(doing, text, &[&*building.read, &version].map(Some)).await?;
        Ok(rows.first().map(|row| Built {
            filled: count(row, 0),
            tenants: count(row, 1),
            units: count(row, 2),
        }))
    }
}
