//! Vectors that are sealed in their table and searched in a copy that no backup has. Beside each stands one in the open, made
//! from the same text by the same embedder: whatever is asked of the two, the answers are the same, on every way by which rows
//! come, change and go.

mod lost;
mod residue;
mod ticket;

use std::io::Cursor;

use freehold_engine::{
    Code, Error, Mode, Tenant,
    export::Export,
    import::{Format, Import, OnBad},
    write::Verb,
};
use serde_json::{Value, json};

use crate::ground::{Ground, ground_in, operation, read};

const MODEL: &str = r#"
[model]
name = "derived"

[personal.contact]
purpose = "account"
basis = "consent"
retention = "1 year"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
face = { vector = 3, personal = "contact", stored = "derived", optional = true }
plain = { vector = 3, personal = "contact", stored = "open", stored_why = "a test", optional = true }
half = { halfvec = 3, personal = "contact", stored = "derived", metric = "l2", optional = true }
half_plain = { halfvec = 3, personal = "contact", stored = "open", stored_why = "a test", metric = "l2", optional = true }

[entity.note.field]
n = { type = "integer", unique = true, not_personal = "a number" }
of = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
title = { type = "text", optional = true, search = "english", not_personal = "a title" }
text = { type = "text", personal = "contact", optional = true }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
open = { vector = 64, of = ["title", "text"], stored = "open", stored_why = "a test of search" }
near = { vector = 64, of = ["title", "text"], stored = "derived" }

[[entity.note.expire]]
delete = "1 day after at"
"#;

async fn filled() -> (Ground, Value) {
    filled_in(Mode::Seal).await
}

async fn filled_in(mode: Mode) -> (Ground, Value) {
    let ground = ground_in(MODEL, mode).await;
    let mut ada = Value::Null;
    for tenant in [&ground.b, &ground.a] {
        let people = json!([
            { "handle": "ada", "face": [0.1, 0.2, 0.3], "plain": [0.1, 0.2, 0.3], "half": [0.1, 0.2, 0.3], "half_plain": [0.1, 0.2, 0.3] },
            { "handle": "bob", "face": [3, -2, 1], "plain": [3, -2, 1], "half": "[3,-2,1e-3]", "half_plain": "[3,-2,1e-3]" },
            { "handle": "cy", "face": null, "plain": null, "half": null, "half_plain": null },
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

/// Each asks the same of the vector in the open as of the derived one, which is in brackets.
const SAME: [&str; 15] = [
    "note?[near]=nearest(k:9).text:green%20garden&select=n,[near].distance(),[near].similarity()",
    "note?[near]=nearest(l2,max:1.3).text:red%20house&select=n,[near].distance()",
    "note?[near]=nearest(min:0.2).text:red%20house&select=n&limit=2&offset=1",
    "note?[near]=nearest.text:garden&or=([near].distance().lt.0.9,n.eq.2)&order=[near].distance().desc&select=n",
    "note?[near]=nearest.text:garden&select=n&[near]=not.is.null&limit=1&offset=1",
    "note?[near]=nearest.text:one&n=gte.2&title=not.is.null&select=n",
    "note?[near]=nearest(k:5).text:one&order=n.desc&select=n,of(handle)",
    "note?[near]=nearest.text:one&of.handle=eq.ada&select=n,of!inner(handle)",
    "note?[near]=nearest(as:v).text:house&title=wfts(english,as:t).two&rank=rrf(t,v)&select=n,score()",
    "note?[near]=nearest(as:v,w:0.7).text:house&title=wfts(english,as:t).two&rank=wsum(t,v)&select=n,score()",
    "person?select=handle,note(n,[near].distance())&note.[near]=nearest(k:2).text:garden&order=handle",
    "person?select=handle,note!inner(n)&note.[near]=nearest(max:0.9).text:garden&order=note([near].distance())",
    "person?[face]=nearest(k:9).[0.1,0.1,0.1]&select=handle,[face].distance()",
    "person?[half]=nearest(k:9).[0.1,0.1,0.1]&select=handle,[half].distance()",
    "person?[face]=nearest.row:handle.ada&select=handle,[face].distance()",
];

fn said(answer: Result<Value, Error>) -> String {
    match answer {
        Ok(rows) => rows.to_string(),
        // The row that the others are compared with may be gone.
        Err(Error::Refused(refusal)) if refusal.code == Code::Vector => "no vector".to_owned(),
        Err(error) => panic!("{error:?}"),
    }
}

/// That the derived vectors answer as those in the open do, that each row has the copy that it should, and nothing else has one;
/// how many notes have one.
async fn check(ground: &Ground, tenant: &Tenant, way: &str) -> usize {
    for query in SAME {
        let derived = query
            .replace(['[', ']'], "")
            .replace("nearest(k:9).0.1,0.1,0.1", "nearest(k:9).[0.1,0.1,0.1]");
        let open = query
            .replace("[near]", "open")
            .replace("[face]", "plain")
            .replace("[half]", "half_plain");
        let open = said(read(&ground.engine, tenant, &open).await);
        let derived = said(read(&ground.engine, tenant, &derived).await);
        assert_eq!(derived, open.replace("\"open\"", "\"near\""), "{way}: {query}");
    }
    let odd = "select coalesce(t.id, c.id) as id from app.note t full join app.\"note~near~near\" c on c.tenant_id = t.tenant_id and c.id = t.id \
               where t.open::text is distinct from c.v::text or (t.near is null) <> (c.v is null) \
               union all select coalesce(t.id, c.id) from app.person t full join app.\"person~face~near\" c on c.tenant_id = t.tenant_id and c.id = t.id \
               where t.plain::text is distinct from c.v::text \
               union all select coalesce(t.id, c.id) from app.person t full join app.\"person~half~near\" c on c.tenant_id = t.tenant_id and c.id = t.id \
               where t.half_plain::text is distinct from c.v::text";
    assert_eq!(ground.truth(odd).await, json!([]), "{way}");
    assert_eq!(
        ground.truth("select copy::regclass::text from freehold.copy_note").await,
        json!([]),
        "{way}"
    );
    let copies = ground
        .truth(&format!(
            "select id from app.\"note~near~near\" where tenant_id = '{}'",
            tenant.id()
        ))
        .await;
    copies.as_array().unwrap().len()
}

#[tokio::test]
async fn copies_follow_their_rows_on_every_way() {
    follow(filled().await).await;
}

async fn follow((ground, ada): (Ground, Value)) {
    let a = &ground.a;
    assert_eq!(check(&ground, a, "inserted").await, 2);
    ground.update(a, "note?n=eq.1", json!({ "text": "a yellow field" })).await;
    assert_eq!(check(&ground, a, "one text changed, the other as it is").await, 2);
    ground.update(a, "note?n=lte.2&select=n,text,near", json!({ "title": "new" })).await;
    check(&ground, a, "the open text changed, the sealed one as it is").await;
    ground.update(a, "note?n=eq.1", json!({ "of": null, "text": "a blue sea" })).await;
    check(&ground, a, "somebody else's").await;
    let rows = json!([{ "n": 1, "title": "again" }, { "n": 4, "title": "fourth" }]);
    ground.merge(a, "note?on_conflict=n&columns=n,title", rows).await;
    assert_eq!(check(&ground, a, "merged, the sealed text as it is").await, 3);
    let rows = json!([{ "n": 1, "of": ada, "text": "a white wall" }, { "n": 5, "of": ada, "text": "a fifth" }]);
    ground.merge(a, "note?on_conflict=n", rows).await;
    assert_eq!(check(&ground, a, "merged").await, 4);
    let ignored = json!([{ "n": 1, "of": ada, "text": "nobody reads this" }]);
    let ignore = Verb::Insert(ignored, Some(freehold_engine::write::Resolution::Ignore));
    ground.write(a, "note?on_conflict=n", ignore).await.unwrap();
    assert_eq!(check(&ground, a, "left as it is").await, 4);
    let operations = vec![
        operation(
            "note?select=n",
            Verb::Insert(json!({ "n": 6, "of": ada, "text": "a sixth" }), None),
        ),
        operation("note?n=eq.6&select=n", Verb::Update(json!({ "title": "of six" }))),
        operation("note?n=eq.5&select=n", Verb::Update(json!({ "text": null }))),
        operation("note?n=eq.4&select=n", Verb::Delete),
    ];
    ground.engine.write_all(a, operations).await.unwrap();
    assert_eq!(check(&ground, a, "in a transaction").await, 3);
    let faces = json!({ "face": [1, 2, 3], "plain": [1, 2, 3], "half": [0.3, 0.2, 0.1], "half_plain": [0.3, 0.2, 0.1] });
    ground.update(a, "person?handle=in.(ada,cy)", faces).await;
    check(&ground, a, "brought anew").await;
    ground.update(a, "person?handle=eq.cy", json!({ "face": null, "plain": null })).await;
    check(&ground, a, "emptied").await;
    // As after a time in which the embedder was away, or by plain SQL.
    ground.engine.raw_sql(a, "update app.note set open = null, near = null").await.unwrap();
    assert_eq!(check(&ground, a, "emptied by SQL").await, 0);
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    assert_eq!(check(&ground, a, "filled by a worker").await, 3);
    let person = ada.as_str().unwrap().parse().unwrap();
    ground.engine.reseal_person(a, "person", person, &mut |_| {}).await.unwrap();
    // The one in the open was emptied with the bytes of its text.
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    assert_eq!(check(&ground, a, "sealed anew").await, 3);
    ground.engine.raw_sql(a, "delete from app.note where n = 2").await.unwrap();
    assert_eq!(check(&ground, a, "deleted by SQL").await, 2);
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}

#[tokio::test]
async fn copies_go_through_files() {
    through_files(filled().await).await;
}

async fn through_files((ground, ada): (Ground, Value)) {
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
        assert_eq!(load(&ground, String::from_utf8(output).unwrap(), format, None).await, 3);
        assert_eq!(check(&ground, &ground.a, &format!("{format:?}")).await, 2);
    }
    let lines = format!(
        "{{\"n\":1,\"of\":{ada},\"text\":\"a seventh\"}}\n{{\"n\":8,\"title\":\"an eighth\"}}\n"
    );
    load(&ground, lines, Format::JsonLines, Some(vec!["n".into()])).await;
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    assert_eq!(check(&ground, &ground.a, "merged").await, 3);
}

async fn load(ground: &Ground, text: String, format: Format, upsert: Option<Vec<String>>) -> u64 {
    let import = Import {
        entity: "note".into(),
        input: Box::new(Cursor::new(text)),
        format,
        vectors: None,
        upsert,
        source: None,
        restart: false,
        on_bad: OnBad::Stop,
    };
    ground.engine.import(&ground.a, import, &mut |_| {}).await.unwrap().rows
}

#[tokio::test]
async fn copies_are_erased_with_their_person() {
    erased(filled().await).await;
}

async fn erased((ground, ada): (Ground, Value)) {
    let id = ada.as_str().unwrap().parse().unwrap();
    ground.engine.erase(&ground.a, "person", id).await.unwrap();
    let theirs = format!(
        "select 1 as one from app.\"person~face~near\" where tenant_id = '{}' and id = {}",
        ground.a.id(),
        format_args!("'{}'", ada.as_str().unwrap()),
    );
    assert_eq!(ground.truth(&theirs).await, json!([]));
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    // Of note 1 its title is left, which is not personal, and its vector is made again of that alone.
    assert_eq!(check(&ground, &ground.a, "erased").await, 2);
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}

#[tokio::test]
async fn copies_expire_with_their_row() {
    expired(filled().await).await;
}

async fn expired((ground, ada): (Ground, Value)) {
    let old = json!({ "n": 9, "of": ada, "text": "an old thing", "at": "2020-01-01T00:00:00Z" });
    ground.insert(&ground.a, "note?select=id", old).await;
    let near = "note?near=nearest(k:9).text:an%20old%20thing&select=n";
    let found = ground.read(&ground.a, near).await;
    assert!(found.as_array().unwrap().iter().all(|row| row["n"] != 9), "{found}");
    assert_eq!(check(&ground, &ground.a, "over and there").await, 3);
    ground.engine.expire(Some(&ground.a)).await.unwrap();
    assert_eq!(check(&ground, &ground.a, "gone").await, 2);
}
