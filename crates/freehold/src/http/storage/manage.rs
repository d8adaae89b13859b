//! What is done with objects besides their bytes: described, moved, copied, removed, signed.

use std::time::Duration;

use axum::{extract::State, http::HeaderMap, response::Response};
use freehold_engine::{
    Code, Engine, Refusal, Tenant,
    blob::{Bucket, Mode, Object, Verb},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::{
        auth::Caller,
        error::Answer,
        request::{Body, Place},
    },
    bucket::{answer, text},
    name,
};

/// Paths in one request.
const MANY: usize = 1000;

/// A signed URL lives for a week at most, and one for an upload for two hours.
const LIFE_MAX: u64 = 7 * 86_400;
const UPLOAD_LIFE: Duration = Duration::from_secs(2 * 3600);

pub(super) async fn info(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place((bucket, path)): Place<(String, String)>,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    Ok(text(engine.blob_info(&tenant, &bucket, name::checked(&path)?).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    bucket_id: String,
    source_key: String,
    destination_key: String,
    destination_bucket: Option<String>,
}

pub(super) async fn rename(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Body(body): Body,
) -> Result<Response, Answer> {
    let asked: Transfer = read(&body)?;
    let from = engine.bucket(&asked.bucket_id)?;
    let to = engine.bucket(asked.destination_bucket.as_deref().unwrap_or(&asked.bucket_id))?;
    // A bad name is a reason to move it.
    let source = Object { bucket: &from, path: &asked.source_key };
    let target = Object { bucket: &to, path: name::checked(&asked.destination_key)? };
    engine.move_blob(&tenant, source, target).await?;
    Ok(answer(&json!({ "message": "Successfully moved" })))
}

pub(super) async fn copy(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Answer> {
    let asked: Transfer = read(&body)?;
    let from = engine.bucket(&asked.bucket_id)?;
    let to = engine.bucket(asked.destination_bucket.as_deref().unwrap_or(&asked.bucket_id))?;
    let source = Object { bucket: &from, path: name::checked(&asked.source_key)? };
    let target = Object { bucket: &to, path: name::checked(&asked.destination_key)? };
    let upsert = headers.get("x-upsert").is_some_and(|value| value.as_bytes() == b"true");
    let mode = if upsert { Mode::Upsert } else { Mode::Create };
    let stored = engine.copy_blob(&tenant, source, target, mode).await?;
    let key = format!("{}/{}", to.name, target.path);
    Ok(answer(&json!({ "Id": stored.id.to_string(), "Key": key })))
}

#[derive(Deserialize)]
struct Remove {
    prefixes: Vec<String>,
}

pub(super) async fn remove(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place(bucket): Place<String>,
    Body(body): Body,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    let Remove { prefixes } = read(&body)?;
    Ok(answer(&Value::Array(away(&engine, &tenant, &bucket, &prefixes).await?)))
}

pub(super) async fn remove_one(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place((bucket, path)): Place<(String, String)>,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    if away(&engine, &tenant, &bucket, std::slice::from_ref(&path)).await?.is_empty() {
        return Err(Refusal::new(Code::NoSuchBlob, "there is no such object")
            .detail(path.chars().take(200).collect::<String>())
            .hint("list the bucket: paths are compared byte by byte")
            .into());
    }
    Ok(answer(&json!({ "message": "Successfully deleted" })))
}

async fn away(
    engine: &Engine,
    tenant: &Tenant,
    bucket: &Bucket,
    paths: &[String],
) -> Result<Vec<Value>, Answer> {
    few(paths)?;
    let mut removed = Vec::new();
    // No text in PostgreSQL has a zero.
    for path in paths.iter().filter(|path| !path.contains('\0')) {
        // Whatever it is called: SQL may have given it a name that uploads may not have.
        let object = Object { bucket, path };
        if let Some(id) = engine.remove_blob(tenant, object).await? {
            removed.push(json!({ "name": path, "id": id, "bucket_id": bucket.name }));
        }
    }
    Ok(removed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sign {
    expires_in: u64,
    #[serde(default)]
    paths: Vec<String>,
}

pub(super) async fn sign(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place((bucket, path)): Place<(String, String)>,
    Body(body): Body,
) -> Result<Response, Answer> {
    let asked: Sign = read(&body)?;
    let bucket = engine.bucket(&bucket)?;
    engine.blob_at(&tenant, &bucket, name::checked(&path)?).await?;
    let url = signed(&engine, &tenant, &bucket, &path, life(asked.expires_in)?);
    Ok(answer(&json!({ "signedURL": url })))
}

pub(super) async fn sign_many(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place(bucket): Place<String>,
    Body(body): Body,
) -> Result<Response, Answer> {
    let asked: Sign = read(&body)?;
    let (bucket, life) = (engine.bucket(&bucket)?, life(asked.expires_in)?);
    few(&asked.paths)?;
    let mut all = Vec::new();
    for path in &asked.paths {
        let is_there = match name::checked(path) {
            Ok(path) => engine.has_blob(&tenant, &bucket, path).await?,
            Err(_) => false,
        };
        all.push(match is_there {
            true => {
                let url = signed(&engine, &tenant, &bucket, path, life);
                json!({ "error": null, "path": path, "signedURL": url })
            }
            false => {
                let error = "Either the object does not exist or you do not have access to it";
                json!({ "error": error, "path": path, "signedURL": null })
            }
        });
    }
    Ok(answer(&Value::Array(all)))
}

fn signed(engine: &Engine, tenant: &Tenant, bucket: &Bucket, path: &str, life: Duration) -> String {
    let token = engine.sign_url(tenant, Verb::Get, &format!("{}/{path}", bucket.name), life);
    let (name, path) = (name::encoded(&bucket.name), name::encoded_path(path));
    format!("/object/sign/{name}/{path}?token={token}")
}

pub(super) async fn sign_upload(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Place((bucket, path)): Place<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(&bucket)?;
    let path = name::checked(&path)?;
    let upsert = headers.get("x-upsert").is_some_and(|value| value.as_bytes() == b"true");
    let (verb, mode) =
        if upsert { (Verb::Replace, Mode::Upsert) } else { (Verb::Put, Mode::Create) };
    engine.may_store(&tenant, Object { bucket: &bucket, path }, mode).await?;
    let object = format!("{}/{path}", bucket.name);
    let token = engine.sign_url(&tenant, verb, &object, UPLOAD_LIFE);
    let (name, path) = (name::encoded(&bucket.name), name::encoded_path(path));
    let url = format!("/object/upload/sign/{name}/{path}?token={token}");
    Ok(answer(&json!({ "url": url, "token": token })))
}

fn life(seconds: u64) -> Result<Duration, Refusal> {
    if (1..=LIFE_MAX).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Refusal::new(Code::OutOfRange, "a signed URL lives from a second to a week")
        .detail(format!("{seconds} seconds"))
        .hint(format!("send expiresIn: 1 to {LIFE_MAX}")))
}

fn few(paths: &[String]) -> Result<(), Refusal> {
    if paths.len() <= MANY {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, format!("{MANY} objects at most in one request"))
        .hint("send the others in another request"))
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(Code::Body, "the body is not the JSON this takes")
            .detail(error.to_string())
            .hint("send a JSON object with the fields that storage clients send here")
    })
}
