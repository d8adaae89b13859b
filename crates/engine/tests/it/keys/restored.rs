//! A base backup that is restored, with tenants in it that were deleted since.

use super::*;

async fn installed(server: &OwnServer, folder: &Path) -> Engine {
    let url = server.url();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    for name in ["a", "b"] {
        operator.create_tenant(name).await.unwrap();
    }
    change(&mut operator, &connect(&url, folder, false).await.unwrap(), MODEL, &[]).await.unwrap();
    let store = connect(&url, folder, false).await.unwrap();
    store.init_keystore().await.unwrap();
    let engine = engine(&url, folder).await;
    for name in ["a", "b"] {
        let tenant = engine.tenant(name).await.unwrap();
        add(&engine, &tenant, "ada").await;
        add(&engine, &tenant, "bob").await;
    }
    engine
}

#[tokio::test]
async fn a_deleted_tenant_does_not_come_back_with_a_backup() {
    let mut server = OwnServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let one = installed(&server, &keys).await;
    let (a, b) = (one.tenant("a").await.unwrap(), one.tenant("b").await.unwrap());
    let backup = folder.path().join("backup");
    server.base_backup(&backup).await;

    // Somebody is erased, and then all of the tenant: the ledger has both.
    let ada = read(&one, &a, "person?handle=eq.ada&select=id").await.unwrap();
    let ada = ada[0]["id"].as_str().unwrap().parse().unwrap();
    one.erase(&a, "person", ada).await.unwrap();
    let mut operator = Operator::open(&server.url(), "test").await.unwrap();
    let unnoted = operator.delete_tenant("a", |_| {}).await;
    assert_eq!(code(unnoted), Code::Usage, "with a keystore it is noted");
    operator.delete_tenant_noted(&one.store(), "a", |_| {}).await.unwrap();
    assert_eq!(operator.tenants().await.unwrap().len(), 1);
    let state = one.store().keystore_state().await.unwrap();
    assert_eq!((state.erasures, state.tenants, state.unknown), (1, 1, 0));
    drop((operator, one));

    server.restore(&backup).await;
    let refused = connect(&server.url(), &keys, false).await;
    assert_eq!(code(refused), Code::Server, "it is older than the ledger");
    let restored = engine(&server.url(), &keys).await;
    // The control: all of it is there, and would open.
    assert_eq!(emails(&restored, &a).await.unwrap(), json!(["ada@example.org", "bob@example.org"]));
    let replayed = restored.replay_ledger().await.unwrap();
    assert_eq!((replayed.tenants, replayed.erasures), (1, 1));
    assert_eq!(code(restored.tenant("a").await), Code::TenantSuspended);
    assert!(emails(&restored, &a).await.is_err(), "nobody opens it");
    assert_eq!(emails(&restored, &b).await.unwrap(), json!(["ada@example.org", "bob@example.org"]));
    assert!(!restored.store().is_behind().await.unwrap());

    let store = connect(&server.url(), &keys, false).await.unwrap();
    let mut operator = Operator::open(&server.url(), "test").await.unwrap();
    operator.delete_tenant_noted(&store, "a", |_| {}).await.unwrap();
    let sql = format!(
        "select (select count(*) from app.person where tenant_id = '{0}') + (select count(*) from freehold.subject_key where tenant_id = '{0}')
           + (select count(*) from freehold.tenant_key where tenant_id = '{0}')",
        a.id()
    );
    let admin = server.client().await;
    assert_eq!(admin.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_ledger_of_tenants_that_somebody_wrote_is_refused() {
    let (ground, folder, _) = house().await;
    let id = ground.engine.store().keystore_state().await.unwrap().id;
    let tenants = folder.path().join(format!("{id}.tenants"));
    std::fs::create_dir_all(&tenants).unwrap();
    let mac = "0".repeat(64);
    let text = format!("freehold tenant 1\ntenant {}\nmac {mac}\n", ground.b.id());
    std::fs::write(tenants.join(ground.b.id().to_string()), text).unwrap();
    assert_eq!(code(connect(ground.db.url(), folder.path(), false).await), Code::Usage);
}
