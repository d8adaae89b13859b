//! Parts of a request, refused in this API's own shape when they are not right.

use axum::{
    RequestPartsExt as _,
    body::{Body as Stream, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use freehold_engine::{Code, Refusal};
use serde::de::DeserializeOwned;

use super::{BODY_BYTES_MAX, error::Answer};

/// The entity in the path.
pub(super) struct Entity(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Entity {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        acceptable(&parts.headers)?;
        parts.extract::<Place<String>>().await.map(|Place(name)| Self(name))
    }
}

/// What the path names, decoded: a text, or a tuple of them.
pub(super) struct Place<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for Place<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        match parts.extract::<Path<T>>().await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Refusal::new(Code::Path, "the path is not UTF-8 text")
                .hint("percent-encode names as UTF-8")
                .into()),
        }
    }
}

/// The parameters behind the `?`, each once at most.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for Asked<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        match parts.extract::<Query<T>>().await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                let source = std::error::Error::source(&rejection).map(ToString::to_string);
                Err(Refusal::new(Code::Syntax, "the query string cannot be read")
                    .detail(source.unwrap_or_else(|| rejection.body_text()))
                    .hint("send each parameter once, percent-encoded as UTF-8")
                    .into())
            }
        }
    }
}

/// The whole body, of any media type, not longer than allowed.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Answer;

    async fn from_request(request: Request, _: &S) -> Result<Self, Answer> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_long(BODY_BYTES_MAX).into());
        }
        read(request.into_body(), BODY_BYTES_MAX).await.map(Self)
    }
}

/// A body that says it is JSON, or says nothing.
pub(super) struct JsonBody(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Answer;

    async fn from_request(request: Request, state: &S) -> Result<Self, Answer> {
        let typed = TypedBody::from_request(request, state).await?;
        match typed.form {
            Form::Json => Ok(Self(typed.bytes)),
            Form::Csv => Err(unread("text/csv", "send Content-Type: application/json").into()),
            Form::Fields => Err(unread(FIELDS, "send Content-Type: application/json").into()),
        }
    }
}

/// How values are written in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// A line of names, then the rows.
    Csv,
    /// The fields of an HTML form, percent-encoded.
    Fields,
}

const FIELDS: &str = "application/x-www-form-urlencoded";

/// A body that says how it is written; JSON if it says nothing.
pub(super) struct TypedBody {
    pub(super) form: Form,
    pub(super) bytes: Bytes,
}

impl TypedBody {
    /// The body as text.
    ///
    /// # Errors
    /// `Body` if it is not UTF-8.
    pub(super) fn text(&self) -> Result<&str, Refusal> {
        text(&self.bytes)
    }
}

/// A body as text.
///
/// # Errors
/// `Body` if it is not UTF-8.
pub(super) fn text(body: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(body).map_err(|error| {
        Refusal::new(Code::Body, "the body is not UTF-8 text")
            .detail(format!("at byte {}", error.valid_up_to()))
    })
}

impl<S: Send + Sync> FromRequest<S> for TypedBody {
    type Rejection = Answer;

    async fn from_request(request: Request, state: &S) -> Result<Self, Answer> {
        let given = request.headers().get(header::CONTENT_TYPE);
        let media =
            given.map(|given| String::from_utf8_lossy(given.as_bytes()).to_ascii_lowercase());
        let media = media.as_deref().and_then(|media| media.split(';').next()).unwrap_or_default();
        let form = match media.trim() {
            ""
            | "application/json"
            | "application/vnd.pgrst.object+json"
            | "application/vnd.pgrst.array+json" => Form::Json,
            "text/csv" => Form::Csv,
            FIELDS => Form::Fields,
            other => {
                let hint = "application/json, text/csv and application/x-www-form-urlencoded are";
                return Err(unread(other, hint).into());
            }
        };
        Ok(Self { form, bytes: Body::from_request(request, state).await?.0 })
    }
}

/// Refuses a body that says it is compressed, which would be read as if it were not.
pub(super) fn plain(headers: &HeaderMap) -> Result<(), Refusal> {
    for said in headers.get_all(header::CONTENT_ENCODING) {
        plain_said(&String::from_utf8_lossy(said.as_bytes()))?;
    }
    // Of codings for the way `chunked` alone is undone before.
    for said in headers.get_all(header::TRANSFER_ENCODING) {
        let said = String::from_utf8_lossy(said.as_bytes());
        let mut codings = said.split(',').map(str::trim);
        if !codings.all(|one| one.is_empty() || one.eq_ignore_ascii_case("chunked")) {
            return Err(encoded(&said).hint("send the body as it is, at most in chunks"));
        }
    }
    Ok(())
}

/// The same of what one header says.
pub(super) fn plain_said(said: &str) -> Result<(), Refusal> {
    let is_plain = |one: &str| one.is_empty() || one.eq_ignore_ascii_case("identity");
    if said.split(',').all(|one| is_plain(one.trim())) {
        return Ok(());
    }
    Err(encoded(said).hint("send the body as it is, without Content-Encoding"))
}

fn encoded(said: &str) -> Refusal {
    Refusal::new(Code::Encoded, "a body in this encoding is not read here")
        .detail(said.chars().take(80).collect::<String>())
}

fn unread(media: &str, hint: &str) -> Refusal {
    Refusal::new(Code::Body, "a body of this media type is not read here")
        .detail(media.chars().take(80).collect::<String>())
        .hint(hint)
}

pub(super) async fn read(body: Stream, max: usize) -> Result<Bytes, Answer> {
    axum::body::to_bytes(body, max).await.map_err(|error| {
        // The limit is the one cause that is not the connection's.
        let text = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        if text.contains("length limit") {
            return too_long(max).into();
        }
        Refusal::new(Code::Body, "the body ended before it was whole").into()
    })
}

pub(super) fn too_long(max: usize) -> Refusal {
    Refusal::new(Code::Limit, "the body is longer than allowed")
        .detail(format!("at most {max} bytes"))
        .hint("send fewer rows at once, or use `freehold import`")
}

/// The media types of answers, the empty one for a header without any.
pub(super) const SERVED: [&str; 9] = [
    "",
    "*/*",
    "application/*",
    "application/json",
    "application/vnd.pgrst.object+json",
    "application/vnd.pgrst.object",
    "application/vnd.pgrst.array+json",
    "application/vnd.pgrst.array",
    "text/csv",
];

/// Whether the caller takes one of the media types that are served.
pub(super) fn acceptable(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut asked = headers.get_all(header::ACCEPT).iter().peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    let accepts: Vec<String> = asked
        .flat_map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .split(',')
                .map(|one| one.split(';').next().unwrap_or_default().trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    if accepts.iter().any(|media| SERVED.contains(&media.as_str())) {
        return Ok(());
    }
    Err(Refusal::new(Code::NotAcceptable, "none of the accepted media types is served")
        .detail(accepts.join(", "))
        .hint("application/json, or application/vnd.pgrst.object+json for a single row"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_coded_for_the_way_is_not_taken_as_it_is() {
        let said = |name: header::HeaderName, value: &'static str| {
            plain(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))])).is_ok()
        };
        for fine in ["chunked", "Chunked", ""] {
            assert!(said(header::TRANSFER_ENCODING, fine), "{fine}");
        }
        for coded in ["gzip, chunked", "gzip", "chunked, identity"] {
            assert!(!said(header::TRANSFER_ENCODING, coded), "{coded}");
        }
        assert!(said(header::CONTENT_ENCODING, "identity"));
        assert!(!said(header::CONTENT_ENCODING, "gzip"));
    }
}
