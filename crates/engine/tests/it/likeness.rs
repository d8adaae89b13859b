//! Vectors of personal data: made from sealed texts whatever way these come, kept as the model says, and gone with their
//! texts. One in the open and one sealed are made from the same text by the same embedder, so they have to be the same.

use std::io::Cursor;

use freehold_engine::{
    Code, Error, Tenant, audit,
    export::Export,
    import::{Format, Import, OnBad},
    write::Verb,
};
use serde_json::{Value, json};

use crate::ground::{Ground, body, code, ground, operation, read};

const MODEL: &str = r#"
[model]
name = "likeness"

[personal.contact]
purpose = "account"
basis = "consent"
retention = "1 year"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
face = { vector = 3, personal = "contact", stored = "sealed", optional = true }
voice = { vector = 3, personal = "contact", stored = "open", stored_why = "a test of voices", optional = true }

[entity.note.field]
n = { type = "integer", unique = true, not_personal = "a number" }
of = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
title = { type = "text", optional = true, not_personal = "a title" }
text = { type = "text", personal = "contact", optional = true }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
open = { vector = 64, of = ["title", "text"], stored = "open", stored_why = "a test of search" }
shut = { vector = 64, of = ["title", "text"], stored = "sealed" }

[[entity.note.expire]]
delete = "1 day after at"
"#;

async fn filled() -> (Ground, Value) {
    let ground = ground(MODEL).await;
    let mut ada = Value::Null;
    for tenant in [&ground.b, &ground.a] {
        let people = json!([
            { "handle": "ada", "face": [0.1, 0.2, 0.3], "voice": [1, 0, 0] },
            { "handle": "bob", "face": null, "voice": null },
        ]);
        ground.insert(tenant, "person", people).await;
        ada = ground.read(tenant, "person?handle=eq.ada").await[0]["id"].clone();
        let notes = json!([
            { "n": 1, "of": ada, "title": "one", "text": "a green garden" },
            { "n": 2, "of": null, "title": "two", "text": "a red house" },
            { "n": 3, "of": ada, "title": null, "text": null },
        ]);
        ground.insert(tenant, "note", notes).await;
    }
    (ground, ada)
}

/// That both vectors of each note are those of its text, and how many have one.
async fn check(ground: &Ground, tenant: &Tenant, way: &str) -> usize {
    let rows = ground.read(tenant, "note?select=n,title,text,open,shut&order=n").await;
    let mut made = 0;
    for row in rows.as_array().unwrap() {
        assert_eq!(row["open"], row["shut"], "{way}: {}", row["n"]);
        assert_eq!(row["open"].is_null(), row["title"].is_null() && row["text"].is_null(), "{way}");
        let texts: Vec<&str> =
            ["title", "text"].iter().filter_map(|name| row[name].as_str()).collect();
        if !texts.is_empty() {
            let words: String = texts.join("\n").split_whitespace().collect::<Vec<_>>().join("%20");
            let found = ground
                .read(
                    tenant,
                    &format!("note?open=nearest(k:1).text:{words}&select=n,open.distance()"),
                )
                .await;
            assert_eq!(found[0]["n"], row["n"], "{way}: {words}");
            made += 1;
        }
    }
    made
}

#[tokio::test]
async fn vectors_follow_sealed_texts_on_every_way() {
    let (ground, ada) = filled().await;
    let a = &ground.a;
    assert_eq!(check(&ground, a, "inserted").await, 2);
    ground.update(a, "note?n=eq.1", json!({ "text": "a yellow field" })).await;
    assert_eq!(check(&ground, a, "one text changed, the other as it is").await, 2);
    let back = ground.update(a, "note?n=lte.2&select=n,text,shut", json!({ "title": "new" })).await;
    assert_eq!(
        body(&back).as_array().unwrap().iter().filter(|row| row["shut"].is_array()).count(),
        2
    );
    check(&ground, a, "the open text changed, the sealed one as it is").await;
    let moved = json!({ "of": null, "text": "a blue sea" });
    ground.update(a, "note?n=eq.1", moved).await;
    check(&ground, a, "somebody else's").await;
    let rows = json!([{ "n": 1, "title": "again" }, { "n": 4, "title": "fourth" }]);
    ground.merge(a, "note?on_conflict=n&columns=n,title", rows).await;
    assert_eq!(check(&ground, a, "merged, the sealed text as it is").await, 3);
    let rows = json!([{ "n": 1, "of": ada, "text": "a white wall" }, { "n": 5, "of": ada, "text": "a fifth" }]);
    ground.merge(a, "note?on_conflict=n", rows).await;
    assert_eq!(check(&ground, a, "merged").await, 4);
    let operations = vec![
        operation(
            "note?select=n",
            Verb::Insert(json!({ "n": 6, "of": ada, "text": "a sixth" }), None),
        ),
        operation("note?n=eq.6&select=n", Verb::Update(json!({ "title": "of six" }))),
        operation("note?n=eq.5&select=n", Verb::Update(json!({ "text": null }))),
    ];
    ground.engine.write_all(a, operations).await.unwrap();
    assert_eq!(check(&ground, a, "in a transaction").await, 4);
    // As after a time in which the embedder was away, or by plain SQL.
    ground.engine.raw_sql(a, "update app.note set open = null, shut = null").await.unwrap();
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    assert_eq!(check(&ground, a, "filled by a worker").await, 4);
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
    let counted = ground
        .truth("select coalesce(sum(opens), 0) > 0 as some from freehold.opened where purpose = 'embedding' and field = 'text'")
        .await;
    assert_eq!(counted[0]["some"], true);
}

#[tokio::test]
async fn a_sealed_vector_is_read_and_not_searched() {
    let (ground, ada) = filled().await;
    let ada = ada.as_str().unwrap();
    let faces = ground.read(&ground.a, "person?order=handle&select=face,voice").await;
    assert_eq!(
        faces,
        json!([{ "face": [0.1, 0.2, 0.3], "voice": [1, 0, 0] }, { "face": null, "voice": null }])
    );
    ground.update(&ground.a, &format!("person?id=eq.{ada}"), json!({ "face": "[3,2,1]" })).await;
    let faces = ground.read(&ground.a, "person?handle=eq.ada&select=face").await;
    assert_eq!(faces, json!([{ "face": [3, 2, 1] }]));
    for query in ["person?order=face.distance()", "person?select=face.distance()"] {
        assert_eq!(code(read(&ground.engine, &ground.a, query).await), Code::Syntax, "{query}");
    }
    let refused = read(&ground.engine, &ground.a, "note?order=shut").await;
    assert_eq!(code(refused), Code::Sealed);
    // Both are searched, and find the same.
    for field in ["open", "shut"] {
        let near = format!("note?{field}=nearest.text:green%20garden&select=n");
        assert_eq!(ground.read(&ground.a, &near).await, json!([{ "n": 1 }, { "n": 2 }]), "{field}");
    }
    // Of an entity that expires, without a condition of its own.
    let ranked = "note?select=n&open=nearest(as:v).text:house&title=wfts(simple,as:t).two&rank=rrf(v,t)&limit=1";
    assert_eq!(ground.read(&ground.a, ranked).await, json!([{ "n": 2 }]));
    let short = Verb::Update(json!({ "face": [1, 2] }));
    assert_eq!(
        code(ground.write(&ground.a, &format!("person?id=eq.{ada}"), short).await),
        Code::Vector
    );
    let types = ground
        .truth("select distinct pg_typeof(shut)::text as t, shut::text like '\\\\x0101%' as sealed from app.note where shut is not null")
        .await;
    assert_eq!(types, json!([{ "t": "bytea", "sealed": true }]));
    // That of another row does not open.
    let admin = ground.db.client().await;
    let moved = format!(
        "set row_security = off; update app.note set shut = (select shut from app.note where n = 2 and tenant_id = '{0}') where n = 1 and tenant_id = '{0}'",
        ground.a.id()
    );
    admin.batch_execute(&moved).await.unwrap();
    let got = read(&ground.engine, &ground.a, "note?n=eq.1&select=shut").await;
    assert!(matches!(got, Err(Error::Failed(_))));
}

#[tokio::test]
async fn vectors_go_through_files() {
    let (ground, ada) = filled().await;
    for format in [Format::JsonLines, Format::Csv] {
        let mut output = Vec::new();
        let export = Export {
            entity: "note".into(),
            output: &mut output,
            format,
            vectors: None,
            purpose: None,
        };
        ground.engine.export(&ground.a, export, &mut |_| {}).await.unwrap();
        ground.write(&ground.a, "note?n=not.is.null", Verb::Delete).await.unwrap();
        assert_eq!(load(&ground, String::from_utf8(output).unwrap(), format).await, 3);
        assert_eq!(check(&ground, &ground.a, &format!("{format:?}")).await, 2);
    }
    let lines = format!(
        "{{\"n\":7,\"of\":{ada},\"text\":\"a seventh\"}}\n{{\"n\":8,\"title\":\"an eighth\"}}\n"
    );
    assert_eq!(load(&ground, lines, Format::JsonLines).await, 2);
    assert_eq!(check(&ground, &ground.a, "embedded on the way").await, 4);
}

async fn load(ground: &Ground, text: String, format: Format) -> u64 {
    let import = Import {
        entity: "note".into(),
        input: Box::new(Cursor::new(text)),
        format,
        vectors: None,
        upsert: None,
        source: None,
        restart: false,
        on_bad: OnBad::Stop,
    };
    ground.engine.import(&ground.a, import, &mut |_| {}).await.unwrap().rows
}

#[tokio::test]
async fn vectors_are_erased_with_their_person() {
    let (ground, ada) = filled().await;
    let id = ada.as_str().unwrap().parse().unwrap();
    ground.engine.erase(&ground.a, "person", id).await.unwrap();
    let mine = format!("tenant_id = '{}'", ground.a.id());
    let left = format!(
        "select count(*) as n, count(text) as t, count(open) filter (where text is null and title is null) as o, count(open) as v from app.note where {mine}"
    );
    // Of note 1 its title is left, which is not personal, and its vector is made again of that alone.
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    assert_eq!(ground.truth(&left).await, json!([{ "n": 3, "t": 1, "o": 0, "v": 2 }]));
    check(&ground, &ground.a, "erased").await;
    let voices = format!("select count(voice) as v from app.person where {mine}");
    assert_eq!(ground.truth(&voices).await, json!([{ "v": 0 }]));
    let receipts = ground.engine.store().receipts(0, 10).await.unwrap();
    for said in ["vectors of note.open, kept in the open (a test of search)", "a test of voices"] {
        assert!(receipts.iter().any(|receipt| receipt.body.contains(said)), "{said}");
    }
    assert!(!receipts[0].body.contains("note.shut"));
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}

#[tokio::test]
async fn vectors_expire_with_their_row() {
    let (ground, ada) = filled().await;
    let old = json!({ "n": 9, "of": ada, "text": "an old thing", "at": "2020-01-01T00:00:00Z" });
    ground.insert(&ground.a, "note?select=id", old).await;
    let there =
        ground.truth("select count(open) as v, count(shut) as s from app.note where n = 9").await;
    assert_eq!(there, json!([{ "v": 1, "s": 1 }]));
    let near = "note?open=nearest(k:9).text:an%20old%20thing&select=n";
    let found = ground.read(&ground.a, near).await;
    assert!(found.as_array().unwrap().iter().all(|row| row["n"] != 9), "{found}");
    ground.engine.expire(Some(&ground.a)).await.unwrap();
    assert_eq!(ground.truth("select n from app.note where n = 9").await, json!([]));
}

#[tokio::test]
async fn what_is_kept_in_the_open_is_told() {
    let (ground, _) = filled().await;
    let register = ground.engine.register().await.unwrap();
    let of = |name: &str| {
        let fields = register["fields"].as_array().unwrap();
        fields.iter().find(|field| field["field"] == name).unwrap()["stored"].clone()
    };
    assert_eq!(of("open"), "in the open: a test of search");
    assert_eq!((of("shut"), of("face")), (json!("sealed"), json!("sealed")));
    assert!(register["findings"].to_string().contains("note.open is kept in the open"));
    let report = audit::audit(&mut ground.operator().await, None).await.unwrap();
    let told: std::collections::BTreeSet<(&str, &str)> = report
        .findings
        .iter()
        .filter(|finding| finding.check.id == "FH-D01")
        .map(|finding| (&*finding.object, &*finding.detail))
        .collect();
    assert_eq!(
        told,
        [("person.voice", "a test of voices"), ("note.open", "a test of search")].into()
    );
}
