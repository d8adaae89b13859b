//! One makes an answer, the others get it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use freehold_engine::cache::{Lease, Winner};
use tokio::task::JoinSet;

use super::*;

const TASKS: usize = 50;

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

async fn won(shared: &Shared) -> Winner {
    match shared.lease(&NAME).await {
        Lease::Won(winner) => winner,
        Lease::Lost(_) => panic!("somebody has the lease"),
    }
}

fn lost(servers: &[Shared; 2]) -> usize {
    let [one, other] = servers;
    usize::try_from(one.state().leases_lost + other.state().leases_lost).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_on_two_servers_one_makes_the_answer_and_all_have_it() {
    let redis = OwnRedis::start().await;
    let mut config = config(&redis);
    config.lease = PATIENCE;
    let servers = [open(&config).await, open(&config).await];
    // What is there already is of an old stamp: losers must not be content with it.
    store(&servers[0], &NAME, b"old").await;
    let winners = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let (shared, all, winners) =
            (servers[number % 2].clone(), servers.clone(), winners.clone());
        tasks.spawn(async move {
            match shared.lease(&NAME).await {
                Lease::Won(winner) => {
                    winners.fetch_add(1, Ordering::SeqCst);
                    let late = deadline();
                    while lost(&all) < TASKS - 1 {
                        assert!(tokio::time::Instant::now() < late, "all others have lost");
                        tokio::task::yield_now().await;
                    }
                    shared.put(&NAME, Bytes::from_static(b"new"));
                    drop(winner);
                    Bytes::from_static(b"new")
                }
                Lease::Lost(loser) => loser.wait(deadline()).await.expect("it comes"),
            }
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.len() == TASKS && answers.iter().all(|answer| answer == &b"new"[..]));
    assert_eq!(winners.load(Ordering::SeqCst), 1);
    let won: u64 = servers.iter().map(|shared| shared.state().leases_won).sum();
    assert_eq!(won, 1);
    drop(self::won(&servers[1]).await);
}

#[tokio::test]
async fn the_lease_of_one_that_dies_runs_out() {
    let redis = OwnRedis::start().await;
    let mut brief = config(&redis);
    brief.lease = Duration::from_millis(500);
    let (dying, other) = (open(&brief).await, open(&config(&redis)).await);
    std::mem::forget(won(&dying).await);
    // It may have run out before we came, on a slow machine.
    if let Lease::Lost(loser) = other.lease(&NAME).await {
        assert_eq!(loser.wait(deadline()).await, None, "there is no answer");
        drop(won(&other).await);
    }
}

#[tokio::test]
async fn one_that_is_late_does_not_give_back_what_is_anothers() {
    let redis = OwnRedis::start().await;
    let (mut brief, mut long) = (config(&redis), config(&redis));
    (brief.lease, long.lease) = (Duration::from_millis(1), PATIENCE);
    let (late, other) = (open(&brief).await, open(&long).await);
    let first = won(&late).await;
    let mut second = None;
    until("it runs out", async || match other.lease(&NAME).await {
        Lease::Won(winner) => {
            second = Some(winner);
            true
        }
        Lease::Lost(_) => false,
    })
    .await;
    drop(first);
    // Written behind it, so it was executed.
    store(&late, &[8; 32], b"value").await;
    let Lease::Lost(loser) = late.lease(&NAME).await else { panic!("it was given back") };
    drop(second);
    assert_eq!(loser.wait(deadline()).await, None, "given back without an answer");
    drop(won(&late).await);
}

#[tokio::test]
async fn losers_do_not_wait_for_a_winner_beyond_their_deadline_or_a_redis_that_died() {
    let mut redis = OwnRedis::start().await;
    let mut config = config(&redis);
    config.lease = PATIENCE * 10;
    let shared = open(&config).await;
    let _winner = won(&shared).await;
    let Lease::Lost(loser) = shared.lease(&NAME).await else { panic!("it has the lease, too") };
    assert_eq!(loser.wait(Instant::now() + Duration::from_millis(30)).await, None);
    assert_eq!(loser.wait(Instant::now()).await, None);
    let waiting = tokio::spawn(async move { loser.wait(deadline() + PATIENCE).await });
    redis.kill().await;
    let waited = timeout(PATIENCE, waiting).await.expect("it ends").unwrap();
    assert_eq!(waited, None);
}
