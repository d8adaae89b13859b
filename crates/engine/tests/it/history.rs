//! A history of many clients, and whether what they saw is what the levels promise, while Redis is killed, paused and emptied
//! and servers die in the middle of what they do.
//!
//! Each row holds a number that only grows. Its writers note when each number was acknowledged; a reader notes which number had
//! been acknowledged before it asked. `strong` shows no less than that, a session no less than what it wrote and read before,
//! and `bounded` no less than what had been acknowledged so long before it asked. Rows are asked for and written by id, by name
//! and many at once.
//!
//! `FREEHOLD_HISTORY_SECONDS` makes it longer, `FREEHOLD_HISTORY_SEED` makes its choices those of an earlier run; when each
//! happens is up to the machine.

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
use freehold_testkit::{Chance, OwnRedis, seed, switch};
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

/// Rows whose numbers are looked at.
const ROWS: usize = 3;

/// Rows beside them, so that a statement on all is one on many.
const BESIDE: usize = 20;

/// What was acknowledged of a row, and when.
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

fn id(row: usize) -> String {
    format!("00000000-0000-4000-8000-{row:012x}")
}

struct World {
    ground: Ground,
    redis: tokio::sync::Mutex<OwnRedis>,
    url: String,
    logs: [Log; ROWS],
    seed: u64,
    stop: AtomicBool,
    reads: AtomicU64,
    hits: AtomicU64,
    shared: AtomicU64,
}

impl World {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn chance(&self, of: u64) -> Chance {
        Chance::new(self.seed ^ of << 32)
    }

    /// A server process of its own, with a connection to Redis of its own.
    async fn server(&self) -> Engine {
        let mut config = SharedConfig::new(self.url.clone());
        config.lease = Duration::from_millis(200);
        let shared = Shared::new(&config).unwrap();
        let config = CacheConfig { verify_one_in: 7, ..CacheConfig::default() };
        self.ground.another().await.keeping(config, Some(shared))
    }

    /// The number of a row, asked for in one of several ways.
    async fn read(
        &self,
        engine: &Engine,
        row: usize,
        way: usize,
        wanted: Wanted<'_>,
    ) -> (u64, Option<String>) {
        let (id, other) = (id(row), id((row + 1) % ROWS));
        let query = match way {
            0 => format!("select=n&name=eq.x{row}"),
            1 => format!("select=name,n&id=in.({id},{other})"),
            _ => format!("select=n&id=eq.{id}"),
        };
        let read = Read { entity: "counter", query: &query, count: false };
        let tenant: &Tenant = &self.ground.a;
        let found = engine.read_kept(tenant, read, &Manner::default(), wanted, &()).await.unwrap();
        self.reads.fetch_add(1, Ordering::Relaxed);
        let count = match found.status {
            Status::Hit | Status::Collapsed => Some(&self.hits),
            Status::Shared => Some(&self.shared),
            _ => None,
        };
        count.inspect(|count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        (number(&found.entry.answer.body, row), found.token)
    }

    /// Does something to Redis.
    async fn disturb(&self, what: usize) {
        let mut redis = self.redis.lock().await;
        match what {
            0 => {
                redis.resume();
                redis.flush().await;
            }
            1 => redis.pause().await,
            2 => redis.resume(),
            _ => {
                redis.kill().await;
                redis.restart().await;
            }
        }
    }

    /// Writes what is greater than all before. Nothing is written where a greater number is there already, or where the row was just
    /// removed to be made again.
    async fn write(&self, engine: &Engine, row: usize, way: usize, n: u64) -> Option<String> {
        let verb = Verb::Update(json!({ "n": n }));
        let which = if way == 0 { format!("name=eq.x{row}") } else { format!("id=eq.{}", id(row)) };
        let operation = operation(&format!("counter?{which}&n=lt.{n}"), verb);
        let written = engine.write(&self.ground.a, operation).await.unwrap();
        if written.rows == 0 {
            return None;
        }
        self.logs[row].acknowledge(n);
        written.token
    }
}

fn number(body: &str, row: usize) -> u64 {
    let rows: serde_json::Value = serde_json::from_str(body).unwrap();
    let rows = rows.as_array().unwrap();
    let name = format!("x{row}");
    let row = rows.iter().find(|row| row.get("name").is_none_or(|found| found == &*name));
    row.unwrap_or_else(|| panic!("{name} is not there: {body}"))["n"].as_u64().unwrap()
}

async fn reader(world: Arc<World>, consistency: Consistency, mut chance: Chance) {
    let mut engine = world.server().await;
    while world.goes_on() {
        let (row, way) = (chance.index(ROWS), chance.index(4));
        let asked = Instant::now();
        let age = match consistency {
            Consistency::Bounded(age) => age,
            _ => Duration::ZERO,
        };
        let least = world.logs[row].by(asked - age);
        let wanted = Wanted { consistency, after: None };
        let (seen, _) = world.read(&engine, row, way, wanted).await;
        assert!(
            seen >= least,
            "{consistency:?} showed {seen} of row {row} in way {way}, but {least} had been acknowledged"
        );
        // The server dies and another takes its place, with nothing in its memory.
        if chance.below(100) == 0 {
            engine = world.server().await;
        }
    }
}

/// A session that goes from one server to the other as it likes.
async fn session(
    world: Arc<World>,
    servers: [Engine; 2],
    next: Arc<AtomicU64>,
    mut chance: Chance,
) {
    let (mut seen, mut token): ([u64; ROWS], Option<String>) = ([0; ROWS], None);
    while world.goes_on() {
        let (row, way) = (chance.index(ROWS), chance.index(4));
        let engine = &servers[chance.index(2)];
        if chance.below(9) == 0 {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if let Some(new) = world.write(engine, row, way, n).await {
                seen[row] = seen[row].max(n);
                token = Some(new);
            }
            continue;
        }
        let patience = Duration::from_secs(30);
        let after = token.as_deref().map(|token| After { token, patience });
        let wanted = Wanted { consistency: Consistency::Session, after };
        let (n, new) = world.read(engine, row, way, wanted).await;
        assert!(n >= seen[row], "a session saw {} of row {row}, and then {n}", seen[row]);
        seen[row] = n;
        token = new.or(token);
    }
}

/// Writes past all servers: all rows, the rows that are looked at, one of them, or removes one and makes it again.
async fn superuser(world: Arc<World>, next: Arc<AtomicU64>, mut chance: Chance) {
    let client = world.ground.db.client().await;
    let tenant = world.ground.a.id();
    while world.goes_on() {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let row = chance.index(ROWS);
        let set =
            format!("update app.counter set n = {n} where n < {n} and tenant_id = '{tenant}'");
        let (text, rows) = match chance.index(4) {
            0 => (set, 0..ROWS),
            1 => (format!("{set} and name like 'x%'"), 0..ROWS),
            2 => (format!("{set} and id = '{}'", id(row)), row..row + 1),
            _ => (
                format!(
                    "begin; select from app.counter where id = '{id}' for update;
                     create temp table gone on commit drop as select * from app.counter where id = '{id}';
                     delete from app.counter where id = '{id}';
                     update gone set n = greatest(n, {n}); insert into app.counter select * from gone; commit",
                    id = id(row)
                ),
                row..row + 1,
            ),
        };
        client.batch_execute(&text).await.unwrap();
        for row in rows {
            world.logs[row].acknowledge(n);
        }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_seen_is_what_the_levels_promise() {
    let seconds = switch("FREEHOLD_HISTORY_SECONDS").unwrap_or(8);
    let seed = seed("FREEHOLD_HISTORY_SEED");
    // Told where a test fails.
    println!("FREEHOLD_HISTORY_SEED={seed}");
    history(Duration::from_secs(seconds), seed).await;
}

async fn world(seed: u64) -> Arc<World> {
    let redis = OwnRedis::start().await;
    let ground = ground(MODEL).await;
    let looked_at = (0..ROWS).map(|row| json!({ "id": id(row), "name": format!("x{row}") }));
    let beside = (0..BESIDE).map(|row| json!({ "id": id(ROWS + row), "name": format!("y{row}") }));
    let rows: Vec<_> = looked_at.chain(beside).collect();
    ground.insert(&ground.a, "counter", json!(rows)).await;
    let url = redis.url();
    Arc::new(World {
        ground,
        redis: tokio::sync::Mutex::new(redis),
        url,
        logs: Default::default(),
        seed,
        stop: AtomicBool::new(false),
        reads: AtomicU64::new(0),
        hits: AtomicU64::new(0),
        shared: AtomicU64::new(0),
    })
}

#[expect(clippy::print_stdout, reason = "what a run came to is told")]
async fn history(time: Duration, seed: u64) {
    let world = world(seed).await;
    let next = Arc::new(AtomicU64::new(1));
    let mut clients = tokio::task::JoinSet::new();
    let levels = [Consistency::Strong, Consistency::Session, Consistency::Bounded(AGE)];
    for (n, level) in (1..).zip(levels.into_iter().cycle().take(6)) {
        clients.spawn(reader(Arc::clone(&world), level, world.chance(n)));
    }
    let servers = [world.server().await, world.server().await];
    for n in 7..9 {
        let chance = world.chance(n);
        clients.spawn(session(Arc::clone(&world), servers.clone(), Arc::clone(&next), chance));
    }
    clients.spawn(superuser(Arc::clone(&world), Arc::clone(&next), world.chance(9)));
    clients.spawn(dawdler(Arc::clone(&world)));
    let until = Instant::now() + time;
    // A slow machine is given the time it takes for something to happen.
    let late = until + Duration::from_secs(100);
    let (mut turns, mut chance) = (0, world.chance(10));
    let is_enough = |turns: u32| {
        turns > 4
            && world.reads.load(Ordering::Relaxed) > 100
            && world.hits.load(Ordering::Relaxed) > 10
            && next.load(Ordering::Relaxed) > 20
    };
    while Instant::now() < until || !is_enough(turns) && Instant::now() < late {
        // None ends before it is told to, unless it saw what it may not.
        if let Some(ended) = clients.try_join_next() {
            ended.unwrap();
        }
        // Plays: time in which nothing else happens to Redis.
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.disturb(chance.index(4)).await;
        turns += 1;
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
        "seed {seed}: {reads} reads, {hits} hits, {shared} from Redis, {writes} writes, {turns} disturbances"
    );
    assert!(reads > 100 && hits > 10 && writes > 20, "{reads} reads, {hits} hits, {writes} writes");
    for server in &servers {
        for (_, relation, tally) in server.cache().unwrap().tallies() {
            assert_eq!(tally.wrong, 0, "{relation}: {tally:?}");
        }
    }
}
