//! The HTTP API: every route on one screen.

mod auth;
mod error;
mod metrics;
mod openapi;
mod profile;
mod request;
mod rows;
mod rpc;
mod transaction;

use std::{future::Future, net::SocketAddr, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use freehold_engine::Engine;
use tokio::net::TcpListener;

/// Largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 32 << 20;

/// How long a stopping server waits for requests that are running.
const DRAIN: Duration = Duration::from_secs(10);

fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(rows::ready))
        .route(
            "/rest/v1/{entity}",
            get(rows::read)
                .head(rows::read)
                .post(rows::insert)
                .patch(rows::update)
                .delete(rows::delete)
                .options(openapi::relation_options)
                .fallback(rows::query_method),
        )
        .route("/rest/v1/", get(openapi::document).options(openapi::root_options))
        .route("/rest/v1/query/{entity}", post(rows::query))
        .route(
            "/rest/v1/rpc/{function}",
            get(rpc::read).post(rpc::run).options(openapi::function_options),
        )
        .route("/query/{entity}", post(rows::query))
        .route("/transaction", post(transaction::run))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(axum::middleware::from_fn(profile::demand))
        .layer(axum::middleware::from_fn(error::with_request_id))
        .with_state(engine)
}

/// A server that has its port and is not yet serving.
pub(crate) struct Server {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    engine: Engine,
}

impl Server {
    /// Takes the port.
    pub(crate) async fn bind(listen: &str, engine: Engine) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(listen).await?, metrics: None, engine })
    }

    /// Takes a port for the metrics, too. Tenants' callers have no business there, so it is another one.
    pub(crate) async fn with_metrics(mut self, listen: &str) -> std::io::Result<Self> {
        self.metrics = Some(TcpListener::bind(listen).await?);
        Ok(self)
    }

    /// The address it really has, also if port 0 was asked for.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then lets running requests finish.
    pub(crate) async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let measured = async {
            match self.metrics {
                Some(listener) => axum::serve(listener, metrics::routes(self.engine.clone())).await,
                None => std::future::pending().await,
            }
        };
        let serve = axum::serve(self.listener, routes(self.engine.clone())).with_graceful_shutdown(
            async move {
                stop.await;
                let _ = stopping.send(());
            },
        );
        tokio::select! {
            served = serve.into_future() => served,
            measured = measured => measured,
            () = async { if stopped.await.is_ok() { tokio::time::sleep(DRAIN).await } else { std::future::pending().await } } => {
                tracing::warn!("requests still running after {DRAIN:?} were cut off");
                Ok(())
            }
        }
    }
}
