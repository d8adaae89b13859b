//! What PostgreSQL keeps of what passed through it: planted marks are looked for in every file of a server of its own, WAL,
//! statistics and logs included. A field in the open has marks of its own, which must be found, or the search proves nothing.

use std::{fs, io::Cursor, path::Path};

use freehold_engine::{
    Engine, Operator, RootKey, Tenant,
    import::{Format, Import, OnBad},
    write::{Operation, Resolution, Verb},
};
use freehold_testkit::OwnServer;
use serde_json::json;

use crate::ground::{ROOT, change, operation, store};

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
email = { type = "text", personal = "contact", lookup = "email", unique = true, optional = true }
note = { type = "jsonb", personal = "contact", optional = true }
"#;

/// In sealed fields, and in those in the open. Nothing else is likely to say so.
const SEALED: &str = "q7zsealedmark";
const OPEN: &str = "q7zopenmark";

#[tokio::test]
async fn nothing_on_disk_says_what_is_sealed() {
    let server = OwnServer::start().await;
    let url = server.url();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    change(&mut operator, &store(&url).await, MODEL, &[]).await.unwrap();
    let engine = Engine::open(store(&url).await, "/".into()).await.unwrap();
    let tenant = engine.tenant("a").await.unwrap();
    let admin = server.client().await;
    for setting in [
        "alter system set log_statement = 'all'",
        "alter system set log_min_duration_statement = 0",
        "alter system set log_error_verbosity = verbose",
        "select pg_reload_conf()",
    ] {
        admin.batch_execute(setting).await.unwrap();
    }

    every_way_in(&engine, &tenant).await;
    admin.batch_execute("analyze").await.unwrap();
    admin.batch_execute("checkpoint").await.unwrap();
    let stats = "select count(*) from pg_stats where (most_common_vals::text || coalesce(histogram_bounds::text, '')) like '%q7z%'";
    let spelled: i64 = admin.query_one(stats, &[]).await.unwrap().get(0);
    assert_eq!(spelled, 0);

    let found = |mark: &str, within: &str| count(server.data_dir(), mark, within);
    let (open, wal, heap) = (found(OPEN, ""), found(OPEN, "pg_wal"), found(OPEN, "base"));
    assert!(
        wal > 0 && heap > 0 && open > wal + heap,
        "the control: {open}, {wal} in WAL, {heap} in tables, the rest in the log"
    );
    assert_eq!(found(SEALED, ""), 0, "of {open} of the control");
}

async fn every_way_in(engine: &Engine, tenant: &Tenant) {
    let row = |n: u32| json!({ "open": format!("{OPEN}{n}"), "email": format!("{SEALED}{n}@x.org"), "note": { "k": format!("{SEALED}{n}") } });
    let write =
        async |target: &str, verb: Verb| engine.write(tenant, operation(target, verb)).await;
    for n in 0..20 {
        write("person", Verb::Insert(row(n), None)).await.unwrap();
    }
    let eq = format!("person?email=eq.{SEALED}1@x.org");
    let patch = json!({ "note": SEALED, "open": format!("{OPEN}-patched") });
    assert_eq!(write(&eq, Verb::Update(patch)).await.unwrap().rows, 1);
    let upsert = json!({ "open": format!("{OPEN}2"), "email": format!("{SEALED}-again@x.org"), "note": null });
    write("person?on_conflict=open", Verb::Insert(upsert, Some(Resolution::Merge))).await.unwrap();
    let put = json!({ "open": format!("{OPEN}3"), "email": format!("{SEALED}-put@x.org"), "note": SEALED });
    write(&format!("person?open=eq.{OPEN}3"), Verb::Put(put)).await.unwrap();
    // What is refused is reported, and the log says of what.
    write("person", Verb::Insert(row(5), None)).await.unwrap_err();
    let taken = json!({ "open": "another", "email": format!("{SEALED}5@x.org"), "note": null });
    write("person", Verb::Insert(taken, None)).await.unwrap_err();
    let operations = vec![
        operation("person", Verb::Insert(row(50), None)),
        Operation { returning: false, ..operation("person", Verb::Insert(row(51), None)) },
    ];
    engine.write_all(tenant, operations).await.unwrap();
    let lines: String = (100..200).map(|n| format!("{}\n", row(n))).collect();
    let import = Import {
        entity: "person".into(),
        input: Box::new(Cursor::new(lines)),
        format: Format::JsonLines,
        vectors: None,
        upsert: Some(vec!["open".into()]),
        source: Some("marks".into()),
        restart: false,
        on_bad: OnBad::Stop,
    };
    assert_eq!(engine.import(tenant, import, &mut |_| {}).await.unwrap().rows, 100);
    write(&format!("person?email=eq.{SEALED}7@x.org"), Verb::Delete).await.unwrap();
}

/// How often the mark is in the files of a folder, of those in a folder of this name only if there is one.
fn count(folder: &Path, mark: &str, within: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let one = |path: &Path| {
        if !within.is_empty() {
            return 0;
        }
        // A file may go while it is looked for.
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(mark.len()).filter(|window| *window == mark.as_bytes()).count()
    };
    let inside = |path: &Path| if path.ends_with(within) { "" } else { within };
    entries
        .flatten()
        .map(|entry| entry.path())
        .map(|path| if path.is_dir() { count(&path, mark, inside(&path)) } else { one(&path) })
        .sum()
}
