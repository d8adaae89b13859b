//! Pages of other origins: those that the configuration names may ask, and read what answers say in headers.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::Face;

/// Headers of answers that pages may read.
const EXPOSED: &str = "age, cache-status, content-range, content-location, location, etag, preference-applied, retry-after, x-request-id, consistency-token";

const METHODS: &str = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS, QUERY";

/// For how long browsers need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// Answers what browsers ask beforehand, and says in each answer whether the page may read it.
pub(super) async fn allow(State(face): State<Arc<Face>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let Some(allowed) = origin.and_then(|origin| face.allows(&origin)) else {
        return next.run(request).await;
    };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asks {
        let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        if let Some(wanted) = wanted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
        say(headers, allowed);
        return response;
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    say(headers, allowed);
    response
}

// Credentials of browsers, such as cookies, are never asked for: keys and tokens are sent by the page itself.
fn say(headers: &mut HeaderMap, allowed: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
