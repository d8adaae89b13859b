//! What PostgreSQL reports by name is known by name.

use freehold_model::{
    Model, Name,
    ddl::{Violation, violation},
    plan::plan,
};

use crate::{
    model,
    postgres::{Ground, apply},
};

const OLD: &str = r#"
    [model]
    name = "m"

    [entity.person.field]
    handle = { type = "text", unique = true }

    [entity.note.field]
    author = { ref = "person" }
    title = { type = "text", max_length = 3 }
    state = { enum = ["a"], default = "a" }
"#;

#[tokio::test]
async fn violations_are_known_under_old_names_and_new() {
    let ground = Ground::new().await;
    let client = ground.client().await;
    let old = model(OLD);
    let long = "ö".repeat(24);
    let renamed = OLD
        .replace("person", "human")
        .replace("handle = {", &format!("\"{long}\" = {{ was = \"handle\","))
        .replace("author = {", "writer = { was = \"author\",")
        .replace("[entity.human.field]", "[entity.human]\nwas = \"person\"\n[entity.human.field]")
        .replace(
            "[entity.note.field]",
            &format!("[entity.\"{long}\"]\nwas = \"note\"\n[entity.\"{long}\".field]"),
        );
    let new = model(&renamed);
    client
        .batch_execute("set freehold.test_tenant to '00000000-0000-0000-0000-000000000001'")
        .await
        .expect("set");
    apply(&client, &plan(&Model::default(), &old, ground.target).expect("a plan"), "old").await;
    check(&client, &old, ["person", "handle", "note", "author"]).await;
    apply(&client, &plan(&old, &new, ground.target).expect("a plan"), "new").await;
    check(&client, &new, ["human", &long, &long, "writer"]).await;
    assert_eq!(violation(&new, "person~handle~key~0"), None);
}

async fn check(
    client: &tokio_postgres::Client,
    model: &Model,
    [person, handle, note, author]: [&str; 4],
) {
    let name = |text: &str| Name::new(text).expect("a name");
    let check =
        |field: &str, what| Violation::Check { entity: name(note), field: name(field), what };
    let reference = (name(note), name(author), name(person));
    let id = "00000000-0000-0000-0000-00000000000a";
    client
        .batch_execute(&format!(
            "delete from app.\"{note}\"; delete from app.\"{person}\";
             insert into app.\"{person}\" (id, \"{handle}\") values ('{id}', 'x');
             insert into app.\"{note}\" (\"{author}\", title) values ('{id}', 'x')"
        ))
        .await
        .expect("good rows");
    let cases = [
        (
            format!("insert into app.\"{person}\" (\"{handle}\") values ('x')"),
            Violation::Unique { entity: name(person), fields: vec![name(handle)] },
        ),
        (
            format!("insert into app.\"{person}\" (id, \"{handle}\") values ('{id}', 'y')"),
            Violation::PrimaryKey { entity: name(person) },
        ),
        (
            format!(
                "insert into app.\"{note}\" (\"{author}\", title) values (gen_random_uuid(), 'y')"
            ),
            Violation::Reference {
                entity: reference.0.clone(),
                field: reference.1.clone(),
                target: reference.2.clone(),
            },
        ),
        (
            format!("delete from app.\"{person}\""),
            Violation::StillReferenced {
                entity: reference.0,
                field: reference.1,
                target: reference.2,
            },
        ),
        (format!("update app.\"{note}\" set title = 'long'"), check("title", "max_length")),
        (format!("update app.\"{note}\" set state = 'b'"), check("state", "enum")),
    ];
    for (sql, expected) in cases {
        let error = client.batch_execute(&sql).await.expect_err(&sql);
        let constraint =
            error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default();
        assert_eq!(violation(model, constraint), Some(expected), "{sql}: {error:?}");
    }
}
