//! A row and its vector never disagree, whatever is done to the row.

use freehold_engine::{
    Tenant,
    write::{Resolution, Verb},
};
use freehold_model::Name;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::ground::{Ground, body, ground};

pub(crate) const MODEL: &str = r#"
[model]
name = "notes"

[entity.person.field]
handle = { type = "text", unique = true }

[entity.note.field]
key = { type = "text", unique = true }
author = { ref = "person", optional = true, on_delete = "unlink" }
title = { type = "text", default = "Untitled" }
body = { type = "text", optional = true }
state = { enum = ["open", "gone"], default = "open" }
weight = { type = "integer", optional = true }
by_title = { vector = 16, of = ["title"] }
by_all = { halfvec = 32, metric = "l2", of = ["title", "body", "state"] }
"#;

/// Some differ in case alone, which the built-in embedder does not see, and some have no vector.
const TEXTS: [&str; 6] = ["Alpha beta", "alpha BETA", "gamma", " Gamma ", "", "delta epsilon"];

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<u8>, Fields),
    Merge(Vec<u8>, Fields),
    Ignore(Vec<u8>, Fields),
    Update(u8, Fields),
    RawUpdate(u8, &'static str),
    RawInsert(u8, &'static str),
    Delete(u8),
}

#[derive(Debug, Clone)]
struct Fields {
    title: Option<&'static str>,
    body: Option<Option<&'static str>>,
    state: Option<&'static str>,
    weight: Option<i32>,
    /// A vector that is given as null is to be made.
    null: bool,
}

impl Fields {
    fn row(&self) -> Map<String, Value> {
        let mut row = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.map(|value| row.insert(name.to_owned(), value))
        };
        put("title", self.title.map(Value::from));
        put("body", self.body.map(Value::from));
        put("state", self.state.map(Value::from));
        put("weight", self.weight.map(Value::from));
        put("by_all", self.null.then_some(Value::Null));
        row
    }
}

fn step() -> impl Strategy<Value = Step> {
    let text = || select(TEXTS.to_vec());
    let fields = (
        option::of(text()),
        option::of(option::of(text())),
        option::of(select(vec!["open", "gone"])),
        option::of(0..9),
        prop::bool::weighted(0.2),
    );
    let fields = fields.prop_map(|(title, body, state, weight, null)| Fields {
        title,
        body,
        state,
        weight,
        null,
    });
    let keys =
        || prop::collection::btree_set(0..4_u8, 1..4).prop_map(|keys| keys.into_iter().collect());
    prop_oneof![
        2 => (keys(), fields.clone()).prop_map(|(keys, fields)| Step::Insert(keys, fields)),
        4 => (keys(), fields.clone()).prop_map(|(keys, fields)| Step::Merge(keys, fields)),
        1 => (keys(), fields.clone()).prop_map(|(keys, fields)| Step::Ignore(keys, fields)),
        4 => (0..4_u8, fields).prop_map(|(key, fields)| Step::Update(key, fields)),
        1 => (0..4_u8, text()).prop_map(|(key, text)| Step::RawUpdate(key, text)),
        1 => (0..4_u8, text()).prop_map(|(key, text)| Step::RawInsert(key, text)),
        1 => (0..4_u8).prop_map(Step::Delete),
    ]
}

#[test]
fn a_vector_is_its_texts_or_empty() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = runtime.block_on(ground(MODEL));
    let config = Config {
        cases: cases(24),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = vec((any::<bool>(), step()), 1..10);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(async {
                for tenant in [&ground.a, &ground.b] {
                    ground.write(tenant, "note?id=not.is.null", Verb::Delete).await.unwrap();
                }
                let mut raw = false;
                for (first, step) in steps {
                    let tenant = if first { &ground.a } else { &ground.b };
                    raw |= matches!(step, Step::RawUpdate(..) | Step::RawInsert(..));
                    take(&ground, tenant, &step).await;
                    check(&ground, raw, &step).await;
                }
                ground.engine.fill_step().await.unwrap();
                check(&ground, false, &"a fill").await;
            });
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// How many cases: `PROPTEST_CASES`, or few enough for every day.
#[allow(clippy::disallowed_methods, reason = "a test has no command line of ours")]
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

async fn take(ground: &Ground, tenant: &Tenant, step: &Step) {
    let rows = |keys: &[u8], fields: &Fields| -> Value {
        let row = |key: &u8| {
            let mut row = fields.row();
            row.insert("key".into(), format!("k{key}").into());
            Value::Object(row)
        };
        keys.iter().map(row).collect()
    };
    let all = "select=id,key,title,body,state,by_title,by_all";
    let (target, verb) = match step {
        Step::Insert(keys, fields) => ("note?".to_owned(), Verb::Insert(rows(keys, fields), None)),
        Step::Merge(keys, fields) => (
            "note?on_conflict=key&".into(),
            Verb::Insert(rows(keys, fields), Some(Resolution::Merge)),
        ),
        Step::Ignore(keys, fields) => (
            "note?on_conflict=key&".into(),
            Verb::Insert(rows(keys, fields), Some(Resolution::Ignore)),
        ),
        Step::Update(key, fields) => {
            (format!("note?key=eq.k{key}&"), Verb::Update(Value::Object(fields.row())))
        }
        Step::Delete(key) => (format!("note?key=eq.k{key}&"), Verb::Delete),
        Step::RawUpdate(key, text) => {
            let sql = format!("update app.note set title = '{text}' where key = 'k{key}'");
            ground.engine.raw_sql(tenant, &sql).await.unwrap();
            return;
        }
        Step::RawInsert(key, text) => {
            let sql = format!(
                "insert into app.note (key, body) values ('k{key}', '{text}') on conflict do nothing"
            );
            ground.engine.raw_sql(tenant, &sql).await.unwrap();
            return;
        }
    };
    let is_insert = matches!(step, Step::Insert(..));
    match ground.write(tenant, &format!("{target}{all}"), verb).await {
        Ok(written) if !matches!(step, Step::Delete(_)) => {
            // What comes back is what is there.
            for row in body(&written).as_array().unwrap() {
                let there = ground
                    .read(tenant, &format!("note?{all}&id=eq.{}", row["id"].as_str().unwrap()))
                    .await;
                assert_eq!(&there[0], row, "{step:?}");
            }
        }
        Ok(_) => {}
        // Its key was taken.
        Err(error) => assert!(is_insert, "{step:?}: {error:?}"),
    }
}

/// Every vector is that of its row's texts as they are now; empty ones are allowed after raw SQL only.
pub(crate) async fn check(ground: &Ground, raw: bool, after: &impl std::fmt::Debug) {
    let rows = ground
        .truth("select title, body, state, by_title::text::json, by_all::text::json from app.note")
        .await;
    let embedders = &ground.engine.snapshot().embedders;
    for row in rows.as_array().unwrap() {
        for (field, of, dimensions) in
            [("by_title", &["title"][..], 16), ("by_all", &["title", "body", "state"], 32)]
        {
            let text = text(row, of);
            let Some(vector) = row[field].as_array() else {
                assert!(raw || text.is_empty(), "{field} is empty after {after:?}: {row}");
                continue;
            };
            assert!(!text.is_empty(), "{field} of no text after {after:?}: {row}");
            let lexical = Name::new("lexical").unwrap();
            let wanted = embedders.embed(&lexical, dimensions, &[text]).await.unwrap().remove(0);
            let off = vector
                .iter()
                .zip(&wanted)
                .map(|(is, wanted)| (is.as_f64().unwrap() - f64::from(*wanted)).abs())
                .fold(0.0, f64::max);
            assert!(off < 1e-3, "{field} is not of its text after {after:?}: {row}");
        }
    }
}

fn text(row: &Value, of: &[&str]) -> String {
    let line = |name: &&str| match &row[*name] {
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let lines: Vec<String> = of.iter().map(line).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// A vector that the caller brings is kept, also where the database would take it for outdated.
#[tokio::test]
async fn a_vector_that_is_brought_wins() {
    let ground = ground(MODEL).await;
    let (one, two) = (axis(0), axis(1));
    for tenant in [&ground.a, &ground.b] {
        let row = json!({ "key": "k", "title": "first", "by_title": one });
        let written = ground.insert(tenant, "note?select=by_title", row).await;
        assert_eq!(body(&written), json!([{ "by_title": one }]));
    }
    let patch = json!({ "title": "second", "by_title": one });
    let written = ground.update(&ground.a, "note?key=eq.k&select=title,by_title", patch).await;
    assert_eq!(body(&written), json!([{ "title": "second", "by_title": one }]));
    let row = json!([{ "key": "k", "title": "third", "by_title": one }, { "key": "l", "title": "l", "by_title": null }]);
    let written = ground.merge(&ground.a, "note?on_conflict=key&select=key,by_title", row).await;
    assert_eq!((written.rows, written.inserted), (2, Some(1)));
    assert_eq!(body(&written)[0], json!({ "key": "k", "by_title": one }));
    assert!(body(&written)[1]["by_title"].is_array(), "the other one is made");
    let patch = json!({ "title": "fourth", "by_title": two });
    let written = ground.update(&ground.a, "note?key=eq.k&select=by_title", patch).await;
    assert_eq!(body(&written), json!([{ "by_title": two }]));
    let theirs = ground.read(&ground.b, "note?select=title,by_title").await;
    assert_eq!(theirs, json!([{ "title": "first", "by_title": one }]));
}

fn axis(at: usize) -> Vec<i32> {
    (0..16).map(|dimension| i32::from(dimension == at)).collect()
}
