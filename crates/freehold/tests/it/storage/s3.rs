//! Blobs in a storage that speaks S3, given to the binary as its users give it: by a URL and the environment.

use std::{io::Write as _, net::TcpStream};

use serde_json::json;

use super::{
    agrees,
    cut::Cut,
    house,
    moto::{BUCKET, Moto},
    settle,
};
use crate::harness::{House, Served, until};

/// Several parts.
const LARGE: usize = 20_000_000;

fn place() -> String {
    format!("s3://{BUCKET}/some/prefix")
}

fn text(size: usize) -> Vec<u8> {
    (0..size).map(|i| b'a' + (i * 7 + i / 65_536) as u8 % 26).collect()
}

fn put(served: &Served, key: &str, path: &str, bytes: &[u8]) -> u16 {
    let (auth, upsert) = (format!("apikey: {key}"), "x-upsert: true");
    let line = format!("POST /storage/v1/object/file/{path}");
    served.ask(&line, &[&auth, upsert, "content-type: text/plain"], bytes).status
}

fn get(served: &Served, key: &str, path: &str, range: &str) -> (u16, Vec<u8>) {
    let line = format!("GET /storage/v1/object/file/{path}");
    let got = served.ask(&line, &[&format!("apikey: {key}"), &format!("range: {range}")], b"");
    (got.status, got.body.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_has_what_was_uploaded_and_nothing_else() {
    let moto = Moto::start();
    let mut house = house().await;
    house.environment = Moto::environment(&moto.address);
    let (key, other, place) = (house.key("a"), house.key("b"), place());
    let served = house.serve_with(&["--blobs", &place]);
    for (path, size) in [("small", 11), ("empty", 0), ("large", LARGE), ("gone", LARGE)] {
        assert_eq!(put(&served, &key, path, &text(size)), 200, "{path}");
        assert_eq!(get(&served, &key, path, ""), (200, text(size)), "{path}");
    }
    assert_eq!(put(&served, &other, "small", b"another's"), 200);
    let large = text(LARGE);
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-65545", 65_530, 65_546),
        ("bytes=8388000-8400000", 8_388_000, 8_400_001),
        ("bytes=-7", LARGE - 7, LARGE),
        ("bytes=19999999-99999999999999999999", LARGE - 1, LARGE),
    ] {
        assert_eq!(get(&served, &key, "large", range), (206, large[from..to].to_vec()), "{range}");
    }
    assert_eq!(get(&served, &key, "large", "bytes=20000000-").0, 416);
    // Names that say nothing, under the prefix, and no byte as it was sent.
    let objects = moto.objects();
    assert_eq!(objects.len(), 5);
    for object in &objects {
        assert!(object.starts_with("some/prefix/") && !object.contains("large"), "{object}");
        let stored = moto.ask("GET", &format!("/{object}"), b"");
        assert!(!stored.windows(8).any(|eight| eight == &large[..8]), "{object}");
    }
    let delete = format!("DELETE /storage/v1/object/file/{}", "gone");
    assert_eq!(served.ask(&delete, &[&format!("apikey: {key}")], b"").status, 200);
    until("its object is deleted", async || moto.objects().len() == 4).await;
    agrees(&house, 4).await;
    assert_eq!(moto.unfinished(), Vec::<String>::new());
    house.fine(&["blobs", "verify", "--blobs", &place]);
    rot_and_loss(&house, &moto, &place).await;
}

/// A bit changed, an object lost, one that nobody noted.
async fn rot_and_loss(house: &House, moto: &Moto, place: &str) {
    let admin = house.db.client().await;
    let object = async |path: &str| -> String {
        let sql = "select b.object from freehold.blob b join app.file t on t.file = b.id join freehold.tenant o \
                   on o.id = b.tenant_id where t.path = $1 and o.name = 'a'";
        admin.query_one(sql, &[&path]).await.unwrap().get(0)
    };
    let (large, small) = (object("large").await, object("small").await);
    let at = format!("/some/prefix/{large}");
    let mut stored = moto.ask("GET", &at, b"");
    stored[10_000_000] ^= 4;
    moto.ask("PUT", &at, &stored);
    moto.ask("DELETE", &format!("/some/prefix/{small}"), b"");
    let folder = large.split('/').next().unwrap();
    moto.ask("PUT", &format!("/some/prefix/{folder}/stray"), b"x");
    let verified = house.run(&["blobs", "verify", "--tenant", "a", "--blobs", place, "--json"]);
    assert_eq!(verified.code, Some(1), "{verified:?}");
    let verified: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(verified[0]["sound"], 1, "{verified}");
    assert_eq!(verified[0]["rotten"].as_array().unwrap().len(), 2, "{verified}");
    assert!(verified.to_string().contains("a chunk of the object does not open"), "{verified}");
    let swept = house.run(&["blobs", "sweep", "--grace", "0", "--blobs", place, "--json"]);
    assert_eq!(swept.code, Some(1), "{swept:?}");
    let swept: serde_json::Value = serde_json::from_str(&swept.out).unwrap();
    assert_eq!(swept["tenants"][0]["missing"].as_array().unwrap().len(), 1, "{swept}");
    assert_eq!(swept["tenants"][0]["stray"], json!([format!("{folder}/stray")]), "{swept}");
    assert_eq!(moto.objects().len(), 3);
}

/// Sends so much of an upload that parts of it are stored, and leaves it there.
async fn half_an_upload(served: &Served, key: &str, moto: &Moto) -> TcpStream {
    let mut stream = served.connect();
    let head = format!(
        "POST /storage/v1/object/file/half HTTP/1.1\r\nhost: x\r\napikey: {key}\r\n\
         content-type: text/plain\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&text(LARGE - 1_000_000)).unwrap();
    until("the storage has begun", async || moto.unfinished().len() == 1).await;
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_ends_in_the_middle_leaves_neither_object_nor_parts() {
    let moto = Moto::start();
    let cut = Cut::before(&moto.address);
    let mut house = house().await;
    house.environment = Moto::environment(&cut.address);
    let (key, place) = (house.key("a"), place());
    // Whoever uploads goes away.
    let mut served = house.serve_with(&["--blobs", &place]);
    drop(half_an_upload(&served, &key, &moto).await);
    let noted = "select count(*) from freehold.blob";
    until("nothing is noted of it", async || house.number(noted).await == 0).await;
    assert_eq!((moto.unfinished().len(), moto.objects().len()), (0, 0));
    // The server dies.
    let stream = half_an_upload(&served, &key, &moto).await;
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    drop(stream);
    assert_eq!((moto.unfinished().len(), house.number(noted).await), (1, 1));
    settle(&house, &place).await;
    assert_eq!((moto.unfinished().len(), moto.objects().len()), (0, 0));
    agrees(&house, 0).await;
    // The way to the storage breaks, and is there again when it is tried once more.
    let served = house.serve_with(&["--blobs", &place]);
    cut.cut(2);
    assert_eq!(put(&served, &key, "cut", &text(LARGE)), 200);
    assert_eq!(cut.left(), 0, "nothing was cut");
    assert_eq!(get(&served, &key, "cut", ""), (200, text(LARGE)));
    settle(&house, &place).await;
    agrees(&house, 1).await;
    assert_eq!((moto.unfinished().len(), moto.objects().len()), (0, 1));
}
