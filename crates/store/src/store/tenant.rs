//! Who a transaction is for: tenants by name, and by their API keys.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::Store;
use crate::{
    error::{Error, Fault},
    key::hex,
    refusal::explain,
    row::Row,
};

/// How long a key is recognised without asking whose it is.
const RECOGNISED: Duration = Duration::from_secs(60);

/// Most keys that are kept in mind.
const RECOGNISED_MAX: usize = 10_000;

/// A tenant that was there and active when it was looked up. PostgreSQL looks again in every transaction.
#[derive(Debug, Clone)]
pub struct Tenant {
    id: Uuid,
    name: String,
    key: Uuid,
}

/// Keys that were looked up lately, by their hash.
pub(super) type Recognised = Mutex<HashMap<String, (Instant, Tenant)>>;

impl Tenant {
    pub(crate) fn new(id: Uuid, name: String) -> Self {
        Self { id, name, key: Uuid::nil() }
    }

    /// Its id, which is never in an answer to the tenant.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API key it was found by, which every transaction checks again; nil if by none.
    pub(crate) fn key(&self) -> Uuid {
        self.key
    }
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Tenant {}

impl Hash for Tenant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Store {
    /// The tenant of this name.
    ///
    /// # Errors
    /// `NoSuchTenant`, `TenantSuspended`.
    pub async fn tenant_named(&self, name: &str) -> Result<Tenant, Error> {
        let text = "select id, name, state, null from freehold.tenant_named($1)";
        self.look_up("looking up a tenant", text, name).await?.ok_or_else(|| {
            Refusal::new(Code::NoSuchTenant, "there is no such tenant").detail(name).into()
        })
    }

    /// The tenant whose API key this is. A key that was seen in the last minute is recognised without a question to the
    /// database: whether it still counts is checked with every transaction it opens.
    ///
    /// # Errors
    /// `Unauthenticated` if the key is wrong, expired or revoked; `TenantSuspended`.
    pub async fn recognise(&self, api_key: &str) -> Result<Tenant, Error> {
        let hash = hash_of(api_key);
        if let Some((at, tenant)) = self.recognised().get(&hash)
            && at.elapsed() < RECOGNISED
        {
            return Ok(tenant.clone());
        }
        let tenant = self.authenticate(api_key).await?;
        let mut known = self.recognised();
        if known.len() >= RECOGNISED_MAX {
            known.retain(|_, (at, _)| at.elapsed() < RECOGNISED);
        }
        if known.len() < RECOGNISED_MAX {
            known.insert(hash, (Instant::now(), tenant.clone()));
        }
        Ok(tenant)
    }

    /// The same, always by a question to the database.
    ///
    /// # Errors
    /// As [`Self::recognise`].
    pub async fn authenticate(&self, api_key: &str) -> Result<Tenant, Error> {
        let text = "select id, name, state, key from freehold.key_holder($1)";
        let found = self.look_up("checking an API key", text, &hash_of(api_key)).await?;
        found.ok_or_else(|| unauthenticated().into())
    }

    pub(crate) fn not_opened(&self, tenant: &Tenant, error: tokio_postgres::Error) -> Error {
        let state = error.code().map(tokio_postgres::error::SqlState::code);
        if !tenant.key.is_nil() && matches!(state, Some("FH001" | "FH002" | "FH003")) {
            self.recognised().retain(|_, (_, known)| known.key != tenant.key);
        }
        match state {
            Some("FH001" | "FH003") if !tenant.key.is_nil() => unauthenticated().into(),
            Some("FH001") => Refusal::new(Code::NoSuchTenant, "there is no such tenant")
                .detail(tenant.name())
                .into(),
            Some("FH002") => suspended(tenant).into(),
            Some(crate::session::NO_SUCH_ZONE) => super::zone::no_such_zone().into(),
            Some(state) if state != "57014" && !crate::refusal::is_passing(state) => {
                Fault::new("opening a tenant", error).into()
            }
            _ => explain("opening a tenant", error),
        }
    }

    async fn look_up(
        &self,
        doing: &'static str,
        text: &str,
        by: &str,
    ) -> Result<Option<Tenant>, Error> {
        let rows = self.ask(doing, text, &[Some(by)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut tenant =
            tenant_in(row).ok_or_else(|| Fault::new(doing, "a tenant without its fields"))?;
        tenant.key = row.text(3).and_then(|key| key.parse().ok()).unwrap_or_default();
        match row.text(2) {
            Some("active") => Ok(Some(tenant)),
            _ => Err(suspended(&tenant).into()),
        }
    }

    fn recognised(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Tenant)>> {
        self.0.recognised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an API key is kept.
pub(crate) fn hash_of(api_key: &str) -> String {
    hex(digest::digest(&digest::SHA256, api_key.as_bytes()).as_ref())
}

/// The tenant in the columns id and name.
pub(crate) fn tenant_in(row: &Row) -> Option<Tenant> {
    Some(Tenant::new(row.text(0)?.parse().ok()?, row.text(1)?.to_owned()))
}

fn suspended(tenant: &Tenant) -> Refusal {
    Refusal::new(Code::TenantSuspended, "the tenant is suspended or being deleted")
        .detail(tenant.name())
}

fn unauthenticated() -> Refusal {
    Refusal::new(Code::Unauthenticated, "the API key is wrong, expired or revoked")
}
