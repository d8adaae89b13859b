//! Bodies that stream. Whoever stops sending, or sends a byte now and then, is not waited for for ever; and what nobody reads any more is still read for a
//! while, because an answer to a request that is still coming is lost where the connection ends on unread bytes (RFC 9112, 9.6).

use std::{
    io,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, BodyDataStream, HttpBody as _},
    http::{HeaderMap, header},
};
use futures_util::{StreamExt as _, stream::try_unfold};

/// Most bytes that are read for nobody.
const DRAINED: usize = 64 << 20;

/// For how long.
const DRAINING: Duration = Duration::from_secs(10);

/// The body, which fails once no bytes have come for as long as `patience`, or fewer than `least` a second in so long. Only the
/// time in which it is waited for counts.
pub(super) fn arriving(headers: &HeaderMap, body: Body, patience: Duration, least: u32) -> Body {
    if body.is_end_stream() {
        return body;
    }
    // To read on would ask for what the client holds back until it is asked.
    let is_drained = !headers.contains_key(header::EXPECT);
    let rest = Rest { stream: Some(body.into_data_stream()), is_drained, pace: Pace::default() };
    Body::from_stream(try_unfold(rest, move |mut rest| async move {
        let Some(stream) = &mut rest.stream else { return Ok(None) };
        let asked = Instant::now();
        let some = match tokio::time::timeout(patience, stream.next()).await {
            Ok(Some(Ok(some))) => {
                match rest.pace.holds(asked.elapsed(), some.len(), patience, least) {
                    true => return Ok(Some((some, rest))),
                    false => {
                        let said = format!("fewer than {least} bytes a second came");
                        Err(io::Error::new(io::ErrorKind::TimedOut, said))
                    }
                }
            }
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
    pace: Pace,
}

/// How fast bytes come while they are waited for.
#[derive(Default)]
struct Pace {
    waited: Duration,
    came: u64,
}

impl Pace {
    /// Counts bytes, and says whether enough come. A moment without any is none's fault: it is judged over `span`.
    fn holds(&mut self, waited: Duration, bytes: usize, span: Duration, least: u32) -> bool {
        self.waited += waited;
        self.came += bytes as u64;
        if self.waited < span {
            return true;
        }
        let enough = self.came as f64 >= f64::from(least) * self.waited.as_secs_f64();
        *self = Self::default();
        enough
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_drips_is_noticed_and_who_is_only_waited_with_is_not() {
        let span = 10 * SECOND;
        let mut pace = Pace::default();
        let dripped = (1..).find(|_| !pace.holds(SECOND, 99, span, 100));
        assert_eq!(dripped, Some(10));
        // Enough in the long run, however unevenly; and what was never waited for takes no time.
        let mut pace = Pace::default();
        for _ in 0..5 {
            for bytes in [0, 0, 0, 0, 0, 0, 0, 0, 0, 1000] {
                assert!(pace.holds(SECOND, bytes, span, 100));
            }
        }
        assert!((0..100_000).all(|_| pace.holds(Duration::ZERO, 1, span, 100)));
        assert!((0..100).all(|_| pace.holds(SECOND, 0, span, 0)));
    }
}
