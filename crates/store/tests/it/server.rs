//! Which servers and which logins are refused, and what to do then.

use freehold_model::{Code, Refusal};
use freehold_store::{Config, Error, Mode, Operator, RootKey, Store};
use freehold_testkit::TestDb;

use crate::fixture::{ROOT, code, database, house};

fn refusal<T>(result: Result<T, Error>) -> Refusal {
    match result.err().expect("it is refused") {
        Error::Refused(refusal) => refusal,
        other => panic!("{other}: {:?}", std::error::Error::source(&other)),
    }
}

fn connect(url: &str, key: [u8; 32]) -> impl Future<Output = Result<Store, Error>> {
    Store::connect(Config::new(url, RootKey::new(key)))
}

#[tokio::test]
async fn a_database_without_the_platform_is_refused_with_the_mend() {
    let _first = house().await;
    let db = TestDb::empty().await;
    let refused = refusal(connect(db.url(), ROOT).await);
    assert_eq!(refused.code, Code::Server);
    assert!(refused.hint.unwrap().contains("freehold apply"));
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    assert!(!operator.is_set_up().await.unwrap());
    assert_eq!(refusal(operator.current_model().await).code, Code::Server);
}

#[tokio::test]
async fn setting_up_again_changes_nothing_and_another_key_is_refused() {
    let house = house().await;
    let mut operator = house.operator().await;
    let server = operator.check_server().await.unwrap();
    assert!([16, 18].contains(&server.major) && server.mode == Some(Mode::Seal));
    assert_eq!(operator.set_up(&RootKey::new(ROOT)).await.unwrap(), Mode::Seal);
    assert_eq!(house.handles(&house.a).await, ["ann"]);
    let refused = refusal(operator.set_up(&RootKey::new([9; 32])).await);
    assert!(refused.message.contains("another root key"));
    assert_eq!(house.handles(&house.a).await, ["ann"]);
    let refused = refusal(connect(house.db.url(), [9; 32]).await);
    assert!(refused.hint.unwrap().contains("root key"));
}

#[tokio::test]
async fn two_databases_can_be_set_up_at_once() {
    let (one, two) = (TestDb::empty().await, TestDb::empty().await);
    let set_up = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        operator.set_up(&RootKey::new(ROOT)).await.unwrap();
        operator.create_tenant("a").await.unwrap();
        connect(url, ROOT).await.unwrap().tenant_named("a").await.unwrap();
    };
    tokio::join!(set_up(one.url()), set_up(two.url()));
}

#[tokio::test]
async fn pgvector_in_another_schema_is_refused_with_the_mend() {
    let db = TestDb::empty().await;
    let admin = db.client().await;
    admin.batch_execute("create extension vector schema public").await.unwrap();
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    let refused = refusal(operator.set_up(&RootKey::new(ROOT)).await);
    assert!(refused.hint.as_deref().unwrap().contains("set schema freehold_ext"), "{refused:?}");
    admin
        .batch_execute("create schema freehold_ext; alter extension vector set schema freehold_ext")
        .await
        .unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_not_taken() {
    let db = TestDb::empty().await;
    db.client().await.batch_execute("create schema app").await.unwrap();
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    assert!(refusal(operator.set_up(&RootKey::new(ROOT)).await).message.contains("app"));
    assert!(!operator.is_set_up().await.unwrap());
}

#[tokio::test]
async fn an_operator_without_superuser_gets_the_ticket_mode() {
    let _first = house().await;
    let db = TestDb::empty().await;
    let admin = db.client().await;
    let role = format!("operator_{}", db.name());
    let setup = format!(
        "create role {role} login createrole password 'secret'; alter database {} owner to {role};
        grant freehold_owner, freehold_gate, freehold_app, freehold_anonymous, freehold_control, freehold_project, freehold_watch, freehold_catalog to {role} with admin option",
        db.name()
    );
    admin.batch_execute(&setup).await.unwrap();
    let mut operator = Operator::open(&db.url_as(&role, "secret"), "test").await.unwrap();
    let refused = refusal(operator.set_up(&RootKey::new(ROOT)).await).hint.unwrap();
    let (_, mend) = refused.split_once("database: ").unwrap();
    admin.batch_execute(mend).await.unwrap();
    let set_up = operator.set_up_in(&RootKey::new(ROOT), Some(Mode::Ticket)).await;
    let worked = async {
        assert_eq!(set_up.unwrap(), Mode::Ticket);
        operator.create_tenant("a").await.unwrap();
        let store = connect(db.url(), ROOT).await.unwrap();
        let a = store.tenant_named("a").await.unwrap();
        assert_eq!(store.raw(&a, "select 1").await.unwrap()[0].count, 1);
        operator.delete_tenant("a", |_| {}).await.unwrap();
    };
    worked.await;
    drop(operator);
    admin
        .batch_execute(&format!(
            "reassign owned by {role} to postgres; drop owned by {role}; drop role {role}"
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_user_without_rights_is_refused_with_the_mend() {
    let db = TestDb::empty().await;
    let admin = db.client().await;
    let role = format!("nobody_{}", db.name());
    admin.batch_execute(&format!("create role {role} login password 'secret'")).await.unwrap();
    let mut operator = Operator::open(&db.url_as(&role, "secret"), "test").await.unwrap();
    let refused = refusal(operator.set_up(&RootKey::new(ROOT)).await);
    assert!(refused.hint.unwrap().contains("createrole"));
    drop(operator);
    admin.batch_execute(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_version_is_refused() {
    let db = database(Mode::Seal).await;
    let admin = db.client().await;
    admin.batch_execute("update freehold.platform_version set version = 999").await.unwrap();
    assert!(refusal(connect(db.url(), ROOT).await).message.contains("newer"));
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    assert!(refusal(operator.set_up(&RootKey::new(ROOT)).await).message.contains("newer"));
}

#[tokio::test]
async fn nobody_there_is_a_fault_that_may_pass() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    match connect(&format!("host=127.0.0.1 port={closed} dbname=x"), ROOT).await {
        Err(Error::Failed(fault)) => assert!(fault.is_unavailable()),
        _ => panic!("it should fail"),
    }
    assert_eq!(code(Operator::open("postgres://h", "test").await), Code::Usage);
}
