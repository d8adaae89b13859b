//! A spike: many clients read few of many rows, while others read all of them and some write.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_engine::{
    Engine, Store, StoreConfig, Yardstick,
    cache::{Cache, CacheConfig},
    write::{Operation, Verb},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    super::{
        Ground,
        client::Client,
        report::{Goal, Row, quantile},
    },
    Two,
    load::joined,
};
use crate::output::Failure;

const CONNECTIONS: usize = 64;
/// Reads of all rows, and writes, per second.
const READS: u32 = 200;
const WRITES: u32 = 50;

/// How answers may be found; none where nothing is kept.
type Level = Option<&'static str>;

const ONE: Level = Some("consistency: bounded; max-age=1\r\n");
const TEN: Level = Some("consistency: bounded; max-age=10\r\n");

/// What is read, how, and one in how many rows. The first is what the others are compared with.
const CASES: [(&str, Level, usize); 6] = [
    ("1 % of the rows, without cache", None, 100),
    ("1 % of the rows, bounded; max-age=1", ONE, 100),
    ("1 % of the rows, bounded; max-age=10", TEN, 100),
    ("1 % of the rows, default", Some(""), 100),
    ("0.1 % of the rows, bounded; max-age=1", ONE, 1_000),
    ("0.1 % of the rows, default", Some(""), 1_000),
];

/// Of one run: what the spike came to, what was done `beside` it, and all that PostgreSQL counted.
#[derive(Default)]
struct Spike {
    rate: f64,
    tail: f64,
    reads: f64,
    hits: f64,
    beside: f64,
    transactions: f64,
}

pub(super) async fn run(ground: &Ground<'_>, two: &Two) -> Result<Vec<Row>, Failure> {
    let rounds = if ground.quick { 1 } else { 3 };
    let mut runs: [Vec<Spike>; CASES.len()] = Default::default();
    for round in 1..=rounds {
        for (at, (name, level, one_in)) in CASES.into_iter().enumerate() {
            ground.bar.set_message(format!("spike on {name}: round {round} of {rounds}"));
            runs[at].push(Box::pin(spike(ground, two, level, one_in)).await?);
        }
    }
    let each = runs[0].iter().map(Spike::each).sum::<f64>() / runs[0].len() as f64;
    let mut rows = Vec::new();
    for ((name, level, _), runs) in CASES.into_iter().zip(&runs) {
        let goal = if name.contains("bounded") { Goal::Within(1.0) } else { Goal::Open };
        let row = |what: &str, of: &dyn Fn(&Spike) -> f64, unit, goal| Row {
            case: format!("spike on {name}: {what}"),
            ours: runs.iter().map(of).collect(),
            other: Vec::new(),
            unit,
            goal,
        };
        if level.is_some() {
            let of = |spike: &Spike| spike.reaching(each) * 100.0;
            rows.push(row("load at PostgreSQL, of that without cache", &of, "%", goal));
            rows.push(row("hits", &|spike| spike.hits / spike.reads * 100.0, "%", Goal::Open));
        }
        rows.push(row("reads", &|spike| spike.rate, "reads/s", Goal::Open));
        rows.push(row("99 of 100 within", &|spike| spike.tail, "ms", Goal::Open));
    }
    Ok(rows)
}

impl Spike {
    /// Transactions of one request, where nothing is kept: its own, and what tidies up after it.
    fn each(&self) -> f64 {
        self.transactions / (self.reads + self.beside)
    }

    /// The part of the spike that PostgreSQL worked for, where one request takes it so many transactions.
    fn reaching(&self, each: f64) -> f64 {
        (self.transactions / each - self.beside).max(0.0) / self.reads
    }
}

/// With an engine and connections of its own: a backend tells all it has counted when it ends.
async fn spike(
    ground: &Ground<'_>,
    two: &Two,
    level: Level,
    one_in: usize,
) -> Result<Spike, Failure> {
    let store = ground.engine.store();
    let mut yardstick = Yardstick::open(&ground.url, store, two.tenants[0].clone()).await?;
    let (before, others) = yardstick.activity().await?;
    let store = StoreConfig::new(ground.url.clone(), ground.site.root_key().await?);
    let engine = Engine::open(Store::connect(store).await?, ".".into()).await?;
    let engine = match level {
        Some(_) => engine.keeping(CacheConfig::default(), None),
        None => engine,
    };
    let server = super::server(engine.clone()).await?;
    let address = server.address()?;
    let time = Duration::from_secs(if ground.quick { 3 } else { 10 });
    let (told, written, read) = (tokio::sync::Notify::new(), AtomicU64::new(0), AtomicU64::new(0));
    let beside = async {
        tokio::select! {
            wrote = write(&engine, two, &written) => wrote,
            read = read_all(address, two, level, &read) => read,
            served = server.run(std::future::pending()) => Ok(served?),
            () = told.notified() => Ok(()),
        }
    };
    let reading = async {
        let seen = flat_out(address, two, level.unwrap_or_default(), one_in, time).await;
        told.notify_one();
        seen
    };
    let ((), (took, seconds)) = tokio::try_join!(beside, reading)?;
    let hits = engine.cache().map_or(0, hits);
    drop(engine);
    let deadline = Instant::now() + Duration::from_secs(20);
    let after = loop {
        let (transactions, there) = yardstick.activity().await?;
        if there <= others {
            break transactions;
        }
        if Instant::now() > deadline {
            return Err(Failure::Machine("connections stay open, so nothing was counted".into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let beside = written.into_inner() + read.into_inner();
    Ok(Spike {
        rate: took.len() as f64 / seconds,
        tail: quantile(&took, 0.99),
        reads: took.len() as f64,
        hits: hits as f64,
        beside: beside as f64,
        transactions: after.saturating_sub(before) as f64,
    })
}

fn hits(cache: &Cache) -> u64 {
    cache.tallies().iter().map(|(_, _, tally)| tally.hits + tally.collapsed).sum()
}

/// How long each read took in milliseconds, and all together in seconds.
async fn flat_out(
    address: SocketAddr,
    two: &Two,
    header: &'static str,
    one_in: usize,
    time: Duration,
) -> Result<(Vec<f64>, f64), Failure> {
    let mut requests = Vec::new();
    for (key, ids) in two.keys.iter().zip(&two.ids) {
        requests.extend(ids.iter().step_by(one_in).map(|id| point(key, header, id)));
    }
    let requests: Arc<[String]> = requests.into();
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..CONNECTIONS {
        let requests = requests.clone();
        running.spawn(async move {
            let mut client = Client::connect(address).await?;
            let (mut took, mut dice) = (Vec::new(), number as u64);
            while begun.elapsed() < time {
                // Knuth's; the upper bits are good enough.
                dice = dice
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let sent = Instant::now();
                client.send(&requests[(dice >> 33) as usize % requests.len()]).await?;
                took.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, Failure>(took)
        });
    }
    let took = joined(running).await?.concat();
    Ok((took, begun.elapsed().as_secs_f64()))
}

fn point(key: &str, header: &str, id: &str) -> String {
    super::request(key, header, &format!("select=id,label,amount&id=eq.{id}"))
}

async fn read_all(
    address: SocketAddr,
    two: &Two,
    level: Level,
    done: &AtomicU64,
) -> Result<(), Failure> {
    let mut clients = [Client::connect(address).await?, Client::connect(address).await?];
    let mut pace = tokio::time::interval(Duration::from_secs(1) / READS);
    for number in 0.. {
        pace.tick().await;
        let (tenant, ids) = (number % 2, &two.ids[number % 2]);
        let id = &ids[number * 7_919 % ids.len()];
        let request = point(&two.keys[tenant], level.unwrap_or_default(), id);
        clients[tenant].send(&request).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn write(engine: &Engine, two: &Two, done: &AtomicU64) -> Result<(), Failure> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / WRITES);
    for number in 0.. {
        pace.tick().await;
        let ids = &two.ids[number % 2];
        let operation = Operation {
            entity: "item".into(),
            verb: Verb::Update(json!({ "amount": number })),
            query: format!("id=eq.{}", ids[number * 104_729 % ids.len()]),
            returning: false,
        };
        engine.write(&two.tenants[number % 2], operation).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
