//! Keys over time: an epoch that is replaced closes backups to whoever was erased, wherever it was interrupted; and a
//! restored database is brought up to the ledger.

mod blobs;
mod edges;
mod resealed;
mod restored;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehold_engine::{
    Code, Engine, Error, Operator, RootKey, Store, StoreConfig, Tenant,
    erase::ErasureState,
    keys::{Replayed, Rotated},
    write::Verb,
};
use freehold_testkit::OwnServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::ground::{Ground, ROOT, change, code, ground, operation, read, receipts};

const MODEL: &str = r#"
[model]
name = "keys"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
email = { type = "text", personal = "contact", lookup = "email", unique = true, optional = true }
"#;

async fn connect(url: &str, folder: &Path, behind: bool) -> Result<Store, Error> {
    let config = StoreConfig::new(url, RootKey::new(ROOT));
    Store::connect(StoreConfig { keystore: Some(folder.into()), behind, ..config }).await
}

async fn engine(url: &str, folder: &Path) -> Engine {
    Engine::open(connect(url, folder, true).await.unwrap(), "/".into()).await.unwrap()
}

/// A ground whose engine has a keystore, with ada and bob in both tenants; the id of ada of the first.
async fn house() -> (Ground, TempDir, Uuid) {
    let mut ground = ground(MODEL).await;
    let folder = tempfile::tempdir().unwrap();
    let store = connect(ground.db.url(), folder.path(), false).await.unwrap();
    store.init_keystore().await.unwrap();
    ground.engine = engine(ground.db.url(), folder.path()).await;
    for tenant in [&ground.a, &ground.b] {
        add(&ground.engine, tenant, "ada").await;
        add(&ground.engine, tenant, "bob").await;
    }
    let id = ground.read(&ground.a, "person?handle=eq.ada&select=id").await;
    let ada = id[0]["id"].as_str().unwrap().parse().unwrap();
    (ground, folder, ada)
}

async fn add(engine: &Engine, tenant: &Tenant, name: &str) {
    let person = json!({ "handle": name, "email": format!("{name}@example.org") });
    engine.write(tenant, operation("person", Verb::Insert(person, None))).await.unwrap();
}

async fn emails(engine: &Engine, tenant: &Tenant) -> Result<Value, Error> {
    let rows = read(engine, tenant, "person?select=handle,email&order=handle").await?;
    Ok(rows.as_array().unwrap().iter().map(|row| row["email"].clone()).collect())
}

async fn found(engine: &Engine, tenant: &Tenant, email: &str) -> Value {
    read(engine, tenant, &format!("person?email=eq.{email}&select=handle")).await.unwrap()
}

async fn rotate(engine: &Engine) -> u32 {
    engine.store().rotate_epoch(&mut |_| true).await.unwrap()
}

#[tokio::test]
async fn a_restored_backup_opens_nothing_of_the_erased_and_all_of_the_others() {
    let (ground, folder, ada) = house().await;
    let backup = ground.db.copy().await;
    let naive = ground.db.copy().await;
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();

    // The control: with a database from before and the keys that there are, who was erased opens.
    let old = engine(naive.url(), folder.path()).await;
    assert_eq!(
        emails(&old, &ground.a).await.unwrap(),
        json!(["ada@example.org", "bob@example.org"])
    );

    assert_eq!(rotate(&ground.engine).await, 2);
    let unreadable =
        ground.truth("select 1 from freehold.erasure where unreadable_at is not null").await;
    assert_eq!(unreadable.as_array().unwrap().len(), 1);
    assert_eq!(receipts(&ground.engine.store()).await.len(), 2);
    assert_eq!(emails(&ground.engine, &ground.a).await.unwrap(), json!(["bob@example.org"]));

    // By itself it opens nothing of anybody.
    let old = engine(naive.url(), folder.path()).await;
    for tenant in [&ground.a, &ground.b] {
        assert!(matches!(emails(&old, tenant).await, Err(Error::Failed(_))));
    }
    // With the tenants' keys of today put into it, the key of the person was under another.
    let live = ground
        .truth("select tenant_id, gen, epoch, encode(wrapped, 'hex') as w from freehold.tenant_key")
        .await;
    for key in live.as_array().unwrap() {
        let sql = format!(
            "update freehold.tenant_key set gen = {}, epoch = {}, wrapped = decode({}, 'hex') where tenant_id = {}",
            key["gen"], key["epoch"], key["w"], key["tenant_id"]
        );
        naive.client().await.batch_execute(&sql.replace('"', "'")).await.unwrap();
    }
    let old = engine(naive.url(), folder.path()).await;
    let of_ada = read(&old, &ground.a, "person?handle=eq.ada&select=email").await;
    assert!(matches!(of_ada, Err(Error::Failed(_))), "{of_ada:?}");
    assert_eq!(
        emails(&old, &ground.b).await.unwrap(),
        json!(["ada@example.org", "bob@example.org"])
    );

    // As a restore is done: the exported keys are laid over it, and then the ledger is followed.
    let refused = connect(backup.url(), folder.path(), false).await;
    assert_eq!(code(refused), Code::Server);
    let restored = engine(backup.url(), folder.path()).await;
    let mut operator = Operator::open(backup.url(), "test").await.unwrap();
    let id = restored.store().keystore_state().await.unwrap().id;
    let export = folder.path().join(format!("{id}.export"));
    let done = operator.import_keys(&restored.store(), &export).await.unwrap();
    assert_eq!((done.taken, done.dropped, done.lost), (2, 1, 0), "{done:?}");
    let opened = emails(&restored, &ground.a).await.unwrap();
    assert_eq!(opened, json!([null, "bob@example.org"]), "there is no key of who was erased");
    let replayed = restored.replay_ledger().await.unwrap();
    assert_eq!(replayed, Replayed { erasures: 1, receipts: 2, tenants: 0 });
    assert_eq!(emails(&restored, &ground.a).await.unwrap(), json!(["bob@example.org"]));
    assert_eq!(
        emails(&restored, &ground.b).await.unwrap(),
        json!(["ada@example.org", "bob@example.org"])
    );
    assert_eq!(found(&restored, &ground.a, "bob@example.org").await, json!([{ "handle": "bob" }]));
    assert_eq!(
        receipts(&restored.store()).await.len(),
        3,
        "the two that it lacked, and that of the second time"
    );
    let again = connect(backup.url(), folder.path(), false).await.unwrap();
    assert!(!again.is_behind().await.unwrap());
    // It goes on as any other.
    add(&restored, &ground.a, "eve").await;
    assert_eq!(rotate(&restored).await, 3);
    assert_eq!(
        emails(&restored, &ground.a).await.unwrap(),
        json!(["bob@example.org", "eve@example.org"])
    );
}

#[tokio::test]
async fn an_epoch_is_replaced_wherever_that_was_interrupted() {
    let (ground, folder, ada) = house().await;
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    let mut steps = Vec::new();
    for stop in 0.. {
        let db = ground.db.copy().await;
        let keys = copied(folder.path());
        let one = engine(db.url(), keys.path()).await;
        let mut told = 0;
        let mut tell = |step| {
            if stop == 0 {
                steps.push(step);
            }
            told += 1;
            told != stop
        };
        let stopped = one.store().rotate_epoch(&mut tell).await;
        if stop > 0 && told < stop {
            assert_eq!(stop, steps.len() + 1);
            break;
        }
        if stop > 0 {
            assert_eq!(code(stopped), Code::TryAgain);
        }
        // Servers go on, those that run and those that start, as if nothing was.
        for engine in [&one, &engine(db.url(), keys.path()).await] {
            assert_eq!(
                emails(engine, &ground.a).await.unwrap(),
                json!(["bob@example.org"]),
                "{stop}"
            );
        }
        add(&one, &ground.a, "eve").await;
        let other = engine(db.url(), keys.path()).await;
        add(&other, &ground.b, "eve").await;
        let epoch = match stop {
            0 => 2,
            _ => rotate(&other).await,
        };
        let state = other.store().keystore_state().await.unwrap();
        assert_eq!(
            (state.epoch, state.epochs, state.spent_s),
            (epoch, vec![epoch], None),
            "{stop}"
        );
        assert_eq!(epoch, if stop > steps.len() - 2 { 3 } else { 2 }, "{stop}");
        for engine in [&one, &other, &engine(db.url(), keys.path()).await] {
            let opened = emails(engine, &ground.a).await.unwrap();
            assert_eq!(opened, json!(["bob@example.org", "eve@example.org"]), "{stop}");
            let opened = emails(engine, &ground.b).await.unwrap();
            assert_eq!(opened, json!(["ada@example.org", "bob@example.org", "eve@example.org"]));
        }
        assert_eq!(receipts(&other.store()).await.len(), 2, "{stop}");
        let client = db.client().await;
        let left = "select count(*) from freehold.tenant_key k left join freehold.subject_key s using (tenant_id) \
                    where k.old_wrapped is not null or s.wrap_gen <> k.gen";
        assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0, "{stop}");
    }
    let kinds = |wanted: fn(&Rotated) -> bool| steps.iter().filter(|step| wanted(step)).count();
    assert_eq!(kinds(|step| matches!(step, Rotated::Replaced)), 1, "{steps:?}");
    assert_eq!(kinds(|step| matches!(step, Rotated::Rewrapped)), 1, "{steps:?}");
    assert!(
        steps.contains(&Rotated::Destroyed) && steps.contains(&Rotated::Receipted(1)),
        "{steps:?}"
    );
}

fn copied(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let to = copy.path().join(path.strip_prefix(folder).unwrap());
            if path.is_dir() {
                std::fs::create_dir(&to).unwrap();
                folders.push(path);
            } else {
                std::fs::copy(&path, &to).unwrap();
            }
        }
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_written_about_and_erased_while_keys_change() {
    let (ground, folder, _) = house().await;
    let enough = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (url, folder) = (ground.db.url().to_owned(), folder.path().to_owned());
            let tenant = if writer == 0 { ground.a.clone() } else { ground.b.clone() };
            let enough = enough.clone();
            tokio::spawn(async move {
                let engine = engine(&url, &folder).await;
                let mut number = 0_usize;
                while !enough.load(Ordering::Relaxed) {
                    add(&engine, &tenant, &format!("p{number}")).await;
                    if number.is_multiple_of(10) {
                        let one = format!("person?handle=eq.p{number}&select=id");
                        let one = read(&engine, &tenant, &one).await.unwrap();
                        let id = one[0]["id"].as_str().unwrap().parse().unwrap();
                        engine.erase(&tenant, "person", id).await.unwrap();
                    }
                    number += 1;
                }
                number
            })
        })
        .collect();
    let (one, two) = (
        engine(ground.db.url(), folder.path()).await,
        engine(ground.db.url(), folder.path()).await,
    );
    for round in 0..5 {
        // Two at once; one of them may find that the other has gone on to the next.
        let (first, second) = (one.store(), two.store());
        let (mut yes, mut also) = (|_: Rotated| true, |_: Rotated| true);
        let both = tokio::join!(first.rotate_epoch(&mut yes), second.rotate_epoch(&mut also));
        assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
        for outcome in [both.0, both.1] {
            if outcome.is_err() {
                assert_eq!(code(outcome), Code::TryAgain);
            }
        }
        let name = if round % 2 == 0 { &ground.a } else { &ground.b };
        one.store().rotate_tenant(name, &mut |_| true).await.unwrap();
    }
    enough.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    rotate(&one).await;
    let fresh = engine(ground.db.url(), folder.path()).await;
    for (tenant, written) in [&ground.a, &ground.b].into_iter().zip(written) {
        let opened = emails(&fresh, tenant).await.unwrap();
        let opened = opened.as_array().unwrap();
        assert!(written > 1, "nothing was written meanwhile");
        assert_eq!(opened.len(), 2 + written - written.div_ceil(10));
        assert!(opened.iter().all(|email| email.as_str().unwrap().ends_with("@example.org")));
        assert_eq!(found(&fresh, tenant, "p1@example.org").await, json!([{ "handle": "p1" }]));
    }
    let open = ground.truth("select 1 from freehold.erasure where unreadable_at is null").await;
    assert_eq!(open, json!([]));
    receipts(&fresh.store()).await;
}

#[tokio::test]
async fn tenants_and_people_get_other_keys() {
    let (ground, folder, ada) = house().await;
    let before =
        ground.truth("select encode(wrapped, 'hex') from freehold.tenant_key order by 1").await;
    let mut steps = Vec::new();
    let store = ground.engine.store();
    let told = &mut |step| {
        steps.push(step);
        steps.len() != 1
    };
    assert_eq!(code(store.rotate_tenant(&ground.a, told).await), Code::TryAgain);
    store.rotate_tenant(&ground.a, &mut |_| true).await.unwrap();
    let gens = ground.truth("select gen from freehold.tenant_key order by gen").await;
    assert_eq!(gens, json!([{ "gen": 0 }, { "gen": 1 }]), "the interrupted one went on");
    assert_ne!(
        ground.truth("select encode(wrapped, 'hex') from freehold.tenant_key order by 1").await,
        before
    );

    assert_eq!(ground.engine.renew_person(&ground.a, "person", ada).await.unwrap(), 1);
    let all = json!(["ada@example.org", "bob@example.org"]);
    let fresh = engine(ground.db.url(), folder.path()).await;
    assert_eq!(emails(&fresh, &ground.a).await.unwrap(), all, "what was written before opens");
    let generation =
        "select get_byte(email, 3) as gen from app.person where handle = 'ada' order by 1";
    assert_eq!(ground.truth(generation).await, json!([{ "gen": 0 }, { "gen": 0 }]));
    let patch = Verb::Update(json!({ "email": "ada@example.net" }));
    let target = format!("person?id=eq.{ada}");
    fresh.write(&ground.a, operation(&target, patch)).await.unwrap();
    assert_eq!(ground.truth(generation).await, json!([{ "gen": 0 }, { "gen": 1 }]));
    assert_eq!(found(&fresh, &ground.a, "ada@example.net").await, json!([{ "handle": "ada" }]));
    assert_eq!(
        code(ground.engine.renew_person(&ground.a, "nobody", ada).await),
        Code::NoSuchEntity
    );
}
