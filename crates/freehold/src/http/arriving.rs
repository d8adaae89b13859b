//! Bodies that stream. Whoever stops sending is not waited for for ever; and what nobody reads any more is still read for a
//! while, because an answer to a request that is still coming is lost where the connection ends on unread bytes (RFC 9112, 9.6).

use std::{io, time::Duration};

use axum::{
    body::{Body, BodyDataStream, HttpBody as _},
    http::{HeaderMap, header},
};
use futures_util::{StreamExt as _, stream::try_unfold};

/// Most bytes that are read for nobody.
const DRAINED: usize = 64 << 20;

/// For how long.
const DRAINING: Duration = Duration::from_secs(10);

/// The body, which fails once no bytes have come for as long as `patience`.
pub(super) fn arriving(headers: &HeaderMap, body: Body, patience: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    // To read on would ask for what the client holds back until it is asked.
    let is_drained = !headers.contains_key(header::EXPECT);
    let rest = Rest { stream: Some(body.into_data_stream()), is_drained };
    Body::from_stream(try_unfold(rest, move |mut rest| async move {
        let Some(stream) = &mut rest.stream else { return Ok(None) };
        let some = match tokio::time::timeout(patience, stream.next()).await {
            Ok(Some(Ok(some))) => return Ok(Some((some, rest))),
            Ok(Some(Err(error))) => Err(io::Error::other(error)),
            Ok(None) => Ok(None),
            Err(_) => {
                let said = format!("no bytes came for {} s", patience.as_secs_f64());
                Err(io::Error::new(io::ErrorKind::TimedOut, said))
            }
        };
        // It has ended, so there is nothing to read for nobody.
        drop(rest.stream.take());
        some
    }))
}

struct Rest {
    /// None once it has ended.
    stream: Option<BodyDataStream>,
    is_drained: bool,
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take().filter(|_| self.is_drained)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(DRAINING, drain(stream)));
        }
    }
}

async fn drain(mut stream: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(some)) = stream.next().await {
        read += some.len();
        if read > DRAINED {
            return;
        }
    }
}
