//! Tokens for drivers that speak to PostgreSQL themselves.

use std::time::Duration;

use super::{Store, Tenant};

impl Store {
    /// The text that `call freehold.open('…')` takes in this backend, logged in as `freehold_app`, within `life`; the
    /// database takes at most 60 s.
    #[must_use]
    pub fn token_for(&self, tenant: &Tenant, backend: i32, life: Duration) -> String {
        self.minter(tenant).text(tenant.role(), tenant.id(), backend, life)
    }
}
