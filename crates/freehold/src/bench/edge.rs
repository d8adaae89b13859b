//! `bench edge`: answers that are kept, over HTTP, against a bare server of the same library that answers constant bytes, against
//! a plain Redis, and against reading each time; and what of a spike reaches PostgreSQL.

mod load;
mod plain;
mod spike;

use std::time::Duration;

use freehold_engine::{Engine, Role, Tenant, Yardstick, cache::CacheConfig};

use self::{
    load::{Wire, measure},
    plain::{Aside, Bare, Redis},
};
use super::{
    Ground,
    report::{Goal, Report, Row, quantile},
};
use crate::{config::server::ServerConfig, http::Server, output::Failure};

const CONNECTIONS: [usize; 3] = [1, 64, 512];
/// Rows of each of the two tenants.
const ROWS: u32 = 50_000;
/// Ten rows, a little more than one KiB.
const QUESTION: &str = "select=id,label,amount&order=id&limit=10";
/// An answer that nobody is asked about.
const BOUNDED: &str = "consistency: bounded; max-age=60\r\n";

/// Two tenants with rows of their own, and keys to read and write them.
struct Two {
    tenants: [Tenant; 2],
    keys: [String; 2],
    ids: [Vec<String>; 2],
}

pub(super) async fn run(ground: &mut Ground<'_>) -> Result<Report, Failure> {
    ground.bar.set_message("filling the tables");
    let two = two(ground).await?;
    let kept = ground.engine.clone().keeping(CacheConfig::default(), None);
    let with = server(kept).await?;
    let without = server(ground.engine.clone()).await?;
    let hit = request(&two.keys[0], BOUNDED, QUESTION);
    let body = plain::body(with.address()?, &hit, with.run(std::future::pending())).await?;
    let kept = ground.engine.clone().keeping(CacheConfig::default(), None);
    let with = server(kept).await?;
    let (bare, redis) = (Bare::bind(body.clone()).await?, Redis::start(&body).await?);
    let aside = match &redis {
        Some(redis) => Some(Aside::bind(redis.address()).await?),
        None => None,
    };
    let ways = Ways {
        bare: Wire::Http(bare.address()?, request(&two.keys[0], "", QUESTION)),
        bounded: Wire::Http(with.address()?, hit),
        default: Wire::Http(with.address()?, request(&two.keys[0], "", QUESTION)),
        uncached: Wire::Http(without.address()?, request(&two.keys[0], "", QUESTION)),
        redis: match (&redis, &aside) {
            (Some(redis), Some(aside)) => Some([
                Wire::Http(aside.address()?, request(&two.keys[0], "", QUESTION)),
                Wire::Redis(redis.address()),
            ]),
            _ => None,
        },
    };
    let serving = async {
        let (with, without) =
            (with.run(std::future::pending()), without.run(std::future::pending()));
        let aside = async {
            match aside {
                Some(aside) => aside.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::try_join!(with, without, bare.run(), aside).map(drop)
    };
    let mut rows = tokio::select! {
        measured = all(ground, &ways) => measured?,
        served = serving => return Err(served.err().map_or_else(|| Failure::Machine("a server stopped".into()), Into::into)),
    };
    rows.extend(spike::run(ground, &two).await?);
    let redis = if redis.is_some() {
        ""
    } else {
        ". There is no redis-server on the PATH, so Redis is left out"
    };
    Ok(Report {
        bench: "edge",
        about: format!(
            "one answer of 10 rows, {} bytes, over kept-alive HTTP/1.1: bounded hits ask nobody, default ones compare stamps. \
             Bare: a server of the same library with the same bytes and nothing else. A server that reads Redis: the same \
             with a GET for each request, on a connection of its own, and without a time to live. Redis without HTTP: that GET \
             alone. Spike: 64 connections read 1 % or 0.1 % of 100,000 rows by id, beside 200 reads/s of all \
             of them and 50 writes/s to them; load at PostgreSQL: the transactions that it counted, less those of the writes \
             and the 200 reads/s, of as many as it counts for the same reads without cache. Servers, clients and PostgreSQL share this machine{redis}",
            body.len()
        ),
        rows,
    })
}

async fn two(ground: &mut Ground<'_>) -> Result<Two, Failure> {
    let tenants = [super::tenant(ground, "acme").await?, super::tenant(ground, "other").await?];
    let mut keys = [String::new(), String::new()];
    let mut ids = [Vec::new(), Vec::new()];
    for (at, tenant) in tenants.iter().enumerate() {
        let key = ground.operator.create_key(tenant.name(), "bench", Role::Writer, Some(86_400));
        keys[at] = key.await?.secret;
        let mut yardstick =
            Yardstick::open(&ground.url, ground.engine.store(), tenant.clone()).await?;
        if at == 0 {
            yardstick.fill(ROWS).await?;
        }
        ids[at] = yardstick.ids(ROWS).await?;
    }
    Ok(Two { tenants, keys, ids })
}

/// A server of this engine where hundreds of one tenant's requests may wait.
async fn server(engine: Engine) -> Result<Server, Failure> {
    let mut config = ServerConfig::default();
    config.tenants.waiting = 10_000;
    config.limits.wait_seconds = 60;
    Ok(Server::of("127.0.0.1:0", engine, config).await?)
}

fn request(key: &str, header: &str, query: &str) -> String {
    format!("GET /rest/v1/item?{query} HTTP/1.1\r\nhost: bench\r\napikey: {key}\r\n{header}\r\n")
}

struct Ways {
    bare: Wire,
    bounded: Wire,
    default: Wire,
    uncached: Wire,
    /// Through a server, and without one.
    redis: Option<[Wire; 2]>,
}

/// Answers per second, and the time within which 99 of 100 came, of each round.
#[derive(Default)]
struct Samples {
    rates: Vec<f64>,
    tails: Vec<f64>,
}

async fn all(ground: &Ground<'_>, ways: &Ways) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        rows.extend(side_by_side(ground, ways, connections).await?);
    }
    Ok(rows)
}

async fn side_by_side(
    ground: &Ground<'_>,
    ways: &Ways,
    connections: usize,
) -> Result<Vec<Row>, Failure> {
    let (rounds, time) = if ground.quick { (3, 400) } else { (11, 1_000) };
    let time = Duration::from_millis(time);
    let wires = [&ways.bare, &ways.bounded, &ways.default, &ways.uncached];
    let wires: Vec<&Wire> = wires.into_iter().chain(ways.redis.iter().flatten()).collect();
    let mut samples: [Samples; 6] = Default::default();
    // The first round warms up.
    for round in 0..=rounds {
        ground.bar.set_message(format!("{connections} connections: round {round} of {rounds}"));
        for turn in 0..wires.len() {
            let at = (turn + round) % wires.len();
            let seen = measure(wires[at], connections, time).await?;
            if round > 0 {
                samples[at].rates.push(seen.rate);
                samples[at].tails.push(quantile(&seen.took, 0.99));
            }
        }
    }
    Ok(rows(connections, &samples))
}

fn rows(
    connections: usize,
    [bare, bounded, default, uncached, aside, redis]: &[Samples; 6],
) -> Vec<Row> {
    let at = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
    let rate = |case: &str, ours: &Samples, other: &Samples, goal| Row {
        case: format!("{at}: {case}"),
        ours: ours.rates.clone(),
        other: other.rates.clone(),
        unit: "answers/s",
        goal,
    };
    let tail = |case: &str, ours: &Samples| Row {
        case: format!("{at}: {case}, 99 of 100 within; bare"),
        ours: ours.tails.clone(),
        other: bare.tails.clone(),
        unit: "ms",
        goal: Goal::Open,
    };
    let mut rows = vec![
        rate("bounded hits, bare", bounded, bare, Goal::AtLeast(0.7)),
        rate("default hits, bare", default, bare, Goal::Open),
        rate("bounded hits, without cache", bounded, uncached, Goal::Open),
        rate("default hits, without cache", default, uncached, Goal::Open),
        tail("bounded hits", bounded),
        tail("default hits", default),
    ];
    if !redis.rates.is_empty() {
        rows.extend([
            rate("bounded hits, a server that reads Redis", bounded, aside, Goal::AtLeast(1.0)),
            rate("default hits, a server that reads Redis", default, aside, Goal::Open),
            rate("bounded hits, Redis without HTTP", bounded, redis, Goal::Open),
        ]);
    }
    rows
}
