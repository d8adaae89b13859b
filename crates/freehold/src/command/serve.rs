//! `serve`, `work`, `dev`: what runs until it is told to stop.

use freehold_engine::Engine;

use super::{Site, apply, model};
use crate::{
    cli::Serve,
    config::{Config, server::ServerConfig},
    http::Server,
    output::{self, Failure},
    stop::Stop,
};

pub(super) async fn serve(config: &Config, serve: &Serve) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine_replayed(config).await?;
    let server = bind(&engine, serve).await?;
    let stop = Stop::listen()?;
    output::note(format!("serving http://{}/rest/v1/", server.address()?));
    until_stopped(engine, server, serve, stop).await
}

pub(super) async fn work(config: &Config, placement: bool, slices: bool) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine_replayed(config).await?;
    let stop = Stop::listen()?;
    output::note("working; Ctrl-C stops");
    let placing = async {
        if !placement {
            return std::future::pending().await;
        }
        super::placement::forever(&site).await
    };
    let slicing = async {
        if !slices {
            return std::future::pending().await;
        }
        Box::pin(super::expire::forever(&site)).await
    };
    tokio::select! {
        placed = placing => placed?,
        sliced = slicing => sliced?,
        () = Box::pin(engine.work_forever()) => {}
        () = engine.keep_watch() => {}
        () = stop.asked() => {}
    }
    Ok(())
}

pub(super) async fn dev(config: &Config, serve: &Serve, tenant: &str) -> Result<(), Failure> {
    if !config.model_file.exists() {
        model::init(config, false)?;
    }
    let (text, _) = model::read(config)?;
    let site = Site::open(config).await?;
    apply::apply_text(config, &site, text, &[]).await?;
    let key = key_of(&site, tenant).await?;
    let engine = site.engine(config).await?;
    let server = bind(&engine, serve).await?;
    let address = server.address()?;
    let stop = Stop::listen()?;
    output::say(format!("URL     http://{address}/rest/v1/\nTENANT  {tenant}\nKEY     {key}"));
    if let Some(entity) = engine.snapshot().model.entities().first() {
        output::say(format!(
            "TRY     curl 'http://{address}/rest/v1/{}' -H 'apikey: {key}'",
            entity.name
        ));
    }
    output::note("Ctrl-C stops; the data stays");
    until_stopped(engine, server, serve, stop).await
}

/// A key of a tenant, both made if they are not there.
pub(crate) async fn key_of(site: &Site, tenant: &str) -> Result<String, Failure> {
    let mut operator = site.prepared("dev").await?;
    if !operator.tenants().await?.iter().any(|known| known.name == tenant) {
        operator.create_tenant(tenant).await?;
    }
    Ok(operator
        .create_key(tenant, "dev", freehold_engine::Role::Admin, Some(30 * 86_400))
        .await?
        .secret)
}

pub(crate) async fn bind(engine: &Engine, serve: &Serve) -> Result<Server, Failure> {
    let taken = |address: &str, option: &str, error: &std::io::Error| {
        Failure::Machine(format!(
            "cannot listen on {address}: {error}; {option} names another address"
        ))
    };
    let behaviour = ServerConfig::read(serve.config.as_deref())?;
    let engine = engine.clone().with_sealed_max(behaviour.limits.sealed_max);
    let server = Server::bind(&serve.listen, engine)
        .await
        .map_err(|error| taken(&serve.listen, "--listen", &error))?
        .configured(behaviour)?;
    match &serve.metrics {
        None => Ok(server),
        Some(listen) => {
            server.with_metrics(listen).await.map_err(|error| taken(listen, "--metrics", &error))
        }
    }
}

pub(crate) async fn until_stopped(
    engine: Engine,
    server: Server,
    serve: &Serve,
    stop: Stop,
) -> Result<(), Failure> {
    let workers = async {
        if serve.no_workers {
            std::future::pending().await
        } else {
            Box::pin(engine.work_forever()).await
        }
    };
    tokio::select! {
        served = server.run(stop.asked()) => Ok(served?),
        () = workers => Ok(()),
        () = engine.keep_watch() => Ok(()),
    }
}
