//! Who is asking: an API key or a token becomes a [`Tenant`] with a role, which everything below requires.
//!
//! It happens once for each request, before its body is read: `Authorization: Bearer` and `apikey` take a key or, where
//! the configuration says how, a JSON Web Token. Where both are sent, `Authorization` counts, as clients send a
//! publishable key in `apikey` beside the user's token. Where neither is sent, the configuration may say whose open rows
//! are read.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use freehold_engine::{Code, Engine, Error, Refusal, Role, Tenant, auth::Verifier};

use super::{Face, error::Answer};

/// The tenant whom the request is for, with the role of who asks.
pub(super) struct Caller(pub(super) Tenant);

/// What [`admit`](super::admit) has found, in the request's extensions.
#[derive(Clone)]
pub(super) struct Asking(pub(super) Tenant);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        match parts.extensions.get::<Asking>() {
            Some(Asking(tenant)) => Ok(Self(tenant.clone())),
            None => Err(no_key().into()),
        }
    }
}

/// Whom the headers speak for, and what they may take.
pub(super) async fn identify(face: &Face, headers: &HeaderMap) -> Result<Tenant, Error> {
    let (engine, tokens) = (&face.engine, face.tokens.as_deref());
    let tenant = match key(headers) {
        Some(key) => known(engine, tokens, key).await?,
        None => anybody(face, headers).await?,
    };
    let tenant = tenant.bounded(face.config.tenants.bounds());
    // Those without a key are one key together.
    let as_key = tenant.principal().is_some() || tenant.role() == Role::Anonymous;
    Ok(if as_key { tenant.bounded(face.config.keys.bounds()) } else { tenant })
}

async fn anybody(face: &Face, headers: &HeaderMap) -> Result<Tenant, Error> {
    // Whoever says who they are in a way that is not understood is not nobody.
    if headers.contains_key(header::AUTHORIZATION) || headers.contains_key("apikey") {
        return Err(no_key().into());
    }
    let anonymous = face.config.auth.anonymous.as_ref().ok_or_else(no_key)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    face.engine.anonymous(anonymous.tenant_of(host).ok_or_else(no_key)?).await
}

async fn known(engine: &Engine, tokens: Option<&Verifier>, key: &str) -> Result<Tenant, Error> {
    // A key of ours begins so and has no dot; a token of three parts has two.
    if key.starts_with("fh_") || key.matches('.').count() != 2 {
        return engine.authenticate(key).await;
    }
    match tokens {
        Some(tokens) => engine.claimed(&tokens.verify(key).await?).await,
        None => Err(Refusal::new(Code::Unauthenticated, "this server takes no tokens")
            .hint("[auth.jwt] in its configuration says which")
            .into()),
    }
}

/// Methods that some path has. Another one is for nobody, whatever their role: the router says so.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "QUERY"];

/// Refuses what the role does not allow before anything is done for it; the database would refuse it, too.
pub(super) fn allowed(role: Role, method: &Method, path: &str) -> Result<(), Refusal> {
    let reads = method == Method::GET || method == Method::HEAD || method == Method::OPTIONS;
    let asks = method == Method::POST
        && [
            "/query/",
            "/rest/v1/query/",
            "/rest/v1/rpc/",
            "/storage/v1/object/list/",
            "/storage/v1/object/sign/",
        ]
        .iter()
        .any(|asked| path.starts_with(asked))
        || method.as_str() == "QUERY";
    let needed = match path {
        _ if !METHODS.contains(&method.as_str()) => Role::Anonymous,
        _ if path.starts_with("/admin/") => Role::Admin,
        // A signed URL would go on when the model opens the rows no more.
        _ if path.starts_with("/storage/v1/object/sign/") => Role::Reader,
        _ if reads || asks => Role::Anonymous,
        _ => Role::Writer,
    };
    if role >= needed {
        return Ok(());
    }
    Err(Refusal::new(Code::Forbidden, format!("this needs the role {}", needed.as_str()))
        .detail(format!("the role of who asks is {}", role.as_str())))
}

fn no_key() -> Refusal {
    Refusal::new(Code::Unauthenticated, "this request carries no key")
        .hint("send the header `Authorization: Bearer KEY`; `freehold key create` makes one")
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| header("apikey")).filter(|key| !key.is_empty())
}
