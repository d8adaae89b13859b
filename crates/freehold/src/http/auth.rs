//! Who is asking: a key in `Authorization: Bearer` or `apikey` becomes a [`Tenant`], which everything below requires.

use axum::{extract::FromRequestParts, http::request::Parts};
use freehold_engine::{Code, Engine, Refusal, Tenant};

use super::error::Answer;

/// The tenant whose key the request carries.
pub(super) struct Caller(pub(super) Tenant);

impl FromRequestParts<Engine> for Caller {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self, Answer> {
        let key = key(parts).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "this request carries no key").hint(
                "send the header `Authorization: Bearer KEY`; `freehold key create` makes one",
            )
        })?;
        Ok(Self(engine.authenticate(key).await?))
    }
}

fn key(parts: &Parts) -> Option<&str> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| header("apikey")).filter(|key| !key.is_empty())
}
