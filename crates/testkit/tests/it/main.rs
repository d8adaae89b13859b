//! Databases are cloned, kept apart, dropped, and kept when a test fails; all against the real shared server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use freehold_testkit::{TestDb, admin_url};
use tokio_postgres::{Client, NoTls};

async fn open(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn run(url: &str, sql: &str) {
    open(url)
        .await
        .expect("connected")
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(url: &str, sql: &str) -> T {
    open(url).await.expect("connected").query_one(sql, &[]).await.expect("one row").get(0)
}

async fn databases(pattern: &str) -> i64 {
    one(
        &admin_url().await,
        &format!("select count(*) from pg_database where datname like '{pattern}'"),
    )
    .await
}

#[tokio::test]
async fn a_template_is_built_once_and_its_clones_are_apart() {
    static BUILT: AtomicU32 = AtomicU32::new(0);
    let key = uuid::Uuid::new_v4().to_string();
    let clone = || {
        TestDb::from_template(&key, async |url: &str| {
            BUILT.fetch_add(1, Ordering::Relaxed);
            run(url, "create extension vector; create table t (n int); insert into t values (1)")
                .await;
        })
    };
    let clones = tokio::join!(clone(), clone(), clone(), clone());
    assert_eq!(BUILT.load(Ordering::Relaxed), 1);
    let (one_db, other_db, ..) = &clones;
    run(one_db.url(), "insert into t values (2)").await;
    assert_eq!(one::<i64>(one_db.url(), "select count(*) from t").await, 2);
    assert_eq!(one::<i64>(other_db.url(), "select count(*) from t").await, 1);
    assert_eq!(one::<String>(one_db.url(), "select current_database()::text").await, one_db.name());
}

#[tokio::test]
async fn what_is_beside_a_database_is_cloned_too() {
    let role = "testkit_visitor";
    let db = TestDb::from_template("beside", async |url: &str| {
        let name: String = one(url, "select current_database()::text").await;
        let sql = format!(
            "revoke all on database {name} from public;
             alter database {name} set statement_timeout = '7s';
             do $$ begin
               if to_regrole('{role}') is null then create role {role} login password 'p'; end if;
             end $$"
        );
        run(url, &sql).await;
    })
    .await;
    assert_eq!(one::<String>(db.url(), "show statement_timeout").await, "7s");
    let refused = open(&db.url_as(role, "p")).await.err().and_then(|error| error.code().cloned());
    assert_eq!(refused, Some(tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    run(db.url(), &format!("grant connect on database {} to {role}", db.name())).await;
    assert_eq!(one::<String>(&db.url_as(role, "p"), "select current_user::text").await, role);
}

#[tokio::test]
async fn a_database_goes_with_its_test_even_while_it_is_in_use() {
    let db = TestDb::empty().await;
    let name = db.name().to_owned();
    let client = db.client().await;
    assert_eq!(databases(&name).await, 1);
    drop(db);
    assert_eq!(databases(&name).await, 0);
    assert!(client.simple_query("select 1").await.is_err());
}

#[tokio::test]
async fn the_database_of_a_failed_test_is_kept() {
    let db = TestDb::empty().await;
    let name = db.name().to_owned();
    let failed = catch_unwind(AssertUnwindSafe(move || {
        let _held = db;
        panic!("as a failing test does");
    }));
    assert!(failed.is_err());
    let admin = admin_url().await;
    let note = format!(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = '{name}'"
    );
    assert_eq!(one::<Option<String>>(&admin, &note).await.as_deref(), Some("its test failed"));
    run(&admin, &format!("drop database {name}")).await;
}

#[tokio::test]
async fn durability_is_off_and_there_is_room_for_many() {
    let admin = admin_url().await;
    assert_eq!(one::<String>(&admin, "show fsync").await, "off");
    assert_eq!(one::<String>(&admin, "show max_connections").await, "300");
}
