//! Functions: `/rest/v1/rpc/NAME`, in PostgREST's shapes.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{
    Code, Engine, Refusal, Tenant,
    call::{Arguments, Call, Called, Returns},
    read::Shape,
};

use super::{
    auth::Caller,
    consistency,
    error::Answer,
    media::Media,
    prefer::Prefer,
    request::{Entity, Form, TypedBody},
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

/// Arguments as the body, a JSON object or a form; an empty body is none.
pub(super) async fn run(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(function): Entity,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: TypedBody,
) -> Result<Response, Answer> {
    let json;
    let query = query.unwrap_or_default();
    let arguments = match body.form {
        Form::Fields => Arguments::Form(body.text()?),
        Form::Json if body.bytes.is_empty() => Arguments::Body(None),
        Form::Json => {
            json = rows::json(&body.bytes)?;
            engine.check_digits(&function, body.text()?)?;
            Arguments::Body(Some(&json))
        }
        Form::Csv => {
            return Err(Refusal::new(Code::Body, "arguments are not read from CSV")
                .hint("send a JSON object, or a form")
                .into());
        }
    };
    call(&engine, &tenant, &headers, &function, arguments, &query).await
}

async fn call(
    engine: &Engine,
    tenant: &Tenant,
    headers: &HeaderMap,
    function: &str,
    arguments: Arguments<'_>,
    query: &str,
) -> Result<Response, Answer> {
    let mut prefer = Prefer::of(engine, tenant, headers).await?;
    // It decides itself what comes back.
    for name in ["recall", "return", "resolution", "missing"] {
        prefer.forget(name);
    }
    let media = Media::of(headers);
    (prefer.terms.shape, prefer.terms.single) = (media.shape(), media.single);
    let call = Call { function, arguments, query, count: prefer.count, terms: &prefer.terms };
    let called = engine.call(tenant, call).await?;
    let token = called.token.clone();
    let mut response = answer(media, called);
    consistency::tell(&mut response, token.as_deref());
    if let Some(applied) = prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn answer(media: Media, called: Called) -> Response {
    let single = called.single();
    let Called { answer, returns, .. } = called;
    if returns == Returns::Nothing {
        return StatusCode::NO_CONTENT.into_response();
    }
    let is_row = matches!(returns, Returns::Rows { .. });
    if media.single && (is_row || !single) {
        return media.body(StatusCode::OK, answer.body.into());
    }
    let partial = answer.total.is_some_and(|total| answer.rows < total);
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = rows::content_range(&answer);
    let as_csv = media.shape() == Shape::Csv;
    let mut response = match (single, is_row) {
        // PostgreSQL built `[{…}]`: the one object is what is between the brackets.
        (true, true) if !as_csv => rows::json_body(status, inside(&answer.body)),
        (_, false) if !as_csv => rows::json_body(status, answer.body),
        _ => media.body(status, answer.body.into()),
    };
    rows::insert_header(&mut response, axum::http::header::CONTENT_RANGE, &range);
    response
}

fn inside(list: &str) -> String {
    let object = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    object.filter(|object| !object.is_empty()).unwrap_or("null").to_owned()
}
