//! Applying another model over rows.

use freehold_engine::Code;
use serde_json::json;

use crate::{
    ground::{code, ground, read},
    later::{Far, Is},
};

const OLD: &str = r#"
[model]
name = "changes"
[entity.note.field]
key = { type = "text", unique = true }
text = { type = "text" }
spare = { type = "text", optional = true }
near = { vector = 16, of = ["text"] }
"#;

/// Another embedder with other dimensions: the old vectors serve until all new ones are there, and an apply that
/// stopped in the middle goes on.
#[tokio::test]
async fn vectors_are_made_anew_while_the_old_ones_serve() {
    let far = Far::new().await;
    let ground = ground(OLD).await;
    for tenant in [&ground.a, &ground.b] {
        let rows = json!([{ "key": "k", "text": "apple" }, { "key": "l", "text": "bread" }]);
        ground.insert(tenant, "note?select=key", rows).await;
    }
    let new = OLD.replace(
        "near = { vector = 16, of = [\"text\"] }",
        "near = { vector = 4, of = [\"text\"], embed = \"far\" }",
    ) + &format!(
        "[embed.far]\nprovider = \"http\"\nurl = \"{}\"\nmodel = \"m\"\ntimeout = 1\n",
        far.url
    );
    assert_eq!(code(ground.change(&new, &[]).await), Code::Embedder);
    let old_near = "note?select=key&near=nearest.text:apple&limit=1";
    assert_eq!(ground.read(&ground.a, old_near).await, json!([{ "key": "k" }]));
    ground.insert(&ground.a, "note?select=key", json!({ "key": "m", "text": "cake" })).await;
    ground.update(&ground.a, "note?key=eq.l&select=key", json!({ "text": "dough" })).await;
    let other = OLD.replace("\"changes\"", "\"others\"")
        + "[entity.more.field]\nn = { type = \"integer\" }\n";
    assert_eq!(code(ground.change(&other, &[]).await), Code::ApplyConflict);

    far.be(Is::There);
    assert_eq!(ground.change(&new, &[]).await.unwrap(), 2);
    let late = ground.another().await;
    ground.engine.refresh().await.unwrap();
    assert_eq!(ground.engine.snapshot().version, 2);
    for engine in [&ground.engine, &late] {
        let rows = read(engine, &ground.a, "note?select=key,near&order=key").await.unwrap();
        let wanted = json!([
            { "key": "k", "near": [1, 0, 0, 0] },
            { "key": "l", "near": [0, 0, 0, 1] },
            { "key": "m", "near": [0, 0, 1, 0] },
        ]);
        assert_eq!(rows, wanted);
        let rows = read(engine, &ground.b, "note?select=key,near&order=key").await.unwrap();
        let wanted = json!([
            { "key": "k", "near": [1, 0, 0, 0] },
            { "key": "l", "near": [0, 1, 0, 0] },
        ]);
        assert_eq!(rows, wanted);
    }
}

#[tokio::test]
async fn renames_keep_the_rows_and_removals_must_be_allowed() {
    let ground = ground(OLD).await;
    for tenant in [&ground.a, &ground.b] {
        let row = json!({ "key": "k", "text": "apple", "spare": tenant.name() });
        ground.insert(tenant, "note?select=key", row).await;
    }
    let renamed =
        OLD.replace("spare = { type = \"text\"", "extra = { was = \"spare\", type = \"text\"");
    assert_eq!(ground.change(&renamed, &[]).await.unwrap(), 2);
    // A server that does not know of it yet asks for what is no longer there.
    assert!(read(&ground.engine, &ground.a, "note?select=spare").await.is_err());
    ground.engine.refresh().await.unwrap();
    for tenant in [&ground.a, &ground.b] {
        let rows = ground.read(tenant, "note?select=extra").await;
        assert_eq!(rows, json!([{ "extra": tenant.name() }]));
    }
    let removed: String = renamed
        .lines()
        .filter(|line| !line.starts_with("extra"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(code(ground.change(&removed, &[]).await), Code::Destructive);
    assert_eq!(ground.read(&ground.a, "note?select=extra").await, json!([{ "extra": "a" }]));
    assert_eq!(ground.change(&removed, &["drop:note.extra"]).await.unwrap(), 3);
    ground.engine.refresh().await.unwrap();
    assert_eq!(ground.read(&ground.b, "note?select=*").await[0].get("extra"), None);
    assert_eq!(code(read(&ground.engine, &ground.b, "note?select=extra").await), Code::NoSuchField);
}
