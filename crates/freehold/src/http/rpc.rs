//! Functions: `/rest/v1/rpc/NAME`, in PostgREST's shapes.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{
    Code, Engine, Refusal, Tenant,
    call::{Arguments, Call, Called, Returns},
    read::not_singular,
};

use super::{
    auth::Caller,
    error::Answer,
    media::Media,
    prefer::Prefer,
    request::{Entity, JsonBody},
    rows,
};

/// Arguments in the query string. HEAD comes here, too.
pub(super) async fn read(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(function): Entity,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let query = query.unwrap_or_default();
    call(&engine, &tenant, &headers, &function, Arguments::InQuery, &query).await
}

/// Arguments as the body, a JSON object; an empty body is none.
pub(super) async fn run(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(function): Entity,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Answer> {
    let body = if body.is_empty() { None } else { Some(rows::json(&body)?) };
    let query = query.unwrap_or_default();
    call(&engine, &tenant, &headers, &function, Arguments::Body(body.as_ref()), &query).await
}

async fn call(
    engine: &Engine,
    tenant: &Tenant,
    headers: &HeaderMap,
    function: &str,
    arguments: Arguments<'_>,
    query: &str,
) -> Result<Response, Answer> {
    let prefer = Prefer::of(headers)?;
    let media = Media::of(headers);
    let call = Call { function, arguments, query, count: prefer.count };
    let called = engine.call(tenant, call).await?;
    let single = called.single();
    let Called { answer, returns } = called;
    if returns == Returns::Nothing {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if let Some(total) = answer.total.filter(|total| answer.offset > *total) {
        return Err(Refusal::new(Code::Range, "the rows asked for begin after the last one")
            .detail(format!("offset {}, {total} rows", answer.offset))
            .into());
    }
    let is_row = matches!(returns, Returns::Rows { .. });
    if media.single && (is_row || !single) {
        if answer.rows != 1 {
            return Err(not_singular(answer.rows).into());
        }
        return Ok(media.body(StatusCode::OK, answer.body));
    }
    let partial = answer.total.is_some_and(|total| answer.rows < total);
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = rows::content_range(&answer);
    let body = match (single, is_row) {
        // PostgreSQL built `[{…}]`: the one object is what is between the brackets.
        (true, true) => inside(&answer.body),
        _ => answer.body,
    };
    let mut response = rows::json_body(status, body);
    rows::insert_header(&mut response, "content-range", &range);
    if let Some(applied) = prefer.applied(false) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn inside(list: &str) -> String {
    let object = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    object.filter(|object| !object.is_empty()).unwrap_or("null").to_owned()
}
