//! API keys: shown once, kept as a hash.

use freehold_model::{Code, Refusal};

use super::Operator;
use crate::{error::Error, key::hex, role::Role, scope::Scope, store::hash_of};

/// A new API key.
#[derive(Debug)]
pub struct ApiKey {
    /// What the client sends; cannot be seen again.
    pub secret: String,
    /// By which it is listed and revoked.
    pub prefix: String,
}

/// What is known of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Whose.
    pub tenant: String,
    /// What it was called.
    pub name: String,
    /// Its beginning.
    pub prefix: String,
    /// What it lets its holder do.
    pub role: Role,
    /// When it was made; RFC 3339 in UTC, as all times here.
    pub created_at: String,
    /// When it ends, if ever.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// What it is for, if not for everything.
    pub only: Option<Scope>,
}

/// An API key to be made.
#[derive(Debug, Clone, Copy)]
pub struct WantedKey<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What it lets its holder do.
    pub role: Role,
    /// Seconds until it ends, if ever.
    pub valid_for: Option<u32>,
    /// What it is for, if not for everything.
    pub only: Option<&'a Scope>,
}

impl WantedKey<'_> {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.only.is_some() && self.role >= Role::Admin {
            return Err(Refusal::new(
                Code::Usage,
                "an admin's key cannot be for some relations only: an admin makes keys",
            )
            .hint("make it a reader's or a writer's"));
        }
        Ok(())
    }
}

impl ApiKey {
    /// A new one, which counts once its hash is recorded.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 36];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let prefix = format!("fh_{}", hex(&bytes[..4]));
        Self { secret: format!("{prefix}_{}", hex(&bytes[4..])), prefix }
    }
}

impl Operator {
    /// Makes an API key of this role for a tenant; `valid_for` in seconds.
    ///
    /// # Errors
    /// `NoSuchTenant`.
    pub async fn create_key(
        &mut self,
        tenant: &str,
        name: &str,
        role: Role,
        valid_for: Option<u32>,
    ) -> Result<ApiKey, Error> {
        self.create_key_for(tenant, &WantedKey { name, role, valid_for, only: None }).await
    }

    /// Makes an API key for a tenant.
    ///
    /// # Errors
    /// `NoSuchTenant`; `Usage` for an admin's that is for some relations only.
    pub async fn create_key_for(
        &mut self,
        tenant: &str,
        wanted: &WantedKey<'_>,
    ) -> Result<ApiKey, Error> {
        wanted.check()?;
        let key = ApiKey::random();
        let text = "insert into freehold.api_key (hash, tenant_id, name, prefix, expires_at, role, scope) \
                    select decode($2, 'hex'), id, $3, $4, now() + $5::text::integer * interval '1 s', $6::text::smallint, \
                      string_to_array($7, ',') \
                    from freehold.tenant where name = $1 returning prefix";
        let (hash, valid_for) =
            (hash_of(&key.secret), wanted.valid_for.map(|seconds| seconds.to_string()));
        let (role, only) = (wanted.role.number().to_string(), wanted.only.map(Scope::text));
        let params = [
            Some(tenant),
            Some(&hash),
            Some(wanted.name),
            Some(&key.prefix),
            valid_for.as_deref(),
            Some(&role),
            only.as_deref(),
        ];
        match self.as_gate(text, &params).await?.first() {
            Some(_) => Ok(key),
            None => Err(super::tenants::missing(tenant).into()),
        }
    }

    /// All API keys, or those of one tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn keys(&mut self, tenant: Option<&str>) -> Result<Vec<KeyInfo>, Error> {
        let text = "select t.name, k.name, prefix, to_char(k.created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                    to_char(expires_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), to_char(revoked_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                    k.role::bigint, array_to_string(k.scope, ',') \
                    from freehold.api_key k join freehold.tenant t on t.id = k.tenant_id \
                    where $1::text is null or t.name = $1 order by t.name, k.created_at";
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let keys = self.as_gate(text, &[tenant]).await?.into_iter().map(|row| KeyInfo {
            tenant: owned(row.text(0)).unwrap_or_default(),
            name: owned(row.text(1)).unwrap_or_default(),
            prefix: owned(row.text(2)).unwrap_or_default(),
            role: row.int(6).and_then(Role::numbered).unwrap_or(Role::Reader),
            created_at: owned(row.text(3)).unwrap_or_default(),
            expires_at: owned(row.text(4)),
            revoked_at: owned(row.text(5)),
            only: row.text(7).map(Scope::recorded),
        });
        Ok(keys.collect())
    }

    /// Revokes the API key that begins so.
    ///
    /// # Errors
    /// `Usage` if there is none.
    pub async fn revoke_key(&mut self, prefix: &str) -> Result<(), Error> {
        let text = "update freehold.api_key set revoked_at = coalesce(revoked_at, now()) where prefix = $1 returning prefix";
        match self.as_gate(text, &[Some(prefix)]).await?.first() {
            Some(_) => Ok(()),
            None => Err(Refusal::new(Code::Usage, "there is no API key of this prefix")
                .detail(prefix)
                .hint("`freehold key list` shows them")
                .into()),
        }
    }
}
