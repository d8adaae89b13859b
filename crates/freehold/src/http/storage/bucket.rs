//! Buckets, as the model declares them.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use freehold_engine::{Access, Code, Engine, Refusal, blob};
use serde_json::{Value, json};

use super::super::{auth::Caller, error::Answer, request::Place};

pub(super) async fn all(State(engine): State<Engine>, Caller(tenant): Caller) -> Response {
    let snapshot = engine.snapshot();
    let all: Vec<Value> = blob::buckets(&snapshot.model)
        .iter()
        .filter(|bucket| snapshot.permits(&tenant, &bucket.entity, Access::Read))
        .map(|bucket| shown(&engine, bucket))
        .collect();
    answer(&json!(all))
}

pub(super) async fn one(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place(name): Place<String>,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&name)?;
    if !engine.snapshot().permits(&tenant, &bucket.entity, Access::Read) {
        return Err(Refusal::new(Code::Forbidden, "the bucket is not open to this caller")
            .hint("a key has to be allowed to read the bucket's entity")
            .into());
    }
    Ok(answer(&shown(&engine, &bucket)))
}

fn shown(engine: &Engine, bucket: &blob::Bucket) -> Value {
    let types = (!bucket.takes.types.is_empty()).then_some(&bucket.takes.types);
    json!({
        "id": bucket.name,
        "name": bucket.name,
        "owner": "",
        "public": engine.bucket_is_open(bucket),
        "type": "STANDARD",
        "file_size_limit": bucket.takes.max,
        "allowed_mime_types": types,
        "created_at": null,
        "updated_at": null,
    })
}

/// JSON with its media type.
pub(super) fn answer(body: &Value) -> Response {
    text(body.to_string())
}

/// The same for JSON that is written already.
pub(super) fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}
