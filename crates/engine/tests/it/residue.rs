//! What is kept of what passed through: planted marks are looked for in every file of a PostgreSQL of their own, WAL, statistics
//! and logs included, in a base backup, in what Redis writes to the disk, and where blobs are. Fields in the open have marks of
//! their own, which must be found, or the search proves nothing.

mod ways;

use std::{
    fs,
    path::{Path, PathBuf},
};

use freehold_engine::{
    Engine, Operator, RootKey, Tenant,
    blob::Blobs,
    cache::{CacheConfig, Shared, SharedConfig},
};
use freehold_testkit::{OwnRedis, OwnServer};

use crate::ground::{ROOT, change, store};

const MODEL: &str = r#"
[model]
name = "marks"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
open = { type = "text", unique = true, not_personal = "the control" }
open_bytes = { type = "bytea", optional = true, not_personal = "the control" }
open_voice = { vector = 4, optional = true, not_personal = "the control" }
email = { type = "text", personal = "contact", lookup = "email", unique = true, optional = true }
note = { type = "jsonb", personal = "contact", optional = true }
bytes = { type = "bytea", personal = "contact", lookup = "exact", optional = true }
number = { type = "numeric", personal = "contact", optional = true }
list = { type = "text[]", personal = "contact", optional = true }
words = { type = "text", personal = "contact", optional = true }
voice = { vector = 4, personal = "contact", stored = "sealed", optional = true }
likeness = { vector = 64, of = ["words"], stored = "sealed" }
face = { type = "blob", personal = "contact", optional = true }

[read.names]
key = ["id"]
sql = "select id, open from person"
"#;

/// In sealed fields, and in those in the open. Nothing else is likely to say so.
const SEALED: &str = "q7zsealedmark";
const OPEN: &str = "q7zopenmark";
const NUMBER: &str = "70817263545546372819";
const VOICE: [f32; 4] = [0.123_456_7, -7.654_321, 3.333_333_2, 0.000_271_8];
const OPEN_VOICE: [f32; 4] = [0.765_432_1, -1.234_567, 2.222_222_3, 0.000_314_1];

/// What must not be found, and what must.
fn marks() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let floats = |numbers: &[f32; 4]| numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    let text = |numbers: &[f32; 4]| {
        numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(",").into_bytes()
    };
    let sealed =
        vec![SEALED.into(), hex(SEALED).into_bytes(), NUMBER.into(), floats(&VOICE), text(&VOICE)];
    let open = vec![OPEN.into(), hex(OPEN).into_bytes(), floats(&OPEN_VOICE), text(&OPEN_VOICE)];
    (sealed, open)
}

#[tokio::test]
async fn nothing_on_any_disk_says_what_is_sealed() {
    let server = OwnServer::start().await;
    let compressed = ["appendonly yes", "appendfsync always", "rdbcompression no"];
    let redis = OwnRedis::start_with(&compressed).await;
    let folder = tempfile::tempdir().unwrap();
    let (engine, tenant) = house(&server, &redis, &folder.path().join("blobs")).await;
    let admin = server.client().await;
    for setting in [
        "alter system set log_statement = 'all'",
        "alter system set log_min_duration_statement = 0",
        "alter system set log_error_verbosity = verbose",
        "select pg_reload_conf()",
    ] {
        admin.batch_execute(setting).await.unwrap();
    }

    ways::in_and_out(&engine, &tenant).await;
    while engine.project_round(&mut Default::default()).await.unwrap() > 0 {}
    admin.batch_execute("analyze").await.unwrap();
    admin.batch_execute("checkpoint").await.unwrap();
    let stats = "select count(*) from pg_stats where (most_common_vals::text || coalesce(histogram_bounds::text, '')) like '%q7z%'";
    let spelled: i64 = admin.query_one(stats, &[]).await.unwrap().get(0);
    assert_eq!(spelled, 0);

    let live = Scan::of(server.data_dir());
    live.check("the data folder");
    for part in ["base", "pg_wal"] {
        assert!(live.open(part)[0] > 0, "the control in {part}");
        assert!(live.open(part)[2] > 0, "the control of vectors in {part}");
    }
    let everywhere = live.open("");
    assert!(
        everywhere[0] > live.open("base")[0] + live.open("pg_wal")[0],
        "the rest is in the log"
    );

    let backup = folder.path().join("backup");
    server.base_backup(&backup).await;
    let backup = Scan::of(&backup);
    backup.check("a base backup");
    assert!(backup.open("base")[0] > 0 && backup.open("base")[2] > 0);

    for (name, options) in [("whole", &[][..]), ("logged", &["--no-unlogged-table-data"][..])] {
        let dump = folder.path().join(name);
        fs::create_dir(&dump).unwrap();
        server.dump(&dump.join("dump.sql"), options).await;
        // Numbers of vectors are texts there, which the last mark in the open is.
        let dump = Scan::of(&dump);
        dump.check_sealed(&format!("a {name} dump"));
        let open = dump.open("");
        assert!(open[0] > 0 && open[1] > 0 && open[3] > 0, "the controls in a dump: {open:?}");
    }

    in_redis(&redis).await;
    let blobs = Scan::of(&folder.path().join("blobs"));
    assert!(!blobs.files.is_empty(), "there are blobs");
    blobs.check_sealed("the storage of blobs");
    fs::write(folder.path().join("blobs/control"), OPEN).unwrap();
    assert_eq!(Scan::of(&folder.path().join("blobs")).open("")[0], 1, "the control");
}

async fn house(server: &OwnServer, redis: &OwnRedis, blobs: &Path) -> (Engine, Tenant) {
    let url = server.url();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    change(&mut operator, &store(&url).await, MODEL, &[]).await.unwrap();
    let shared = Shared::new(&SharedConfig::new(redis.url())).unwrap();
    shared.up().await;
    let engine = Engine::open(store(&url).await, "/".into()).await.unwrap();
    let engine = engine.with_blobs(Blobs::folder(blobs.to_owned()).unwrap());
    let engine = engine.keeping(CacheConfig::default(), Some(shared));
    let tenant = engine.tenant("a").await.unwrap();
    (engine, tenant)
}

/// What servers share is sealed whole, so that not even what is in the open is found, but for a control of our own.
async fn in_redis(redis: &OwnRedis) {
    let kept = redis.command(&[b"DBSIZE"]).await;
    assert_ne!(kept, ":0", "answers are kept");
    assert_eq!(redis.command(&[b"SET", b"control", b"q7zcontrol"]).await, "+OK");
    assert_eq!(redis.command(&[b"SAVE"]).await, "+OK");
    let scan = Scan::of(redis.folder());
    scan.check_sealed("Redis");
    assert_eq!(scan.open(""), [0; 4], "answers are sealed");
    let control = Scan::looking_for(redis.folder(), &[b"q7zcontrol".to_vec()], &[]);
    for kind in ["rdb", "aof"] {
        let of = control.files.iter().filter(|file| file.path.to_string_lossy().contains(kind));
        assert!(of.map(|file| file.sealed[0]).sum::<usize>() > 0, "the control in the {kind}");
    }
}

/// How often each mark is in the files of a folder.
pub(crate) struct Scan {
    pub(crate) files: Vec<File>,
}

pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) sealed: Vec<usize>,
    pub(crate) open: Vec<usize>,
}

impl Scan {
    fn of(folder: &Path) -> Self {
        let (sealed, open) = marks();
        Self::looking_for(folder, &sealed, &open)
    }

    pub(crate) fn looking_for(folder: &Path, sealed: &[Vec<u8>], open: &[Vec<u8>]) -> Self {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A file may go while it is looked for.
                let bytes = fs::read(&path).unwrap_or_default();
                files.push(File { path, sealed: count(&bytes, sealed), open: count(&bytes, open) });
            }
        }
        Self { files }
    }

    /// Of the controls, in files below folders of this name; of none, in all.
    fn open(&self, within: &str) -> Vec<usize> {
        let inside = |file: &&File| {
            within.is_empty() || file.path.components().any(|part| part.as_os_str() == within)
        };
        let mut all = vec![0; 4];
        for file in self.files.iter().filter(inside) {
            all.iter_mut().zip(&file.open).for_each(|(all, one)| *all += one);
        }
        all
    }

    fn check_sealed(&self, place: &str) {
        let found = self.files.iter().filter(|file| file.sealed.iter().any(|many| *many > 0));
        let found: Vec<_> = found.map(|file| (&file.path, &file.sealed)).collect();
        assert!(found.is_empty(), "in {place}: {found:?}");
    }

    fn check(&self, place: &str) {
        self.check_sealed(place);
        let open = self.open("");
        assert!(open[0] > 0 && open[2] > 0, "the controls in {place}: {open:?}");
    }
}

/// How often each of the marks is in the bytes.
fn count(bytes: &[u8], marks: &[Vec<u8>]) -> Vec<usize> {
    let mut found = vec![0; marks.len()];
    let mut begins = [false; 256];
    marks.iter().for_each(|mark| begins[usize::from(mark[0])] = true);
    for (at, byte) in bytes.iter().enumerate() {
        if !begins[usize::from(*byte)] {
            continue;
        }
        for (mark, found) in marks.iter().zip(&mut found) {
            *found += usize::from(bytes[at..].starts_with(mark));
        }
    }
    found
}
