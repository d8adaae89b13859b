//! Functions: `/rest/v1/rpc/NAME`, in PostgREST's shapes.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{
    Code, Engine, Refusal, Tenant,
    call::{Arguments, Call, Called, Returns},
    read::{Shape, not_singular},
};

use super::{
    auth::Caller,
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
    let mut prefer = Prefer::of(headers)?;
    // A function runs as it is.
    prefer.forget("timezone");
    prefer.forget("recall");
    let media = Media::of(headers);
    let purpose = prefer.terms.purpose.as_deref();
    let (count, shape) = (prefer.count, media.shape());
    let call = Call { function, arguments, query, count, shape, purpose };
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
        return Ok(media.body(StatusCode::OK, answer.body.into()));
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
    if let Some(applied) = prefer.applied(false) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn inside(list: &str) -> String {
    let object = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    object.filter(|object| !object.is_empty()).unwrap_or("null").to_owned()
}
