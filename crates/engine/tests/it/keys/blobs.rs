//! Blobs of the erased: what an old database and an old copy of the object storage hold of them together stays closed.

use std::sync::Arc;

use freehold_engine::{Code, Engine, Error, Operator, Tenant, keys::Replayed, write::Verb};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{connect, engine, rotate};
use crate::{
    blobs::{blobs, flaky::Flaky, pattern, put},
    ground::{Ground, code, ground, operation, read},
};

const MODEL: &str = r#"
[model]
name = "files"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
face = { type = "blob", personal = "contact", optional = true }

[entity.bill.field]
path = { type = "text", unique = true, not_personal = "a number" }
buyer = { ref = "person", on_erase = "keep", keep_for = "10 years", keep_why = "the books" }
scan = { type = "blob", personal = "contact", optional = true, path = "path" }
"#;

struct House {
    ground: Ground,
    folder: tempfile::TempDir,
    flaky: Arc<Flaky>,
    /// Of the first tenant.
    ada: Uuid,
}

/// Ada and bob in both tenants, each with a face and a bill.
async fn house() -> House {
    let mut ground = ground(MODEL).await;
    let folder = tempfile::tempdir().unwrap();
    let store = connect(ground.db.url(), folder.path(), false).await.unwrap();
    store.init_keystore().await.unwrap();
    let flaky = Arc::new(Flaky::default());
    ground.engine = engine(ground.db.url(), folder.path()).await.with_blobs(blobs(&flaky));
    for tenant in [&ground.a, &ground.b] {
        for name in ["ada", "bob"] {
            add(&ground.engine, tenant, name).await;
        }
    }
    let ada = id(&ground.engine, &ground.a, "ada").await;
    House { ground, folder, flaky, ada }
}

async fn add(engine: &Engine, tenant: &Tenant, name: &str) {
    let upload = async |place| {
        put(engine, tenant, place, "image/png", pattern(1000)).await.unwrap().id.to_string()
    };
    let person = json!({ "handle": name, "face": upload("person.face").await });
    engine.write(tenant, operation("person", Verb::Insert(person, None))).await.unwrap();
    let buyer = id(engine, tenant, name).await.to_string();
    let bill = json!({ "path": name, "buyer": buyer, "scan": upload("bill.scan").await });
    engine.write(tenant, operation("bill", Verb::Insert(bill, None))).await.unwrap();
}

async fn id(engine: &Engine, tenant: &Tenant, name: &str) -> Uuid {
    let rows = read(engine, tenant, &format!("person?handle=eq.{name}")).await.unwrap();
    rows[0]["id"].as_str().unwrap().parse().unwrap()
}

async fn bytes(engine: &Engine, tenant: &Tenant, bucket: &str, path: &str) -> Result<usize, Error> {
    let bucket = engine.bucket(bucket)?;
    let blob = engine.blob_at(tenant, &bucket, path).await?;
    let mut bytes = engine.read_blob(tenant, &blob, 0..blob.size, None).await?;
    let mut all = 0;
    while let Some(some) = bytes.next().await {
        all += some?.len();
    }
    Ok(all)
}

/// The same by the person's name.
async fn face(engine: &Engine, tenant: &Tenant, name: &str) -> Result<usize, Error> {
    let path = id(engine, tenant, name).await.to_string();
    bytes(engine, tenant, "person.face", &path).await
}

#[tokio::test]
async fn an_old_database_and_old_objects_open_nothing_of_the_erased() {
    let House { ground, folder, flaky, ada } = house().await;
    let (backup, naive) = (ground.db.copy().await, ground.db.copy().await);
    // Workers never get to the objects: they are all there, as in a copy of the storage.
    ground.engine.erase(&ground.a, "person", ada).await.unwrap();
    let with = async |url: &str| engine(url, folder.path()).await.with_blobs(blobs(&flaky));
    // The control: with a database from before and the keys that there are, all opens.
    let old = with(naive.url()).await;
    assert_eq!(face(&old, &ground.a, "ada").await.unwrap(), 1000);
    rotate(&ground.engine).await;
    let of_today = ground
        .truth("select tenant_id, gen, epoch, encode(wrapped, 'hex') as w from freehold.tenant_key")
        .await;
    for key in of_today.as_array().unwrap() {
        let sql = format!(
            "update freehold.tenant_key set gen = {}, epoch = {}, wrapped = decode({}, 'hex') where tenant_id = {}",
            key["gen"], key["epoch"], key["w"], key["tenant_id"]
        );
        naive.client().await.batch_execute(&sql.replace('"', "'")).await.unwrap();
    }
    let old = with(naive.url()).await;
    let of_ada = face(&old, &ground.a, "ada").await;
    assert!(matches!(of_ada, Err(Error::Failed(_))), "{of_ada:?}");
    assert_eq!(face(&old, &ground.b, "ada").await.unwrap(), 1000);
    // As a restore is done.
    let restored = with(backup.url()).await;
    let mut operator = Operator::open(backup.url(), "test").await.unwrap();
    let id = restored.store().keystore_state().await.unwrap().id;
    let export = folder.path().join(format!("{id}.export"));
    operator.import_keys(&restored.store(), &export).await.unwrap();
    assert_eq!(code(face(&restored, &ground.a, "ada").await), Code::Erased);
    for (tenant, name) in [(&ground.a, "bob"), (&ground.b, "ada"), (&ground.b, "bob")] {
        assert_eq!(face(&restored, tenant, name).await.unwrap(), 1000);
        assert_eq!(bytes(&restored, tenant, "bill", name).await.unwrap(), 1000);
    }
    assert_eq!(restored.own_blobs().await.unwrap(), 7, "all but the face that nothing opens");
    let replayed = restored.replay_ledger().await.unwrap();
    assert_eq!(replayed, Replayed { erasures: 1, receipts: 2, tenants: 0 });
    assert_eq!(face(&restored, &ground.a, "bob").await.unwrap(), 1000);
    // What is kept for a duty is there still.
    assert_eq!(bytes(&restored, &ground.a, "bill", "ada").await.unwrap(), 1000);
    rotate(&restored).await;
    assert_eq!(bytes(&restored, &ground.a, "bill", "ada").await.unwrap(), 1000);
}

#[tokio::test]
async fn what_is_kept_opens_until_its_time_is_over() {
    let House { ground, ada, folder: _folder, flaky: _flaky } = house().await;
    let (engine, a, b) = (&ground.engine, &ground.a, &ground.b);
    // One that nobody has wrapped for her yet.
    let late = put(engine, a, "bill.scan", "image/png", pattern(1000)).await.unwrap().id;
    let sql =
        format!("insert into app.bill (path, buyer, scan) values ('late', '{ada}', '{late}')");
    engine.raw_sql(a, &sql).await.unwrap();
    let sql = async |text: &str| ground.db.client().await.batch_execute(text).await.unwrap();
    sql(&format!("create table public.was as select * from freehold.blob where id = '{late}'"))
        .await;
    let done = engine.erase(a, "person", ada).await.unwrap();
    let wrapped = "select b.key_class as class, b.key_subject is null as tenants from freehold.blob b where b.subject = ";
    let wrapped = ground.truth(&format!("{wrapped}'{ada}' and b.state = 'live'")).await;
    let of_a_duty = json!({ "class": 1, "tenants": false });
    assert_eq!(wrapped, Value::Array(vec![of_a_duty; 2]));
    for path in ["ada", "late"] {
        assert_eq!(bytes(engine, a, "bill", path).await.unwrap(), 1000);
    }
    // As if nobody had come to wrap it.
    sql(
        "update freehold.blob b set key = w.key, key_subject = null, key_class = null, key_subject_gen = null from public.was w where b.id = w.id",
    )
    .await;
    assert_eq!(bytes(engine, a, "bill", "late").await.unwrap(), 1000);
    sql("update freehold.erasure set kept_until = now() - interval '1 s'").await;
    assert!(engine.store().shred_kept(done.id).await.unwrap());
    engine.store().forget_keys(a, ada);
    for path in ["ada", "late"] {
        assert_eq!(code(bytes(engine, a, "bill", path).await), Code::Erased);
    }
    assert_eq!(bytes(engine, a, "bill", "bob").await.unwrap(), 1000);
    assert_eq!(bytes(engine, b, "bill", "ada").await.unwrap(), 1000);
    let verified = engine.verify_blobs(a, |_| {}).await.unwrap();
    assert_eq!((verified.erased, verified.sound, verified.rotten), (2, 2, Vec::new()));
    rotate(engine).await;
}

/// Passed on past the API, and offered by a write that was refused: it goes with whose it is, and an offer with whose key it is by.
#[tokio::test]
async fn what_was_passed_on_or_offered_in_vain_is_closed_with_whose_it_is() {
    let House { ground, ada, folder: _folder, flaky: _flaky } = house().await;
    let (engine, a, b) = (&ground.engine, &ground.a, &ground.b);
    let sql = async |text: &str| ground.db.client().await.batch_execute(text).await.unwrap();
    let offers = async || {
        ground.truth("select count(*) as n from freehold.blob_offer").await[0]["n"].clone()
    };
    let patch = json!({ "buyer": ada.to_string(), "path": "ada" });
    let taken = operation("bill?path=eq.bob", Verb::Update(patch));
    assert_eq!(code(engine.write(a, taken).await), Code::Conflict);
    assert_eq!(offers().await, 1);
    // What stays as it is is not offered.
    let same = operation("bill?path=eq.ada", Verb::Update(json!({ "buyer": ada.to_string() })));
    engine.write(a, same).await.unwrap();
    assert_eq!(offers().await, 1);
    let passed = format!("update app.bill set buyer = '{ada}' where path = 'bob'");
    engine.raw_sql(a, &passed).await.unwrap();
    // As if it could not be wrapped for her.
    sql("update freehold.blob set own_at = now() + interval '1 hour' where own_at is not null")
        .await;
    sql("insert into freehold.blob_offer select tenant_id, id, subject, 1, 0, key from freehold.blob where subject = key_subject").await;
    let done = engine.erase(a, "person", ada).await.unwrap();
    assert_eq!(offers().await, 5, "those of the others: two in one tenant less bob's bill, four");
    assert_eq!(bytes(engine, a, "bill", "bob").await.unwrap(), 1000, "kept for the books");
    sql("update freehold.erasure set kept_until = now() - interval '1 s'").await;
    assert!(engine.store().shred_kept(done.id).await.unwrap());
    engine.store().forget_keys(a, ada);
    for path in ["ada", "bob"] {
        assert_eq!(code(bytes(engine, a, "bill", path).await), Code::Erased, "{path}");
    }
    assert_eq!(face(engine, a, "bob").await.unwrap(), 1000);
    assert_eq!(bytes(engine, b, "bill", "bob").await.unwrap(), 1000);
    assert_eq!(engine.own_blobs().await.unwrap(), 0, "nobody tries to wrap them again");
}

#[tokio::test]
async fn a_restored_database_learns_whose_blobs_are_before_it_forgets_anybody() {
    let House { ground, folder, flaky, ada } = house().await;
    let (engine_now, a) = (&ground.engine, &ground.a);
    let late = put(engine_now, a, "bill.scan", "image/png", pattern(1000)).await.unwrap().id;
    let row =
        format!("insert into app.bill (path, buyer, scan) values ('late', '{ada}', '{late}')");
    engine_now.raw_sql(a, &row).await.unwrap();
    // As it was before blobs were anybody's.
    let before = format!(
        "update freehold.blob set subject = null, subject_class = 0, name = 'ada.png' where id = '{late}'"
    );
    ground.db.client().await.batch_execute(&before).await.unwrap();
    let backup = ground.db.copy().await;
    engine_now.erase(a, "person", ada).await.unwrap();
    let restored = engine(backup.url(), folder.path()).await.with_blobs(blobs(&flaky));
    assert_eq!(restored.replay_ledger().await.unwrap().erasures, 1);
    let found = format!(
        "select key_subject::text, key_class::text, name from freehold.blob where id = '{late}'"
    );
    let found = backup.client().await.query_one(&found, &[]).await.unwrap();
    let read = |at: usize| found.get::<_, Option<String>>(at);
    assert_eq!([read(0), read(1), read(2)], [Some(ada.to_string()), Some("1".into()), None]);
}
