//! Rows of an entity: read, insert, update, delete, in PostgREST's shapes.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehold_engine::{
    Code, Engine, Refusal,
    read::{Answer as Rows, Manner, Read, Shape, not_singular},
    write::{Operation, Resolution, Verb, Written},
};
use freehold_model::mutate;
use serde_json::Value;

use super::{
    admit::Turn,
    auth::Caller,
    consistency,
    error::{self, Answer},
    media::{self, Media},
    prefer::{Prefer, Return},
    request::{Body, Entity, Form, TypedBody, text},
    validate,
};

type Query = RawQuery;

/// Longest query that an answer repeats, in bytes.
const LOCATION_BYTES_MAX: usize = 4_000;

const SEARCH_INFO: HeaderName = HeaderName::from_static("search-info");

/// The methods of a relation.
pub(super) const ALLOWED: &str = "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE,QUERY";

/// Room for the headers that an answer has at most, about.
const HEADERS: usize = 16;

pub(super) async fn ready(State(engine): State<Engine>) -> Result<&'static str, Answer> {
    engine.ping().await?;
    Ok("ready\n")
}

pub(super) async fn read(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    turn: Turn,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    answer(&engine, &tenant, &turn, &entity, query.as_deref().unwrap_or_default(), &headers).await
}

/// A read whose query string is too long for a URL: it is the body.
pub(super) async fn query(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    turn: Turn,
    Entity(entity): Entity,
    RawQuery(beside): Query,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Answer> {
    if beside.is_some_and(|beside| !beside.is_empty()) {
        // To drop it would widen what is read.
        return Err(Refusal::new(
            Code::Syntax,
            "the query is the body here, and the URL has one, too",
        )
        .hint("put all of it into the body")
        .into());
    }
    let query = text(&body)?;
    answer(&engine, &tenant, &turn, &entity, query.trim(), &headers).await
}

/// The same by the method QUERY, which this path has beside those that the router knows by name.
pub(super) async fn query_method(
    state: State<Engine>,
    caller: Caller,
    turn: Turn,
    entity: Entity,
    (method, beside): (axum::http::Method, Query),
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    if method.as_str() != "QUERY" {
        let mut response = error::no_such_method().await.into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
        return Ok(response);
    }
    query(state, caller, turn, entity, beside, headers, body).await
}

pub(super) async fn insert(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
    body: TypedBody,
) -> Result<Response, Answer> {
    let mut prefer = Prefer::of(&engine, &tenant, &headers).await?;
    let media = Media::of(&headers);
    prefer.terms.shape = media.shape();
    prefer.terms.single = media.single;
    prefer.terms.only_if = validate::only_if(&headers, media.single);
    let verb = Verb::Insert(written(&engine, &entity, &body)?, prefer.resolution);
    let mut query = query.unwrap_or_default();
    let located = prefer.returns == Return::Headers;
    if located {
        // What comes back is only the id, for the header.
        query = without_select(&query) + "&select=id";
        (prefer.terms.shape, prefer.terms.single) = (Shape::Json, false);
    }
    let returning = located || prefer.returns == Return::Representation;
    let path = format!("/rest/v1/{entity}");
    let operation = Operation { entity, verb, query, returning };
    let written = engine.write_on(&tenant, operation, &prefer.terms).await?;
    let only_updated = prefer.resolution == Some(Resolution::Merge)
        && written.inserted == Some(0)
        && written.rows > 0;
    let status = if only_updated { StatusCode::OK } else { StatusCode::CREATED };
    let location = located.then(|| the_only_id(&written.body)).flatten();
    let mut response = changed(status, &prefer, media, written, false);
    if let Some(id) = location {
        insert_header(&mut response, header::LOCATION, &format!("{path}?id=eq.{id}"));
    }
    Ok(response)
}

pub(super) async fn put(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
    body: TypedBody,
) -> Result<Response, Answer> {
    let verb = Verb::Put(only_row(written(&engine, &entity, &body)?, &body));
    let prefer = Prefer::of(&engine, &tenant, &headers).await?;
    let (prefer, media, operation) =
        asked(prefer, &headers, entity, verb, query.unwrap_or_default());
    let written = engine.write_on(&tenant, operation, &prefer.terms).await?;
    let status = match (prefer.returns, written.inserted) {
        (Return::Representation, Some(0)) => StatusCode::OK,
        (Return::Representation, _) => StatusCode::CREATED,
        _ => StatusCode::NO_CONTENT,
    };
    Ok(changed(status, &prefer, media, written, false))
}

pub(super) async fn update(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
    body: TypedBody,
) -> Result<Response, Answer> {
    let verb = Verb::Update(only_row(written(&engine, &entity, &body)?, &body));
    let prefer = Prefer::of(&engine, &tenant, &headers).await?;
    let (prefer, media, operation) =
        asked(prefer, &headers, entity, verb, query.unwrap_or_default());
    let written = engine.write_on(&tenant, operation, &prefer.terms).await?;
    Ok(changed(done(&prefer), &prefer, media, written, true))
}

pub(super) async fn delete(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(entity): Entity,
    RawQuery(query): Query,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(&engine, &tenant, &headers).await?;
    let (prefer, media, operation) =
        asked(prefer, &headers, entity, Verb::Delete, query.unwrap_or_default());
    let written = engine.write_on(&tenant, operation, &prefer.terms).await?;
    Ok(changed(done(&prefer), &prefer, media, written, false))
}

/// What is asked for, once `prefer` is known.
fn asked(
    mut prefer: Prefer,
    headers: &HeaderMap,
    entity: String,
    verb: Verb,
    query: String,
) -> (Prefer, Media, Operation) {
    let media = Media::of(headers);
    (prefer.terms.shape, prefer.terms.single) = (media.shape(), media.single);
    prefer.terms.only_if = validate::only_if(headers, media.single);
    let returning = prefer.returns == Return::Representation;
    (prefer, media, Operation { entity, verb, query, returning })
}

fn done(prefer: &Prefer) -> StatusCode {
    match prefer.returns {
        Return::Representation => StatusCode::OK,
        Return::Minimal | Return::Headers => StatusCode::NO_CONTENT,
    }
}

fn without_select(query: &str) -> String {
    let parts: Vec<&str> = query.split('&').filter(|part| !part.starts_with("select=")).collect();
    parts.join("&")
}

fn the_only_id(body: &str) -> Option<String> {
    match serde_json::from_str(body).ok()? {
        Value::Array(rows) if rows.len() == 1 => Some(rows[0]["id"].as_str()?.to_owned()),
        _ => None,
    }
}

/// Answers a read.
pub(super) async fn answer(
    engine: &Engine,
    tenant: &freehold_engine::Tenant,
    turn: &Turn,
    entity: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, Answer> {
    let mut prefer = Prefer::of(engine, tenant, headers).await?;
    let media = Media::of(headers);
    let zone = prefer.terms.zone.clone();
    let manner = Manner {
        shape: media.shape(),
        range: media::range(headers)?,
        zone,
        recall: prefer.recall,
        purpose: prefer.terms.purpose.clone(),
    };
    let read = Read { entity, query, count: prefer.count };
    let wanted = consistency::wanted(headers)?;
    let found = engine.read_kept(tenant, read, &manner, wanted, turn).await?;
    let rows = &found.entry.answer;
    if rows.search.is_none() {
        prefer.forget("recall");
    }
    if let Some(total) = rows.total.filter(|total| rows.offset > *total) {
        return Err(Refusal::new(Code::Range, "Requested range not satisfiable")
            .detail(format!(
                "An offset of {} was requested, but there are only {total} rows.",
                rows.offset
            ))
            .into());
    }
    if media.single && rows.rows != 1 {
        return Err(not_singular(rows.rows).into());
    }
    let search = rows.search.as_ref().map(freehold_engine::search::Search::field);
    let partial = rows.total.is_some_and(|total| rows.rows < total);
    let status =
        if partial && !media.single { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let etag = validate::etag(&found, media.single);
    let mut response = validate::not_modified(headers, &etag)
        .unwrap_or_else(|| media.body(status, validate::body(&found)));
    response.headers_mut().reserve(HEADERS);
    insert_header(&mut response, header::CONTENT_RANGE, &content_range(rows));
    if let Some(search) = search {
        insert_header(&mut response, SEARCH_INFO, &search);
    }
    // A query that had to be a body is too long for a header as well.
    if query.len() <= LOCATION_BYTES_MAX {
        insert_header(&mut response, header::CONTENT_LOCATION, &media::location(entity, query));
    }
    validate::tell(&mut response, &found, &etag);
    if let Some(applied) = prefer.applied(false) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

pub(super) fn content_range(rows: &Rows) -> String {
    let last = (rows.offset + rows.rows).saturating_sub(1);
    match (rows.rows, rows.total) {
        (0, None) => "*/*".to_owned(),
        (0, Some(total)) => format!("*/{total}"),
        (_, None) => format!("{}-{last}/*", rows.offset),
        (_, Some(total)) => format!("{}-{last}/{total}", rows.offset),
    }
}

/// `ranged` says which rows of the result these are, as an update does.
fn changed(
    status: StatusCode,
    prefer: &Prefer,
    media: Media,
    written: Written,
    ranged: bool,
) -> Response {
    let token = written.token;
    let mut response = if prefer.returns == Return::Representation {
        media.body(status, written.body.into())
    } else {
        status.into_response()
    };
    let total = if prefer.count { written.rows.to_string() } else { "*".to_owned() };
    let range = match written.rows {
        n if n > 0 && ranged => format!("0-{}/{total}", n - 1),
        _ => format!("*/{total}"),
    };
    insert_header(&mut response, header::CONTENT_RANGE, &range);
    consistency::tell(&mut response, token.as_deref());
    if let Some(applied) = prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

pub(super) fn json_body(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

pub(super) fn insert_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The rows of a body, however they are written.
fn written(engine: &Engine, entity: &str, body: &TypedBody) -> Result<Value, Refusal> {
    match body.form {
        Form::Json => json_text(&body.bytes).and_then(|text| engine.rows_of_json(entity, text)),
        Form::Csv => engine.rows_of_csv(entity, body.text()?),
        Form::Fields => engine.row_of_form(entity, body.text()?),
    }
}

/// The one row that CSV has where only one is taken.
fn only_row(rows: Value, body: &TypedBody) -> Value {
    match rows {
        Value::Array(mut rows) if body.form == Form::Csv && rows.len() == 1 => rows.remove(0),
        rows => rows,
    }
}

pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    mutate::json_body(json_text(body)?)
}

fn json_text(body: &[u8]) -> Result<&str, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Code::Body, "the body is empty")
            .hint("send a JSON object, or an array of them"));
    }
    text(body)
}
