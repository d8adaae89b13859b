//! What every request passes, whatever its path: one function. As layers of the router each step would clone and box all that
//! is below it, for every request; and a plain read, which is most often answered from what is kept, needs no router.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{Method, Uri, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tower_service::Service as _;

use super::{
    Face, admit,
    auth::Asking,
    cors,
    error::Answer,
    observe::{Route, Seen},
    profile,
    request::acceptable,
    rows,
};

/// The route of a plain read.
pub(super) const READ: &str = "/rest/v1/{entity}";

/// Answers a request.
pub(super) async fn respond(face: Arc<Face>, routes: Router, request: Request) -> Response {
    let seen = Seen::of(&face.counts, &request);
    let page = cors::page(&face, request.headers());
    let refused = admit::short_enough(&face, request.uri())
        .and_then(|()| profile::served(request.headers()))
        .map_err(|refusal| Answer::from(refusal).into_response());
    let mut response = match (refused, page.is_some() && cors::asks(&request)) {
        (Err(response), _) => response,
        (_, true) => cors::beforehand(request.headers()),
        _ => routed(&face, routes, request).await,
    };
    if let Some(page) = page {
        cors::say(response.headers_mut(), page);
    }
    seen.told(response)
}

/// Says in the answer which route it was, for [`respond`].
pub(super) async fn named(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

async fn routed(face: &Arc<Face>, mut routes: Router, request: Request<Body>) -> Response {
    let Some(entity) = read_of(request.method(), request.uri()) else {
        let Ok(response) = Box::pin(routes.call(request)).await;
        return response;
    };
    let entity = &*entity.to_owned();
    let (parts, body) = request.into_parts();
    let read = |parts: Parts, _, turn, asking: Asking| async move {
        if let Err(refusal) = acceptable(&parts.headers) {
            return Answer::from(refusal).into_response();
        }
        let query = parts.uri.query().unwrap_or_default();
        let read = rows::answer(&face.engine, &asking.0, &turn, entity, query, &parts.headers);
        read.await.unwrap_or_else(|answer| answer.into_response())
    };
    let mut response = admit::let_in(face, parts, body, true, read).await;
    response.extensions_mut().insert(Route(READ));
    response
}

/// The entity of a plain read, if its name stands in the path as it is.
fn read_of<'a>(method: &Method, uri: &'a Uri) -> Option<&'a str> {
    let name = uri.path().strip_prefix("/rest/v1/").filter(|_| method == Method::GET)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_router_would_read_in_the_same_way_goes_past_it() {
        let entity = |method: Method, path: &'static str| {
            read_of(&method, &Uri::from_static(path)).map(str::to_owned)
        };
        assert_eq!(entity(Method::GET, "/rest/v1/item?select=id").as_deref(), Some("item"));
        for path in ["/rest/v1/", "/rest/v1/query/item", "/rest/v1/a%20b", "/query/item", "/live"] {
            assert_eq!(entity(Method::GET, path), None, "{path}");
        }
        for method in [Method::HEAD, Method::POST, Method::OPTIONS] {
            assert_eq!(entity(method.clone(), "/rest/v1/item"), None, "{method}");
        }
    }
}
