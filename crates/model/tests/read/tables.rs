//! The tables of read models: their types, their wall, filling them, swapping them, and reading them.

use freehold_model::{
    Model, Refusal, mutate,
    query::{Limits, parse},
    view::{WRITER, beside},
};
use tokio_postgres::Client;

use crate::{
    maintained::{all, enter, faults, whole},
    postgres::{Ground, lay, rows, run},
    world::{Dice, TENANTS, change},
};

/// A database in which both tenants have rows, and the read models have tables without any.
async fn start() -> (Ground, Client, Model) {
    let model = all();
    let ground = Ground::new().await;
    let client = ground.client().await;
    lay(&client, &model).await;
    run(&client, "set role freehold_owner").await;
    for view in model.reads() {
        run(&client, &view.create_table(view.name()).join(";\n")).await;
    }
    run(&client, "reset role").await;
    let mut dice = Dice::new();
    for tenant in TENANTS {
        run(&client, &format!("set freehold.test_tenant to '{tenant}'; set role freehold_app"))
            .await;
        for _ in 0..120 {
            // Some refer to nothing.
            let _ = client.batch_execute(&change(&mut dice, &model, true)).await;
        }
        run(&client, "reset role").await;
    }
    (ground, client, model)
}

#[tokio::test]
async fn columns_have_the_types_that_were_inferred() {
    let (_ground, client, model) = start().await;
    let types = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attname)
        from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and attname <> 'tenant_id' and attname not like '%~%'";
    // A superuser would see both tenants' rows.
    enter(&client, TENANTS[0]).await;
    for view in model.reads() {
        run(&client, &format!("create temp table made as {}", view.definition())).await;
        let made: String = client.query_one(types, &[&"pg_temp.made"]).await.expect("types").get(0);
        let table: String = client
            .query_one(types, &[&format!("app.\"{}\"", view.name())])
            .await
            .expect("types")
            .get(0);
        assert_eq!(made, table, "{}", view.text());
        run(&client, "drop table made").await;
    }
}

#[tokio::test]
async fn a_table_is_filled_page_by_page_and_swapped() {
    let (_ground, client, model) = start().await;
    for view in model.reads() {
        let next = beside(view.name(), 2);
        run(&client, "set role freehold_owner").await;
        run(&client, &view.create_table(&next).join(";\n")).await;
        run(&client, "reset role").await;
        for tenant in TENANTS {
            enter(&client, tenant).await;
            let mut after: Option<Vec<String>> = None;
            loop {
                let units = rows(&client, &view.page(after.as_deref(), 3)).await;
                let Some(last) = units.last() else { break };
                after = Some(
                    last.iter()
                        .map(|text| text.clone().expect("no part of a unit is null"))
                        .collect(),
                );
                rows(&client, &view.recompute(&next, &whole(&units, view.unit().len()))).await;
                assert!(units.len() <= 3, "a page has its size");
            }
            rows(&client, &view.fill(view.name())).await;
            assert_eq!(
                rows(&client, &view.fill(view.name())).await,
                Vec::<Vec<_>>::new(),
                "nothing changes twice"
            );
            run(&client, "reset role").await;
        }
        let mut swap = view.rename_table(view.name(), &beside(view.name(), 1));
        swap.extend(view.rename_table(&next, view.name()));
        run(&client, "set role freehold_owner").await;
        run(&client, &format!("begin; {}; commit", swap.join(";\n"))).await;
        run(&client, "reset role").await;
        for tenant in TENANTS {
            enter(&client, tenant).await;
            for table in [view.name().to_string(), beside(view.name(), 1)] {
                let found = faults(&client, view, &table).await;
                assert!(found.is_none(), "{table}: {found:?}\n{}", view.text());
            }
            run(&client, "reset role").await;
        }
        run(
            &client,
            &format!(
                "set role freehold_owner; {}; reset role",
                view.drop_table(&beside(view.name(), 1))
            ),
        )
        .await;
    }
}

#[tokio::test]
async fn a_wrong_table_is_found_out() {
    let (_ground, client, model) = start().await;
    let view = model.read("v2").expect("commits by author");
    enter(&client, TENANTS[0]).await;
    rows(&client, &view.fill("v2")).await;
    run(&client, "update app.v2 set commits = commits + 1 where author = (select author from app.v2 order by 1 limit 1)").await;
    run(
        &client,
        "insert into app.v2 (author, commits) values ('00000000-0000-0000-0002-00000000dead', 7)",
    )
    .await;
    run(&client, "delete from app.v2 where author = (select author from app.v2 order by 1 desc offset 1 limit 1)").await;
    let found = rows(&client, &view.check("v2", 5)).await.remove(0);
    let counts: Vec<Option<&str>> = found[..3].iter().map(Option::as_deref).collect();
    assert_eq!(counts, [Some("1"), Some("1"), Some("1")], "{found:?}");
    let sample = found[3].as_deref().expect("a sample");
    assert!(
        sample.contains(r#"{"key": ["00000000-0000-0000-0002-00000000dead"], "fault": "extra"}"#),
        "{sample}"
    );
    // The next recomputation of each puts it right, and says what it did.
    let changed = rows(&client, &view.fill("v2")).await;
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert!(faults(&client, view, "v2").await.is_none());
}

#[tokio::test]
async fn servers_read_their_tenant_and_write_nothing() {
    let (_ground, client, model) = start().await;
    let view = model.read("v2").expect("commits by author");
    for tenant in TENANTS {
        enter(&client, tenant).await;
        rows(&client, &view.fill("v2")).await;
        let foreign =
            format!("insert into app.v2 (tenant_id, author) values ('{}', '{tenant}')", TENANTS[0]);
        assert!(client.batch_execute(&foreign).await.is_err(), "a worker says no tenant");
        run(&client, "reset role").await;
    }
    let all = client
        .query_one("select count(*) from app.v2", &[])
        .await
        .expect("a count")
        .get::<_, i64>(0);
    run(&client, &format!("set freehold.test_tenant to '{}'; set role freehold_app", TENANTS[0]))
        .await;
    let query = "select=author(handle),commits,added&commits=gte.1&order=author.asc";
    let read = parse(&model, "v2", query, &Limits::default()).expect("a query").render();
    let answer = rows(&client, &read).await.remove(0);
    let body = answer[0].as_deref().expect("a body");
    let own: i64 = answer[1].as_deref().expect("a count").parse().expect("a number");
    assert!(own > 0 && own < all, "{own} of {all}");
    assert!(body.contains("\"author\":{\"handle\":"), "{body}");
    let query = "select=handle,v2(commits)&v2.order=commits.desc";
    let around = parse(&model, "person", query, &Limits::default()).expect("a query").render();
    let answer = rows(&client, &around).await.remove(0);
    assert!(
        answer[0].as_deref().is_some_and(|body| body.contains("\"v2\":[{\"commits\":")),
        "{answer:?}"
    );
    for refused in [
        "insert into app.v2 (author, commits) values (gen_random_uuid(), 1)",
        "update app.v2 set commits = 0",
        "delete from app.v2",
        "select * from freehold_shelf.\"v2~0\"",
    ] {
        assert!(client.batch_execute(refused).await.is_err(), "{refused}");
    }
    run(&client, &format!("reset role; set role {WRITER}")).await;
    assert!(client.batch_execute("update app.commit set added = 0").await.is_err());
}

#[test]
fn nobody_writes_a_read_model_by_asking() {
    let model = all();
    let limits = Limits::default();
    let body = serde_json::json!({});
    let says =
        |refusal: Refusal| format!("{refusal}; {}", refusal.hint.as_deref().unwrap_or_default());
    let insert = mutate::insert(&model, "v2", &body, "", None, false, &limits).map(drop);
    let update = mutate::update(&model, "v2", &body, "commits=eq.1", false, &limits).map(drop);
    let delete = mutate::delete(&model, "v2", "commits=eq.1", false, &limits).map(drop);
    for refused in [insert, update, delete] {
        assert_eq!(
            refused.map_err(says),
            Err("v2 is a read model, which only its workers write; write what it is made from: commit".into())
        );
    }
    let unknown = parse(&model, "v2", "id=eq.1", &limits).map(drop).map_err(says);
    assert_eq!(unknown, Err("v2 has no field id; ".into()));
}
