//! Supabase's storage client from npm, unmodified, against the server; and what it does not try.

mod access;
mod crash;
mod cut;
mod large;
mod limits;
mod moto;
mod names;
mod outage;
mod personal;
mod s3;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use freehold_local::default_cache_dir;

use crate::harness::{House, ended};

const CLIENT: &str = "@supabase/storage-js@2.119.1";

const MODEL: &str = "
[model]
name = \"files\"
[entity.file.field]
path = { type = \"text\", unique = true }
file = { type = \"blob\", max = \"50 MB\", path = \"path\" }
[entity.person.field]
name = { type = \"text\" }
face = { type = \"blob\", max = \"1 MB\", types = [\"image/*\"], optional = true }
";

async fn house() -> House {
    house_of(MODEL).await
}

async fn house_of(model: &str) -> House {
    let house = House::empty().await;
    house.write("freehold.toml", model);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    house
}

fn blobs(house: &House) -> String {
    format!("file://{}", house.path("blobs").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_client_from_npm_works_unmodified() {
    let house = house().await;
    let (key, other) = (house.key("a"), house.key("b"));
    let served = house.serve_with(&["--blobs", &blobs(&house)]);
    let mut node = Command::new("node");
    let script = client().join("files.mjs");
    node.arg(script).args([&served.url(), &key, "file", &other]);
    node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = ended(node.spawn().unwrap());
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    // What was removed goes soon, and what is left is sound.
    let left = "select count(*) from freehold.blob where state <> 'live'";
    crate::harness::until("the workers deleted what was removed", async || {
        house.number(left).await == 0
    })
    .await;
    let place = blobs(&house);
    house.fine(&["blobs", "verify", "--blobs", &place]);
    let swept =
        house.fine(&["blobs", "sweep", "--dry-run", "--grace", "0", "--blobs", &place, "--json"]);
    let swept: serde_json::Value = serde_json::from_str(&swept).unwrap();
    assert_eq!(swept["tenants"][0]["stray"], serde_json::json!([]), "{swept}");
    assert_eq!(
        swept["tenants"][0]["kept"].as_i64().unwrap(),
        house.number("select count(*) from app.file").await
    );
    // No byte of them is stored as it was sent.
    let script = b"<script>1</script>";
    for file in files(&house.path("blobs")) {
        let bytes = fs::read(file).unwrap();
        assert!(!bytes.windows(script.len()).any(|window| window == script));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_rows_that_are_there_are_reached_by_their_ids() {
    let house = house().await;
    let key = house.key("a");
    let served = house.serve_with(&["--blobs", &blobs(&house)]);
    let made = served.as_tenant(&key, "POST /rest/v1/person", "{\"name\":\"ada\"}").json();
    let id = made[0]["id"].as_str().unwrap();
    let auth = format!("apikey: {key}");
    let put = |path: &str, content_type: &str, body: &[u8]| {
        let line = format!("POST /storage/v1/object/person.face/{path}");
        let content_type = format!("content-type: {content_type}");
        served.ask(&line, &[&auth, &content_type], body)
    };
    assert_eq!(put(id, "text/html", b"x").status, 415);
    assert_eq!(put("00000000-0000-4000-8000-000000000000", "image/png", b"x").status, 404);
    assert_eq!(put("no-id", "image/png", b"x").status, 404);
    assert_eq!(put(id, "image/png", &vec![0; 1_000_001]).status, 413);
    assert_eq!(put(id, "image/png", b"png").status, 200);
    assert_eq!(put(id, "image/png", b"png").status, 409);
    for path in ["a%2F..%2Fb", "..%2Fx", "a%00b", "a%0Ab"] {
        assert!(matches!(put(path, "image/png", b"x").status, 400 | 404), "{path}");
    }
    let face = served.as_tenant(&key, "GET /rest/v1/person?select=face", "").json();
    assert_eq!(
        (&face[0]["face"]["size"], &face[0]["face"]["type"]),
        (&3.into(), &"image/png".into())
    );
    let line = format!("GET /storage/v1/object/person.face/{id}");
    let got = served.ask(&line, &[&auth], b"");
    assert_eq!((got.status, got.body.as_str()), (200, "png"));
    assert_eq!(served.ask(&line, &[], b"").status, 401);
    let revoked = house.fine(&["key", "list", "--json"]);
    assert!(revoked.contains("prefix") || !revoked.is_empty());
    // Without a place for blobs nothing is taken and nothing is lost.
    let bare = house.serve();
    assert_eq!(bare.ask(&line, &[&auth], b"").status, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_reaches_rows_that_must_have_a_blob() {
    let house = house().await;
    let report = house.fine(&["prove", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["report"]["leaked"], 0, "{report:#}");
    assert_eq!(report["report"]["not_filled"], serde_json::json!([]), "{report:#}");
    assert_eq!(house.number("select count(*) from freehold.blob").await, 0);
}

/// What must hold when all is done: rows, notes and usage are one to one, and so many objects are stored.
async fn agrees(house: &House, stored: usize) {
    let rows = "select count(*) from app.file t join freehold.blob b on b.tenant_id = t.tenant_id and b.id = t.file \
                where b.state = 'live' and b.row_id = t.id";
    let usage = "select count(*) from freehold.blob_usage u where (bytes, objects) <> \
                 (select coalesce(sum(size), 0), count(*) from freehold.blob b where b.tenant_id = u.tenant_id)";
    let stored = i64::try_from(stored).unwrap();
    assert_eq!(house.number("select count(*) from app.file").await, stored, "rows");
    assert_eq!(house.number(rows).await, stored, "rows with their blobs");
    assert_eq!(house.number("select count(*) from freehold.blob").await, stored, "blobs");
    assert_eq!(house.number(usage).await, 0, "usage is not what there is");
}

/// Everything that is due is done: nobody uploads any more, and nobody waits for another try.
async fn settle(house: &House, place: &str) -> serde_json::Value {
    let due = "update freehold.blob set next_at = null";
    house.db.client().await.batch_execute(due).await.unwrap();
    let swept = house.fine(&["blobs", "sweep", "--grace", "0", "--blobs", place, "--json"]);
    serde_json::from_str(&swept).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// A folder with the client and the script, made once in the cache.
fn client() -> PathBuf {
    let cache = std::env::var_os("FREEHOLD_CACHE").map_or_else(default_cache_dir, PathBuf::from);
    let kept = cache.join(format!("node-{}", CLIENT.replace(['@', '/'], "-")));
    if !kept.join("node_modules").exists() {
        let made = tempfile::tempdir_in(&cache).unwrap();
        let folder = made.path().join("client");
        fs::create_dir(&folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", CLIENT]).current_dir(&folder);
        let done = npm.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // Of two at once, one comes first.
        if let Err(error) = fs::rename(&folder, &kept) {
            assert!(kept.join("node_modules").exists(), "{error}");
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/storage-js/files.mjs");
    fs::copy(script, kept.join("files.mjs")).unwrap();
    kept
}
