//! Requests that hyper refuses before anybody here sees them: with `>` in their URL, with headers that are too long. It answers
//! them without a body and has no hook for that, so what it writes is replaced on its way out.
//!
//! Only what hyper writes of its own accord is: while no request is being answered, from the moment everything of the last answer
//! has left. An answer's bytes, whatever they are, are never looked at.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{Code, Refusal};
use futures_util::FutureExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Face, error::Answer, listen::HEADERS_MAX, observe::Seen};

/// A connection, and what is said on it.
pub(super) struct Spoken {
    stream: TcpStream,
    face: Arc<Face>,
    turn: Turn,
    /// What is written instead of hyper's own, how much of it is, and for how many bytes of hyper's it stands.
    own: Option<(Vec<u8>, usize, usize)>,
}

/// Whose bytes are written.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

/// Nobody's: hyper's own.
const NOBODY: u8 = 0;
/// An answer's, more of which may come.
const ANSWERING: u8 = 1;
/// An answer's that has ended, but may not have left.
const ENDED: u8 = 2;

impl Turn {
    /// A request is being answered from now on.
    pub(super) fn begin(&self) {
        self.0.store(ANSWERING, Ordering::Release);
    }

    /// The answer, which ends the turn.
    pub(super) fn ended_by(&self, response: Response) -> Response<Last> {
        response.map(|body| Last { body, turn: self.clone() })
    }
}

/// The body of an answer. Once it is gone nothing of the answer is added to what is to be written.
pub(super) struct Last {
    body: Body,
    turn: Turn,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.turn.0.store(ENDED, Ordering::Release);
    }
}

impl HttpBody for Last {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Spoken {
    pub(super) fn new(stream: TcpStream, face: Arc<Face>) -> Self {
        Self { stream, face, turn: Turn::default(), own: None }
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    fn is_nobodys(&self) -> bool {
        self.turn.0.load(Ordering::Acquire) == NOBODY
    }

    /// Writes what is to be written instead, all of it, and says that hyper's bytes are.
    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some((bytes, written, stands_for)) = &mut self.own else { return Poll::Ready(Ok(0)) };
        while *written < bytes.len() {
            let some = Pin::new(&mut self.stream).poll_write(context, &bytes[*written..]);
            match ready!(some)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => *written += some,
            }
        }
        let stands_for = *stands_for;
        self.own = None;
        Poll::Ready(Ok(stands_for))
    }
}

impl AsyncWrite for Spoken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.own.is_none() && self.is_nobodys() {
            self.own = instead(&self.face, bytes).map(|own| (own, 0, bytes.len()));
        }
        if self.own.is_some() {
            return self.poll_own(context);
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.own.is_none() && !self.is_nobodys() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(context, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // hyper flushes when it has written all there is.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        let turn = &self.turn.0;
        let _ = turn.compare_exchange(ENDED, NOBODY, Ordering::AcqRel, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Spoken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

/// The answer to a request that hyper answers with this head.
fn instead(face: &Face, head: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(head).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse::<u16>().ok()?;
    let limits = &face.config.limits;
    let refusal = match status {
        400 => Refusal::new(
            Code::Syntax,
            "the request's first line or one of its headers cannot be read",
        )
        .hint(
            "percent-encode what a URL cannot hold: a space as %20, \" as %22, < as %3C, > as %3E",
        ),
        414 => Refusal::new(Code::Limit, "the URL is longer than allowed")
            .detail(format!("at most {} bytes", limits.url_bytes))
            .hint("send the query string as the body of POST /query/ENTITY"),
        431 => Refusal::new(Code::Limit, "the headers are longer or more than allowed")
            .detail(format!("at most {} bytes in {HEADERS_MAX} lines", limits.header_bytes)),
        _ => return None,
    };
    let date = head.lines().find_map(|line| line.strip_prefix("date: "));
    whole(face, StatusCode::from_u16(status).ok()?, refusal, date)
}

/// The answer to a connection beyond the last.
pub(super) fn full(face: &Face) -> Vec<u8> {
    let refusal = Refusal::new(Code::TooMany, "the server has no room for another connection")
        .hint("try again, and keep connections open for several requests");
    whole(face, StatusCode::SERVICE_UNAVAILABLE, refusal, None).unwrap_or_default()
}

/// An answer as bytes, after which the connection ends; counted, logged and with an id like every other.
fn whole(face: &Face, status: StatusCode, refusal: Refusal, date: Option<&str>) -> Option<Vec<u8>> {
    let mut request = Request::new(Body::empty());
    // Which method it was nobody has read.
    *request.method_mut() = Method::from_bytes(b"UNREAD").ok()?;
    let seen = Seen::of(&face.counts, &request);
    let mut response = Answer::from(refusal).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(date) = date.and_then(|date| HeaderValue::from_str(date).ok()) {
        headers.insert(header::DATE, date);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let (parts, body) = seen.told(response).into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).now_or_never()?.ok()?;
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(&*body);
    Some(bytes)
}
