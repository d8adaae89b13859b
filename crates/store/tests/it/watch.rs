//! What a running server keeps an eye on: the wall, the login, backends that take too much.

use std::time::Duration;

use freehold_model::Code;
use freehold_store::{Config, Error, Mode, Operator, RootKey, Store, Watch};
use freehold_testkit::OwnServer;

use crate::fixture::{APP_PASSWORD, House, ROOT, backend, code, house, insert};

fn limits() -> Watch {
    Watch { statement_max: Duration::from_secs(3600), ..Watch::default() }
}

async fn connect(house: &House) -> Result<Store, Error> {
    Store::connect(Config::new(house.db.url(), RootKey::new(ROOT))).await
}

#[tokio::test]
async fn a_broken_wall_stops_everything_until_it_is_mended() {
    let house = house().await;
    let admin = house.db.client().await;
    let before = house.store.pulse().await.unwrap();
    admin
        .batch_execute("alter table freehold_shelf.\"person~0\" no force row level security")
        .await
        .unwrap();
    assert_ne!(house.store.pulse().await.unwrap(), before, "the change of the schema is noted");

    let refused = match connect(&house).await {
        Err(Error::Refused(refusal)) => refusal,
        _ => panic!("a server starts behind a broken wall"),
    };
    assert_eq!(refused.code, Code::Server);
    assert!(refused.detail.unwrap().contains("person~0"));

    assert_eq!(house.store.examine().await.unwrap().len(), 1);
    match house.store.run(&house.a, &insert("new")).await {
        Err(Error::Failed(fault)) => assert!(fault.is_closed() && !fault.is_unavailable()),
        _ => panic!("a running server goes on behind a broken wall"),
    }
    assert!(matches!(house.store.begin(&house.a).await, Err(Error::Failed(_))));
    assert!(matches!(house.store.raw(&house.a, "select 1").await, Err(Error::Failed(_))));

    admin
        .batch_execute("alter table freehold_shelf.\"person~0\" force row level security")
        .await
        .unwrap();
    assert!(house.store.examine().await.unwrap().is_empty());
    assert_eq!(house.handles(&house.a).await, ["ann"]);
}

#[tokio::test]
async fn a_lock_on_a_whole_table_is_ended() {
    let house = house().await;
    let attacker = house.attacker_logged_in().await;
    let pid = backend(&attacker).await;
    attacker.batch_execute("begin; lock table app.person in access exclusive mode").await.unwrap();
    let ended = house.store.watch(&limits()).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].backend, ended[0].why.as_str()), (i64::from(pid), "lock"));
    assert_eq!(house.handles(&house.a).await, ["ann"]);
    assert!(house.store.watch(&limits()).await.unwrap().is_empty());
}

#[tokio::test]
async fn limits_hold_whatever_the_session_sets() {
    let house = house().await;
    let attacker = house.attacker_logged_in().await;
    attacker
        .batch_execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; begin; select 1")
        .await
        .unwrap();
    let strict = Watch { transaction_max: Duration::ZERO, ..limits() };
    let ended = house.store.watch(&strict).await.unwrap();
    assert_eq!(ended[0].why, "transaction");

    let other = house.attacker_logged_in().await;
    let pid = i64::from(backend(&other).await);
    let greedy = Watch { memory_max: 1, ..limits() };
    // What grew is seen in one look and ended in the next.
    assert!(house.store.watch(&greedy).await.unwrap().is_empty());
    let ended = house.store.watch(&greedy).await.unwrap();
    assert!(ended.iter().any(|ended| ended.backend == pid && ended.why == "memory"), "{ended:?}");
}

#[tokio::test]
async fn ddl_is_not_for_servers_logins_and_new_tables_are_walled() {
    let house = house().await;
    for text in [
        "drop owned by current_user",
        "create table app.mine (id int)",
        "create temp table mine (id int)",
        "alter table app.person disable row level security",
        "comment on table app.person is 'x'",
        "grant select on app.person to public",
    ] {
        assert_eq!(code(house.store.raw(&house.a, text).await), Code::Syntax, "{text}");
    }
    let admin = house.db.client().await;
    let bare = "set role freehold_owner; create table app.stray (id uuid primary key)";
    assert!(admin.batch_execute(bare).await.is_err());
    admin
        .batch_execute(
            "create table app.stray (tenant_id uuid not null, id uuid not null default gen_random_uuid(), word text, primary key (tenant_id, id)); \
             grant select on app.stray to freehold_app; reset role",
        )
        .await
        .unwrap();
    let fill = format!(
        "insert into app.stray (tenant_id, word) values ('{}', 'a'), ('{}', 'b')",
        house.a.id(),
        house.b.id()
    );
    admin.batch_execute(&fill).await.unwrap();
    let seen = house.store.raw(&house.a, "select word from app.stray").await.unwrap();
    assert_eq!(seen[0].rows, [[Some("a".to_owned())]]);
    let kept: i64 = admin
        .query_one("select count(*) from pg_attribute where attrelid = 'app.stray'::regclass and attnum > 0 and attstattarget is distinct from 0", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 0);
    assert!(house.store.examine().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_login_that_its_own_sql_broke_is_set_right() {
    let server = OwnServer::start().await;
    let mut operator = Operator::open(&server.url(), "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    let connect = || Store::connect(Config::new(server.url(), RootKey::new(ROOT)));
    let admin = server.client().await;
    for harm in [
        "alter role freehold_app password 'mine now'",
        "alter role freehold_app password null",
        "alter role freehold_app set local_preload_libraries = 'no such library'",
        "alter role freehold_app in database postgres set local_preload_libraries = 'none'",
        "alter role freehold_app valid until '2001-01-01'",
        "alter role freehold_app nologin",
    ] {
        admin.batch_execute(harm).await.unwrap();
        let store = connect().await.unwrap_or_else(|error| panic!("{harm}: {error}"));
        let tenant = store.tenant_named("a").await.unwrap();
        assert_eq!(store.raw(&tenant, "select 1").await.unwrap()[0].count, 1);
    }
    // What stops no login is set right by the watchdog.
    let store = connect().await.unwrap();
    admin.batch_execute("alter role freehold_app set work_mem = '2GB'").await.unwrap();
    store.watch(&limits()).await.unwrap();
    let left: i64 = admin
        .query_one("select count(*) from pg_db_role_setting s, unnest(setconfig) c where setrole = 'freehold_app'::regrole and c like 'work_mem=%'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn all_of_it_works_where_the_operator_is_no_superuser() {
    let server = OwnServer::start().await;
    let admin = server.client().await;
    admin
        .batch_execute(
            "create role op login createrole password 'secret'; create schema freehold_ext; \
             grant usage on schema freehold_ext to public; create extension vector schema freehold_ext",
        )
        .await
        .unwrap();
    admin.batch_execute("alter database postgres owner to op").await.unwrap();
    let mut operator = Operator::open(&server.url_as("op", "secret"), "test").await.unwrap();
    assert_eq!(operator.set_up(&RootKey::new(ROOT)).await.unwrap(), Mode::Ticket);
    assert_eq!(operator.set_up(&RootKey::new(ROOT)).await.unwrap(), Mode::Ticket);
    operator.create_tenant("a").await.unwrap();

    admin.batch_execute("alter role freehold_app password 'mine now'").await.unwrap();
    let store = Store::connect(Config::new(server.url(), RootKey::new(ROOT))).await.unwrap();
    let tenant = store.tenant_named("a").await.unwrap();
    let held = store.raw(&tenant, "select pg_advisory_lock(1)").await;
    assert!(held.is_ok(), "PUBLIC keeps its functions where nobody can take them: {held:?}");
    let lock = "begin; select pg_advisory_lock(2)";
    let attacker = server.url_as("freehold_app", APP_PASSWORD);
    let (client, connection) =
        tokio_postgres::connect(&attacker, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(lock).await.unwrap();
    assert_eq!(store.watch(&limits()).await.unwrap()[0].why, "lock");
    assert!(store.examine().await.unwrap().is_empty());
}
