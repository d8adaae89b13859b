//! What is exported from one tenant and imported into the other is the same.

use std::io::Cursor;

use freehold_engine::{
    Tenant,
    export::Export,
    import::{Format, Import, OnBad, Precision, VectorFile},
};
use serde_json::{Value, json};

use crate::{
    embedded::{MODEL, check},
    ground::{Ground, body, ground},
};

#[tokio::test]
async fn rows_survive_the_way_to_another_tenant() {
    for (format, vectors) in [
        (Format::JsonLines, false),
        (Format::Csv, false),
        (Format::JsonLines, true),
        (Format::Csv, true),
    ] {
        let ground = ground(MODEL).await;
        let people = json!([{ "handle": "ada, \"the\nfirst\"" }, { "handle": "größe" }]);
        let people = body(&ground.insert(&ground.a, "person?select=id", people).await);
        let rows: Value = (0..1_500)
            .map(|n| {
                json!({
                    "key": format!("k{n}"), "author": people.get(n % 3).map(|person| &person["id"]), "title": format!("title, {n} \\ \"x\""),
                    "body": (n % 2 == 0).then(|| format!("two\nlines {n}")), "state": if n % 2 == 0 { "open" } else { "gone" },
                    "weight": (n % 5 > 0).then_some(n),
                })
            })
            .collect();
        ground.insert(&ground.a, "note?select=id", rows).await;
        for (entity, field) in [("person", None), ("note", vectors.then_some("by_title"))] {
            moved(&ground, entity, format, field).await;
            let (a, b) =
                (all(&ground, entity, &ground.a).await, all(&ground, entity, &ground.b).await);
            assert!(a.as_array().unwrap().len() >= 2);
            assert_eq!(a, b, "{entity} as {format:?}");
        }
    }
}

async fn moved(ground: &Ground, entity: &str, format: Format, field: Option<&str>) {
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    let export = Export {
        entity: entity.into(),
        output: &mut rows,
        format,
        vectors: field.map(|field| (field.to_owned(), &mut numbers as _, Precision::F32)),
        purpose: None,
    };
    let exported = ground.engine.export(&ground.a, export, &mut |_| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.f32");
    std::fs::write(&path, &numbers).unwrap();
    let import = Import {
        entity: entity.into(),
        input: Box::new(Cursor::new(rows)),
        format,
        vectors: field.map(|field| (field.to_owned(), VectorFile::open(&path, 16).unwrap())),
        on_bad: OnBad::Stop,
        upsert: None,
        source: None,
        restart: false,
    };
    let imported = ground.engine.import(&ground.b, import, &mut |_| {}).await.unwrap();
    assert_eq!((imported.rows, imported.bad), (exported, 0));
}

async fn all(ground: &Ground, entity: &str, tenant: &Tenant) -> Value {
    let sql = format!(
        "select to_jsonb(t) - 'tenant_id' as row from app.{entity} t where tenant_id = '{}' order by id",
        tenant.id()
    );
    ground.truth(&sql).await
}

/// Rows of which the file has only some texts, new ones and ones that are there.
#[tokio::test]
async fn texts_that_a_file_leaves_out_count_as_well() {
    let ground = ground(MODEL).await;
    for (tenant, upsert) in [(&ground.a, false), (&ground.b, true)] {
        ground.insert(tenant, "note?select=id", json!({ "key": "k", "title": "there" })).await;
        let import = Import {
            entity: "note".into(),
            input: Box::new(Cursor::new(format!(
                "{{\"key\":\"{}\",\"body\":\"gamma\"}}\n",
                if upsert { "k" } else { "l" }
            ))),
            format: Format::JsonLines,
            vectors: None,
            on_bad: OnBad::Stop,
            upsert: upsert.then(|| vec!["key".to_owned()]),
            source: None,
            restart: false,
        };
        assert_eq!(ground.engine.import(tenant, import, &mut |_| {}).await.unwrap().rows, 1);
        check(&ground, true, &"an import").await;
    }
    ground.engine.fill_step().await.unwrap();
    check(&ground, false, &"a fill").await;
}
