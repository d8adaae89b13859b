//! The API keys of one tenant, managed by one who is its admin. The database asks anew whether they are.

use freehold_model::{Code, Refusal};

use super::{Store, Tenant, tenant::hash_of};
use crate::{
    error::Error,
    operator::{ApiKey, KeyInfo, WantedKey},
    role::Role,
    scope::Scope,
};

impl Store {
    /// The tenant's API keys, the oldest first, at most 1,000.
    ///
    /// # Errors
    /// `Forbidden` for who is not an admin; faults.
    pub async fn keys_of(&self, admin: &Tenant) -> Result<Vec<KeyInfo>, Error> {
        is_admin(admin)?;
        let text = "select prefix, name, role, created_at, expires_at, revoked_at, scope \
                    from freehold.keys_of($1::text::uuid, $2::text::uuid)";
        let (id, key) = (admin.id().to_string(), admin.key().to_string());
        let rows = self.ask("listing API keys", text, &[Some(&id), Some(&key)]).await?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let keys = rows.into_iter().map(|row| KeyInfo {
            tenant: admin.name().to_owned(),
            prefix: owned(row.text(0)).unwrap_or_default(),
            name: owned(row.text(1)).unwrap_or_default(),
            role: row.int(2).and_then(Role::numbered).unwrap_or(Role::Reader),
            created_at: owned(row.text(3)).unwrap_or_default(),
            expires_at: owned(row.text(4)),
            revoked_at: owned(row.text(5)),
            only: row.text(6).map(Scope::recorded),
        });
        let keys: Vec<KeyInfo> = keys.collect();
        // Whoever comes with a key sees at least that one, if it still counts.
        if keys.is_empty() && admin.principal().is_some() {
            return Err(no_longer().into());
        }
        Ok(keys)
    }

    /// Makes an API key.
    ///
    /// # Errors
    /// `Forbidden` for who is not an admin; `Unauthenticated` for one whose own key or tenant no longer counts; `Limit` is
    /// not told apart from it beyond 1,000 keys.
    pub async fn add_key(&self, admin: &Tenant, wanted: &WantedKey<'_>) -> Result<ApiKey, Error> {
        is_admin(admin)?;
        wanted.check()?;
        let key = ApiKey::random();
        let text = "select made from freehold.add_key($1::text::uuid, $2::text::uuid, $3, $4, $5, $6::text::integer, $7::text::bigint, $8)";
        let (id, principal) = (admin.id().to_string(), admin.key().to_string());
        let (hash, role) = (hash_of(&key.secret), wanted.role.number().to_string());
        let seconds = wanted.valid_for.map(|seconds| seconds.to_string());
        let only = wanted.only.map(Scope::text);
        let params = [
            Some(&*id),
            Some(&*principal),
            Some(&*hash),
            Some(&*key.prefix),
            Some(wanted.name),
            Some(&*role),
            seconds.as_deref(),
            only.as_deref(),
        ];
        match self.ask("making an API key", text, &params).await?.first() {
            Some(_) => Ok(key),
            None => Err(no_longer()
                .hint("or the tenant has 1,000 keys, which is all it can have")
                .into()),
        }
    }

    /// Revokes the tenant's API key that begins so.
    ///
    /// # Errors
    /// `Forbidden` for who is not an admin; `Path` if the tenant has no such key.
    pub async fn end_key(&self, admin: &Tenant, prefix: &str) -> Result<(), Error> {
        is_admin(admin)?;
        let text = "select ended from freehold.end_key($1::text::uuid, $2::text::uuid, $3)";
        let (id, principal) = (admin.id().to_string(), admin.key().to_string());
        let params = [Some(&*id), Some(&*principal), Some(prefix)];
        match self.ask("revoking an API key", text, &params).await?.first() {
            Some(_) => Ok(()),
            None => {
                Err(Refusal::new(Code::Path, "the tenant has no API key that begins so").into())
            }
        }
    }
}

fn is_admin(tenant: &Tenant) -> Result<(), Refusal> {
    match tenant.role() {
        Role::Admin => Ok(()),
        _ => Err(Refusal::new(Code::Forbidden, "only an admin manages API keys")),
    }
}

fn no_longer() -> Refusal {
    Refusal::new(Code::Unauthenticated, "the API key is wrong, expired or revoked")
}
