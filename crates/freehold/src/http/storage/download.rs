//! Downloads: whole and by ranges, if they have changed.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehold_engine::{
    Code, Engine, Refusal, StatedPurpose, Tenant,
    blob::{BlobPlace, Verb},
};
use serde::Deserialize;

use super::{
    super::{
        Face,
        auth::Caller,
        error::Answer,
        prefer::Prefer,
        request::{Asked, Place},
    },
    name,
};

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Asks for a file instead of something to show; empty for the object's own name.
    download: Option<String>,
    token: Option<String>,
}

pub(super) async fn object(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    method: Method,
    Place((bucket, path)): Place<(String, String)>,
    Asked(asked): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    give(&engine, &tenant, &method, (&bucket, &path), &asked, &headers).await
}

/// For everybody, if the model opens the rows to whoever has no key; a key that is sent says whose they are.
pub(super) async fn public(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    method: Method,
    Place((bucket, path)): Place<(String, String)>,
    Asked(asked): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    if !engine.bucket_is_open(&engine.bucket(&bucket)?) {
        return Err(Refusal::new(Code::Forbidden, "the bucket is not public")
            .hint("sign a URL; or let the model open the rows, with `anonymous = \"read\"`")
            .into());
    }
    give(&engine, &tenant.for_anybody(), &method, (&bucket, &path), &asked, &headers).await
}

/// For whoever has the URL.
pub(super) async fn signed(
    State(engine): State<Engine>,
    method: Method,
    Place((bucket, path)): Place<(String, String)>,
    Asked(asked): Asked<Wanted>,
    Extension(face): Extension<Arc<Face>>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let token = asked.token.as_deref().unwrap_or_default();
    let tenant = engine.open_url(Verb::Get, &format!("{bucket}/{path}"), token)?;
    face.gate.count(&tenant).map_err(|(refusal, _)| refusal)?;
    give(&engine, &tenant, &method, (&bucket, &path), &asked, &headers).await
}

async fn give(
    engine: &Engine,
    tenant: &Tenant,
    method: &Method,
    (bucket, path): (&str, &str),
    asked: &Wanted,
    headers: &HeaderMap,
) -> Result<Response, Answer> {
    let bucket = engine.bucket(bucket)?;
    let blob = engine.blob_at(tenant, &bucket, name::checked(path)?).await?;
    let etag = format!("\"{}\"", &blob.hash[..32]);
    let mut response = match condition(headers, &etag) {
        Some(StatusCode::PRECONDITION_FAILED) => {
            let refusal = Refusal::new(Code::Precondition, "the object is another by now")
                .hint("read it again: its ETag says which it is");
            Answer::from(refusal).into_response()
        }
        Some(status) => status.into_response(),
        None => {
            let range = range(headers, &etag, blob.size);
            let purpose = Prefer::of(engine, tenant, headers).await?.terms.purpose;
            bytes(engine, tenant, &blob, (range, *method == Method::HEAD, purpose)).await?
        }
    };
    let shown = match asked.download.as_deref() {
        Some("") | None => blob.name.as_deref().unwrap_or_else(|| name::file(path)),
        Some(other) => other,
    };
    let inline = asked.download.is_none() && name::is_harmless(&blob.content_type);
    let all = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        all.insert(header::ETAG, etag);
    }
    all.insert(header::CONTENT_DISPOSITION, name::disposition(inline, shown));
    for (key, value) in [
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        all.insert(key, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// What of a blob is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// From the first byte to behind the last.
    Range(u64, u64),
    Impossible,
}

async fn bytes(
    engine: &Engine,
    tenant: &Tenant,
    blob: &BlobPlace,
    (part, head, purpose): (Part, bool, Option<StatedPurpose>),
) -> Result<Response, Answer> {
    let (status, from, to) = match part {
        Part::Whole => (StatusCode::OK, 0, blob.size),
        Part::Range(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Part::Impossible => {
            let refusal = Refusal::new(Code::Range, "the object has no such bytes")
                .detail(format!("it has {}", blob.size))
                .hint("ask for a range that begins before its end");
            let mut response = Answer::from(refusal).into_response();
            let whole = HeaderValue::from_str(&format!("bytes */{}", blob.size));
            whole.into_iter().for_each(|whole| {
                response.headers_mut().insert(header::CONTENT_RANGE, whole);
            });
            return Ok(response);
        }
    };
    let body = match head {
        true => Body::empty(),
        false => {
            Body::from_stream(engine.read_blob(tenant, blob, from..to, purpose.as_ref()).await?)
        }
    };
    let mut response = (status, body).into_response();
    let all = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&blob.content_type) {
        all.insert(header::CONTENT_TYPE, content_type);
    }
    all.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = HeaderValue::from_str(&format!("bytes {from}-{}/{}", to - 1, blob.size))
    {
        all.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// The answer without bytes, if a condition of the request says so.
fn condition(headers: &HeaderMap, etag: &str) -> Option<StatusCode> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let names = |list: &str, weakly: bool| {
        list.split(',')
            .map(str::trim)
            .any(|one| one == "*" || one == etag || weakly && one.strip_prefix("W/") == Some(etag))
    };
    if text(header::IF_MATCH).is_some_and(|list| !names(list, false)) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    text(header::IF_NONE_MATCH)
        .is_some_and(|list| names(list, true))
        .then_some(StatusCode::NOT_MODIFIED)
}

/// One range of bytes. What cannot be read, and several at once, is answered with the whole, as RFC 9110 allows.
fn range(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(asked) = text(header::RANGE) else { return Part::Whole };
    if text(header::IF_RANGE).is_some_and(|known| known != etag) {
        return Part::Whole;
    }
    let Some((unit, asked)) = asked.split_once('=') else { return Part::Whole };
    let Some((from, to)) = asked.trim().split_once('-') else { return Part::Whole };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    match (from, to) {
        ("", last) if digits(last) => match number(last).min(size) {
            0 => Part::Impossible,
            last => Part::Range(size - last, size),
        },
        (from, to) if digits(from) && (to.is_empty() || digits(to)) => {
            let first = number(from);
            let last = if to.is_empty() { u64::MAX } else { number(to) };
            if last < first {
                return Part::Whole;
            }
            if first >= size {
                return Part::Impossible;
            }
            Part::Range(first, last.saturating_add(1).min(size))
        }
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range_header: &str, size: u64) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range_header).unwrap());
        range(&headers, "\"x\"", size)
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(asked("bytes=0-0", 10), Part::Range(0, 1));
        assert_eq!(asked("bytes=2-5", 10), Part::Range(2, 6));
        assert_eq!(asked("bytes=5-", 10), Part::Range(5, 10));
        assert_eq!(asked("bytes=-3", 10), Part::Range(7, 10));
        assert_eq!(asked("bytes=-30", 10), Part::Range(0, 10));
        assert_eq!(asked("bytes=5-99999999999999999999", 10), Part::Range(5, 10));
        for impossible in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(asked(impossible, 10), Part::Impossible, "{impossible}");
        }
        assert_eq!(asked("bytes=0-", 0), Part::Impossible);
        for whole in [
            "bytes=5-2",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1-2-3",
        ] {
            assert_eq!(asked(whole, 10), Part::Whole, "{whole}");
        }
    }

    #[test]
    fn conditions_compare_etags() {
        let said = |name, value| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            condition(&headers, "\"x\"")
        };
        assert_eq!(said(header::IF_NONE_MATCH, "\"y\", W/\"x\""), Some(StatusCode::NOT_MODIFIED));
        assert_eq!(said(header::IF_NONE_MATCH, "*"), Some(StatusCode::NOT_MODIFIED));
        assert_eq!(said(header::IF_NONE_MATCH, "\"y\""), None);
        assert_eq!(said(header::IF_MATCH, "W/\"x\""), Some(StatusCode::PRECONDITION_FAILED));
        assert_eq!(said(header::IF_MATCH, "\"x\""), None);
    }
}
