//! Errors as answers: a refusal is shown whole, a fault only by its request id, which the log has too.

use std::fmt::Write as _;

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use freehold_engine::{Code, Error, Fault, Refusal};
use serde_json::json;

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct Answer(Error);

impl<E: Into<Error>> From<E> for Answer {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What happened, carried beside a response for the log.
#[derive(Clone)]
struct FaultChain(String);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.0 {
            Error::Refused(refusal) => refused(&refusal),
            Error::Violated(violation) => refused(&violation.refusal()),
            Error::Failed(fault) => failed(&fault),
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status =
        StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = body(
        status,
        refusal.code.as_str(),
        &refusal.message,
        refusal.detail.as_deref(),
        refusal.hint.as_deref(),
    );
    if refusal.code == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn failed(fault: &Fault) -> Response {
    let (status, code, message) = if fault.is_unavailable() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRST001",
            "the database cannot be reached at the moment",
        )
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "PGRSTX00", "something failed on our side")
    };
    let mut response = body(
        status,
        code,
        message,
        None,
        Some("the header x-request-id names this failure in the log"),
    );
    response.extensions_mut().insert(FaultChain(chain(fault)));
    response
}

fn body(
    status: StatusCode,
    code: &str,
    message: &str,
    details: Option<&str>,
    hint: Option<&str>,
) -> Response {
    let body = json!({ "code": code, "message": message, "details": details, "hint": hint });
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string())
        .into_response()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Gives each request an id, and logs it with what it came to.
pub(super) async fn with_request_id(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = std::time::Instant::now();
    let mut response = next.run(request).await;
    let took_us = begun.elapsed().as_micros();
    match response.extensions().get::<FaultChain>() {
        Some(FaultChain(error)) => {
            tracing::error!(request = %id, %method, path, error, "request failed")
        }
        None => {
            tracing::debug!(request = %id, %method, path, status = response.status().as_u16(), took_us, "request")
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

pub(super) async fn no_such_path() -> Answer {
    Refusal::new(Code::Path, "this path is not served").hint("entities are under /rest/v1/").into()
}

pub(super) async fn no_such_method() -> Answer {
    Refusal::new(Code::Method, "this method does not fit the path").into()
}
