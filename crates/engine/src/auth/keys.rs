//! The keys that tokens are checked with: from files once, from a URL again and again.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};

use super::Rules;
use crate::error::{Code, Error, Refusal};

/// How long nobody asks the provider again, whatever tokens come: somebody who makes key ids up would ask for each.
const PAUSE: Duration = Duration::from_secs(10);

/// Longest set of keys that is read, in bytes.
const SET_MAX: usize = 1 << 20;

/// Least length of a secret, in bytes: what HMAC-SHA256 makes of it has as many.
const SECRET_MIN: usize = 32;

#[derive(Clone)]
struct Known {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

pub(super) struct Keys {
    fixed: Vec<Known>,
    source: Option<Source>,
}

struct Source {
    url: String,
    client: reqwest::Client,
    refresh: Duration,
    fetched: RwLock<Fetched>,
    /// Held while somebody fetches; when the last try was.
    tried: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default, Clone)]
struct Fetched {
    at: Option<Instant>,
    keys: Arc<Vec<Known>>,
}

impl Keys {
    pub(super) fn new(rules: &Rules, base: &Path) -> Result<Self, Refusal> {
        let mut fixed = Vec::new();
        if let Some(file) = &rules.secret_file {
            let bytes = read(&base.join(file))?;
            let secret = bytes.trim_ascii_end();
            if secret.len() < SECRET_MIN {
                return Err(usage("the secret of tokens is too short", file)
                    .hint(format!("at least {SECRET_MIN} bytes: openssl rand -base64 48")));
            }
            let key = DecodingKey::from_secret(secret);
            fixed.push(Known { id: None, algorithm: Algorithm::HS256, key });
        }
        if let Some(file) = &rules.jwks_file {
            let set: JwkSet = serde_json::from_slice(&read(&base.join(file))?)
                .map_err(|error| usage(&format!("not a JSON Web Key Set: {error}"), file))?;
            let keys: Vec<Known> = set.keys.iter().filter_map(|key| known(key, true)).collect();
            if keys.is_empty() {
                return Err(usage("no key in it can be used", file)
                    .hint("RSA for RS256, P-256 for ES256, Ed25519 for EdDSA, oct for HS256"));
            }
            fixed.extend(keys);
        }
        let source = rules.jwks_url.as_ref().map(|url| Source::new(url, rules.refresh));
        let source = source.transpose()?;
        if fixed.is_empty() && source.is_none() {
            return Err(Refusal::new(Code::Usage, "tokens are to be read, but there is no key")
                .hint("name secret_file, jwks_file or jwks_url"));
        }
        Ok(Self { fixed, source })
    }

    /// The keys that a token of this algorithm and key id may be signed with.
    pub(super) async fn matching(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Vec<DecodingKey>, Error> {
        let found = pick(&self.fixed, algorithm, id);
        let Some(source) = &self.source else { return Ok(found) };
        let now = source.fetched();
        let mut all = found;
        all.extend(pick(&now.keys, algorithm, id));
        if all.is_empty() || now.at.is_none_or(|at| at.elapsed() > source.refresh) {
            match source.fetch(now.at).await {
                Ok(()) => {}
                // Old keys are better than none, until the provider answers again.
                Err(error) if !now.keys.is_empty() || !all.is_empty() => {
                    tracing::debug!(%error, "going on with the keys that are there");
                }
                Err(error) => return Err(error),
            }
            all = pick(&self.fixed, algorithm, id);
            all.extend(pick(&source.fetched().keys, algorithm, id));
        }
        Ok(all)
    }
}

fn pick(keys: &[Known], algorithm: Algorithm, id: Option<&str>) -> Vec<DecodingKey> {
    let fits = |key: &&Known| {
        key.algorithm == algorithm
            && match (&key.id, id) {
                (Some(known), Some(wanted)) => known == wanted,
                _ => true,
            }
    };
    keys.iter().filter(fits).map(|key| key.key.clone()).collect()
}

impl Source {
    fn new(url: &str, refresh: Duration) -> Result<Self, Refusal> {
        let broken = |what: &str| Refusal::new(Code::Usage, what).detail(url);
        let parsed = reqwest::Url::parse(url).map_err(|_| broken("jwks_url is not a URL"))?;
        let here = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && here) {
            return Err(broken("keys are fetched over https, or over http from this machine"));
        }
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| broken("keys cannot be fetched").hint(error.to_string()))?;
        Ok(Self {
            url: url.to_owned(),
            client,
            refresh,
            fetched: RwLock::default(),
            tried: tokio::sync::Mutex::default(),
        })
    }

    fn fetched(&self) -> Fetched {
        self.fetched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches, unless somebody has since `seen`, or tried a moment ago.
    async fn fetch(&self, seen: Option<Instant>) -> Result<(), Error> {
        let mut tried = self.tried.lock().await;
        if self.fetched().at != seen {
            return Ok(());
        }
        if tried.is_some_and(|at| at.elapsed() < PAUSE) {
            return match seen {
                Some(_) => Ok(()),
                None => Err(away().into()),
            };
        }
        *tried = Some(Instant::now());
        let set = self.ask().await.map_err(|error| {
            tracing::warn!(%error, "the keys of tokens could not be fetched");
            away()
        })?;
        // A secret in a public set is none.
        let keys = set.keys.iter().filter_map(|key| known(key, false)).collect();
        let fetched = Fetched { at: Some(Instant::now()), keys: Arc::new(keys) };
        *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = fetched;
        Ok(())
    }

    async fn ask(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let mut answer = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await? {
            body.extend_from_slice(&part);
            if body.len() > SET_MAX {
                return Err("the set of keys is too long".into());
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The key with the one algorithm it is for here; none for keys of other kinds and those that encrypt.
fn known(jwk: &Jwk, secrets: bool) -> Option<Known> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::OctetKey(_) if secrets => Algorithm::HS256,
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    if algorithm == Algorithm::HS256
        && key.try_get_as_bytes().is_ok_and(|secret| secret.len() < SECRET_MIN)
    {
        return None;
    }
    Some(Known { id: jwk.common.key_id.clone(), algorithm, key })
}

fn away() -> Refusal {
    Refusal::new(Code::Server, "the keys of tokens cannot be fetched at the moment")
        .hint("try again")
}

fn read(file: &Path) -> Result<Vec<u8>, Refusal> {
    std::fs::read(file).map_err(|error| usage(&format!("cannot be read: {}", error.kind()), file))
}

fn usage(what: &str, file: &Path) -> Refusal {
    Refusal::new(Code::Usage, what).detail(file.display().to_string())
}
