//! What is searched in a copy is in no WAL, no base backup and no dump that leaves unlogged tables out; where vectors in the
//! open, which are the control, all are. A dump that leaves nothing out has it.

use std::path::Path;

use freehold_engine::{Engine, Operator, RootKey};
use freehold_testkit::{Chance, OwnServer};

use super::*;
use crate::{
    ground::{ROOT, change, store},
    residue::Scan,
};

const MARKS: &str = r#"
[model]
name = "marks"

[personal.contact]
purpose = "account"
basis = "consent"
retention = "1 year"

[entity.person]
subject = true

[entity.person.field]
n = { type = "integer", unique = true, not_personal = "a number" }
derived = { vector = 32, personal = "contact", stored = "derived", optional = true }
open = { vector = 32, optional = true, not_personal = "the control" }
"#;

/// Rows of each tenant, and so many of all vectors at least are found where they are: what a page of WAL ends in is not.
const ROWS: usize = 100;
const MOST: usize = 2 * ROWS * 9 / 10;

/// Numbers that all vectors of a kind have among theirs.
const DERIVED: [f32; 3] = [0.123_456_7, -0.654_321, 0.333_333_2];
const OPEN: [f32; 3] = [0.765_432_1, -0.234_567, 0.222_222_3];

/// How often those of the derived and of the open ones are in files below folders of this name, as pgvector keeps them or as
/// text.
fn found(scan: &Scan, within: &str) -> (usize, usize) {
    let inside = scan.files.iter().filter(|file| {
        within.is_empty() || file.path.components().any(|part| part.as_os_str() == within)
    });
    inside.fold((0, 0), |(sealed, open), file| {
        (sealed + file.sealed.iter().sum::<usize>(), open + file.open.iter().sum::<usize>())
    })
}

fn scan(folder: &Path) -> Scan {
    let marks = |numbers: [f32; 3]| {
        let bytes = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
        let text = numbers.map(|number| number.to_string()).join(",").into_bytes();
        vec![bytes, text]
    };
    Scan::looking_for(folder, &marks(DERIVED), &marks(OPEN))
}

#[tokio::test]
async fn copies_are_in_no_wal_and_no_backup() {
    let mut server = OwnServer::start().await;
    let engine = house(&server).await;
    let mut chance = Chance::new(8);
    let mut number = || (chance.below(1 << 24) as f32 / 8_388_608.0) - 1.0;
    let mut vectors = |marks: [f32; 3]| -> Vec<Vec<f32>> {
        let one = |_| marks.into_iter().chain((0..29).map(|_| number())).collect();
        (0..2 * ROWS).map(one).collect()
    };
    let (derived, open) = (vectors(DERIVED), vectors(OPEN));
    for (at, name) in ["a", "b"].into_iter().enumerate() {
        let tenant = engine.tenant(name).await.unwrap();
        let rows = (at * ROWS..(at + 1) * ROWS)
            .map(|n| json!({ "n": n, "derived": derived[n], "open": open[n] }));
        // Half of them as a worker would.
        let (first, second): (Vec<Value>, Vec<Value>) =
            rows.partition(|row| row["n"].as_u64().unwrap() % 2 == 0);
        engine
            .write(&tenant, operation("person?select=n", Verb::Insert(first.into(), None)))
            .await
            .unwrap();
        let lines: String = second.iter().map(|row| format!("{row}\n")).collect();
        let import = Import {
            entity: "person".into(),
            input: Box::new(Cursor::new(lines)),
            format: Format::JsonLines,
            vectors: None,
            upsert: None,
            source: None,
            restart: false,
            on_bad: OnBad::Stop,
        };
        assert_eq!(engine.import(&tenant, import, &mut |_| {}).await.unwrap().rows, 50);
        let near = format!("person?derived=nearest(k:1).{:?}&select=n", derived[at * ROWS + 3])
            .replace(' ', "");
        assert_eq!(read(&engine, &tenant, &near).await.unwrap()[0]["n"], at * ROWS + 3);
    }
    // A worker puts all of them there anew.
    let admin = server.client().await;
    admin
        .batch_execute(
            "truncate app.\"person~derived~near\", freehold.copy_whole, freehold.copy_note",
        )
        .await
        .unwrap();
    while engine.copy_step().await.unwrap() > 0 {}
    admin.batch_execute("checkpoint").await.unwrap();

    let live = scan(server.data_dir());
    let (derived_in_wal, open_in_wal) = found(&live, "pg_wal");
    assert!(open_in_wal >= MOST, "the control: {open_in_wal}");
    assert_eq!(derived_in_wal, 0);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    server.base_backup(&backup).await;
    let (in_backup, control) = found(&scan(&backup), "");
    assert!(control >= MOST, "the control: {control}");
    assert_eq!(in_backup, 0);
    in_dumps(&server, folder.path()).await;
    // And they would be seen: somebody makes the copy a logged table.
    for shelf in 0..8 {
        let logged =
            format!("alter table freehold_shelf.\"person~derived~near~{shelf}\" set logged");
        admin.batch_execute(&logged).await.unwrap();
    }
    let (logged, _) = found(&scan(server.data_dir()), "pg_wal");
    assert!(logged >= MOST, "what is logged is found: {logged}");

    // Restored from it, nothing is found until a worker was there; then all is.
    server.restore(&backup).await;
    let engine = Engine::open(store(&server.url()).await, "/".into()).await.unwrap();
    let tenant = engine.tenant("b").await.unwrap();
    let near =
        format!("person?derived=nearest(k:1).{:?}&select=n", derived[ROWS + 3]).replace(' ', "");
    assert_eq!(crate::ground::code(read(&engine, &tenant, &near).await), Code::CopyNotWhole);
    while engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(read(&engine, &tenant, &near).await.unwrap()[0]["n"], ROWS + 3);
}

async fn in_dumps(server: &OwnServer, folder: &Path) {
    for (options, wanted) in [(&["--no-unlogged-table-data"][..], 0), (&[][..], 2 * ROWS)] {
        let dump = folder.join(format!("dump-{wanted}"));
        std::fs::create_dir(&dump).unwrap();
        server.dump(&dump.join("dump.sql"), options).await;
        let (in_dump, control) = found(&scan(&dump), "");
        assert_eq!((in_dump, control), (wanted, 2 * ROWS), "{options:?}");
    }
}

async fn house(server: &OwnServer) -> Engine {
    let url = server.url();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    operator.create_tenant("b").await.unwrap();
    change(&mut operator, &store(&url).await, MARKS, &[]).await.unwrap();
    drop(operator);
    Engine::open(store(&url).await, "/".into()).await.unwrap()
}
