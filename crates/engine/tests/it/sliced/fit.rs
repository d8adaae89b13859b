//! Slices are like all other parts of a table, whatever becomes of its model.

use freehold_engine::Code;
use serde_json::json;

use super::{ALL, MODEL, filled, rows, shorter, tend, there};
use crate::ground::{code, ground};

/// How the parts of the table differ from one another, by constraints, indexes and columns.
const SHAPES: &str = "select count(*) as shapes, (select count(*) > 9 from pg_class where relname like 'event~s2%' and relkind = 'r') as many from (
  select distinct (select string_agg(regexp_replace(conname, '~[sd0-9]+$', '') || pg_get_constraintdef(oid), ',' order by conname) from pg_constraint where conrelid = c.oid and contype in ('c', 'p', 'f')),
    (select string_agg(regexp_replace(i.indexrelid::regclass::text, '~[sd0-9]+\"$', ''), ',' order by regexp_replace(i.indexrelid::regclass::text, '~[sd0-9]+\"$', '')) from pg_index i where i.indrelid = c.oid and i.indisvalid),
    (select string_agg(attname || coalesce(attstattarget, -1) || format_type(atttypid, atttypmod) || attnotnull, ',' order by attname) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped),
    (select string_agg(tgname, ',' order by tgname) from pg_trigger where tgrelid = c.oid and not tgisinternal),
    c.relrowsecurity, c.relforcerowsecurity, c.relowner,
    not exists (select from aclexplode(c.relacl) x where x.grantee <> c.relowner)
  from pg_class c where relname ~ '^(event|happening)~[s0-9]' and relkind = 'r') s";

#[tokio::test]
async fn slices_follow_what_becomes_of_their_entity() {
    let ground = filled().await;
    let same = json!([{ "shapes": 1, "many": true }]);
    assert_eq!(ground.truth(SHAPES).await, same);
    let grown = shorter()
        .replace("index = [\"n\"]", "index = [\"n\", \"kind\"]")
        .replace("kind = {", "note = { type = \"text\", default = \"x\", max_length = 9, not_personal = \"a test\" }\nother = { ref = \"person\", optional = true, on_erase = \"unlink\" }\nkind = {");
    ground.change(&grown, &[]).await.unwrap();
    assert_eq!(ground.truth(SHAPES).await, same);
    // Those that are made afterwards are like those that were there.
    let mut operator = ground.operator().await;
    ground.db.client().await.batch_execute(
        "do $$ declare part text; begin select c.oid::regclass into part from pg_class c where relname like 'event~s2%' and relkind = 'r' order by relname desc limit 1;
         execute 'drop table ' || part; end $$",
    ).await.unwrap();
    assert_eq!(tend(&mut operator).await["made"], 1);
    assert_eq!(ground.truth(SHAPES).await, same);
    let renamed = grown
        .replace("[entity.event]", "[entity.happening]\nwas = \"event\"")
        .replace("entity.event.", "entity.happening.")
        .replace("at = {", "made = { was = \"at\",")
        .replace("after at", "after made");
    ground.change(&renamed, &[]).await.unwrap();
    let same = ground.truth(&SHAPES.replace("event~s2", "happening~s2")).await;
    assert_eq!(same, json!([{ "shapes": 1, "many": true }]));
    // What is said of the server itself is true of the tests' own.
    let report = operator.audit(None).await.unwrap();
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|f| !f.check.id.starts_with("FH-S") && f.check.id != "FH-R10")
        .collect();
    assert!(found.is_empty(), "{found:?}");
    ground.engine.refresh().await.unwrap();
    assert_eq!(
        ground.read(&ground.a, "happening?select=n,note").await,
        json!([{ "n": 2, "note": "x" }])
    );
    ground.change("[model]\nname = \"none\"", &["drop:happening", "drop:person"]).await.unwrap();
    assert_eq!(
        ground.truth("select relname from pg_class where relname ~ '^(event|happening)'").await,
        json!([])
    );
}

#[tokio::test]
async fn slices_of_another_length_follow_those_that_are_there() {
    let ground = filled().await;
    let weekly =
        shorter().replace("slices = \"day\"", "slices = \"week\"").replace("2 days", "8 days");
    ground.change(&weekly, &[]).await.unwrap();
    let mut operator = ground.operator().await;
    assert!(tend(&mut operator).await["made"] > 1);
    let slices = operator.slices().await.unwrap();
    for pair in slices.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "nothing between them, and nothing twice");
    }
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
}

#[tokio::test]
async fn a_table_is_not_sliced_where_it_is() {
    let ground = ground(MODEL).await;
    let whole = MODEL.replace("slices = \"day\"", "").replace("within = \"2 days\"", "");
    let other = MODEL.replace("at = {", "made = { type = \"timestamptz\", default = \"now()\", not_personal = \"a time\" }\nat = {").replace("after at", "after made");
    for model in [whole, other] {
        assert_eq!(code(ground.change(&model, &[]).await), Code::Model, "{model}");
    }
}

#[tokio::test]
async fn nobody_reads_another_tenants_slice() {
    let ground = filled().await;
    for tenant in [&ground.a, &ground.b] {
        assert_eq!(ground.read(tenant, "event?select=n").await, json!([{ "n": 2 }]));
    }
    let mine = ground.read(&ground.a, "event?select=id").await[0]["id"].clone();
    let mine = mine.as_str().unwrap();
    assert_eq!(ground.read(&ground.b, &format!("event?id=eq.{mine}")).await, json!([]));
    let rights = "select count(*) as n from pg_class c, unnest(array['freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project']) r \
                  where c.relname like 'event~s2%' and c.relkind = 'r' and has_table_privilege(r, c.oid, 'select, insert, update, delete, truncate')";
    assert_eq!(ground.truth(rights).await, json!([{ "n": 0 }]));
}
