//! Who may reach Redis: a user with the fewest rights, a wrong password, TLS.

use freehold_engine::cache::Lease;

use super::*;

/// As the module's documentation has it.
const USER: &str = "user freehold on >secret resetkeys ~freehold:* resetchannels -@all +ping +get +set +del +exists +eval";

#[tokio::test]
async fn the_user_that_is_documented_has_all_rights_that_are_needed() {
    let redis = OwnRedis::start_with(&[USER]).await;
    let mut config = config(&redis);
    (config.user, config.password) = (Some("freehold".into()), Some("secret".into()));
    let shared = open(&config).await;
    let Lease::Won(winner) = shared.lease(&NAME).await else { panic!("somebody has the lease") };
    let Lease::Lost(loser) = shared.lease(&NAME).await else { panic!("it has the lease, too") };
    store(&shared, &NAME, b"value").await;
    drop(winner);
    let found = loser.wait(Instant::now() + PATIENCE).await;
    assert_eq!(found.unwrap(), &b"value"[..]);
    assert_eq!(shared.state().errors, 0);
    assert_eq!(redis.command(&[b"ACL", b"LOG"]).await, "*0", "nothing was refused");
    // With another prefix it may do nothing, and says so in numbers only.
    config.prefix = "other:".into();
    let other = open(&config).await;
    assert_eq!(other.get(&NAME).await, None);
    other.put(&NAME, Bytes::from_static(b"value"));
    until("it is dropped", async || other.state().dropped == 1).await;
    assert!(other.is_up() && other.state().errors == 2);
    // User and password in the URL, as they are written there.
    let url = redis.url().replace("redis://", "redis://freehold:%73ecret@");
    let named = open(&SharedConfig { url, ..self::config(&redis) }).await;
    assert_eq!(named.get(&NAME).await.unwrap(), &b"value"[..]);
}

#[tokio::test]
async fn a_wrong_password_is_a_redis_that_is_away() {
    let redis = OwnRedis::start_with(&[USER]).await;
    let mut config = config(&redis);
    (config.user, config.password) = (Some("freehold".into()), Some("wrong".into()));
    let shared = Shared::new(&config).unwrap();
    until("it was tried", async || redis.command(&[b"ACL", b"LOG"]).await != "*0").await;
    assert!(!shared.is_up() && shared.state().connections == 0);
    assert_eq!(shared.get(&NAME).await, None);
}

#[tokio::test]
async fn tls_is_spoken_with_who_is_trusted_and_nobody_else() {
    let Some(redis) = OwnRedis::start_with_tls().await else {
        eprintln!("there is no openssl here to make a certificate with");
        return;
    };
    let mut config = SharedConfig { url: redis.tls_url(), ..config(&redis) };
    let stranger = Shared::new(&config).unwrap();
    let refused = async || redis.log().contains("Error accepting a client connection");
    until("it does not trust the certificate", refused).await;
    assert!(!stranger.is_up() && stranger.state().connections == 0);
    config.ca_file = Some(redis.ca_file());
    let shared = open(&config).await;
    store(&shared, &NAME, b"value").await;
    assert_eq!(shared.get(&NAME).await.unwrap(), &b"value"[..]);
    // The certificate is for 127.0.0.1, whoever trusts it.
    let url = redis.tls_url().replace("127.0.0.1", "localhost");
    let elsewhere = Shared::new(&SharedConfig { url, ..config }).unwrap();
    let count = async || redis.log().matches("Error accepting a client connection").count();
    let before = count().await;
    drop(stranger);
    until("it is for another name", async || count().await > before + 1).await;
    assert!(!elsewhere.is_up() && elsewhere.state().connections == 0);
}
