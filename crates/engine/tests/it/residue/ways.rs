//! Every way by which values come in, and some by which they go out.

use std::io::Cursor;

use bytes::Bytes;
use freehold_engine::{
    Engine, Tenant,
    blob::Put,
    cache::Wanted,
    export::Export,
    import::{Format, Import, OnBad},
    read::{Manner, Read},
    write::{Operation, Resolution, Verb},
};
use futures_util::stream;
use serde_json::{Value, json};

use super::{NUMBER, OPEN, OPEN_VOICE, SEALED, VOICE};
use crate::ground::operation;

fn row(n: u32) -> Value {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    json!({
        "open": format!("{OPEN}{n}"), "open_bytes": format!("\\x{}{n:04}", hex(OPEN)), "open_voice": OPEN_VOICE,
        "email": format!("{SEALED}{n}@x.org"), "note": { "k": format!("{SEALED}{n}") },
        "bytes": format!("\\x{}{n:04}", hex(SEALED)), "number": format!("{NUMBER}.5"),
        "list": [SEALED, null], "words": format!("the {SEALED} and others"), "voice": VOICE,
    })
}

pub(super) async fn in_and_out(engine: &Engine, tenant: &Tenant) {
    requests(engine, tenant).await;
    refusals(engine, tenant).await;
    files(engine, tenant).await;
    reads(engine, tenant).await;
}

async fn requests(engine: &Engine, tenant: &Tenant) {
    let write =
        async |target: &str, verb: Verb| engine.write(tenant, operation(target, verb)).await;
    for n in 0..20 {
        write("person", Verb::Insert(row(n), None)).await.unwrap();
    }
    let eq = format!("person?email=eq.{SEALED}1@x.org");
    let patch = json!({ "note": SEALED, "open": format!("{OPEN}-patched"), "words": SEALED, "list": format!("{{{SEALED}}}") });
    assert_eq!(write(&eq, Verb::Update(patch)).await.unwrap().rows, 1);
    let upsert = json!({ "open": format!("{OPEN}2"), "email": format!("{SEALED}-again@x.org"), "words": format!("{SEALED} again") });
    write("person?on_conflict=open", Verb::Insert(upsert, Some(Resolution::Merge))).await.unwrap();
    let put = json!({ "open": format!("{OPEN}3"), "email": format!("{SEALED}-put@x.org"), "note": SEALED });
    write(&format!("person?open=eq.{OPEN}3"), Verb::Put(put)).await.unwrap();
    let operations = vec![
        operation("person", Verb::Insert(row(50), None)),
        Operation { returning: false, ..operation("person", Verb::Insert(row(51), None)) },
    ];
    engine.write_all(tenant, operations).await.unwrap();
    // As after a time in which the embedder was away.
    engine.raw_sql(tenant, "update app.person set likeness = null").await.unwrap();
    engine.fill_step().await.unwrap();
    write(&format!("person?email=eq.{SEALED}7@x.org"), Verb::Delete).await.unwrap();
}

/// What is refused is reported, and PostgreSQL's log says of what.
async fn refusals(engine: &Engine, tenant: &Tenant) {
    let refused = async |row: Value| {
        engine.write(tenant, operation("person", Verb::Insert(row, None))).await.unwrap_err()
    };
    refused(row(5)).await;
    refused(json!({ "open": "another", "email": format!("{SEALED}5@x.org") })).await;
    refused(json!({ "open": "another", "number": SEALED })).await;
    refused(json!({ "open": "another", "list": format!("{{{SEALED}") })).await;
    refused(json!({ "open": "another", "bytes": format!("\\x{SEALED}") })).await;
}

async fn files(engine: &Engine, tenant: &Tenant) {
    for (format, rows) in [(Format::JsonLines, 100..200), (Format::Csv, 200..220)] {
        let rows: Vec<Value> = rows.map(row).collect();
        let import = Import {
            entity: "person".into(),
            input: Box::new(Cursor::new(text(&rows, format))),
            format,
            vectors: None,
            upsert: Some(vec!["open".into()]),
            source: Some("marks".into()),
            restart: false,
            on_bad: OnBad::Stop,
        };
        let loaded = engine.import(tenant, import, &mut |_| {}).await.unwrap().rows;
        assert_eq!(loaded, rows.len() as u64);
    }
    let put = Put {
        entity: "person",
        field: "face",
        name: Some(SEALED),
        content_type: "text/plain",
        length: None,
    };
    let bytes = Bytes::from(SEALED.repeat(20_000));
    let stored =
        engine.put_blob(tenant, put, stream::iter([Ok::<_, std::io::Error>(bytes)])).await.unwrap();
    let mut with = row(300);
    with["face"] = json!(stored.id.to_string());
    engine.write(tenant, operation("person", Verb::Insert(with, None))).await.unwrap();
}

fn text(rows: &[Value], format: Format) -> String {
    if format == Format::JsonLines {
        return rows.iter().map(|row| format!("{row}\n")).collect();
    }
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let cell = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    let names = ["open", "email", "number", "words", "bytes", "voice"];
    let line = |row: &Value| names.map(|name| cell(row, name)).join(",") + "\n";
    names.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
}

async fn reads(engine: &Engine, tenant: &Tenant) {
    let filter = format!("email=eq.{SEALED}8@x.org");
    for query in ["", &*filter, "select=open,likeness&limit=3", "select=count()"] {
        let read = Read { entity: "person", query, count: false };
        engine.read(tenant, read).await.unwrap();
        for _ in 0..2 {
            let wanted = Wanted::default();
            engine.read_kept(tenant, read, &Manner::default(), wanted, &()).await.unwrap();
        }
    }
    let mut output = Vec::new();
    let export = Export {
        entity: "person".into(),
        output: &mut output,
        format: Format::Csv,
        vectors: None,
        purpose: None,
    };
    engine.export(tenant, export, &mut |_| {}).await.unwrap();
    assert!(output.windows(SEALED.len()).any(|part| part == SEALED.as_bytes()), "it is opened");
}
