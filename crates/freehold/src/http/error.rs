//! Errors as answers: a refusal is shown whole, a fault only by its request id, which the log has too.

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehold_engine::{Code, Error, Fault, Refusal};
use serde_json::json;

/// The code of what is not the caller's.
const OURS: &str = "PGRSTX00";

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
pub(super) struct FaultChain(pub(super) String);

/// With which code a request was refused, for the log and the metrics.
#[derive(Clone, Copy)]
pub(super) struct RefusedWith(pub(super) &'static str);

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
    response.extensions_mut().insert(RefusedWith(refusal.code.as_str()));
    if refusal.code == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if refusal.code == Code::Encoded {
        response
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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
    } else if fault.is_closed() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            OURS,
            "nothing is served until something on our side is mended",
        )
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, OURS, "something failed on our side")
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
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string())
            .into_response();
    // The answer to a HEAD has no body; clients of PostgREST read the code here.
    if let Ok(proxy) = HeaderValue::from_str(&format!("PostgREST; error={code}")) {
        response.headers_mut().insert("proxy-status", proxy);
    }
    response
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

pub(super) async fn no_such_path() -> Answer {
    Refusal::new(Code::Path, "this path is not served").hint("entities are under /rest/v1/").into()
}

pub(super) async fn no_such_method() -> Answer {
    Refusal::new(Code::Method, "this method does not fit the path").into()
}
