//! Plans on tables that have rows, and what their triggers do to rows.

use freehold_model::{
    Model,
    plan::{Action, Target, plan},
};
use tokio_postgres::Client;

use crate::{
    model,
    postgres::{Ground, apply, step},
};

const TENANT: &str = "00000000-0000-0000-0000-000000000001";

#[tokio::test]
async fn a_reference_is_checked_behind_the_wall() {
    let (ground, client) = start(NOTES).await;
    run(
        &client,
        "insert into app.person (id, name) values ('00000000-0000-0000-0000-00000000000a', 'Ann')",
    )
    .await;
    run(&client, "insert into app.note (title, author) values ('good', '00000000-0000-0000-0000-00000000000a')").await;
    run(&client, "insert into app.note (title, author) values ('bad', '00000000-0000-0000-0000-00000000000b')").await;
    let (old, new) = (
        model(NOTES),
        model(&NOTES.replace("type = \"uuid\"", "ref = \"person\", on_delete = \"cascade\"")),
    );
    let plan = plan(&old, &new, ground.target).expect("a plan");
    let mut failed = None;
    for position in 0..plan.steps.len() {
        if failed.is_none() || failed == Some(position) {
            failed = step(&client, &plan, position).await.is_err().then_some(position);
        }
    }
    let failed = failed.expect("a reference to nothing is found, whatever the policies hide");
    assert!(
        plan.steps[failed].note.as_deref().is_some_and(|note| note.contains("refers")),
        "{:?}",
        plan.steps[failed]
    );
    run(&client, "delete from app.note where title = 'bad'").await;
    for position in failed..plan.steps.len() {
        step(&client, &plan, position).await.expect("an interrupted plan goes on");
    }
    run(&client, "delete from app.person").await;
    assert_eq!(
        one(&client, "select count(*)::text from app.note").await,
        "0",
        "the deletion cascades"
    );
}

#[tokio::test]
async fn an_outdated_vector_is_never_there_to_be_read() {
    let (_ground, client) = start(NOTES).await;
    run(&client, "insert into app.note (title, body, meaning) values ('a', null, array_fill(1, array[16])::freehold_ext.vector)").await;
    let meaning = "select coalesce(meaning::text like '[1,1,%', false)::text from app.note";
    let due = "select count(*)::text from freehold.embedding_due where entity = 'note' and field = 'meaning'";
    for update in ["rank = 2", "title = 'a'", "body = null", "title = 'a', rank = 3"] {
        run(&client, &format!("update app.note set {update}")).await;
        assert_eq!(one(&client, meaning).await, "true", "{update} changes no text");
    }
    assert_eq!(one(&client, due).await, "0");
    for update in ["title = 'b'", "body = 'c'", "body = null"] {
        run(&client, "update app.note set meaning = array_fill(1, array[16])::freehold_ext.vector")
            .await;
        run(&client, &format!("update app.note set {update}")).await;
        assert_eq!(one(&client, meaning).await, "false", "{update} changes a text");
    }
    assert_eq!(one(&client, due).await, "3");
    run(
        &client,
        "update app.note set title = 'd', meaning = array_fill(1, array[16])::freehold_ext.vector",
    )
    .await;
    assert_eq!(one(&client, meaning).await, "true", "text and vector come together");
    run(&client, "insert into app.note (title) values ('without')").await;
    assert_eq!(one(&client, due).await, "4");
}

#[tokio::test]
async fn the_old_vectors_serve_until_the_new_ones_are_there() {
    let (ground, client) = start(NOTES).await;
    run(&client, "insert into app.note (title, meaning) select 'n' || n, array_fill(1, array[16])::freehold_ext.vector from generate_series(1, 50) n").await;
    let new = model(
        &NOTES.replace("vector = 16, of = [\"title\", \"body\"]", "halfvec = 32, of = [\"title\"]"),
    );
    let plan = plan(&model(NOTES), &new, ground.target).expect("a plan");
    assert_eq!(plan.destructive(), Vec::<&str>::new());
    let swap = plan.steps.iter().position(|step| step.title.contains("in place")).expect("a swap");
    for position in 0..swap {
        step(&client, &plan, position).await.expect("done");
        assert_eq!(
            one(&client, "select count(*)::text from app.note where meaning::text like '[1,1,%'")
                .await,
            "50"
        );
    }
    // The old model's servers go on writing: this row has its old vector, and its new one is outdated again.
    run(&client, "update app.note set title = 'changed', meaning = array_fill(2, array[16])::freehold_ext.vector where title = 'n1'").await;
    assert_eq!(
        one(&client, "select title from app.note where \"meaning~next\" is null").await,
        "changed"
    );
    for position in swap..plan.steps.len() {
        step(&client, &plan, position).await.expect("done");
    }
    assert_eq!(
        one(
            &client,
            "select count(*)::text from app.note where freehold_ext.vector_dims(meaning) = 32"
        )
        .await,
        "50"
    );
}

#[tokio::test]
async fn values_survive_a_change_of_type() {
    const OLD: &str = r#"
        at = { type = "timestamptz" }
        day = { type = "date" }
        raw = { type = "bytea" }
        real = { type = "double" }
        reals = { type = "double[]" }
        flag = { type = "boolean" }
        one = { type = "text", optional = true }
        tags = { type = "text[]" }
        code = { type = "text" }
        choice = { enum = ["a", "b"] }
    "#;
    const NEW: &str = r#"
        at = { type = "text" }
        day = { type = "timestamptz" }
        raw = { type = "text" }
        real = { type = "numeric" }
        reals = { type = "numeric[]" }
        flag = { type = "bigint" }
        one = { type = "text[]", optional = true }
        tags = { type = "jsonb" }
        code = { type = "bigint" }
        choice = { type = "jsonb" }
    "#;
    let of = |fields: &str| format!("[model]\nname = \"m\"\n[entity.t.field]\n{fields}");
    let (ground, client) = start(&of(OLD)).await;
    run(&client, r"insert into app.t (at, day, raw, real, reals, flag, one, tags, code, choice) values
        ('2024-05-06 07:08:09.5+00', '2024-05-06', '\x00ff', 0.1::float8 + 0.2::float8, '{0.30000000000000004,null}', true, 'x', '{a,NULL}', '42', 'b')").await;
    run(&client, "set timezone to 'Asia/Kathmandu'; set datestyle to 'German'; set bytea_output to 'escape'; set extra_float_digits to 0").await;
    apply(
        &client,
        &plan(&model(&of(OLD)), &model(&of(NEW)), ground.target).expect("a plan"),
        "types",
    )
    .await;
    run(&client, "reset all").await;
    let row = "select (to_jsonb(t) - 'id' - 'tenant_id' - 'day')::text || (day at time zone 'UTC')::text from app.t";
    assert_eq!(
        one(&client, row).await,
        r#"{"at": "2024-05-06 07:08:09.5+00", "one": ["x"], "raw": "\\x00ff", "code": 42, "flag": 1, "real": 0.30000000000000004, "tags": ["a", null], "reals": [0.30000000000000004, null], "choice": "b"}2024-05-06 00:00:00"#
    );
}

#[tokio::test]
async fn bad_rows_stop_a_plan_at_the_step_that_says_so() {
    for (from, to, row) in [
        (
            "rank = { type = \"integer\", optional = true }",
            "rank = { type = \"integer\" }",
            "rank) values ('t', null",
        ),
        (
            "rank = { type = \"integer\", optional = true }",
            "rank = { type = \"integer\", optional = true, max = 3 }",
            "rank) values ('t', 4",
        ),
        (
            "rank = { type = \"integer\", optional = true }",
            "rank = { type = \"smallint\", optional = true }",
            "rank) values ('t', 70000",
        ),
        (
            "body = { type = \"text\", optional = true }",
            "body = { enum = [\"a\"], optional = true }",
            "body) values ('t', 'b'",
        ),
        (
            "rank = { type = \"integer\", optional = true }",
            "rank = { type = \"integer\", optional = true, unique = true }",
            "rank) values ('s', 4), ('t', 4",
        ),
    ] {
        let old = NOTES.replace("of = [\"title\", \"body\"]", "of = [\"title\"]");
        let (ground, client) = start(&old).await;
        run(&client, &format!("insert into app.note (title, {row})")).await;
        let plan =
            plan(&model(&old), &model(&old.replace(from, to)), ground.target).expect("a plan");
        let mut position = 0;
        while step(&client, &plan, position).await.is_ok() {
            position += 1;
        }
        let note = plan.steps[position].note.clone().unwrap_or_default();
        assert!(note.contains("fails if"), "{to}: {:?}", plan.steps[position]);
        // Once the rows are mended, the same step passes.
        run(&client, "delete from app.note where title = 't'").await;
        for position in position..plan.steps.len() {
            step(&client, &plan, position).await.expect("an interrupted plan goes on");
        }
    }
}

#[tokio::test]
async fn a_build_that_was_interrupted_is_run_again() {
    let (ground, client) = start(NOTES).await;
    let new = model(&NOTES.replace("rank = {", "rank = { index = true,"));
    let plan = plan(&model(NOTES), &new, ground.target).expect("a plan");
    let Action::Concurrently(build) = &plan.steps[0].action else { panic!("{plan:?}") };
    let builds = build.iter().filter(|statement| statement.contains("concurrently \""));
    run(&client, "set role freehold_owner").await;
    for statement in builds.take(3) {
        run(&client, statement).await;
    }
    run(&client, "reset role; update pg_index set indisvalid = false where indexrelid = 'freehold_shelf.\"note~rank~idx~1\"'::regclass").await;
    apply(&client, &plan, "again").await;
    let invalid = "select count(*)::text from pg_index where not indisvalid";
    assert_eq!(one(&client, invalid).await, "0");
}

#[tokio::test]
async fn servers_see_their_tenant_and_no_partition() {
    let (_ground, client) = start(NOTES).await;
    run(&client, "insert into app.note (title) values ('mine')").await;
    run(&client, "insert into app.note (tenant_id, title) values ('00000000-0000-0000-0000-000000000002', 'theirs')").await;
    run(&client, "set role freehold_app").await;
    assert_eq!(one(&client, "select string_agg(title, ',') from app.note").await, "mine");
    for refused in [
        "select title from freehold_shelf.\"note~0\"",
        "insert into app.note (tenant_id, title) values ('00000000-0000-0000-0000-000000000002', 'x')",
        "update app.note set id = id",
        "update app.note set tenant_id = tenant_id",
        "truncate app.note",
        "update app.note set \"title~search\" = null",
    ] {
        assert!(client.batch_execute(refused).await.is_err(), "{refused}");
    }
    run(&client, "insert into app.note (title) values ('more'); update app.note set title = 'less' where title = 'more'; delete from app.note where title = 'less'").await;
    run(&client, "reset role; set role freehold_owner").await;
    assert_eq!(
        one(&client, "select count(*)::text from app.note").await,
        "0",
        "the owner sees nothing"
    );
    run(&client, "set role freehold_app; reset freehold.test_tenant").await;
    assert!(
        client.batch_execute("select title from app.note").await.is_err(),
        "without a tenant there are no rows"
    );
}

const NOTES: &str = r#"
    [model]
    name = "notes"

    [entity.person.field]
    name = { type = "text" }

    [entity.note.field]
    title = { type = "text", search = "english" }
    body = { type = "text", optional = true }
    rank = { type = "integer", optional = true }
    author = { type = "uuid", optional = true }
    meaning = { vector = 16, of = ["title", "body"] }
"#;

pub(crate) async fn start(text: &str) -> (Ground, Client) {
    let ground = Ground::new().await;
    let client = ground.client().await;
    let Target { major } = ground.target;
    apply(
        &client,
        &plan(&Model::default(), &model(text), Target { major }).expect("a plan"),
        "start",
    )
    .await;
    run(&client, &format!("set freehold.test_tenant to '{TENANT}'")).await;
    (ground, client)
}

pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

pub(crate) async fn one(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}
