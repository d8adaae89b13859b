//! In which media type an answer is given, and which of the rows.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use freehold_engine::{
    Code, Refusal,
    read::{Range, Shape},
};

/// What `Accept` asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Media {
    /// One object, not an array.
    pub(super) single: bool,
    stripped: bool,
    csv: bool,
}

impl Media {
    /// The first media type that is served; an array of JSON if none is named.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for one in texts.flat_map(|text| text.split(',')) {
            let one = one.to_ascii_lowercase();
            let mut parts = one.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let stripped = parts.any(|part| part == "nulls=stripped");
            match media {
                "text/csv" => return Self { csv: true, ..Self::default() },
                "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => {
                    return Self { single: true, stripped, csv: false };
                }
                "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => {
                    return Self { stripped, ..Self::default() };
                }
                "application/json" | "*/*" | "application/*" => return Self::default(),
                _ => {}
            }
        }
        Self::default()
    }

    /// How rows are to be written for it.
    pub(super) fn shape(self) -> Shape {
        match (self.csv, self.stripped) {
            (true, _) => Shape::Csv,
            (false, true) => Shape::Stripped,
            (false, false) => Shape::Json,
        }
    }

    /// The answer with these rows, text as PostgreSQL built it.
    pub(super) fn body(self, status: StatusCode, rows: Bytes) -> Response {
        let media = match (self.csv, self.single, self.stripped) {
            (true, ..) => "text/csv; charset=utf-8",
            (_, true, false) => "application/vnd.pgrst.object+json; charset=utf-8",
            (_, true, true) => "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8",
            (_, false, true) => "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
            (_, false, false) => "application/json; charset=utf-8",
        };
        // PostgreSQL built `[{…}]`: the one object is what is between the brackets.
        let inside = || rows.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]");
        let body = match (self.single, inside()) {
            (false, _) => rows,
            (true, Some(row)) => rows.slice_ref(row),
            (true, None) => Bytes::from_static(b"{}"),
        };
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media))], body).into_response()
    }
}

/// The rows that `Range: 0-9` asks for. A range of another unit is not for us.
pub(super) fn range(headers: &HeaderMap) -> Result<Option<Range>, Refusal> {
    let Some(text) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let text = text.strip_prefix("items=").unwrap_or(text).trim();
    let Some((first, last)) = text.split_once('-') else { return Ok(None) };
    let (Ok(first), last) = (first.parse(), last.parse().ok()) else { return Ok(None) };
    if last.is_some_and(|last: u64| last < first) {
        return Err(Refusal::new(Code::Range, "Requested range not satisfiable")
            .detail("The lower boundary must be lower than or equal to the upper boundary in the Range header."));
    }
    Ok(Some(Range { first, last }))
}

/// Where the answer could be had again: the query with its parts in order.
pub(super) fn location(entity: &str, query: &str) -> String {
    let mut parts: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    let mut location = String::with_capacity(16 + entity.len() + query.len());
    location.push_str("/rest/v1/");
    location.push_str(entity);
    for (at, part) in parts.into_iter().enumerate() {
        location.push(if at == 0 { '?' } else { '&' });
        location.push_str(part);
    }
    location
}
