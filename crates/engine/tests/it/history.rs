//! A history of many clients, and whether what they saw is what the levels promise, while Redis is killed, paused and emptied
//! and servers die in the middle of what they do.
//!
//! One row holds a number that only grows. Its writers note when each number was acknowledged; a reader notes which number had
//! been acknowledged before it asked. `strong` shows no less than that, a session no less than what it wrote and read before,
//! and `bounded` no less than what had been acknowledged so long before it asked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_engine::{
    Engine, Tenant,
    cache::{CacheConfig, Consistency, Shared, SharedConfig, Status, Wanted},
    read::{After, Manner, Read},
    write::Verb,
};
use freehold_testkit::OwnRedis;
use serde_json::json;

use crate::ground::{Ground, ground, operation};

const MODEL: &str = r#"
[model]
name = "history"

[entity.counter.field]
name = { type = "text", unique = true }
n = { type = "bigint", default = 0 }
"#;

const AGE: Duration = Duration::from_millis(300);

/// What was acknowledged, and when.
#[derive(Default)]
struct Log(Mutex<Vec<(Instant, u64)>>);

impl Log {
    fn acknowledge(&self, n: u64) {
        self.0.lock().unwrap().push((Instant::now(), n));
    }

    /// The greatest number that had been acknowledged by then.
    fn by(&self, then: Instant) -> u64 {
        let log = self.0.lock().unwrap();
        log.iter().rev().filter(|(at, _)| *at <= then).map(|(_, n)| *n).max().unwrap_or(0)
    }
}

struct World {
    ground: Ground,
    redis: tokio::sync::Mutex<OwnRedis>,
    url: String,
    log: Log,
    stop: AtomicBool,
    reads: AtomicU64,
    hits: AtomicU64,
    shared: AtomicU64,
}

impl World {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// A server process of its own, with a connection to Redis of its own.
    async fn server(&self) -> Engine {
        let mut config = SharedConfig::new(self.url.clone());
        config.lease = Duration::from_millis(200);
        let shared = Shared::new(&config).unwrap();
        let config = CacheConfig { verify_one_in: 7, ..CacheConfig::default() };
        self.ground.another().await.keeping(config, Some(shared))
    }

    async fn read(&self, engine: &Engine, wanted: Wanted<'_>) -> (u64, Option<String>) {
        let read = Read { entity: "counter", query: "select=n&name=eq.x", count: false };
        let tenant: &Tenant = &self.ground.a;
        let found = engine.read_kept(tenant, read, &Manner::default(), wanted, &()).await.unwrap();
        self.reads.fetch_add(1, Ordering::Relaxed);
        match found.status {
            Status::Hit | Status::Collapsed => &self.hits,
            Status::Shared => &self.shared,
            _ => return (number(&found.entry.answer.body), found.token),
        }
        .fetch_add(1, Ordering::Relaxed);
        (number(&found.entry.answer.body), found.token)
    }

    /// Does something to Redis.
    async fn disturb(&self, turn: u32) {
        let mut redis = self.redis.lock().await;
        match turn % 4 {
            0 => redis.flush().await,
            1 => redis.pause().await,
            2 => redis.resume(),
            _ => {
                redis.kill().await;
                redis.restart().await;
            }
        }
    }

    /// Writes what is greater than all before.
    async fn write(&self, engine: &Engine, n: u64) -> Option<String> {
        let verb = Verb::Update(json!({ "n": n }));
        let operation = operation(&format!("counter?name=eq.x&n=lt.{n}"), verb);
        let written = engine.write(&self.ground.a, operation).await.unwrap();
        self.log.acknowledge(n);
        written.token
    }
}

fn number(body: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(body).unwrap()[0]["n"].as_u64().unwrap()
}

async fn reader(world: Arc<World>, consistency: Consistency) {
    let mut engine = world.server().await;
    let mut turns = 0_u32;
    while world.goes_on() {
        let asked = Instant::now();
        let age = match consistency {
            Consistency::Bounded(age) => age,
            _ => Duration::ZERO,
        };
        let least = world.log.by(asked - age);
        let (seen, _) = world.read(&engine, Wanted { consistency, after: None }).await;
        assert!(seen >= least, "{consistency:?} showed {seen}, but {least} had been acknowledged");
        turns += 1;
        // The server dies and another takes its place, with nothing in its memory.
        if turns.is_multiple_of(97) {
            engine = world.server().await;
        }
    }
}

/// A session that goes from one server to the other with each request.
async fn session(world: Arc<World>, servers: [Engine; 2], next: Arc<AtomicU64>) {
    let (mut seen, mut token): (u64, Option<String>) = (0, None);
    let mut turn = 0_usize;
    while world.goes_on() {
        turn += 1;
        let engine = &servers[turn % 2];
        if turn.is_multiple_of(9) {
            let n = next.fetch_add(1, Ordering::Relaxed);
            // Where a greater number is there already, nothing is written and there is nothing new to see.
            if let Some(new) = world.write(engine, n).await {
                (seen, token) = (seen.max(n), Some(new));
            }
            continue;
        }
        let patience = Duration::from_secs(30);
        let after = token.as_deref().map(|token| After { token, patience });
        let wanted = Wanted { consistency: Consistency::Session, after };
        let (n, new) = world.read(engine, wanted).await;
        assert!(n >= seen, "a session saw {seen}, and then {n}");
        (seen, token) = (n, new.or(token));
    }
}

async fn superuser(world: Arc<World>, next: Arc<AtomicU64>) {
    let client = world.ground.db.client().await;
    while world.goes_on() {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let text = format!("update app.counter set n = {n} where n < {n}");
        client.batch_execute(&text).await.unwrap();
        world.log.acknowledge(n);
        // Plays: somebody who writes now and then.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A transaction elsewhere that stays open, so that snapshots have something running in them.
async fn dawdler(world: Arc<World>) {
    let client = world.ground.db.client().await;
    let id = world.ground.b.id();
    while world.goes_on() {
        let text = format!(
            "begin; insert into app.counter (tenant_id, name) values ('{id}', gen_random_uuid()::text); select pg_sleep(0.2); commit"
        );
        client.batch_execute(&text).await.unwrap();
    }
}

/// For how long; `FREEHOLD_HISTORY_SECONDS` makes it longer.
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not of the product")]
fn seconds() -> u64 {
    std::env::var("FREEHOLD_HISTORY_SECONDS").map_or(8, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_seen_is_what_the_levels_promise() {
    let seconds = seconds();
    let redis = OwnRedis::start().await;
    let ground = ground(MODEL).await;
    ground.insert(&ground.a, "counter", json!([{ "name": "x" }])).await;
    let url = redis.url();
    let world = Arc::new(World {
        ground,
        redis: tokio::sync::Mutex::new(redis),
        url,
        log: Log::default(),
        stop: AtomicBool::new(false),
        reads: AtomicU64::new(0),
        hits: AtomicU64::new(0),
        shared: AtomicU64::new(0),
    });
    let next = Arc::new(AtomicU64::new(1));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..2 {
        clients.spawn(reader(Arc::clone(&world), Consistency::Strong));
        clients.spawn(reader(Arc::clone(&world), Consistency::Session));
        clients.spawn(reader(Arc::clone(&world), Consistency::Bounded(AGE)));
    }
    let servers = [world.server().await, world.server().await];
    for _ in 0..2 {
        clients.spawn(session(Arc::clone(&world), servers.clone(), Arc::clone(&next)));
    }
    clients.spawn(superuser(Arc::clone(&world), Arc::clone(&next)));
    clients.spawn(dawdler(Arc::clone(&world)));
    let until = Instant::now() + Duration::from_secs(seconds);
    // A slow machine is given the time it takes for something to happen.
    let late = until + Duration::from_secs(100);
    let mut turn = 0;
    let is_enough = |turn: u32| {
        turn > 4
            && world.reads.load(Ordering::Relaxed) > 100
            && world.hits.load(Ordering::Relaxed) > 10
            && next.load(Ordering::Relaxed) > 20
    };
    while Instant::now() < until || !is_enough(turn) && Instant::now() < late {
        // None ends before it is told to, unless it saw what it may not.
        if let Some(ended) = clients.try_join_next() {
            ended.unwrap();
        }
        // Plays: time in which nothing else happens to Redis.
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.disturb(turn).await;
        turn += 1;
    }
    world.stop.store(true, Ordering::Relaxed);
    world.redis.lock().await.resume();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let (reads, hits) = (world.reads.load(Ordering::Relaxed), world.hits.load(Ordering::Relaxed));
    let shared = world.shared.load(Ordering::Relaxed);
    let writes = next.load(Ordering::Relaxed);
    println!(
        "{reads} reads, {hits} hits, {shared} from Redis, {writes} writes, {turn} disturbances"
    );
    assert!(reads > 100 && hits > 10 && writes > 20, "{reads} reads, {hits} hits, {writes} writes");
    for server in &servers {
        for (_, relation, tally) in server.cache().unwrap().tallies() {
            assert_eq!(tally.wrong, 0, "{relation}: {tally:?}");
        }
    }
}
