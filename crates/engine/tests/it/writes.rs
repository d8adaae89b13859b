//! Rows written, what comes back, and all-or-nothing.

use freehold_engine::{
    Code, Error,
    read::Read,
    write::{Resolution, Verb},
};
use serde_json::json;

use crate::{
    embedded::MODEL,
    ground::{body, code, ground, operation},
};

#[tokio::test]
async fn rows_come_back_as_they_are() {
    let ground = ground(MODEL).await;
    for tenant in [&ground.a, &ground.b] {
        let one = ground.insert(tenant, "person?select=handle", json!({ "handle": "ada" })).await;
        assert_eq!((one.rows, one.inserted, body(&one)), (1, None, json!([{ "handle": "ada" }])));
    }
    let rows = json!([{ "key": "k", "weight": 1 }, { "key": "l", "weight": 2 }]);
    let many = ground.insert(&ground.a, "note?select=key,title,state", rows).await;
    assert_eq!(many.rows, 2);
    let wanted = json!({ "key": "k", "title": "Untitled", "state": "open" });
    assert_eq!(body(&many)[0], wanted, "defaults come back");

    let rows = json!([{ "key": "l", "weight": 3 }, { "key": "m", "weight": 4 }]);
    let ignore = Verb::Insert(rows.clone(), Some(Resolution::Ignore));
    let ignored = ground.write(&ground.a, "note?on_conflict=key&select=key", ignore).await.unwrap();
    assert_eq!((ignored.inserted, body(&ignored)), (Some(1), json!([{ "key": "m" }])));
    let merged = ground.merge(&ground.a, "note?on_conflict=key&select=key,weight", rows).await;
    assert_eq!((merged.rows, merged.inserted), (2, Some(0)));
    assert_eq!(body(&merged), json!([{ "key": "l", "weight": 3 }, { "key": "m", "weight": 4 }]));

    let updated =
        ground.update(&ground.a, "note?weight=gte.3&select=weight", json!({ "weight": 9 })).await;
    assert_eq!((updated.rows, body(&updated)), (2, json!([{ "weight": 9 }, { "weight": 9 }])));
    let deleted =
        ground.write(&ground.a, "note?weight=eq.9&select=key", Verb::Delete).await.unwrap();
    assert_eq!(deleted.rows, 2);
    assert_eq!(ground.read(&ground.a, "note?select=key").await, json!([{ "key": "k" }]));
    assert_eq!(ground.read(&ground.b, "note?select=key").await, json!([]));
}

#[tokio::test]
async fn all_changes_or_none() {
    let ground = ground(MODEL).await;
    ground.insert(&ground.b, "person?select=id", json!({ "handle": "ada" })).await;
    let insert = |handle: &str| {
        operation("person?select=handle", Verb::Insert(json!({ "handle": handle }), None))
    };
    let note = operation("note?select=id", Verb::Insert(json!({ "key": "k" }), None));
    let title = operation("note?key=eq.k&select=by_title", Verb::Update(json!({ "title": "new" })));
    let written =
        ground.engine.write_all(&ground.a, vec![insert("ada"), note, title]).await.unwrap();
    assert_eq!(written.iter().map(|one| one.rows).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(body(&written[2])[0]["by_title"].is_array());

    let failing = vec![insert("bob"), insert("eve"), insert("ada")];
    let Err(Error::Violated(_) | Error::Refused(_)) =
        ground.engine.write_all(&ground.a, failing.clone()).await
    else {
        panic!("ada is there already")
    };
    let Err(Error::Refused(refusal)) = ground.engine.write_all(&ground.a, failing).await else {
        panic!("a broken rule is told in the model's words")
    };
    assert_eq!(refusal.code, Code::Conflict);
    assert!(refusal.detail.as_deref().unwrap_or_default().starts_with("change 3"), "{refusal:?}");
    let wrong = vec![insert("bob"), operation("nothing", Verb::Insert(json!({}), None))];
    let Err(Error::Refused(refusal)) = ground.engine.write_all(&ground.a, wrong).await else {
        panic!("there is no such entity")
    };
    assert_eq!(refusal.code, Code::NoSuchEntity);
    assert!(refusal.detail.as_deref().unwrap_or_default().starts_with("change 2"), "{refusal:?}");
    assert_eq!(ground.read(&ground.a, "person?select=handle").await, json!([{ "handle": "ada" }]));
    let many = vec![insert("x"); 101];
    assert_eq!(code(ground.engine.write_all(&ground.a, many).await), Code::Limit);
}

#[tokio::test]
async fn counts_are_of_the_tenant() {
    let ground = ground(MODEL).await;
    for (tenant, rows) in [(&ground.a, 5), (&ground.b, 3)] {
        let rows = (0..rows).map(|n| json!({ "key": format!("k{n}"), "weight": n })).collect();
        ground.insert(tenant, "note?select=id", rows).await;
    }
    for (query, rows, total) in
        [("limit=2", 2, 5), ("weight=gte.1&limit=1&offset=1", 1, 4), ("weight=gt.9", 0, 0)]
    {
        let read = Read { entity: "note", query, count: true };
        let answer = ground.engine.read(&ground.a, read).await.unwrap();
        assert_eq!((answer.rows, answer.total), (rows, Some(total)), "{query}");
    }
}

#[tokio::test]
async fn a_deleted_tenant_leaves_nothing_and_the_other_everything() {
    let ground = ground(MODEL).await;
    for tenant in [&ground.a, &ground.b] {
        let person = ground.insert(tenant, "person?select=id", json!({ "handle": "ada" })).await;
        let id = body(&person)[0]["id"].clone();
        ground.insert(tenant, "note?select=id", json!({ "key": "k", "author": id })).await;
    }
    ground.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    let left = ground
        .truth("select tenant_id from app.note union all select tenant_id from app.person")
        .await;
    let b = json!({ "tenant_id": ground.b.id().to_string() });
    assert_eq!(left, json!([b, b]));
    let read = Read { entity: "note", query: "", count: false };
    assert_eq!(code(ground.engine.read(&ground.a, read).await), Code::NoSuchTenant);
    assert_eq!(ground.read(&ground.b, "note?select=key").await, json!([{ "key": "k" }]));
}
