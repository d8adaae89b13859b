//! The way in: who asks, whether their role allows it and their rate, the whole body, and then a turn. A slow body holds
//! nothing that others wait for.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use freehold_engine::{Code, Refusal, Role};

use super::{
    Face,
    auth::{self, Asking},
    error::Answer,
    request,
};

/// Lets a request in, or says why not.
pub(super) async fn admit(State(face): State<Face>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let tenant = match auth::identify(&face, &parts.headers).await {
        Ok(tenant) => tenant,
        Err(error) => return Answer::from(error).into_response(),
    };
    let asking = Asking(tenant.clone());
    let admitted = async {
        auth::allowed(tenant.role(), &parts.method, parts.uri.path())?;
        if let Err((refusal, seconds)) = face.gate.count(&tenant) {
            return Ok(later(refusal, seconds));
        }
        let body = whole(&face, &parts.headers, body).await?;
        let pass = face.gate.enter(&tenant).await;
        let pass = match pass {
            Ok(pass) => pass,
            Err(refusal) => return Ok(later(refusal, 1)),
        };
        parts.extensions.insert(asking.clone());
        let response = next.run(Request::from_parts(parts, body)).await;
        drop(pass);
        Ok(response)
    };
    let response = admitted.await.unwrap_or_else(|answer: Answer| answer.into_response());
    told(response, asking)
}

/// The same where the body is not read here but streams, and where a signed URL needs no key.
pub(super) async fn stream(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/storage/v1/object/upload/sign/") && request.method() == Method::PUT
        || path.starts_with("/storage/v1/object/sign/") && request.method() != Method::POST
    {
        return next.run(request).await;
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
        Ok(next.run(request).await)
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
pub(super) async fn short_enough(
    State(face): State<Face>,
    request: Request,
    next: Next,
) -> Response {
    let max = face.config.limits.url_bytes;
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, |query| query.len() + 1) > max {
        let refusal = Refusal::new(Code::Limit, "the URL is longer than allowed")
            .detail(format!("at most {max} bytes"))
            .hint("send the query string as the body of POST /query/ENTITY");
        return Answer::from(refusal).into_response();
    }
    next.run(request).await
}

async fn whole(face: &Face, headers: &axum::http::HeaderMap, body: Body) -> Result<Body, Answer> {
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

fn later(refusal: Refusal, seconds: u64) -> Response {
    let mut response = Answer::from(refusal).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}
