//! What is refused, what is kept for a duty, what workers do by themselves, and the root key.

use super::*;

#[tokio::test]
async fn a_database_without_a_keystore_gets_one_and_is_served_by_nobody_without_it() {
    let ground = ground(MODEL).await;
    add(&ground.engine, &ground.a, "ada").await;
    let folder = tempfile::tempdir().unwrap();
    let store = connect(ground.db.url(), folder.path(), false).await.unwrap();
    assert_eq!(code(store.rotate_epoch(&mut |_| true).await), Code::Usage);
    store.init_keystore().await.unwrap();
    store.init_keystore().await.unwrap();
    let epochs = async || ground.truth("select epoch, gen from freehold.tenant_key").await;
    assert_eq!(epochs().await, json!([{ "epoch": 0, "gen": 0 }]));
    let with = engine(ground.db.url(), folder.path()).await;
    assert_eq!(emails(&with, &ground.a).await.unwrap(), json!(["ada@example.org"]));
    // Older backups have the key under one made of the root key, so it is another from then on.
    assert_eq!(rotate(&with).await, 2);
    assert_eq!(epochs().await, json!([{ "epoch": 2, "gen": 1 }]));
    assert_eq!(emails(&with, &ground.a).await.unwrap(), json!(["ada@example.org"]));

    let without = Store::connect(StoreConfig::new(ground.db.url(), RootKey::new(ROOT))).await;
    assert_eq!(code(without), Code::Usage);
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(code(connect(ground.db.url(), elsewhere.path(), true).await), Code::Usage);
}

#[tokio::test]
async fn an_export_that_was_changed_or_is_anothers_is_refused() {
    let (ground, folder, _) = house().await;
    let store = ground.engine.store();
    let file = folder.path().join("keys");
    assert_eq!(store.export_keys(Some(&file)).await.unwrap(), 2 + 4 + 2);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("example"), "{text}");
    let mut operator = ground.operator().await;
    let done = operator.import_keys(&store, &file).await.unwrap();
    assert_eq!((done.kept, done.taken), (2, 0), "what is as new is left");
    let cut: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
    let id = text.lines().nth(1).unwrap();
    let other = text.replacen(id, &format!("installation {}", Uuid::nil()), 1);
    for wrong in [cut, text.replacen("good", "spent", 1), other, format!("{text}x\n")] {
        std::fs::write(&file, &wrong).unwrap();
        assert_eq!(code(operator.import_keys(&store, &file).await), Code::Usage, "{wrong}");
    }
}

#[tokio::test]
async fn a_ledger_that_was_changed_erases_nobody_and_a_hold_is_told() {
    let (ground, folder, ada) = house().await;
    let hold =
        ground.engine.store().place_hold(&ground.a, Some(ada), "a case", None).await.unwrap();
    let backup = ground.db.copy().await;
    ground.engine.store().release_hold(hold.parse().unwrap()).await.unwrap();
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    let restored = engine(backup.url(), folder.path()).await;
    assert_eq!(code(restored.replay_ledger().await), Code::Held);
    restored.store().release_hold(hold.parse().unwrap()).await.unwrap();
    restored.replay_ledger().await.unwrap();
    assert_eq!(emails(&restored, &ground.a).await.unwrap(), json!(["bob@example.org"]));

    let id = ground.engine.store().keystore_state().await.unwrap().id;
    let ledger = folder.path().join(format!("{id}.erased"));
    let entry = std::fs::read_dir(&ledger).unwrap().next().unwrap().unwrap().path();
    let bob = ground.read(&ground.a, "person?handle=eq.bob&select=id").await;
    let text = std::fs::read_to_string(&entry).unwrap();
    let forged = text.replace(&ada.to_string(), bob[0]["id"].as_str().unwrap());
    std::fs::write(ledger.join(Uuid::now_v7().to_string()), forged).unwrap();
    assert_eq!(code(connect(ground.db.url(), folder.path(), false).await), Code::Usage);
    assert_eq!(code(ground.engine.replay_ledger().await), Code::Usage);
    assert_eq!(emails(&ground.engine, &ground.a).await.unwrap(), json!(["bob@example.org"]));
}

#[tokio::test]
async fn what_is_kept_for_a_duty_closes_in_backups_when_it_is_over() {
    let kept = format!(
        "{MODEL}\n[entity.bill.field]\nbuyer = {{ ref = \"person\", on_erase = \"keep\", keep_for = \"10 years\", keep_why = \"the books\" }}\nname = {{ type = \"text\", personal = \"contact\", optional = true }}\n"
    );
    let mut ground = ground(&kept).await;
    let folder = tempfile::tempdir().unwrap();
    let store = connect(ground.db.url(), folder.path(), false).await.unwrap();
    store.init_keystore().await.unwrap();
    ground.engine = engine(ground.db.url(), folder.path()).await;
    add(&ground.engine, &ground.a, "ada").await;
    let id = ground.read(&ground.a, "person?select=id").await[0]["id"].clone();
    ground.insert(&ground.a, "bill", json!({ "buyer": id, "name": "Ada" })).await;
    let ada: Uuid = id.as_str().unwrap().parse().unwrap();
    let ended = ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    assert_eq!((ended.state, ended.epoch), (ErasureState::Ended, Some(1)));
    rotate(&ground.engine).await;
    assert_eq!(ground.read(&ground.a, "bill?select=name").await, json!([{ "name": "Ada" }]));
    let backup = ground.db.copy().await;
    ground
        .db
        .client()
        .await
        .batch_execute("update freehold.erasure set kept_until = now()")
        .await
        .unwrap();
    assert!(ground.engine.store().shred_kept(ended.id).await.unwrap());
    assert!(!ground.engine.store().shred_kept(ended.id).await.unwrap());
    let spent = ground.truth("select 1 from freehold.erasure where unreadable_at is null").await;
    assert_eq!(spent.as_array().unwrap().len(), 1, "it has to be closed once more");
    rotate(&ground.engine).await;
    assert_eq!(receipts(&ground.engine.store()).await.len(), 3);
    let restored = engine(backup.url(), folder.path()).await;
    assert!(matches!(read(&restored, &ground.a, "bill?select=name").await, Err(Error::Failed(_))));
}

#[tokio::test]
async fn workers_replace_the_epoch_some_time_after_an_erasure() {
    let (ground, _folder, ada) = house().await;
    ground.engine.want_standing().await.unwrap();
    let client = ground.db.client().await;
    let epoch = async |ground: &Ground| {
        client
            .batch_execute("update freehold.job set run_after = now() where kind = 'epoch'")
            .await
            .unwrap();
        while ground.engine.job_once().await.unwrap() {}
        ground.engine.store().keystore_state().await.unwrap().epoch
    };
    assert_eq!(epoch(&ground).await, 1, "nothing was destroyed");
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    assert_eq!(epoch(&ground).await, 1, "not yet");
    client
        .batch_execute("update freehold.keystore set spent_at = now() - interval '12 hours'")
        .await
        .unwrap();
    assert_eq!(epoch(&ground).await, 2);
    let mut operator = ground.operator().await;
    operator.delete_tenant_noted(&ground.engine.store(), "b", |_| {}).await.unwrap();
    assert!(
        ground.engine.store().keystore_state().await.unwrap().spent_s.is_some(),
        "backups have the tenant's key"
    );
}

#[tokio::test]
async fn the_root_key_is_replaced_wherever_that_was_interrupted() {
    let server = OwnServer::start().await;
    let url = server.url();
    let (old, new) = (RootKey::new(ROOT), RootKey::new([8; 32]));
    let folder = tempfile::tempdir().unwrap();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&old).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    let store = connect(&url, folder.path(), false).await.unwrap();
    change(&mut operator, &store, MODEL, &[]).await.unwrap();
    let plain = Engine::open(store, "/".into()).await.unwrap();
    let tenant = plain.tenant("a").await.unwrap();
    add(&plain, &tenant, "ada").await;
    // Without an epoch between, the tenants' keys would be lost with it.
    let refused = operator.rotate_root(&old, &new, folder.path(), &mut |_| true).await;
    assert_eq!(code(refused), Code::Usage);
    plain.store().init_keystore().await.unwrap();
    let refused = operator.rotate_root(&old, &new, folder.path(), &mut |_| true).await;
    assert_eq!(code(refused), Code::Server);
    rotate(&engine(&url, folder.path()).await).await;
    let signer = plain.store().sign_receipt("").public_key;

    for stop in [1, 2, 3] {
        let mut told = 0;
        let mut stopping = |_: &str| {
            told += 1;
            told != stop
        };
        let stopped = operator.rotate_root(&old, &new, folder.path(), &mut stopping).await;
        assert_eq!(stopped.is_ok(), stop == 3);
        let config = |key: [u8; 32]| StoreConfig {
            keystore: Some(folder.path().into()),
            connect_timeout: Duration::from_secs(5),
            ..StoreConfig::new(&url, RootKey::new(key))
        };
        let (mut fits, mut other) = (config(ROOT), config([8; 32]));
        if stop > 1 {
            std::mem::swap(&mut fits, &mut other);
        }
        assert!(Store::connect(other).await.is_err(), "{stop}");
        let engine = Engine::open(Store::connect(fits).await.unwrap(), "/".into()).await.unwrap();
        assert_eq!(emails(&engine, &tenant).await.unwrap(), json!(["ada@example.org"]), "{stop}");
        assert_eq!(engine.store().sign_receipt("").public_key, signer, "receipts stay of one hand");
    }
    let text = std::fs::read_dir(folder.path()).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "keys").then(|| std::fs::read_to_string(path).unwrap())
    });
    assert_eq!(
        text.map(|text| text.lines().count()).collect::<Vec<_>>(),
        [3],
        "the old one's are gone"
    );
}
