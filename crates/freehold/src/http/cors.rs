//! Pages of other origins: those that the configuration names may ask, and read what answers say in headers.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::Face;

/// Headers of answers that pages may read.
pub(super) const EXPOSED: &str = "age, cache-status, content-range, content-location, location, etag, preference-applied, retry-after, x-request-id, consistency-token, search-info, proxy-status, allow, www-authenticate";

const METHODS: &str = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS, QUERY";

/// For how long browsers need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// The origin of the page that asks, if it may.
pub(super) fn page(face: &Face, headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::ORIGIN).and_then(|origin| face.allows(origin))
}

/// Whether the page's browser asks beforehand what it may.
pub(super) fn asks(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What it is told then.
pub(super) fn beforehand(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// Says that the page may read the answer. Credentials of browsers, such as cookies, are never asked for: keys and tokens are sent
/// by the page itself.
pub(super) fn say(headers: &mut HeaderMap, allowed: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
