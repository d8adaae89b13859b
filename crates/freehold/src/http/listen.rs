//! Connections: how many there are, how long each may take over its headers, and how they end.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    Face, front,
    unreadable::{self, Spoken},
};
use crate::config::server::Limits;

/// Most header lines of a request.
pub(super) const HEADERS_MAX: usize = 100;

/// Serves until `stop` is done. Then no connection is taken any more, idle ones end, and running requests have the time of
/// `limits.drain_seconds`.
pub(super) async fn serve(
    listener: TcpListener,
    face: &Arc<Face>,
    routes: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = &face.config.limits;
    let (tell, told) = watch::channel(());
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Too many open files, or a connection that ended before it was taken.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            let _ = stream.try_write(&unreadable::full(face));
            continue;
        };
        let connection = connection(stream, face.clone(), routes.clone(), told.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    drop(told);
    let _ = tell.send(());
    let drained = async { while connections.join_next().await.is_some() {} };
    let drain = Duration::from_secs(limits.drain_seconds);
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("requests still running after {drain:?} were cut off");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    face: Arc<Face>,
    routes: Router,
    mut told: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let Limits { header_seconds, header_bytes, .. } = face.config.limits;
    let stream = Spoken::new(stream, face.clone());
    let turn = stream.turn();
    let service = service_fn(|request: Request<Incoming>| {
        let (face, routes, turn) = (face.clone(), routes.clone(), turn.clone());
        turn.begin();
        async move {
            let response = front::respond(face, routes, request.map(Body::new)).await;
            Ok::<_, Infallible>(turn.ended_by(response))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(header_seconds))
        .max_headers(HEADERS_MAX)
        .max_buf_size(header_bytes);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = told.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
