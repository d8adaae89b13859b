//! The level of the cache that servers share, against a real Redis: what it gives, and that it is in nobody's way when it
//! is slow, full, empty or gone.

mod leases;
mod reach;
mod trouble;

use std::time::Duration;

use bytes::Bytes;
use freehold_engine::cache::{AnswerName, Closed, Shared, SharedConfig};
use freehold_testkit::OwnRedis;
use tokio::time::{Instant, sleep, timeout};

use crate::{embedded::MODEL, ground};

const NAME: AnswerName = [7; 32];

/// Far more than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// With a timeout that is not met by chance.
fn config(redis: &OwnRedis) -> SharedConfig {
    let mut config = SharedConfig::new(redis.url());
    config.timeout = PATIENCE;
    config
}

async fn open(config: &SharedConfig) -> Shared {
    let shared = Shared::new(config).unwrap();
    up(&shared).await;
    shared
}

async fn up(shared: &Shared) {
    timeout(PATIENCE, shared.up()).await.expect("it is up in time");
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "{what}: not in time");
        // Polls: what is counted tells nobody.
        sleep(Duration::from_millis(2)).await;
    }
}

/// Puts a value and waits until it is there.
async fn store(shared: &Shared, name: &AnswerName, value: &'static [u8]) {
    let before = shared.state().puts;
    shared.put(name, Bytes::from_static(value));
    until("it is stored", async || shared.state().puts > before).await;
}

#[tokio::test]
async fn what_was_put_is_there_for_all_servers_for_a_while() {
    let redis = OwnRedis::start().await;
    let (one, other) = (open(&config(&redis)).await, open(&config(&redis)).await);
    assert_eq!(one.get(&NAME).await, None);
    store(&one, &NAME, b"first").await;
    store(&other, &NAME, b"second, \0 and all").await;
    assert_eq!(one.get(&NAME).await.unwrap(), &b"second, \0 and all"[..]);
    assert_eq!(one.get(&[8; 32]).await, None, "another name");
    let mut elsewhere = config(&redis);
    elsewhere.prefix = "elsewhere:".into();
    assert_eq!(open(&elsewhere).await.get(&NAME).await, None, "another prefix");

    let key = [&b"freehold:a:"[..], &NAME].concat();
    let left = redis.command(&[b"PTTL", &key]).await;
    let left: u64 = left.trim_start_matches(':').parse().unwrap();
    assert!((1..=86_400_000).contains(&left), "{left}");
    assert_eq!(redis.command(&[b"DBSIZE"]).await, ":1");

    let state = one.state();
    assert_eq!((state.hits, state.misses, state.puts), (1, 2, 1));
    assert_eq!((state.bytes_read, state.bytes_written), (17, 5));
    assert!(state.up && state.errors + state.timeouts + state.dropped + state.away == 0);

    redis.flush().await;
    assert_eq!(one.get(&NAME).await, None, "nothing is left, and nothing is wrong");
    assert!(one.is_up());
}

#[tokio::test]
async fn nobody_takes_an_answer_for_its_own_that_is_not() {
    let redis = OwnRedis::start().await;
    let shared = open(&config(&redis)).await;
    let ground = ground::ground(MODEL).await;
    let store_of = ground.engine.store();
    let (a, b) = (
        store_of.answer_keys(&ground.a).await.unwrap(),
        store_of.answer_keys(&ground.b).await.unwrap(),
    );
    let request = b"reader GET /person?select=name";
    let (ours, theirs) = (a.name(request), b.name(request));
    assert_ne!(ours, theirs);
    let secret = "the answer to B, in the open";
    let sealed = b.seal(&theirs, secret.as_bytes());
    assert!(!sealed.windows(8).any(|part| secret.as_bytes().windows(8).any(|open| open == part)));

    // Whoever may write in Redis puts B's answer where A's is looked for, in both ways that could be tried.
    let under_ours = [&b"freehold:a:"[..], &ours].concat();
    assert_eq!(redis.command(&[b"SET", &under_ours, &sealed]).await, "+OK");
    let planted = shared.get(&ours).await.unwrap();
    assert_eq!(a.open(&ours, &planted), Err(Closed::Elsewhere), "it is there, and no answer");
    assert_eq!(a.open(&theirs, &planted), Err(Closed::Elsewhere));
    // An answer of A's own, to something else.
    let other = a.name(b"admin GET /person?select=name");
    let moved = a.seal(&other, b"[]");
    assert_eq!(redis.command(&[b"SET", &under_ours, &moved]).await, "+OK");
    assert_eq!(a.open(&ours, &shared.get(&ours).await.unwrap()), Err(Closed::Elsewhere));
    // Something that is no answer at all, or one of a version to come.
    assert_eq!(redis.command(&[b"SET", &under_ours, b"hello"]).await, "+OK");
    assert_eq!(a.open(&ours, &shared.get(&ours).await.unwrap()), Err(Closed::Form));
    // And the right one opens, for another server of the same tenant, too.
    shared.put(&ours, a.seal(&ours, b"[1]").into());
    until("it is stored", async || shared.state().puts == 1).await;
    let again = ground.another().await.store().answer_keys(&ground.a).await.unwrap();
    assert_eq!(again.name(request), ours);
    assert_eq!(again.open(&ours, &shared.get(&ours).await.unwrap()).unwrap(), b"[1]");
}
