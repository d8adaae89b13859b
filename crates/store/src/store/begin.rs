//! Transactions of several statements.

use super::{Store, Tenant, TimeZone};
use crate::{error::Error, tx::TenantTx};

impl Store {
    /// Begins a transaction of several statements.
    ///
    /// # Errors
    /// `NoSuchTenant`, `TenantSuspended`.
    pub async fn begin(&self, tenant: &Tenant) -> Result<TenantTx, Error> {
        self.begin_in(tenant, None).await
    }

    /// The same with times told in a time zone.
    ///
    /// # Errors
    /// As [`Self::begin`]; `Preference` if there is no such zone.
    pub async fn begin_in(
        &self,
        tenant: &Tenant,
        zone: Option<&TimeZone>,
    ) -> Result<TenantTx, Error> {
        self.begin_by("begin", tenant, zone).await
    }

    /// The same, where all statements see what there was at the beginning, and nothing is changed that somebody else has changed
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Self::begin_in`]; the statements `TryAgain` for the latter.
    pub async fn begin_fixed(
        &self,
        tenant: &Tenant,
        zone: Option<&TimeZone>,
    ) -> Result<TenantTx, Error> {
        self.begin_by("begin isolation level repeatable read", tenant, zone).await
    }

    async fn begin_by(
        &self,
        begin: &str,
        tenant: &Tenant,
        zone: Option<&TimeZone>,
    ) -> Result<TenantTx, Error> {
        let mut lease = self.lease_for(tenant).await?;
        let opening = self.opening_by(begin, &lease, tenant) + &TimeZone::setting(zone);
        self.in_time(lease.batch(&opening))
            .await?
            .map_err(|error| self.not_opened(tenant, error))?;
        Ok(TenantTx::new(lease, self.0.patience, self.wording(tenant)))
    }
}
