//! Tokens of others: JSON Web Tokens that an identity provider signed, read into a tenant's name and a role.
//!
//! The key decides which algorithm is taken, never the token: a public key cannot be used as a secret, and `none` has no
//! key. A token without `exp` is refused, and one that names an audience that was not configured.

mod keys;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_store::{Role, Tenant};
use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use self::keys::Keys;
use crate::{
    Engine,
    error::{Code, Error, Refusal},
};

/// Longest token that is looked at, in bytes.
const TOKEN_MAX: usize = 8 << 10;

/// Where the keys are, and what a token has to say.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A file with the secret of HS256, at least 32 bytes.
    pub secret_file: Option<PathBuf>,
    /// A JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where one is published: https, or http on this machine.
    pub jwks_url: Option<String>,
    /// One of these has to be the token's audience. With none, a token must not name any.
    pub audience: Vec<String>,
    /// Has to be the token's issuer.
    pub issuer: Option<String>,
    /// By how much clocks may disagree.
    pub skew: Duration,
    /// After which time keys from a URL are fetched again.
    pub refresh: Duration,
    /// Where in the claims the tenant's name or id is: `a.b`, or a JSON pointer `/a/b`.
    pub tenant_claim: String,
    /// Where the role is.
    pub role_claim: Option<String>,
    /// What the provider's words for roles mean here, beside `reader`, `writer` and `admin` themselves.
    pub roles: BTreeMap<String, Role>,
    /// The role of a token without that claim.
    pub default_role: Role,
}

/// Reads tokens by [`Rules`].
pub struct Verifier {
    rules: Rules,
    keys: Keys,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The tenant's name or id.
    pub tenant: String,
    /// The role.
    pub role: Role,
}

impl Verifier {
    /// Reads the key files; relative paths are relative to `base`. A URL is fetched when the first token comes.
    ///
    /// # Errors
    /// `Usage` for a file that cannot be read or has no key that can be used, and for rules without any key.
    pub fn new(rules: Rules, base: &Path) -> Result<Self, Refusal> {
        let keys = Keys::new(&rules, base)?;
        Ok(Self { rules, keys })
    }

    /// Who the token is for, if it is genuine and counts now.
    ///
    /// # Errors
    /// `Unauthenticated`; `Server` if there are no keys because they cannot be fetched.
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        if token.len() > TOKEN_MAX {
            return Err(refuse("the token is too long").into());
        }
        let header = decode_header(token).map_err(|_| refuse("the token cannot be read"))?;
        if header.crit.is_some() {
            return Err(refuse("the token wants something that is not understood here").into());
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = self.rules.skew.as_secs();
        validation.validate_nbf = true;
        if !self.rules.audience.is_empty() {
            validation.set_audience(&self.rules.audience);
            validation.required_spec_claims.insert("aud".into());
        }
        if let Some(issuer) = &self.rules.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        let mut why = refuse("no key is known that could have signed the token");
        for key in self.keys.matching(header.alg, header.kid.as_deref()).await? {
            match decode::<Map<String, Value>>(token, &key, &validation) {
                Ok(data) => return self.read(data.claims).map_err(Error::from),
                Err(error) => why = explain(error.kind()),
            }
        }
        Err(why.into())
    }

    fn read(&self, claims: Map<String, Value>) -> Result<Claims, Refusal> {
        let claims = Value::Object(claims);
        let tenant = match at(&claims, &self.rules.tenant_claim) {
            Some(Value::String(tenant)) if !tenant.is_empty() && tenant.len() <= 200 => {
                tenant.clone()
            }
            _ => {
                return Err(refuse("the token names no tenant")
                    .detail(format!("the claim {}", self.rules.tenant_claim)));
            }
        };
        let claim = self.rules.role_claim.as_ref().and_then(|path| at(&claims, path));
        let role = match claim {
            None | Some(Value::Null) => self.rules.default_role,
            Some(Value::String(word)) => self
                .rules
                .roles
                .get(word)
                .copied()
                .or_else(|| Role::named(word))
                .ok_or_else(|| refuse("the token's role is none that is known here"))?,
            Some(_) => return Err(refuse("the token's role is not a text")),
        };
        Ok(Claims { tenant, role })
    }
}

impl Engine {
    /// The tenant and role that claims name.
    ///
    /// # Errors
    /// `Unauthenticated` if there is no such tenant, `TenantSuspended`, or a fault.
    pub async fn claimed(&self, claims: &Claims) -> Result<Tenant, Error> {
        match self.store.tenant_known(&claims.tenant).await {
            Ok(tenant) => Ok(tenant.limited_to(claims.role)),
            // Whoever holds a token is not told which tenants there are.
            Err(Error::Refused(refusal)) if refusal.code == Code::NoSuchTenant => {
                Err(refuse("the token is for no tenant of this server").into())
            }
            Err(error) => Err(error),
        }
    }
}

/// The claim at `a.b`, or at the JSON pointer `/a/b`.
fn at<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    if path.starts_with('/') {
        return claims.pointer(path);
    }
    path.split('.').try_fold(claims, |claim, name| claim.get(name))
}

fn explain(error: &ErrorKind) -> Refusal {
    match error {
        ErrorKind::ExpiredSignature => refuse("the token has expired"),
        ErrorKind::ImmatureSignature => refuse("the token does not count yet"),
        ErrorKind::InvalidIssuer => refuse("the token's issuer is another"),
        ErrorKind::InvalidAudience => refuse("the token is for another audience"),
        ErrorKind::MissingRequiredClaim(claim) => {
            refuse("the token lacks a claim").detail(claim.as_str())
        }
        _ => refuse("the token is not genuine"),
    }
}

fn refuse(message: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, message)
}
