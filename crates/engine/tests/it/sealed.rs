//! Personal data: sealed on every way in, opened on every way out, found by equality alone, and never for the wrong place.

use std::io::Cursor;

use freehold_engine::{
    Code, Error, Tenant,
    export::Export,
    import::{Format, Import, OnBad},
    read::{Manner, Read, Shape},
    write::{Operation, Resolution, Verb},
};
use serde_json::{Value, json};

mod every_type;
mod generalised;

use crate::ground::{Ground, body, code, ground, operation, read};

pub(crate) const MODEL: &str = r#"
[model]
name = "people"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a name of the product's" }
email = { type = "text", personal = "contact", lookup = "email", unique = true, optional = true }
born = { type = "date", personal = "contact", optional = true }
notes = { type = "jsonb", personal = "contact", optional = true }

[entity.message.field]
from = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
body = { type = "text", personal = "contact", optional = true, max_length = 40 }
kind = { enum = ["note", "call"], default = "note", not_personal = "which form it has" }
words = { type = "text", optional = true, not_personal = "words of the product's" }
meaning = { vector = 64, of = ["words"] }
"#;

pub(crate) async fn filled() -> (Ground, String) {
    let ground = ground(MODEL).await;
    let people = json!([
        { "handle": "ada", "email": "Ada@Example.org", "born": "1815-12-10", "notes": { "a": [1, null] } },
        { "handle": "bob", "email": null, "born": null, "notes": null },
    ]);
    ground.insert(&ground.a, "person", people.clone()).await;
    ground.insert(&ground.b, "person", people).await;
    let ada = ground.read(&ground.a, "person?handle=eq.ada").await[0]["id"].clone();
    (ground, ada.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_sealed_comes_back_as_it_was() {
    let (ground, ada) = filled().await;
    let rows = ground.read(&ground.a, "person?order=handle&select=handle,email,born,notes").await;
    let wanted = json!([
        { "handle": "ada", "email": "Ada@Example.org", "born": "1815-12-10", "notes": { "a": [1, null] } },
        { "handle": "bob", "email": null, "born": null, "notes": null },
    ]);
    assert_eq!(rows, wanted);
    let message = json!({ "from": ada, "body": "a \"quoted\", text" });
    let written = ground.insert(&ground.a, "message?select=body,from(mail:email)", message).await;
    assert_eq!(
        body(&written),
        json!([{ "body": "a \"quoted\", text", "from": { "mail": "Ada@Example.org" } }])
    );
    let many = ground.read(&ground.a, "person?handle=eq.ada&select=x:email,message(body)").await;
    assert_eq!(many[0]["x"], "Ada@Example.org");
    assert_eq!(many[0]["message"], json!([{ "body": "a \"quoted\", text" }]));
    let sealed = ground.truth("select email::text, \"email~lookup\"::text as l, born::text from app.person where email is not null").await;
    for row in sealed.as_array().unwrap() {
        assert!(row["email"].as_str().unwrap().starts_with("\\x0101"), "{row}");
        assert_eq!(row["l"].as_str().unwrap().len(), 34, "{row}");
    }
    let (one, other) = (&sealed[0], &sealed[1]);
    assert_ne!(one["l"], other["l"], "each tenant has blind indexes of its own");
}

#[tokio::test]
async fn csv_and_singles_are_opened_too() {
    let (ground, ada) = filled().await;
    ground.insert(&ground.a, "message", json!({ "from": ada, "body": "a, \"b\"" })).await;
    let manner = Manner { shape: Shape::Csv, ..Manner::default() };
    let what = Read { entity: "message", query: "select=kind,body,from(email)", count: false };
    let answer = ground.engine.read_as(&ground.a, what, &manner).await.unwrap();
    assert_eq!(
        answer.body,
        "kind,body,from\nnote,\"a, \"\"b\"\"\",\"{\"\"email\"\":\"\"Ada@Example.org\"\"}\""
    );
}

#[tokio::test]
async fn it_is_found_by_equality_and_by_nothing_else() {
    let (ground, ada) = filled().await;
    for query in [
        "email=eq.ADA@example.org ",
        "email=in.(x@y.z,ada@example.org)",
        "or=(email.eq.ada@example.org,handle.eq.x)",
        "email=not.is.null",
        "email=not.neq.ada@example.org",
    ] {
        let rows = ground.read(&ground.a, &format!("person?select=id&{query}")).await;
        assert_eq!(rows, json!([{ "id": ada }]), "{query}");
    }
    assert_eq!(ground.read(&ground.a, "person?email=neq.ada@example.org").await, json!([]));
    ground.insert(&ground.a, "message", json!({ "from": ada, "body": "x" })).await;
    let by = "message?select=body,from!inner()&from.email=eq.ada@example.org";
    assert_eq!(ground.read(&ground.a, by).await, json!([{ "body": "x" }]));
    for query in [
        "person?email=gt.a",
        "person?email=like.a*",
        "person?order=email",
        "person?born=eq.1815-12-10",
        "person?select=email,count()",
        "person?select=email::text",
        "person?select=email.max()",
        "person?notes->a=eq.1",
        "person?email=fts.ada",
        "message?select=body,from(email)&order=from(email)",
        "person?email=isdistinct.x",
    ] {
        assert_eq!(code(read(&ground.engine, &ground.a, query).await), Code::Sealed, "{query}");
    }
    assert_eq!(
        code(read(&ground.engine, &ground.a, "person?email=eq.ada").await),
        Code::InvalidValue
    );
    let counted = ground.read(&ground.a, "person?select=n:email.count()").await;
    assert_eq!(counted, json!([{ "n": 1 }]));
}

#[tokio::test]
async fn every_way_of_writing_seals() {
    let (ground, ada) = filled().await;
    ground
        .update(
            &ground.a,
            "person?email=eq.ada@example.org",
            json!({ "born": "1816-01-01", "handle": "ada2" }),
        )
        .await;
    ground.update(&ground.a, "person?handle=eq.ada2", json!({ "email": "new@example.org" })).await;
    let row = ground.read(&ground.a, "person?email=eq.new@example.org&select=handle,born").await;
    assert_eq!(row, json!([{ "handle": "ada2", "born": "1816-01-01" }]));
    // Over the row that is there, by a key and by the lookup itself; and a new one beside.
    let rows = json!([{ "handle": "ada2", "born": "1817-01-01", "email": "third@example.org" }, { "handle": "eve", "born": null, "email": "e@x.org" }]);
    let merged =
        ground.merge(&ground.a, "person?on_conflict=handle&select=handle,email", rows).await;
    assert_eq!((merged.rows, merged.inserted), (2, Some(1)));
    let rows = json!({ "handle": "ada3", "email": "THIRD@example.org", "notes": 7 });
    ground.merge(&ground.a, "person?on_conflict=email", rows).await;
    let put = Verb::Put(json!({ "handle": "eve", "email": "eve@example.org" }));
    ground.write(&ground.a, "person?email=eq.e@x.org", put).await.unwrap_err();
    let put = Verb::Put(json!({ "handle": "eve2", "email": "e@x.org" }));
    ground.write(&ground.a, "person?email=eq.e@x.org", put).await.unwrap();
    let all = ground
        .read(&ground.a, "person?email=not.is.null&order=handle&select=id,handle,email,born,notes")
        .await;
    assert_eq!(
        all[0],
        json!({ "id": ada, "handle": "ada3", "email": "third@example.org", "born": "1817-01-01", "notes": 7 })
    );
    assert_eq!(all[1]["handle"], "eve2");
    // Emptied, it is found no more.
    ground.update(&ground.a, "person?handle=eq.ada3", json!({ "email": null })).await;
    assert_eq!(ground.read(&ground.a, "person?email=eq.third@example.org").await, json!([]));
    let operations = vec![
        Operation {
            returning: true,
            ..operation(
                "person",
                Verb::Insert(json!({ "handle": "tx", "email": "tx@x.org" }), None),
            )
        },
        operation(
            "person?handle=eq.tx&select=email",
            Verb::Update(json!({ "email": "tx2@x.org" })),
        ),
        operation("person?email=eq.tx2@x.org&select=email", Verb::Delete),
    ];
    let written = ground.engine.write_all(&ground.a, operations).await.unwrap();
    assert_eq!(body(&written[1]), json!([{ "email": "tx2@x.org" }]));
    assert_eq!(body(&written[2]), json!([{ "email": "tx2@x.org" }]));
    let other = ground.read(&ground.b, "person?email=eq.ada@example.org&select=handle").await;
    assert_eq!(other, json!([{ "handle": "ada" }]), "the other tenant's is untouched");
}

#[tokio::test]
async fn values_are_judged_although_postgresql_does_not_see_them() {
    let (ground, ada) = filled().await;
    let insert =
        async |row: Value| code(ground.write(&ground.a, "person", Verb::Insert(row, None)).await);
    assert_eq!(insert(json!({ "handle": "x", "email": "no address" })).await, Code::InvalidValue);
    assert_eq!(insert(json!({ "handle": "x", "born": "2023-02-29" })).await, Code::InvalidTime);
    assert_eq!(insert(json!({ "handle": "x", "email": "ADA@example.org" })).await, Code::Conflict);
    let long = json!({ "from": ada, "body": "x".repeat(41) });
    assert_eq!(
        code(ground.write(&ground.a, "message", Verb::Insert(long, None)).await),
        Code::Check
    );
    ground.insert(&ground.a, "message", json!({ "from": ada, "body": "mine" })).await;
    // Whose it is cannot change underneath it.
    let moved = Verb::Update(json!({ "from": null }));
    assert_eq!(
        code(ground.write(&ground.a, "message?body=not.is.null", moved).await),
        Code::Sealed
    );
    let both = json!({ "from": null, "body": "nobody's" });
    ground.update(&ground.a, "message?body=not.is.null", both).await;
    assert_eq!(
        ground.read(&ground.a, "message?select=body").await,
        json!([{ "body": "nobody's" }])
    );
}

#[tokio::test]
async fn the_database_refuses_what_is_not_sealed() {
    let (ground, _) = filled().await;
    for values in [
        "email = 'ada@example.org, in the open and long enough to pass'::bytea",
        "email = null",
        "\"email~lookup\" = '\\x00'",
    ] {
        let sql = format!("update app.person set {values} where email is not null");
        let refused = ground.engine.raw_sql(&ground.a, &sql).await;
        assert!(refused.is_err(), "{values}");
    }
}

#[tokio::test]
async fn what_was_moved_elsewhere_does_not_open() {
    let (ground, ada) = filled().await;
    ground
        .insert(
            &ground.a,
            "person",
            json!({ "handle": "eve", "email": "eve@example.org", "born": "1900-01-01" }),
        )
        .await;
    let swaps = [
        // Another row and person, another field, another tenant.
        "update app.person set born = (select born from app.person where handle = 'eve') where handle = 'ada'",
        "update app.person set notes = born where handle = 'ada'",
    ];
    for swap in swaps {
        let admin = ground.db.client().await;
        let all = format!("set row_security = off; {swap} and tenant_id = '{}'", ground.a.id());
        let one = all.replace(
            "from app.person where handle = 'eve'",
            &format!("from app.person where handle = 'eve' and tenant_id = '{}'", ground.a.id()),
        );
        admin.batch_execute(&one).await.unwrap();
        let got = read(&ground.engine, &ground.a, &format!("person?id=eq.{ada}")).await;
        assert!(matches!(got, Err(Error::Failed(_))), "{swap}");
        let mend = json!({ "born": "1815-12-10", "notes": null });
        ground.update(&ground.a, &format!("person?id=eq.{ada}&select=id"), mend).await;
    }
    let admin = ground.db.client().await;
    let theirs = format!(
        "set row_security = off; update app.person set born = (select born from app.person where handle = 'ada' and tenant_id = '{}') where handle = 'ada' and tenant_id = '{}'",
        ground.a.id(),
        ground.b.id()
    );
    admin.batch_execute(&theirs).await.unwrap();
    let got = read(&ground.engine, &ground.b, "person?handle=eq.ada").await;
    assert!(matches!(got, Err(Error::Failed(_))));
}

#[tokio::test]
async fn files_are_sealed_and_opened() {
    let (ground, ada) = filled().await;
    let import = async |lines: &str, upsert: Option<&str>| {
        let input = Box::new(Cursor::new(lines.to_owned()));
        let import = Import {
            entity: "person".into(),
            input,
            format: Format::JsonLines,
            vectors: None,
            upsert: upsert.map(|field| vec![field.to_owned()]),
            source: None,
            restart: false,
            on_bad: OnBad::Stop,
        };
        ground.engine.import(&ground.a, import, &mut |_| {}).await
    };
    let lines = "{\"handle\":\"cy\",\"email\":\"cy@example.org\",\"born\":\"1900-01-01\"}\n{\"handle\":\"di\",\"email\":\"di@example.org\"}\n";
    assert_eq!(import(lines, None).await.unwrap().rows, 2);
    let lines = "{\"handle\":\"ada\",\"email\":\"ada@lovelace.org\"}\n{\"handle\":\"ed\",\"email\":\"ed@example.org\"}\n";
    assert_eq!(import(lines, Some("handle")).await.unwrap().rows, 2);
    assert!(import("{\"handle\":\"ed2\",\"email\":\"ED@example.org\"}\n", None).await.is_err());
    let rows = ground
        .read(
            &ground.a,
            "person?email=in.(cy@example.org,ada@lovelace.org)&order=handle&select=id,handle",
        )
        .await;
    assert_eq!(rows[0], json!({ "id": ada, "handle": "ada" }));
    assert_eq!(rows[1]["handle"], "cy");
    let lines = exported(&ground, &ground.a).await;
    let emails: Vec<&Value> =
        lines.iter().map(|row| &row["email"]).filter(|email| !email.is_null()).collect();
    assert_eq!(emails.len(), 4);
    assert!(emails.contains(&&json!("ada@lovelace.org")));
}

async fn exported(ground: &Ground, tenant: &Tenant) -> Vec<Value> {
    let mut output = Vec::new();
    let export = Export {
        entity: "person".into(),
        output: &mut output,
        format: Format::JsonLines,
        vectors: None,
        purpose: Some(ground.engine.purpose("a move").unwrap()),
    };
    ground.engine.export(tenant, export, &mut |_| {}).await.unwrap();
    let text = String::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_is_opened_is_counted_by_purpose() {
    let (ground, _) = filled().await;
    let before = "select purpose, field, opens from freehold.opened order by purpose, field";
    ground.read(&ground.b, "person").await;
    let manner =
        Manner { purpose: Some(ground.engine.purpose("support").unwrap()), ..Manner::default() };
    let what = Read { entity: "person", query: "select=email", count: false };
    ground.engine.read_as(&ground.b, what, &manner).await.unwrap();
    exported(&ground, &ground.b).await;
    let of_b = format!(
        "select purpose, field, opens from freehold.opened where tenant_id = '{}' order by purpose, field",
        ground.b.id()
    );
    let counted = ground.truth(&of_b).await;
    let count = |purpose: &str, field: &str| {
        counted
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["purpose"] == purpose && row["field"] == field)
            .map_or(0, |row| row["opens"].as_u64().unwrap())
    };
    // Once when it was inserted and came back, once when it was read.
    assert_eq!(count("account", "email"), 2, "{counted} {before}");
    assert_eq!(count("support", "email"), 1);
    assert_eq!(count("support", "born"), 0);
    assert_eq!(count("a move", "born"), 1);
}

#[tokio::test]
async fn upserts_at_once_leave_nothing_that_does_not_open() {
    let (ground, _) = filled().await;
    let writers = (0..8).map(|n| {
        let (engine, tenant) = (ground.engine.clone(), ground.a.clone());
        tokio::spawn(async move {
            let mut done = 0;
            for round in 0..12 {
                let row = json!({ "handle": format!("h{round}"), "email": format!("h{round}@x.org"), "born": format!("19{:02}-01-01", n + 10) });
                let verb = Verb::Insert(row, Some(Resolution::Merge));
                match engine.write(&tenant, operation("person?on_conflict=handle", verb)).await {
                    Ok(_) => done += 1,
                    // PostgreSQL resolves a conflict of handles; of two new rows at once their addresses may meet first.
                    Err(Error::Refused(refusal)) => {
                        assert!(matches!(refusal.code, Code::TryAgain | Code::Conflict), "{refusal:?}");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            done
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        done += writer.await.unwrap();
    }
    assert!(done > 12);
    let rows = ground.read(&ground.a, "person?handle=like.h*&select=email,born").await;
    assert_eq!(rows.as_array().unwrap().len(), 12);
    assert!(rows.as_array().unwrap().iter().all(|row| row["born"].is_string()));
}
