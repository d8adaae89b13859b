//! Sealed values are bound to their field, not to what it is called.

use freehold_engine::Code;
use serde_json::json;

use crate::{
    ground::{code, read},
    sealed::{MODEL, filled},
};

#[tokio::test]
async fn other_names_change_nothing() {
    let (ground, ada) = filled().await;
    let renamed = MODEL
        .replace("[entity.person]", "[entity.human]\nwas = \"person\"")
        .replace("[entity.person.field]", "[entity.human.field]")
        .replace("ref = \"person\"", "ref = \"human\"")
        .replace("email = { type", "mail = { was = \"email\", type")
        .replace("born = { type = \"date\"", "notes = { was = \"born\", type = \"date\"")
        .replace("notes = { type = \"jsonb\"", "born = { was = \"notes\", type = \"jsonb\"");
    // Two names cannot change places at once.
    assert!(ground.change(&renamed, &[]).await.is_err());
    let renamed = MODEL
        .replace("[entity.person]", "[entity.human]\nwas = \"person\"")
        .replace("[entity.person.field]", "[entity.human.field]")
        .replace("ref = \"person\"", "ref = \"human\"")
        .replace("email = { type", "mail = { was = \"email\", type")
        .replace("born = { type", "birthday = { was = \"born\", type");
    ground.change(&renamed, &[]).await.unwrap();
    let other = ground.another().await;
    let rows =
        read(&other, &ground.a, "human?mail=eq.ada@example.org&select=id,mail,birthday").await;
    assert_eq!(
        rows.unwrap(),
        json!([{ "id": ada, "mail": "Ada@Example.org", "birthday": "1815-12-10" }])
    );
    // What would have to be sealed anew is refused.
    let open = renamed.replace(
        "personal = \"contact\", optional = true }\nnotes",
        "optional = true, not_personal = \"x\" }\nnotes",
    );
    assert_ne!(open, renamed);
    assert_eq!(code(ground.change(&open, &[]).await), Code::Model);
}
