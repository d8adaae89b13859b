//! What uploads may take: memory, time and requests; and answers that come although the body does not.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use super::{blobs, house};
use crate::harness::{House, Served, answer};

const LIMITS: &str = "[limits]\nupload_mib = 2\nbody_seconds = 2\nwait_seconds = 1\n[tenants]\nrate = 1\nburst = 40\n";

async fn limited() -> (House, Served, String) {
    let house = house().await;
    house.write("freehold.server.toml", LIMITS);
    let place = blobs(&house);
    let served = house.serve_with(&["--blobs", &place, "--config", "freehold.server.toml"]);
    let key = house.key("a");
    (house, served, key)
}

/// An upload of which only the beginning comes.
fn begun(served: &Served, key: &str, name: &str) -> TcpStream {
    let mut stream = served.connect();
    let head = format!(
        "POST /storage/v1/object/file/{name} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napikey: {key}\r\ncontent-length: 1000000\r\n\r\nabc"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stalls_is_ended_and_others_are_not_let_in_beyond_the_memory() {
    let (house, served, key) = limited().await;
    let mut stalled = begun(&served, &key, "stalled");
    crate::harness::until("the first upload is on its way", async || {
        house.number("select count(*) from freehold.blob").await == 1
    })
    .await;
    let header = format!("apikey: {key}");
    let second = served.ask("POST /storage/v1/object/file/second", &[&header], b"whole");
    assert_eq!((second.status, second.json()["code"].as_str()), (429, Some("FH005")), "{second:?}");
    assert!(second.header("retry-after").is_some(), "{second:?}");
    // No tenant has more than half of it.
    let other = format!("apikey: {}", house.key("b"));
    let theirs = served.ask("POST /storage/v1/object/file/theirs", &[&other], b"whole");
    assert_eq!(theirs.status, 200, "{theirs:?}");
    let ended = answer(&mut stalled);
    assert_eq!((ended.status, ended.json()["code"].as_str()), (400, Some("PGRST102")), "{ended:?}");
    assert!(ended.body.contains("no bytes came for 2 s"), "{ended:?}");
    let third = served.ask("POST /storage/v1/object/file/third", &[&header], b"whole");
    assert_eq!(third.status, 200, "{third:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_drips_is_ended_and_its_room_is_free() {
    let (house, served, key) = limited().await;
    let mut dripping = begun(&served, &key, "dripping");
    crate::harness::until("the first upload is on its way", async || {
        house.number("select count(*) from freehold.blob").await == 1
    })
    .await;
    // Each byte comes in time, until the server ends it.
    let mut writing = dripping.try_clone().unwrap();
    let drips = std::thread::spawn(move || {
        let mut drips = 0;
        while writing.write_all(b"x").is_ok() && drips < 600 {
            drips += 1;
            writing.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            if writing.peek(&mut [0]).is_ok() {
                break;
            }
        }
        writing.set_read_timeout(None).unwrap();
        drips
    });
    let drips = drips.join().unwrap();
    assert!((5..600).contains(&drips), "{drips}");
    let ended = answer(&mut dripping);
    assert_eq!((ended.status, ended.json()["code"].as_str()), (400, Some("PGRST102")), "{ended:?}");
    assert!(ended.body.contains("fewer than 4096 bytes a second came"), "{ended:?}");
    let header = format!("apikey: {key}");
    let next = served.ask("POST /storage/v1/object/file/next", &[&header], b"whole");
    assert_eq!(next.status, 200, "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_early_hears_why_and_may_go_on() {
    let (_house, served, key) = limited().await;
    let mut stream = served.connect();
    let body = vec![b'x'; 3 << 20];
    for _ in 0..3 {
        let head = format!(
            "POST /storage/v1/object/person.face/00000000-0000-0000-0000-000000000000 HTTP/1.1\r\nhost: x\r\napikey: {key}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let (mut read, mut buffer) = (String::new(), [0; 4096]);
        while !read.contains("\r\n\r\n{") || !read.ends_with('}') {
            let some = stream.read(&mut buffer).unwrap();
            assert!(some > 0, "the connection ended: {read}");
            read += std::str::from_utf8(&buffer[..some]).unwrap();
        }
        assert!(read.starts_with("HTTP/1.1 4"), "{read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_by_a_signed_url_are_counted() {
    let (_house, served, key) = limited().await;
    let header = format!("apikey: {key}");
    let made = served.ask("POST /storage/v1/object/file/a", &[&header], b"abc");
    assert_eq!(made.status, 200, "{made:?}");
    let line = "POST /storage/v1/object/sign/file/a";
    let signed = served.ask(line, &[&header], json!({ "expiresIn": 60 }).to_string().as_bytes());
    let url = format!("GET /storage/v1{}", signed.json()["signedURL"].as_str().unwrap());
    let got: Vec<u16> = (0..45).map(|_| served.ask(&url, &[], b"").status).collect();
    assert_eq!(got[..10], [200; 10], "{got:?}");
    let refused = got.iter().filter(|status| **status == 429).count();
    assert!(refused > 0, "{got:?}");
}
