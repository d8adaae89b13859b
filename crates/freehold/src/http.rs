//! The HTTP API: every route on one screen.

mod admit;
mod arriving;
mod auth;
mod consistency;
mod cors;
mod error;
mod front;
mod keys;
mod limit;
mod listen;
mod media;
mod metrics;
mod observe;
mod openapi;
#[cfg(test)]
mod page;
mod prefer;
mod profile;
mod request;
mod room;
mod rows;
mod rpc;
mod storage;
mod transaction;
mod unreadable;
mod validate;

pub(crate) use consistency::patience;

use std::{future::Future, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::HeaderValue,
    middleware::{from_fn, from_fn_with_state},
    routing::{delete, get, post},
};
use freehold_engine::{
    Engine, Refusal,
    auth::Verifier,
    cache::{CacheConfig, Shared},
};
use tokio::net::TcpListener;

use crate::config::server::ServerConfig;

/// Largest body of a request that any configuration allows, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 32 << 20;

/// Needs a key or token; the role is checked in `auth`, and again by the database.
fn guarded() -> Router<Engine> {
    Router::new()
        .route(
            "/rest/v1/{entity}",
            get(rows::read)
                .head(rows::read)
                .post(rows::insert)
                .put(rows::put)
                .patch(rows::update)
                .delete(rows::delete)
                .options(openapi::relation_options)
                .fallback(rows::query_method),
        )
        .route("/rest/v1", get(openapi::document).options(openapi::root_options))
        .route("/rest/v1/", get(openapi::document).options(openapi::root_options))
        .route("/rest/v1/query/{entity}", post(rows::query))
        .route(
            "/rest/v1/rpc/{function}",
            get(rpc::read).post(rpc::run).options(openapi::function_options),
        )
        .route("/query/{entity}", post(rows::query))
        .route("/transaction", post(transaction::run))
        .route("/admin/v1/keys", get(keys::list).post(keys::create))
        .route("/admin/v1/keys/{id}", delete(keys::revoke))
}

/// Tells whether the server is there, to anybody.
fn open() -> Router<Engine> {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(rows::ready))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(rows::ready))
}

/// Blobs: their bytes stream, and a signed URL speaks for itself.
fn stored(face: &Arc<Face>) -> Router<Engine> {
    Router::new()
        .nest("/storage/v1", storage::routes())
        .route_layer(from_fn_with_state(face.clone(), admit::stream))
}

fn routes(face: &Arc<Face>) -> Router {
    guarded()
        .route_layer(from_fn_with_state(face.clone(), admit::admit))
        .merge(stored(face))
        .merge(open())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn(front::named))
        .with_state(face.engine.clone())
}

/// What stands between a request and the engine. Each layer of the routes has it, and each request has clones of the layers.
struct Face {
    engine: Engine,
    tokens: Option<Arc<Verifier>>,
    gate: limit::Gate,
    room: room::Room,
    counts: observe::Counts,
    config: Arc<ServerConfig>,
}

impl Face {
    fn new(engine: Engine, config: ServerConfig) -> Result<Self, Refusal> {
        let tokens = config.auth.jwt.as_ref().map(|jwt| Verifier::new(jwt.rules(), &config.base));
        let shared = config.cache.shared(&config.base)?;
        let shared = shared.as_ref().map(Shared::new).transpose()?;
        let engine = match config.cache.kept() {
            Some(kept) => engine.keeping(kept, shared),
            None => engine.keeping_nothing(),
        };
        Ok(Self::of(engine, tokens.transpose()?.map(Arc::new), config))
    }

    fn of(engine: Engine, tokens: Option<Arc<Verifier>>, config: ServerConfig) -> Self {
        Self {
            engine,
            tokens,
            gate: limit::Gate::new(&config),
            room: room::Room::new(&config.limits),
            counts: observe::Counts::default(),
            config: Arc::new(config),
        }
    }

    /// What a page of this origin is told, if it may ask.
    fn allows(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        let named = |known: &String| known == "*" || known.as_bytes() == origin.as_bytes();
        self.config.cors.origins.iter().any(named).then(|| origin.clone())
    }
}

/// A server that has its port and is not yet serving.
pub(crate) struct Server {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    face: Face,
}

impl Server {
    /// Takes the port, and behaves by the defaults.
    pub(crate) async fn bind(listen: &str, engine: Engine) -> std::io::Result<Self> {
        let engine = engine.keeping(CacheConfig::default(), None);
        Self::of(listen, engine, ServerConfig::default()).await
    }

    /// The same with an engine that keeps answers or does not, and with these limits; it takes no tokens.
    pub(crate) async fn of(
        listen: &str,
        engine: Engine,
        config: ServerConfig,
    ) -> std::io::Result<Self> {
        let face = Face::of(engine, None, config);
        Ok(Self { listener: TcpListener::bind(listen).await?, metrics: None, face })
    }

    /// Behaves as the configuration says.
    ///
    /// # Errors
    /// `Usage` if the keys of tokens cannot be read.
    pub(crate) fn configured(mut self, config: ServerConfig) -> Result<Self, Refusal> {
        self.face = Face::new(self.face.engine, config)?;
        Ok(self)
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
        let face = Arc::new(self.face);
        let measured = async {
            match self.metrics {
                Some(listener) => axum::serve(listener, metrics::routes(&face)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            served = listen::serve(self.listener, &face, routes(&face), stop) => served,
            () = face.engine.keep_ready_forever() => Ok(()),
            measured = measured => measured,
        }
    }
}
