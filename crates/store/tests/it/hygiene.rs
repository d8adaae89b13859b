//! What one user of a connection can leave behind for the next.

use freehold_model::Code;
use freehold_store::{Config, RootKey, Store};

use crate::fixture::{Forge, ROOT, backend, code, house, insert, sql, state};

/// What the catalogue's lockdown hides, for tests that look at their own backend.
const SHOW_STATEMENTS: &str = "grant select on pg_prepared_statements to freehold_app; grant execute on function pg_prepared_statement() to freehold_app";

async fn one_connection(house: &crate::fixture::House) -> Store {
    Store::connect(Config { pool_size: 1, ..Config::new(house.db.url(), RootKey::new(ROOT)) })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_statement_prepared_in_sql_closes_the_backend_to_tenants() {
    let house = house().await;
    house.db.client().await.batch_execute(SHOW_STATEMENTS).await.unwrap();
    let attacker = house.attacker().await;
    let pid = backend(&attacker).await;
    // What a driver prepares may stay.
    let kept = attacker.prepare("select handle from app.person").await.unwrap();
    let token = house.token(&house.a, Forge::none(pid)).await;
    attacker.batch_execute(&format!("begin; call freehold.open('{token}')")).await.unwrap();
    assert_eq!(attacker.query(&kept, &[]).await.unwrap().len(), 1);
    // The one before puts its own text under the name.
    let name: String = attacker
        .query_one(
            "select name from pg_prepared_statements where statement = 'select handle from app.person'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    attacker
        .batch_execute(&format!(
            "deallocate {name}; prepare {name} as select handle from app.person; commit"
        ))
        .await
        .unwrap();
    let token = house.token(&house.b, Forge::none(pid)).await;
    let opened = attacker.batch_execute(&format!("begin; call freehold.open('{token}')")).await;
    assert_eq!(state(&opened.unwrap_err()), "28000");
    attacker.batch_execute("rollback; deallocate all").await.unwrap();
    attacker.batch_execute(&format!("begin; call freehold.open('{token}')")).await.unwrap();
}

#[tokio::test]
async fn a_cursor_held_open_closes_the_backend_to_tenants() {
    let house = house().await;
    let attacker = house.attacker().await;
    let pid = backend(&attacker).await;
    let a = house.token(&house.a, Forge::none(pid)).await;
    let hold = format!(
        "begin; call freehold.open('{a}'); declare kept cursor with hold for select handle from app.person; commit"
    );
    attacker.batch_execute(&hold).await.unwrap();
    let b = house.token(&house.b, Forge::none(pid)).await;
    let opened = attacker.batch_execute(&format!("begin; call freehold.open('{b}')")).await;
    assert_eq!(state(&opened.unwrap_err()), "28000");
}

#[tokio::test]
async fn opening_leaves_no_statement_that_could_be_replaced() {
    let house = house().await;
    house.db.client().await.batch_execute(SHOW_STATEMENTS).await.unwrap();
    let store = one_connection(&house).await;
    for _ in 0..3 {
        store.run(&house.a, &sql("select handle from app.person", &[])).await.unwrap();
    }
    let text = "select coalesce(string_agg(statement, '; '), '') from pg_prepared_statements where (statement ilike '%freehold.open%' or from_sql) and statement not like 'select coalesce%'";
    assert_eq!(store.run(&house.a, &sql(text, &[])).await.unwrap().text(0), Some(""));
}

#[tokio::test]
async fn a_backend_of_typed_text_is_not_used_again() {
    let house = house().await;
    let store = one_connection(&house).await;
    let own = "select pg_backend_pid()::bigint";
    let before = store.run(&house.a, &sql(own, &[])).await.unwrap().int(0).unwrap();
    let typed = store
        .raw(&house.a, "set application_name = 'left behind'; select pg_backend_pid()::text")
        .await
        .unwrap();
    assert_ne!(typed[1].rows[0][0].as_deref(), Some(before.to_string().as_str()));
    assert_eq!(store.run(&house.a, &sql(own, &[])).await.unwrap().int(0), Some(before));
}

#[tokio::test]
async fn typed_text_is_answered_and_kept_and_its_errors_are_told() {
    let house = house().await;
    let tables = house
        .store
        .raw(&house.a, "insert into app.person (handle) values ('al'); table app.person")
        .await
        .unwrap();
    assert_eq!((tables[0].count, tables[1].rows.len()), (1, 2));
    assert!(tables[1].columns.contains(&"handle".to_owned()));
    assert_eq!(house.handles(&house.a).await, ["al", "ann"]);
    let failed =
        house.store.raw(&house.a, "insert into app.person (handle) values ('no'); selekt").await;
    assert!(failed.unwrap_err().to_string().contains("selekt"));
    assert_eq!(house.handles(&house.a).await, ["al", "ann"]);
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_its_connection_is_used_again() {
    let house = house().await;
    let store = one_connection(&house).await;
    let own = sql("select pg_backend_pid()::bigint", &[]);
    let before = store.run(&house.a, &own).await.unwrap().int(0);
    let mut tx = store.begin(&house.a).await.unwrap();
    tx.query(&insert("gone")).await.unwrap();
    drop(tx);
    assert_eq!(store.run(&house.b, &own).await.unwrap().int(0), before);
    assert_eq!(house.handles(&house.a).await, ["ann"]);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing() {
    let house = house().await;
    let store = one_connection(&house).await;
    let slow = sql(
        "insert into app.person (handle) select count(*)::text from (select generate_series(1, 600000000000)) slow returning id::text",
        &[],
    );
    let own = sql("select pg_backend_pid()::bigint", &[]);
    let before = store.run(&house.a, &own).await.unwrap().int(0);
    let given_up =
        tokio::time::timeout(std::time::Duration::from_millis(300), store.run(&house.a, &slow))
            .await;
    assert!(given_up.is_err());
    assert_ne!(store.run(&house.b, &own).await.unwrap().int(0), before);
    // The statement is cancelled, not left to run.
    let admin = house.db.client().await;
    let running = "select count(*) from pg_stat_activity where datname = current_database() and query like '%600000%' and pid <> pg_backend_pid() and state = 'active'";
    for _ in 0..100 {
        if admin.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert_eq!(house.handles(&house.a).await, ["ann"]);
            return;
        }
        // Polls: PostgreSQL does not announce that a statement has ended.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the statement still runs");
}

#[tokio::test]
async fn after_an_error_the_connection_serves_the_next_tenant() {
    let house = house().await;
    let store = one_connection(&house).await;
    let own = sql("select pg_backend_pid()::bigint", &[]);
    let before = store.run(&house.a, &own).await.unwrap().int(0);
    assert_eq!(code(store.run(&house.a, &insert("ann")).await), Code::Conflict);
    assert_eq!(store.run(&house.b, &own).await.unwrap().int(0), before);
    let rows = store.run_all(&house.b, &sql("select handle from app.person", &[])).await.unwrap();
    assert_eq!(rows[0].text(0), Some("bob"));
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let house = house().await;
    let store = one_connection(&house).await;
    let own = sql("select pg_backend_pid()::bigint", &[]);
    let before = i32::try_from(store.run(&house.a, &own).await.unwrap().int(0).unwrap()).unwrap();
    let admin = house.db.client().await;
    admin.execute("select pg_terminate_backend($1, 5000)", &[&before]).await.unwrap();
    // Plays: the time in which the end of the connection reaches this process.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_ne!(store.run(&house.a, &own).await.unwrap().int(0), Some(i64::from(before)));
}
