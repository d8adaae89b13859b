//! Profiles: PostgREST's way to say a schema. One is served, under the names that clients give it.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use freehold_engine::{Code, Refusal};

use super::error::Answer;

/// What the one schema is called: its own name, and what clients say who were told none.
const PROFILES: [&str; 2] = ["app", "public"];

/// Refuses a request for another schema.
pub(super) async fn demand(request: Request, next: Next) -> Response {
    for name in ["accept-profile", "content-profile"] {
        let Some(asked) = request.headers().get(name) else { continue };
        if !PROFILES.iter().any(|profile| asked.as_bytes() == profile.as_bytes()) {
            let asked = String::from_utf8_lossy(asked.as_bytes()).into_owned();
            let refusal = Refusal::new(Code::Profile, "this schema is not served")
                .detail(asked.chars().take(80).collect::<String>())
                .hint("the schema served is app, which is also called public here");
            return Answer::from(refusal).into_response();
        }
    }
    next.run(request).await
}
