//! `Consistency-Token`: a write says where it stands, and a read of read models waits until they show it.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use freehold_engine::{Code, Refusal, read::After};

const TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// How long a read waits that says nothing of it, and the longest it may ask for.
const WAIT: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What the read is to wait for, if it says so.
///
/// # Errors
/// `Preference` for a token or a wait that cannot be read.
pub(super) fn after(headers: &HeaderMap) -> Result<Option<After<'_>>, Refusal> {
    let Some(token) = headers.get(TOKEN) else { return Ok(None) };
    let token = token.to_str().map_err(|_| {
        Refusal::new(Code::Preference, "the consistency token is not text")
            .hint("give the token that a write returned, as it was")
    })?;
    let prefer = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wait = prefer
        .flat_map(|value| value.split(','))
        .find_map(|preference| preference.trim().strip_prefix("wait="));
    Ok(Some(After { token: token.trim(), patience: wait.map_or(Ok(WAIT), patience)? }))
}

/// Says where the write stands, if it wrote anything.
pub(super) fn tell(response: &mut Response, token: Option<&str>) {
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
        response.headers_mut().insert(TOKEN, token);
    }
}

/// `2`, `2s`, `500ms`: RFC 7240 counts in seconds.
pub(crate) fn patience(text: &str) -> Result<Duration, Refusal> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1_000),
    };
    let wait = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    wait.map(Duration::from_millis).filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| {
        Refusal::new(Code::Preference, "this is no time to wait")
            .detail(text)
            .hint("seconds such as 2 or 2s, or 500ms; at most 30s")
    })
}
