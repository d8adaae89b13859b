//! Rows of an entity: read, insert, update, delete, in PostgREST's shapes.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehold_engine::{
    Code, Engine, Refusal,
    read::{Answer as Rows, Read},
    write::{Operation, Resolution, Verb, Written},
};
use serde_json::Value;

use super::{
    auth::Caller,
    error::Answer,
    request::{Body, Entity, JsonBody},
};

type Query = RawQuery;

pub(super) async fn ready(State(engine): State<Engine>) -> Result<&'static str, Answer> {
    engine.ping().await?;
    Ok("ready\n")
}

pub(super) async fn read(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    answer(&engine, &tenant, &entity, query.as_deref().unwrap_or_default(), &headers).await
}

/// A read whose query string is too long for a URL: it is the body.
pub(super) async fn query(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Answer> {
    let query = std::str::from_utf8(&body).map_err(|error| not_text(&error))?;
    answer(&engine, &tenant, &entity, query.trim(), &headers).await
}

/// The same by the method QUERY, which this path has beside those that the router knows by name.
pub(super) async fn query_method(
    state: State<Engine>,
    caller: Caller,
    entity: Entity,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    if method.as_str() != "QUERY" {
        return Err(Refusal::new(Code::Method, "this method does not fit the path").into());
    }
    query(state, caller, entity, headers, body).await
}

pub(super) async fn insert(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(&headers);
    let verb = Verb::Insert(json(&body)?, prefer.resolution());
    let written = engine.write(&tenant, prefer.operation(entity, verb, query)).await?;
    let only_updated = prefer.resolution() == Some(Resolution::Merge)
        && written.inserted == Some(0)
        && written.rows > 0;
    let status = if only_updated { StatusCode::OK } else { StatusCode::CREATED };
    Ok(changed(status, &prefer, written, false))
}

pub(super) async fn update(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(&headers);
    let written =
        engine.write(&tenant, prefer.operation(entity, Verb::Update(json(&body)?), query)).await?;
    Ok(changed(prefer.done(), &prefer, written, true))
}

pub(super) async fn delete(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(&headers);
    let written = engine.write(&tenant, prefer.operation(entity, Verb::Delete, query)).await?;
    Ok(changed(prefer.done(), &prefer, written, false))
}

/// The preferences this server knows; others are ignored, as RFC 7240 wants it.
#[derive(Debug, Default)]
pub(super) struct Prefer {
    representation: bool,
    pub(super) count: bool,
    merge: bool,
    ignore: bool,
}

impl Prefer {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        for value in headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()) {
            for preference in value.split(',').map(str::trim) {
                match preference {
                    "return=representation" => prefer.representation = true,
                    "count=exact" => prefer.count = true,
                    "resolution=merge-duplicates" => prefer.merge = true,
                    "resolution=ignore-duplicates" => prefer.ignore = true,
                    _ => {}
                }
            }
        }
        prefer
    }

    fn resolution(&self) -> Option<Resolution> {
        match (self.merge, self.ignore) {
            (true, _) => Some(Resolution::Merge),
            (false, true) => Some(Resolution::Ignore),
            (false, false) => None,
        }
    }

    fn operation(&self, entity: String, verb: Verb, query: Option<String>) -> Operation {
        Operation { entity, verb, query: query.unwrap_or_default(), returning: self.representation }
    }

    fn done(&self) -> StatusCode {
        if self.representation { StatusCode::OK } else { StatusCode::NO_CONTENT }
    }

    pub(super) fn applied(&self) -> Option<HeaderValue> {
        let mut applied = Vec::new();
        match self.resolution() {
            Some(Resolution::Merge) => applied.push("resolution=merge-duplicates"),
            Some(Resolution::Ignore) => applied.push("resolution=ignore-duplicates"),
            None => {}
        }
        if self.representation {
            applied.push("return=representation");
        }
        if self.count {
            applied.push("count=exact");
        }
        (!applied.is_empty()).then(|| HeaderValue::from_str(&applied.join(", ")).ok()).flatten()
    }
}

async fn answer(
    engine: &Engine,
    tenant: &freehold_engine::Tenant,
    entity: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(headers);
    let rows = engine.read(tenant, Read { entity, query, count: prefer.count }).await?;
    if let Some(total) = rows.total.filter(|total| rows.offset > *total) {
        return Err(Refusal::new(Code::Range, "the rows asked for begin after the last one")
            .detail(format!("offset {}, {total} rows", rows.offset))
            .into());
    }
    if wants_single(headers) {
        return single(rows);
    }
    let partial = rows.total.is_some_and(|total| rows.rows < total);
    let range = content_range(&rows);
    let mut response =
        json_body(if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, rows.body);
    insert_header(&mut response, "content-range", &range);
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

pub(super) fn content_range(rows: &Rows) -> String {
    let total = rows.total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    match rows.rows {
        0 => format!("*/{total}"),
        n => format!("{}-{}/{total}", rows.offset, rows.offset + n - 1),
    }
}

pub(super) fn wants_single(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/vnd.pgrst.object"))
}

pub(super) fn single(rows: Rows) -> Result<Response, Answer> {
    if rows.rows != 1 {
        return Err(Refusal::new(Code::NotSingular, "one row was asked for")
            .detail(format!("The result contains {} rows", rows.rows))
            .into());
    }
    // PostgreSQL built `[{…}]`: the one object is what is between the brackets.
    let object =
        rows.body.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or("{}");
    let mut response = object.to_owned().into_response();
    insert_header(
        &mut response,
        "content-type",
        "application/vnd.pgrst.object+json; charset=utf-8",
    );
    Ok(response)
}

/// `ranged` says which rows of the result these are, as an update does.
fn changed(status: StatusCode, prefer: &Prefer, written: Written, ranged: bool) -> Response {
    let mut response = if prefer.representation {
        json_body(status, written.body)
    } else {
        status.into_response()
    };
    let total = if prefer.count { written.rows.to_string() } else { "*".to_owned() };
    let range = match written.rows {
        n if n > 0 && ranged => format!("0-{}/{total}", n - 1),
        _ => format!("*/{total}"),
    };
    insert_header(&mut response, "content-range", &range);
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

pub(super) fn json_body(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

pub(super) fn insert_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Code::Body, "the body is empty")
            .hint("send a JSON object, or an array of them"));
    }
    let text = std::str::from_utf8(body).map_err(|error| not_text(&error))?;
    serde_json::from_str(text).map_err(|error| {
        Refusal::new(Code::Body, "the body is not JSON").detail(format!(
            "line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    })
}

fn not_text(error: &std::str::Utf8Error) -> Refusal {
    Refusal::new(Code::Body, "the body is not UTF-8 text")
        .detail(format!("at byte {}", error.valid_up_to()))
}
