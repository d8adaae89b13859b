//! Uploads: the bytes first, then the row, in one transaction that takes them.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, header},
    response::Response,
};
use freehold_engine::{
    Tenant,
    blob::{Mode, Object, Put, Verb},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{
        Face,
        auth::Caller,
        error::Answer,
        request::{Asked, Place, plain},
    },
    bucket::answer,
    form, name,
};

#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
}

pub(super) async fn create(
    Caller(tenant): Caller,
    Place(place): Place<(String, String)>,
    Extension(face): Extension<Arc<Face>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    let mode = if upsert(&headers) { Mode::Upsert } else { Mode::Create };
    take(&face, &tenant, place, mode, &headers, body).await
}

pub(super) async fn replace(
    Caller(tenant): Caller,
    Place(place): Place<(String, String)>,
    Extension(face): Extension<Arc<Face>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    let mode = if upsert(&headers) { Mode::Upsert } else { Mode::Replace };
    take(&face, &tenant, place, mode, &headers, body).await
}

/// For whoever has the URL.
pub(super) async fn signed(
    Place(place): Place<(String, String)>,
    Asked(Token { token }): Asked<Token>,
    Extension(face): Extension<Arc<Face>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    let object = format!("{}/{}", place.0, place.1);
    let token = token.unwrap_or_default();
    let engine = &face.engine;
    let (tenant, mode) = match engine.open_url(Verb::Put, &object, &token) {
        Ok(tenant) => (tenant, Mode::Create),
        Err(_) => (engine.open_url(Verb::Replace, &object, &token)?, Mode::Upsert),
    };
    face.gate.count(&tenant).map_err(|(refusal, _)| refusal)?;
    take(&face, &tenant, place, mode, &headers, body).await
}

fn upsert(headers: &HeaderMap) -> bool {
    headers.get("x-upsert").is_some_and(|value| value.as_bytes() == b"true")
}

async fn take(
    face: &Face,
    tenant: &Tenant,
    (bucket, path): (String, String),
    mode: Mode,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    let engine = &face.engine;
    let bucket = engine.bucket(&bucket)?;
    let path = name::checked(&path)?;
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let form = form::boundary(content_type)?;
    plain(headers)?;
    let put = |content_type, length| Put {
        entity: &bucket.entity,
        field: &bucket.field,
        name: Some(name::file(path)),
        content_type,
        length,
    };
    let object = Object { bucket: &bucket, path };
    // Before any bytes are taken for nothing.
    engine.may_store(tenant, object, mode).await?;
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let _held = face.room.take(tenant.id(), length).await?;
    let stored = match form {
        Some(boundary) => {
            let file = form::file(body.into_data_stream(), boundary).await?;
            let content_type = file.content_type.unwrap_or_default();
            engine.put_blob(tenant, put(&content_type, None), file.bytes).await?
        }
        None => engine.put_blob(tenant, put(content_type, length), body.into_data_stream()).await?,
    };
    engine.take_blob(tenant, object, mode, &stored).await?;
    Ok(answer(&json!({ "Id": stored.id.to_string(), "Key": format!("{}/{path}", bucket.name) })))
}
