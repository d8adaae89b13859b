//! Profiles: PostgREST's way to say a schema. One is served, under the names that clients give it.

use axum::http::HeaderMap;
use freehold_engine::{Code, Refusal};

/// What the one schema is called: its own name, and what clients say who were told none.
const PROFILES: [&str; 2] = ["app", "public"];

/// Refuses a request for another schema.
pub(super) fn served(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in ["accept-profile", "content-profile"] {
        let Some(asked) = headers.get(name) else { continue };
        if !PROFILES.iter().any(|profile| asked.as_bytes() == profile.as_bytes()) {
            let asked = String::from_utf8_lossy(asked.as_bytes()).into_owned();
            return Err(Refusal::new(Code::Profile, "this schema is not served")
                .detail(asked.chars().take(80).collect::<String>())
                .hint("the schema served is app, which is also called public here"));
        }
    }
    Ok(())
}
