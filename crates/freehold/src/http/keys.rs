//! `/admin/v1/keys`: an admin of a tenant makes, lists and revokes its API keys.

use axum::{Json, extract::State, http::StatusCode};
use freehold_engine::{Code, Engine, Refusal, Role, Scope, WantedKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    auth::Caller,
    error::Answer,
    request::{JsonBody, Place},
};

/// Longest name of a key, in bytes.
const NAME_MAX: usize = 200;

/// Longest life of a key: some 65 years, as on the command line.
const DAYS_MAX: u32 = 24_000;

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    role: String,
    /// Days until it expires.
    expires: Option<u32>,
    /// The relations and functions it is for.
    only: Option<Vec<String>>,
}

pub(super) async fn list(
    State(engine): State<Engine>,
    Caller(admin): Caller,
) -> Result<Json<Value>, Answer> {
    let keys = engine.store().keys_of(&admin).await?;
    let list: Vec<Value> = keys
        .into_iter()
        .map(|key| {
            json!({
                "id": key.prefix, "name": key.name, "role": key.role.as_str(), "created_at": key.created_at,
                "expires_at": key.expires_at, "revoked_at": key.revoked_at, "only": key.only.as_ref().map(Scope::entries),
            })
        })
        .collect();
    Ok(Json(json!(list)))
}

pub(super) async fn create(
    State(engine): State<Engine>,
    Caller(admin): Caller,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Value>), Answer> {
    let refuse = |what: String| {
        Refusal::new(Code::Body, "this does not describe a key")
            .detail(what)
            .hint(r#"{"name": "ci", "role": "reader", "expires": 30}"#)
    };
    let wanted: Wanted =
        serde_json::from_slice(&body).map_err(|error| refuse(error.to_string()))?;
    if wanted.name.is_empty()
        || wanted.name.len() > NAME_MAX
        || wanted.name.chars().any(char::is_control)
    {
        return Err(
            refuse(format!("a name has 1 to {NAME_MAX} bytes, no control characters")).into()
        );
    }
    if wanted.expires.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(refuse(format!("expires is in days, from 1 to {DAYS_MAX}")).into());
    }
    let role = Role::named(&wanted.role)
        .ok_or_else(|| refuse("role is reader, writer or admin".into()))?;
    let valid_for = wanted.expires.map(|days| days * 86_400);
    let only = wanted.only.as_ref().map(|only| Scope::read(only.iter().map(String::as_str)));
    let only = only.transpose().map_err(|refusal| refuse(refusal.to_string()))?;
    let asked = WantedKey { name: &wanted.name, role, valid_for, only: only.as_ref() };
    let key = engine.store().add_key(&admin, &asked).await?;
    let only = only.as_ref().map(Scope::entries);
    let made = json!({ "id": key.prefix, "key": key.secret, "name": wanted.name, "role": role.as_str(), "only": only });
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn revoke(
    State(engine): State<Engine>,
    Caller(admin): Caller,
    Place(id): Place<String>,
) -> Result<StatusCode, Answer> {
    engine.store().end_key(&admin, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
