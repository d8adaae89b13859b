//! Servers killed at any moment while clients upload, replace, copy and remove: afterwards rows, blobs and objects agree.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use freehold_testkit::{Chance, seed, switch};
use serde_json::json;

use super::{agrees, blobs, files, house, settle};
use crate::harness::{House, until};

const CLIENTS: u64 = 4;

/// Nothing, a chunk and a bit, two parts.
const SIZES: [usize; 4] = [0, 10, 70_000, 9_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn rows_blobs_and_objects_agree_however_often_servers_are_killed() {
    let kills = switch("FREEHOLD_KILLS").unwrap_or(3);
    let seed = seed("FREEHOLD_CHAOS_SEED");
    let _seed = Seed(seed);
    run(kills, seed).await;
}

/// Says with what it failed.
struct Seed(u64);

impl Drop for Seed {
    #[allow(clippy::print_stderr, reason = "whoever looks into it needs it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with FREEHOLD_CHAOS_SEED={}", self.0);
        }
    }
}

async fn run(kills: u64, seed: u64) {
    let house = house().await;
    let (keys, place) = ([house.key("a"), house.key("b")], blobs(&house));
    let mut chance = Chance::new(seed);
    let (done, cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for round in 0..kills {
        let mut served = house.serve_with(&["--blobs", &place]);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<JoinHandle<()>> = (0..CLIENTS)
            .map(|client| {
                let (address, key) =
                    (served.address().to_owned(), keys[client as usize % 2].clone());
                let (stop, done, cut) = (stop.clone(), done.clone(), cut.clone());
                let mut chance = Chance::new(seed ^ (round * CLIENTS + client + 1) << 32);
                std::thread::spawn(move || {
                    while !stop.load(SeqCst) {
                        let answered = play(&address, &key, &mut chance).is_some();
                        if answered { &done } else { &cut }.fetch_add(1, SeqCst);
                        if !answered {
                            return;
                        }
                    }
                })
            })
            .collect();
        let before = done.load(SeqCst);
        until("something is done", async || done.load(SeqCst) > before).await;
        // Plays: whoever kills the server has something else to do, too.
        tokio::time::sleep(chance.between(0, 1000)).await;
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        stop.store(true, SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
        let backends = "select count(*) from pg_stat_activity \
                        where datname = current_database() and usename like 'freehold%'";
        until("its connections end", async || house.number(backends).await == 0).await;
        whole(&house, &place).await;
    }
    assert!(cut.load(SeqCst) > 0, "{done:?} done, and none was cut off");
}

/// After one sweep without grace all agrees, and each byte is as it was sent.
async fn whole(house: &House, place: &str) {
    let swept = settle(house, place).await;
    for tenant in swept["tenants"].as_array().unwrap() {
        for what in ["stray", "missing", "without_row", "without_blob"] {
            assert_eq!(tenant[what], json!([]), "{swept}");
        }
    }
    let stored = files(&house.path("blobs")).len();
    agrees(house, stored).await;
    house.fine(&["blobs", "verify", "--blobs", place]);
}

/// Something at random; none if there was no answer.
fn play(address: &str, key: &str, chance: &mut Chance) -> Option<()> {
    let path = chance.below(6);
    match chance.below(8) {
        0 => ask(address, key, &format!("DELETE /storage/v1/object/file/{path}"), "", &[]),
        1 => ask(address, key, &format!("DELETE /rest/v1/file?path=eq.{path}"), "", &[]),
        2 => {
            let other = chance.below(6);
            let body = json!({ "bucketId": "file", "sourceKey": path.to_string(), "destinationKey": other.to_string() });
            let headers = "x-upsert: true\r\ncontent-type: application/json\r\n";
            ask(address, key, "POST /storage/v1/object/copy", headers, body.to_string().as_bytes())
        }
        _ => {
            let size = SIZES[usize::try_from(chance.below(4)).unwrap()];
            let headers = "x-upsert: true\r\ncontent-type: text/plain\r\n";
            let line = format!("POST /storage/v1/object/file/{path}");
            ask(address, key, &line, headers, &vec![b'x'; size])
        }
    }
}

fn ask(address: &str, key: &str, line: &str, headers: &str, body: &[u8]) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napikey: {key}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let status = answer.get(9..12)?;
    // Two who replace one file at once: one of them may be told so.
    let expected = [&b"200"[..], b"204", b"404", b"409"].contains(&status);
    assert!(expected, "{line}: {}", String::from_utf8_lossy(&answer));
    Some(())
}
