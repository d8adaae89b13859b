//! Who a transaction is for: tenants by name, and by their API keys.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
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
    role::Role,
    row::Row,
    scope::Scope,
};

/// How long a key is recognised without asking whose it is.
const RECOGNISED: Duration = Duration::from_secs(60);

/// Most keys that are kept in mind.
const RECOGNISED_MAX: usize = 10_000;

/// A tenant that was there and active when it was looked up. PostgreSQL looks again in every transaction.
#[derive(Debug, Clone)]
pub struct Tenant {
    id: Uuid,
    name: Arc<str>,
    key: Uuid,
    role: Role,
    only: Option<Arc<Scope>>,
    bounds: Bounds,
}

/// What any one request may take, where that is less than the server allows all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Longest run of a statement.
    pub statement: Option<Duration>,
    /// Most rows of an answer.
    pub rows: Option<u64>,
}

impl Bounds {
    /// The smaller of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            statement: least(self.statement, other.statement),
            rows: least(self.rows, other.rows),
        }
    }
}

/// Keys that were looked up lately, by their hash.
pub(super) type Recognised = Mutex<HashMap<String, (Instant, Tenant)>>;

impl Tenant {
    pub(crate) fn new(id: Uuid, name: String) -> Self {
        Self::vouched(id, name, Uuid::nil(), Role::Admin)
    }

    /// One that was found by an API key before.
    pub(crate) fn vouched(id: Uuid, name: String, key: Uuid, role: Role) -> Self {
        Self { id, name: name.into(), key, role, only: None, bounds: Bounds::default() }
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

    /// What may be done in it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The same, where no more may be done than this; what already is less stays.
    #[must_use]
    pub fn limited_to(mut self, role: Role) -> Self {
        self.role = self.role.min(role);
        self
    }

    /// The same for somebody without a key.
    #[must_use]
    pub fn for_anybody(self) -> Self {
        self.limited_to(Role::Anonymous)
    }

    /// The same, where no request takes more than this.
    #[must_use]
    pub fn bounded(mut self, bounds: Bounds) -> Self {
        self.bounds = self.bounds.and(bounds);
        self
    }

    /// What a request may take at most.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What the key is for, if not for everything.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.only.as_deref()
    }

    /// Names the API key by which it was found, if by one; says nothing of it.
    #[must_use]
    pub fn principal(&self) -> Option<Uuid> {
        (!self.key.is_nil()).then_some(self.key)
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
        let text = "select id, name, state, null, null, null from freehold.tenant_named($1)";
        self.look_up("looking up a tenant", text, name).await?.ok_or_else(|| {
            let refusal = Refusal::new(Code::NoSuchTenant, "there is no such tenant").detail(name);
            refusal.hint("`freehold tenant list` shows them").into()
        })
    }

    /// The tenant of this id or name, as a claim gives it; the same for a minute, as with keys.
    ///
    /// # Errors
    /// `NoSuchTenant`, `TenantSuspended`.
    pub async fn tenant_known(&self, claim: &str) -> Result<Tenant, Error> {
        // A hash is hexadecimal digits alone, so no claim is ever taken for one.
        let name = format!("claim {claim}");
        if let Some((at, tenant)) = self.recognised().get(&name)
            && at.elapsed() < RECOGNISED
        {
            return Ok(tenant.clone());
        }
        let text = "select id, name, state, null, null, null from freehold.tenant_known($1)";
        let found = self.look_up("looking up a tenant", text, claim).await?;
        let tenant = found.ok_or_else(|| {
            Error::from(Refusal::new(Code::NoSuchTenant, "there is no such tenant"))
        })?;
        self.remember(name, &tenant);
        Ok(tenant)
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
        self.remember(hash, &tenant);
        Ok(tenant)
    }

    fn remember(&self, by: String, tenant: &Tenant) {
        let mut known = self.recognised();
        if known.len() >= RECOGNISED_MAX {
            known.retain(|_, (at, _)| at.elapsed() < RECOGNISED);
        }
        if known.len() < RECOGNISED_MAX {
            known.insert(by, (Instant::now(), tenant.clone()));
        }
    }

    /// The same, always by a question to the database.
    ///
    /// # Errors
    /// As [`Self::recognise`].
    pub async fn authenticate(&self, api_key: &str) -> Result<Tenant, Error> {
        let text = "select id, name, state, key, role, scope from freehold.key_holder($1)";
        let found = self.look_up("checking an API key", text, &hash_of(api_key)).await?;
        found.ok_or_else(|| unauthenticated().into())
    }

    pub(crate) fn not_opened(&self, tenant: &Tenant, error: tokio_postgres::Error) -> Error {
        let state = error.code().map(tokio_postgres::error::SqlState::code);
        if matches!(state, Some("FH001" | "FH002" | "FH003")) {
            self.recognised()
                .retain(|_, (_, known)| (known.id, known.key) != (tenant.id, tenant.key));
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
        // Boxed: what is in mind already is not to carry the room for it.
        let rows = Box::pin(self.ask(doing, text, &[Some(by)])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut tenant =
            tenant_in(row).ok_or_else(|| Fault::new(doing, "a tenant without its fields"))?;
        tenant.key = row.text(3).and_then(|key| key.parse().ok()).unwrap_or_default();
        if !tenant.key.is_nil() {
            // A role of a later version is the weakest here.
            tenant.role = row.int(4).and_then(Role::numbered).unwrap_or(Role::Reader);
            tenant.only = row.text(5).map(|only| Arc::new(Scope::recorded(only)));
        }
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
