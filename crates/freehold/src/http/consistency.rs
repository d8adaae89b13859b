//! How old an answer may be: `Consistency`, and `Consistency-Token`, by which a session sees what it wrote and read before.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use freehold_engine::{
    Code, Refusal,
    cache::{Consistency, Wanted},
    read::After,
};

const TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// How long a read waits that says nothing of it, and the longest it may ask for.
const WAIT: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(30);

const CONSISTENCY: HeaderName = HeaderName::from_static("consistency");

/// The greatest age that may be asked for.
const AGE_MAX: Duration = Duration::from_secs(3_600);

/// How the answer may be found.
///
/// # Errors
/// `Preference` for a level, an age, a token or a wait that cannot be read.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Wanted<'_>, Refusal> {
    let consistency = match headers.get(CONSISTENCY).map(HeaderValue::to_str) {
        Some(Ok(text)) => level(text)?,
        Some(Err(_)) => return Err(no_level("")),
        // What a browser sends for a page that is loaded again.
        None if says(headers, "no-cache") || says(headers, "max-age=0") => Consistency::Strong,
        None => Consistency::default(),
    };
    Ok(Wanted { consistency, after: after(headers)? })
}

fn says(headers: &HeaderMap, directive: &str) -> bool {
    let all = headers.get_all("cache-control").iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(directive))
}

/// `strong`, `session`, or `bounded; max-age=2` in seconds.
fn level(text: &str) -> Result<Consistency, Refusal> {
    let (name, parameter) = match text.split_once(';') {
        Some((name, parameter)) => (name.trim(), Some(parameter.trim())),
        None => (text.trim(), None),
    };
    match (name, parameter.map(|parameter| parameter.strip_prefix("max-age="))) {
        ("strong", None) => Ok(Consistency::Strong),
        ("session", None) => Ok(Consistency::Session),
        ("bounded", Some(Some(age))) => {
            let age = age.parse().map(Duration::from_secs).ok().filter(|age| *age <= AGE_MAX);
            age.map(Consistency::Bounded).ok_or_else(|| no_level(text))
        }
        _ => Err(no_level(text)),
    }
}

fn no_level(text: &str) -> Refusal {
    Refusal::new(Code::Preference, "there is no such level of consistency")
        .detail(text)
        .hint("strong, session, or bounded; max-age=2 with seconds, at most 3600")
}

/// What the read is to wait for, if it says so.
///
/// # Errors
/// `Preference` for a token or a wait that cannot be read.
fn after(headers: &HeaderMap) -> Result<Option<After<'_>>, Refusal> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read() {
        assert_eq!(level("strong").unwrap(), Consistency::Strong);
        assert_eq!(level(" session ").unwrap(), Consistency::Session);
        let two = Consistency::Bounded(Duration::from_secs(2));
        assert_eq!(level("bounded; max-age=2").unwrap(), two);
        assert_eq!(level("bounded;max-age=2").unwrap(), two);
        for bad in [
            "",
            "weak",
            "bounded",
            "bounded; max-age=-1",
            "bounded; max-age=9999",
            "strong; max-age=1",
        ] {
            assert_eq!(level(bad).unwrap_err().code, Code::Preference, "{bad}");
        }
    }

    #[test]
    fn a_page_loaded_again_is_read_again() {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("Max-Age=0, no-transform"));
        assert_eq!(wanted(&headers).unwrap().consistency, Consistency::Strong);
    }
}
