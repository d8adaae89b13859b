//! A file that is larger than what the server may have of memory.

use std::{
    io::{Read as _, Write as _},
    process::Command,
    time::Duration,
};

use freehold_testkit::switch;

use super::{agrees, blobs, house_of};
use crate::harness::peak_kib;

const MODEL: &str = "
[model]
name = \"files\"
[entity.file.field]
path = { type = \"text\", unique = true }
file = { type = \"blob\", max = \"2 GB\", path = \"path\" }
";

const PIECE: usize = 1 << 20;

/// Piece `number` of the file: no two are the same.
fn piece(number: u64) -> Vec<u8> {
    let words =
        (0..PIECE as u64 / 8).map(|i| (number << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_passes_through_a_server_that_could_not_hold_it() {
    let pieces = switch("FREEHOLD_LARGE_MIB").unwrap_or(144);
    let most_mib = 128;
    let house = house_of(MODEL).await;
    let key = house.key("a");
    let served = house.serve_with(&["--blobs", &blobs(&house)]);
    // What is written of anonymous memory counts, whatever is resident.
    let pid = served.child.id().to_string();
    let limit = format!("--data={}", 256 << 20);
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    let mut stream = served.connect();
    stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    let head = format!(
        "POST /storage/v1/object/file/large HTTP/1.1\r\nhost: x\r\napikey: {key}\r\nconnection: close\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        pieces * PIECE as u64
    );
    stream.write_all(head.as_bytes()).unwrap();
    (0..pieces).for_each(|number| stream.write_all(&piece(number)).unwrap());
    let answer = crate::harness::answer(&mut stream);
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut stream = served.connect();
    let head = format!(
        "GET /storage/v1/object/file/large HTTP/1.1\r\nhost: x\r\napikey: {key}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let (mut last, mut head) = ([0; 4], Vec::new());
    while last != *b"\r\n\r\n" {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
        last = [last[1], last[2], last[3], byte[0]];
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut got = vec![0; PIECE];
    for number in 0..pieces {
        stream.read_exact(&mut got).unwrap();
        assert!(got == piece(number), "piece {number} is another");
    }
    assert_eq!(stream.read(&mut got).unwrap(), 0, "there is more");
    let peak_mib = peak_kib(served.child.id()) / 1024;
    assert!(peak_mib < most_mib, "{peak_mib} MiB of memory");
    agrees(&house, 1).await;
}
