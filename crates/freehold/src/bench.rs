//! `bench`: our way against the plain way, side by side in one run, in a database of its own that is dropped after.

mod api;
mod blob;
mod client;
mod edge;
mod expire;
mod import;
mod place;
mod project;
mod report;
mod seal;
mod search;
mod wall;
mod write;

use freehold_engine::{Engine, Operator, Store, StoreConfig, Tenant, Yardstick, apply};
use indicatif::ProgressBar;

use self::report::Report;
use crate::{
    cli::{Bench, BenchName},
    command::Site,
    config::Config,
    output::{self, Failure, STOPPED},
    stop::Stop,
};

/// The model every benchmark works on.
const MODEL: &str = include_str!("bench/model.toml");

/// That of benchmarks of writing and of read models.
const READ_MODEL: &str = include_str!("bench/read.toml");

/// That of sealing.
const SEAL_MODEL: &str = include_str!("bench/seal.toml");

/// The mode of the gate that every server allows.
const TICKET: &str = "ticket";

/// Everything a benchmark needs.
struct Ground<'a> {
    site: &'a Site,
    /// The operator's URL of the database made for this run.
    url: String,
    engine: Engine,
    operator: Operator,
    bar: ProgressBar,
    quick: bool,
}

pub(crate) async fn bench(config: &Config, bench: &Bench) -> Result<(), Failure> {
    // The state folder's own server, or the one that is named; either way a database nobody else uses.
    let site = Site::open(config).await?;
    let (mut report, server, mode) = in_a_database(config, bench, &site, false).await?;
    if bench.name == BenchName::Wall && mode != TICKET {
        let (tickets, ..) = in_a_database(config, bench, &site, true).await?;
        report.rows.extend(tickets.rows);
    }
    report.print(config.json, &server);
    Ok(())
}

/// The report, the server's version and the mode of the gate.
type Measured = (Report, String, &'static str);

async fn in_a_database(
    config: &Config,
    bench: &Bench,
    site: &Site,
    tickets: bool,
) -> Result<Measured, Failure> {
    let database = format!("freehold_bench_{}", std::process::id());
    let url = Yardstick::create_database(site.database.url(), &database).await?;
    // Whatever ends the run, the database goes: also a failure, and Ctrl-C.
    let stop = Stop::listen()?;
    let measured = tokio::select! {
        measured = measure(config, bench, site, url, tickets) => measured,
        () = stop.asked() => Err(Failure::Told(STOPPED)),
    };
    Yardstick::drop_database(site.database.url(), &database).await?;
    measured
}

async fn measure(
    config: &Config,
    bench: &Bench,
    site: &Site,
    url: String,
    tickets: bool,
) -> Result<Measured, Failure> {
    let mut operator = Operator::open(&url, "bench").await?;
    let mode = if tickets {
        Yardstick::choose_tickets(&mut operator, &site.root_key().await?).await?;
        TICKET
    } else {
        operator.set_up(&site.root_key().await?).await?.as_str()
    };
    let engine = Engine::open(
        Store::connect(StoreConfig::new(url.clone(), site.root_key().await?)).await?,
        config.base_dir(),
    )
    .await?;
    let model = match bench.name {
        BenchName::Write | BenchName::Project => READ_MODEL,
        BenchName::Seal => SEAL_MODEL,
        BenchName::Expire => expire::MODEL,
        _ => MODEL,
    };
    let proposal = apply::propose(&mut operator, model.into()).await?;
    apply::apply(&mut operator, &engine.store(), &config.base_dir(), &proposal, &[], &mut |_| {})
        .await?;
    engine.refresh().await?;
    let server = operator.check_server().await?.version;
    let bar = output::spinner("bench");
    let mut ground = Ground { site, url, engine, operator, bar, quick: bench.quick };
    let report = match bench.name {
        BenchName::Wall => wall::run(&mut ground, mode, &bench.partitions).await?,
        BenchName::Write => write::run(&mut ground).await?,
        BenchName::Project => {
            Box::pin(project::run(&mut ground, bench.tenants, bench.peer.as_deref())).await?
        }
        BenchName::Api => Box::pin(api::run(&mut ground, bench.peer.as_deref())).await?,
        BenchName::Edge => Box::pin(edge::run(&mut ground)).await?,
        BenchName::Blob => blob::run(&mut ground, config).await?,
        BenchName::Seal => seal::run(&mut ground).await?,
        BenchName::Expire => expire::run(&mut ground, config).await?,
        BenchName::Place => {
            Box::pin(place::run(&mut ground, config, &bench.partitions, bench.small)).await?
        }
        BenchName::Search => search::run(&mut ground, &bench.search).await?,
        BenchName::Import => {
            import::run(&mut ground, bench.rows.as_deref(), bench.vectors.as_deref()).await?
        }
    };
    ground.bar.finish_and_clear();
    Ok((report, server, mode))
}

impl Ground<'_> {
    /// Rounds of a measurement: the more, the narrower the spread.
    fn rounds(&self) -> usize {
        if self.quick { 7 } else { 25 }
    }
}

/// A new tenant.
async fn tenant(ground: &mut Ground<'_>, name: &str) -> Result<Tenant, Failure> {
    ground.operator.create_tenant(name).await?;
    Ok(ground.engine.tenant(name).await?)
}
