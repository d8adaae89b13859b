//! Random writes of eight clients, transactions that stay open, workers that are killed, backends that are ended, a server
//! that crashes, read models that are rebuilt and defined anew meanwhile: at the end every read model is what its SQL says,
//! for every tenant, and nothing is parked.
//!
//! `FREEHOLD_CHAOS_SECONDS` makes it longer, `FREEHOLD_CHAOS_SEED` makes its choices those of an earlier run.

mod builder;
mod house;
mod linger;
mod writer;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_testkit::{Chance, seed, switch};
use serde_json::Value;
use tokio::task::JoinSet;

use builder::Builder;
use house::{House, READS, TENANTS, Workers};

const CLIENTS: u64 = 8;
const WORKERS: usize = 3;

/// How long workers may take to follow everything once the writers have stopped.
const DRAIN: Duration = Duration::from_secs(180);

/// What happened.
#[derive(Debug, Default)]
struct Counts {
    seed: u64,
    transactions: u64,
    refused: u64,
    cut_off: u64,
    workers_killed: u64,
    workers_gone: u64,
    server_crashes: u64,
    backends_ended: u64,
    kept_open: u64,
    rebuilds: u64,
    applies: u64,
    builds_cut_off: u64,
    checks: u64,
}

type Tally = Arc<Mutex<Counts>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn read_models_are_right_whatever_dies() {
    let seconds = switch("FREEHOLD_CHAOS_SECONDS").unwrap_or(20);
    let seed = seed("FREEHOLD_CHAOS_SEED");
    let run = tokio::spawn(chaos(Duration::from_secs(seconds), seed)).await;
    run.unwrap_or_else(|failed| panic!("with FREEHOLD_CHAOS_SEED={seed}: {failed}"));
}

async fn chaos(time: Duration, seed: u64) {
    let mut house = House::new().await;
    let mut workers = Workers::start(&house, WORKERS);
    let tally = Arc::new(Mutex::new(Counts { seed, ..Counts::default() }));
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for client in 0..CLIENTS {
        let chance = Chance::new(seed ^ (client + 1) << 32);
        let (over, tally, url) = (Arc::clone(&over), Arc::clone(&tally), house.url());
        writers.spawn(writer::write(url, house::root_key, chance, over, tally));
    }
    let chance = Chance::new(seed ^ 0xb5);
    writers.spawn(linger::linger(house.url(), chance, Arc::clone(&over), Arc::clone(&tally)));
    let mut builder = Builder::new(Chance::new(seed ^ 0xb1d));
    trouble(&mut house, (&mut workers, &mut builder), &tally, Chance::new(!seed), time).await;
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    say(&tally, "the writers have stopped");
    builder.finish(&house, &tally).await;
    drain(&house, &mut workers).await;
    for read in READS {
        house.fine(&["check", "read", read]);
    }
    let rows = house.rows().await;
    assert!(rows > 50, "only {rows} rows are left to compare");
    let counts = tally.lock().unwrap();
    assert!(counts.transactions > 100 && counts.server_crashes > 0, "{counts:?}");
    drop(counts);
    say(&tally, &format!("all read models are right, over {rows} rows"));
}

/// Kills workers, ends backends, crashes the server, has read models built, and now and then looks, with everybody at
/// work, whether all is well.
async fn trouble(
    house: &mut House,
    (workers, builder): (&mut Workers, &mut Builder),
    tally: &Tally,
    mut chance: Chance,
    time: Duration,
) {
    let until = Instant::now() + time;
    // Several times in a short run, every minute or two in a long one.
    let pause = |chance: &mut Chance| {
        let share = u64::try_from(time.as_millis() / 4).unwrap().clamp(2000, 90_000);
        Instant::now() + chance.between(share / 2, share)
    };
    let mut crash = pause(&mut chance);
    let mut told = Instant::now();
    while Instant::now() < until {
        // Plays: whoever kills processes has something else to do, too.
        tokio::time::sleep(chance.between(500, 5000)).await;
        let gone = workers.kill_one(house, chance.below(WORKERS as u64));
        {
            let mut counts = tally.lock().unwrap();
            counts.workers_killed += u64::from(!gone);
            counts.workers_gone += u64::from(gone);
        }
        if chance.below(3) > 0 {
            let ended = house.end_a_backend().await;
            tally.lock().unwrap().backends_ended += u64::from(ended);
        }
        builder.go_on(house, tally);
        if Instant::now() > crash {
            house.crash().await;
            tally.lock().unwrap().server_crashes += 1;
            crash = pause(&mut chance);
        }
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            tally.lock().unwrap().checks += 1;
            say(tally, &house.lag());
        }
    }
}

/// Waits until workers have followed everything; what dies by itself meanwhile is started again.
async fn drain(house: &House, workers: &mut Workers) {
    let begun = Instant::now();
    loop {
        workers.start_again(house);
        let status = house.status();
        let reads = status["read_models"].as_array().unwrap();
        let followed = |read: &Value| {
            read["changes_behind"] == 0 && read["filled"] == TENANTS.len() && read["parked"] == 0
        };
        if reads.len() == READS.len() && reads.iter().all(followed) {
            assert_eq!(status["parked"].as_array().unwrap().len(), 0, "{status}");
            return;
        }
        assert!(begun.elapsed() < DRAIN, "workers do not come to an end: {status}");
        // Polls: workers do not announce that nothing is left.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[allow(clippy::print_stderr, reason = "the output of tests is the terminal")]
fn say(tally: &Tally, what: &str) {
    let counts = tally.lock().unwrap();
    eprintln!("chaos, seed {}: {what}; {counts:?}", counts.seed);
}
