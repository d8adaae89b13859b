//! Redis dies, stands still, comes back, is emptied, is full.

use freehold_engine::cache::Lease;
use tokio::task::JoinSet;

use super::*;

/// Several that ask all the time, and what they were given in the meantime; each call must end.
fn askers(shared: &Shared) -> JoinSet<()> {
    (0..8)
        .map(|number: u8| {
            let shared = shared.clone();
            async move {
                loop {
                    let name = [number; 32];
                    let asked = timeout(PATIENCE, shared.get(&name)).await;
                    assert!(asked.expect("it ends").is_none_or(|found| found == b"value"[..]));
                    shared.put(&name, Bytes::from_static(b"value"));
                    tokio::task::yield_now().await;
                }
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_is_done_without_and_taken_up_again_when_it_is_back() {
    let mut redis = OwnRedis::start().await;
    let shared = open(&config(&redis)).await;
    let mut askers = askers(&shared);
    until("they hit", async || shared.state().hits > 20).await;
    for round in 1..=3 {
        redis.kill().await;
        until("it is away", async || !shared.is_up()).await;
        let before = shared.state();
        assert_eq!(shared.get(&NAME).await, None);
        assert!(matches!(shared.lease(&NAME).await, Lease::Won(_)), "everybody has the lease");
        shared.put(&NAME, Bytes::from_static(b"dropped"));
        let after = shared.state();
        assert!(after.away >= before.away + 2 && after.dropped > before.dropped);
        redis.restart().await;
        up(&shared).await;
        until("they hit again", async || shared.state().hits > after.hits + 20).await;
        assert!(shared.state().connections > round);
        assert!(askers.try_join_next().is_none(), "nobody stumbled");
    }
    askers.abort_all();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_waited_for_once_and_then_not() {
    let redis = OwnRedis::start().await;
    let mut config = config(&redis);
    config.timeout = Duration::from_secs(2);
    let shared = open(&config).await;
    store(&shared, &NAME, b"value").await;
    redis.pause().await;
    let begun = Instant::now();
    // Until enough calls have waited in vain; the beat of the connection itself may be what notices.
    until("it is given up", async || {
        assert_eq!(shared.get(&NAME).await, None);
        !shared.is_up()
    })
    .await;
    assert!(shared.state().timeouts <= 3);
    // Three calls, one after the other, each for its time; the rest is the machine's.
    assert!(begun.elapsed() < Duration::from_secs(6 + 20), "{:?}", begun.elapsed());
    let before = shared.state();
    for _ in 0..100 {
        assert_eq!(shared.get(&NAME).await, None);
        assert!(matches!(shared.lease(&NAME).await, Lease::Won(_)));
    }
    let after = shared.state();
    assert_eq!(after.away, before.away + 200, "they did not even ask");
    assert_eq!(after.timeouts, before.timeouts);
    redis.resume();
    up(&shared).await;
    until("it is found", async || shared.get(&NAME).await.is_some()).await;
}

#[tokio::test]
async fn a_full_redis_takes_nothing_and_all_else_goes_on() {
    let redis = OwnRedis::start_with(&["maxmemory-policy noeviction"]).await;
    let shared = open(&config(&redis)).await;
    store(&shared, &NAME, b"before").await;
    redis.command(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).await;
    shared.put(&NAME, Bytes::from_static(b"after"));
    until("it is dropped", async || shared.state().dropped == 1).await;
    assert_eq!(shared.get(&NAME).await.unwrap(), &b"before"[..], "reading goes on");
    assert!(matches!(shared.lease(&NAME).await, Lease::Won(_)));
    assert!(shared.is_up() && shared.state().connections == 1, "it is there, and only says no");
    assert!(shared.state().errors >= 2);
    redis.command(&[b"CONFIG", b"SET", b"maxmemory", b"0"]).await;
    store(&shared, &NAME, b"after").await;
    assert_eq!(shared.get(&NAME).await.unwrap(), &b"after"[..]);
    assert_eq!(shared.state().connections, 1);
}

#[tokio::test]
async fn what_waits_for_a_slow_redis_is_bounded() {
    let redis = OwnRedis::start().await;
    let mut config = config(&redis);
    (config.value_max, config.queue_max) = (5_000, 10_000);
    let shared = open(&config).await;
    redis.pause().await;
    for number in 0..10 {
        shared.put(&[number; 32], Bytes::from(vec![number; 4_000]));
    }
    shared.put(&NAME, Bytes::from(vec![7; 5_001]));
    let state = shared.state();
    assert_eq!((state.queued_bytes, state.dropped, state.too_large), (8_000, 8, 1));
    redis.resume();
    until("what waited is stored", async || shared.state().puts == 2).await;
    until("nothing waits", async || shared.state().queued_bytes == 0).await;
    assert_eq!(redis.command(&[b"DBSIZE"]).await, ":2");
}

#[tokio::test]
async fn a_redis_that_was_never_there_comes_when_it_comes() {
    let mut redis = OwnRedis::start().await;
    redis.kill().await;
    let shared = Shared::new(&config(&redis)).unwrap();
    assert_eq!(shared.get(&NAME).await, None);
    assert!(!shared.is_up());
    redis.restart().await;
    up(&shared).await;
    store(&shared, &NAME, b"value").await;
}

#[tokio::test]
async fn the_connection_goes_with_the_last_clone() {
    let redis = OwnRedis::start().await;
    let shared = open(&config(&redis)).await;
    let clients = async || {
        let list = redis.command(&[b"CLIENT", b"LIST"]).await;
        list.lines().filter(|line| line.starts_with("id=")).count()
    };
    assert_eq!(clients().await, 2, "it, and the one that asks");
    let another = shared.clone();
    drop(shared);
    store(&another, &NAME, b"value").await;
    drop(another);
    until("it is closed", async || clients().await == 1).await;
}
