//! What an answer says of how it was kept: `ETag`, `Cache-Status` (RFC 9211), `Age`; and whether the caller has it already.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{
    cache::{Entry, Found, Status},
    write::OnlyIf,
};

use super::rows::insert_header;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// What answers depend on besides the URL.
const VARY: &str =
    "Accept, Accept-Profile, Apikey, Authorization, Consistency, Consistency-Token, Prefer, Range";

/// The validator of an answer in a form of its own.
pub(super) fn etag(found: &Found, single: bool) -> String {
    format!("\"{}{}\"", found.entry.etag, if single { "-1" } else { "" })
}

/// The body of an answer, which is not copied.
pub(super) fn body(found: &Found) -> Bytes {
    struct Body(Arc<Entry>);
    impl AsRef<[u8]> for Body {
        fn as_ref(&self) -> &[u8] {
            self.0.answer.body.as_bytes()
        }
    }
    Bytes::from_owner(Body(Arc::clone(&found.entry)))
}

/// The answer to who has this one already, if they say so (RFC 9110, 13.1.2).
pub(super) fn not_modified(headers: &HeaderMap, etag: &str) -> Option<Response> {
    let known =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    let same = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag;
    known.any(same).then(|| StatusCode::NOT_MODIFIED.into_response())
}

/// What a change depends on, if the caller says so: validators of answers to a read of the same query string.
pub(super) fn only_if(headers: &HeaderMap, single: bool) -> Option<OnlyIf> {
    let known: Vec<&str> = headers
        .get_all(header::IF_MATCH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    if known.is_empty() {
        return None;
    }
    if known.contains(&"*") {
        return Some(OnlyIf::Any);
    }
    // A weak one never matches here (RFC 9110, 13.1.1).
    let strong = |one: &str| {
        let inside = one.strip_prefix('"')?.strip_suffix('"')?;
        if single { inside.strip_suffix("-1") } else { Some(inside) }.map(str::to_owned)
    };
    Some(OnlyIf::Is(known.into_iter().filter_map(strong).collect()))
}

/// Says all of it.
pub(super) fn tell(response: &mut Response, found: &Found, etag: &str) {
    insert_header(response, header::ETAG, etag);
    let headers = response.headers_mut();
    // Whoever keeps it asks again, which costs a comparison here.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    headers.insert(CACHE_STATUS, status(found.status));
    if matches!(found.status, Status::Hit | Status::Shared) {
        insert_header(response, header::AGE, &found.age.as_secs().to_string());
    }
    if let Some(token) = &found.token {
        insert_header(response, CONSISTENCY_TOKEN, token);
    }
}

fn status(status: Status) -> HeaderValue {
    HeaderValue::from_static(match status {
        Status::Hit => "Freehold; hit",
        Status::Shared => "Freehold; hit; detail=shared",
        Status::Collapsed => "Freehold; fwd=miss; collapsed",
        Status::Stale => "Freehold; fwd=stale; stored",
        Status::Miss => "Freehold; fwd=uri-miss; stored",
        Status::Bypass(why) => {
            let text = format!("Freehold; fwd=bypass; detail={why}");
            return HeaderValue::try_from(text)
                .unwrap_or(HeaderValue::from_static("Freehold; fwd=bypass"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_told_so() {
        let has = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            not_modified(&headers, "\"a\"").is_some()
        };
        for same in ["\"a\"", "*", "\"b\", \"a\"", "W/\"a\""] {
            assert!(has(same), "{same}");
        }
        for other in ["\"b\"", "a", "\"a-1\"", ""] {
            assert!(!has(other), "{other}");
        }
        assert!(not_modified(&HeaderMap::new(), "\"a\"").is_none());
    }
}
