//! The way in: who asks, whether their role allows it and their rate, the whole body, and then a turn. A slow body holds
//! nothing that others wait for.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use freehold_engine::{Code, Refusal, Role, Tenant, cache::Turn as _};

use super::{
    Face,
    arriving::arriving,
    auth::{self, Asking},
    error::Answer,
    front,
    limit::{Gate, Pass},
    request,
};

/// Lets a request in, or says why not.
pub(super) async fn admit(State(face): State<Arc<Face>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let reads = matches!(route, Some(front::READ)) && !is_write(&parts.method)
        || matches!(route, Some("/rest/v1/query/{entity}" | "/query/{entity}"));
    let go = |mut parts: Parts, body, turn, asking| {
        parts.extensions.insert(turn);
        parts.extensions.insert(asking);
        next.run(Request::from_parts(parts, body))
    };
    let_in(&face, parts, body, reads, go).await
}

/// The same for what comes next, which is done with a turn unless it reads: what is kept is given without one.
pub(super) async fn let_in<F>(
    face: &Face,
    parts: Parts,
    body: Body,
    reads: bool,
    next: impl FnOnce(Parts, Body, Turn, Asking) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let tenant = match auth::identify(face, &parts.headers).await {
        Ok(tenant) => tenant,
        Err(error) => return Answer::from(error).into_response(),
    };
    let asking = Asking(tenant.clone());
    let admitted = async {
        auth::allowed(tenant.role(), &parts.method, parts.uri.path())?;
        if let Err((refusal, seconds)) = face.gate.count(&tenant) {
            return Ok(later(refusal, seconds));
        }
        let body = whole(face, &parts.headers, body).await?;
        let turn = Turn(face.gate.clone(), tenant.clone());
        let pass = if reads {
            None
        } else {
            match turn.take().await {
                Ok(pass) => Some(pass),
                Err(refusal) => return Ok(later(refusal, 1)),
            }
        };
        let response = next(parts, body, turn, asking.clone()).await;
        drop(pass);
        Ok(slower(response))
    };
    let response = admitted.await.unwrap_or_else(|answer: Answer| answer.into_response());
    told(response, asking)
}

/// A turn to work at the database, for the request in whose extensions it is.
#[derive(Clone)]
pub(super) struct Turn(Gate, Tenant);

impl freehold_engine::cache::Turn for Turn {
    type Pass = Pass;

    async fn take(&self) -> Result<Pass, Refusal> {
        self.0.enter(&self.1).await
    }
}

impl<S: Sync> FromRequestParts<S> for Turn {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        let turn = parts.extensions.get::<Self>().cloned();
        turn.ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "this request was not let in").into()
        })
    }
}

fn is_write(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

/// The same where the body is not read here but streams, and where a signed URL needs no key.
pub(super) async fn stream(
    State(face): State<Arc<Face>>,
    request: Request,
    next: Next,
) -> Response {
    // Also one that is not let in is answered as a whole.
    let (parts, body) = request.into_parts();
    let limits = &face.config.limits;
    let patience = Duration::from_secs(limits.body_seconds);
    let body = arriving(&parts.headers, body, patience, limits.body_rate);
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(face.clone());
    let path = request.uri().path();
    if path.starts_with("/storage/v1/object/upload/sign/") && request.method() == Method::PUT
        || path.starts_with("/storage/v1/object/sign/") && request.method() != Method::POST
    {
        // Whose it is, the URL says, which is read there.
        return slower(next.run(request).await);
    }
    let tenant = match auth::identify(&face, request.headers()).await {
        Ok(tenant) => tenant,
        Err(error) => return Answer::from(error).into_response(),
    };
    let asking = Asking(tenant.clone());
    let admitted = async {
        auth::allowed(tenant.role(), request.method(), request.uri().path())?;
        if let Err((refusal, seconds)) = face.gate.count(&tenant) {
            return Ok(later(refusal, seconds));
        }
        request.extensions_mut().insert(asking.clone());
        Ok(slower(next.run(request).await))
    };
    let response = admitted.await.unwrap_or_else(|answer: Answer| answer.into_response());
    told(response, asking)
}

/// The answer with whom it is for. What somebody without a key may not do, they may perhaps do with one: 401 says that.
fn told(mut response: Response, asking: Asking) -> Response {
    if asking.0.role() == Role::Anonymous && response.status() == StatusCode::FORBIDDEN {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    response.extensions_mut().insert(asking);
    response
}

/// Refuses a URL that is longer than allowed, also where no key is needed.
pub(super) fn short_enough(face: &Face, uri: &Uri) -> Result<(), Refusal> {
    let max = face.config.limits.url_bytes;
    if uri.path().len() + uri.query().map_or(0, |query| query.len() + 1) > max {
        return Err(Refusal::new(Code::Limit, "the URL is longer than allowed")
            .detail(format!("at most {max} bytes"))
            .hint("send the query string as the body of POST /query/ENTITY"));
    }
    Ok(())
}

async fn whole(face: &Face, headers: &axum::http::HeaderMap, body: Body) -> Result<Body, Answer> {
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    request::plain(headers)?;
    let limits = &face.config.limits;
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits.body_bytes) {
        return Err(request::too_long(limits.body_bytes).into());
    }
    let patience = Duration::from_secs(limits.body_seconds);
    match tokio::time::timeout(patience, request::read(body, limits.body_bytes)).await {
        Ok(read) => Ok(Body::from(read?)),
        Err(_) => Err(Refusal::new(Code::Body, "the body did not come in time")
            .detail(format!("within {} s", limits.body_seconds))
            .into()),
    }
}

/// Says when to come again, where it is too much.
fn slower(mut response: Response) -> Response {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(1.into());
    }
    response
}

fn later(refusal: Refusal, seconds: u64) -> Response {
    let mut response = Answer::from(refusal).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}
