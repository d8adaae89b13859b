//! The key of a blob that is somebody's is wrapped by theirs: from the moment a row has it, wherever it goes, and never by another's.

use std::io::Cursor;

use freehold_engine::{
    Code, Error, Tenant,
    blob::{Mode, Object},
    import::{Format, Import, OnBad},
    write::{Resolution, Verb},
};
use freehold_store::seal::Class;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Yard, pattern, privacy::yard, put};
use crate::ground::{code, operation};

impl Yard {
    /// By whose key a blob of a tenant is wrapped, of which generation, whose it is, and whether workers have to look.
    pub(super) async fn wrapped(&self, id: &str) -> Value {
        let sql = format!(
            "select key_subject as by, key_subject_gen as gen, subject, own_at is not null as due from freehold.blob where id = '{id}'"
        );
        self.ground.truth(&sql).await[0].clone()
    }

    /// That a blob is this person's and wrapped by their first key.
    pub(super) async fn is_of(&self, id: &str, person: Uuid) {
        let wanted = json!({ "by": person.to_string(), "gen": 0, "subject": person.to_string(), "due": false });
        assert_eq!(self.wrapped(id).await, wanted);
    }

    pub(super) async fn is_nobodys(&self, id: &str) {
        let wanted = json!({ "by": null, "gen": null, "subject": null, "due": false });
        assert_eq!(self.wrapped(id).await, wanted);
    }

    pub(super) async fn bytes(
        &self,
        tenant: &Tenant,
        bucket: &str,
        path: &str,
    ) -> Result<Vec<u8>, Error> {
        let bucket = self.engine.bucket(bucket)?;
        let blob = self.engine.blob_at(tenant, &bucket, path).await?;
        let mut bytes = self.engine.read_blob(tenant, &blob, 0..blob.size, None).await?;
        let mut all = Vec::new();
        while let Some(some) = bytes.next().await {
            all.extend_from_slice(&some?);
        }
        Ok(all)
    }

    pub(super) async fn blob_of(&self, tenant: &Tenant, target: &str, field: &str) -> String {
        let rows = self.ground.read(tenant, target).await;
        rows[0][field]["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn sql(&self, text: &str) {
        self.ground.db.client().await.batch_execute(text).await.unwrap();
    }

    /// All that there is is as it was stored.
    pub(super) async fn is_sound(&self, many: u64) {
        for tenant in [&self.ground.a, &self.ground.b] {
            let verified = self.engine.verify_blobs(tenant, |_| {}).await.unwrap();
            assert_eq!((verified.rotten, verified.sound), (Vec::new(), many));
        }
    }

    pub(super) async fn letter(&self, tenant: &Tenant, path: &str) -> String {
        self.ground.read(tenant, &format!("letter?path=eq.{path}")).await[0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn a_row_that_takes_a_blob_takes_it_under_its_persons_key() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let people = [yard.people(a).await, yard.people(b).await];
    for (tenant, [ada, bob]) in [a, b].into_iter().zip(people) {
        for (handle, person) in [("ada", ada), ("bob", bob)] {
            let face = yard.blob_of(tenant, &format!("person?handle=eq.{handle}"), "face").await;
            yard.is_of(&face, person).await;
            let letter = format!("letter?path=eq.{handle}");
            yard.is_of(&yard.blob_of(tenant, &letter, "scan").await, person).await;
            // What is said not to be personal is the tenant's.
            yard.is_nobodys(&yard.blob_of(tenant, &letter, "stamp").await).await;
        }
        // By the bucket, by an upsert, by an update of several rows at once, and without a person.
        let id = bob.to_string();
        let bucket = yard.engine.bucket("person.face").unwrap();
        let object = Object { bucket: &bucket, path: &id };
        let stored =
            put(&yard.engine, tenant, "person.face", "image/png", pattern(70_000)).await.unwrap();
        yard.engine.take_blob(tenant, object, Mode::Replace, &stored).await.unwrap();
        yard.is_of(&stored.id.to_string(), bob).await;
        assert_eq!(yard.bytes(tenant, "person.face", &id).await.unwrap(), pattern(70_000));
        let scan = yard.upload(tenant, "letter.scan").await;
        let row = json!({ "path": "bob", "scan": scan });
        yard.ground.merge(tenant, "letter?on_conflict=path", row).await;
        yard.is_of(&scan, bob).await;
        let face = yard.upload(tenant, "person.face").await;
        let row = json!({ "handle": "eve", "face": face });
        yard.ground.merge(tenant, "person?on_conflict=handle", row).await;
        let eve = yard.ground.read(tenant, "person?handle=eq.eve").await[0]["id"].clone();
        yard.is_of(&face, eve.as_str().unwrap().parse().unwrap()).await;
        let scan = yard.upload(tenant, "letter.scan").await;
        yard.ground.insert(tenant, "letter", json!({ "path": "x", "scan": scan })).await;
        yard.is_nobodys(&scan).await;
        let info = yard.engine.blob_info(tenant, &bucket, &id).await.unwrap();
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["metadata"]["subject"], json!(id));
        let all = freehold_engine::blob::Listing { limit: 10, ..Default::default() };
        let listed = yard.engine.list_blobs(tenant, &bucket, &all).await.unwrap();
        assert!(listed.contains(&format!("\"subject\" : \"{ada}\"")), "{listed}");
    }
    yard.is_sound(10).await;
}

#[tokio::test]
async fn what_is_passed_on_is_wrapped_for_whoever_has_it_then() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    yard.people(b).await;
    let scan = yard.blob_of(a, "letter?path=eq.ada", "scan").await;
    let letter = yard.letter(a, "ada").await;
    yard.ground.update(a, "letter?path=eq.ada", json!({ "from": bob.to_string() })).await;
    yard.is_of(&scan, bob).await;
    yard.ground
        .merge(a, "letter?on_conflict=path", json!({ "path": "ada", "from": ada.to_string() }))
        .await;
    assert_eq!(
        yard.engine.own_blobs().await.unwrap(),
        1,
        "an upsert does not say which blob is there"
    );
    yard.is_of(&scan, ada).await;
    yard.ground.update(a, "letter?path=eq.ada", json!({ "from": null })).await;
    let waits = json!({ "by": ada.to_string(), "gen": 0, "subject": null, "due": true });
    assert_eq!(yard.wrapped(&scan).await, waits);
    assert_eq!(yard.bytes(a, "letter.scan", &letter).await.unwrap(), pattern(1000));
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 1);
    yard.is_nobodys(&scan).await;
    assert_eq!(yard.bytes(a, "letter.scan", &letter).await.unwrap(), pattern(1000));
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 0);
    // Whoever looked before it was passed on has nothing to say.
    yard.sql(&format!("update freehold.blob set own_at = now() where id = '{scan}'")).await;
    let seen = yard.engine.store().unowned_blobs(a, None, 10).await.unwrap();
    assert_eq!(seen.len(), 1);
    yard.ground.update(a, "letter?path=eq.ada", json!({ "from": bob.to_string() })).await;
    let stale: Vec<_> = seen.into_iter().map(|blob| (blob, Some((ada, Class::Ordinary)))).collect();
    yard.engine.store().own_blobs(a, &stale).await.unwrap();
    yard.is_of(&scan, bob).await;
    let raw = format!("update app.letter set \"from\" = '{ada}' where path = 'ada'");
    yard.engine.raw_sql(a, &raw).await.unwrap();
    let [mut seen] =
        <[_; 1]>::try_from(yard.engine.store().unowned_blobs(a, None, 10).await.unwrap()).unwrap();
    assert_eq!((seen.id().to_string(), seen.row.clone()), (scan.clone(), letter.clone()));
    seen.row.clear();
    let raw = format!("update app.letter set \"from\" = '{bob}' where path = 'ada'");
    yard.engine.raw_sql(a, &raw).await.unwrap();
    yard.engine.store().own_blobs(a, &[(seen, Some((ada, Class::Ordinary)))]).await.unwrap();
    yard.engine.own_blobs().await.unwrap();
    yard.is_of(&scan, bob).await;
    // One upload for two rows is none for either.
    let twice = yard.upload(a, "letter.scan").await;
    let twice = Verb::Update(json!({ "scan": twice }));
    assert_eq!(
        code(yard.ground.write(a, "letter?path=in.(ada,bob)", twice).await),
        Code::Reference
    );
    // Many at once.
    let all = "letter?path=in.(ada,bob)";
    yard.ground.update(a, all, json!({ "from": ada.to_string() })).await;
    yard.is_of(&scan, ada).await;
    yard.is_of(&yard.blob_of(a, "letter?path=eq.bob", "scan").await, ada).await;
    yard.settle().await;
    yard.is_sound(8).await;
}

#[tokio::test]
async fn what_plain_sql_and_imports_give_to_rows_is_wrapped_soon() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let people = [yard.people(a).await, yard.people(b).await];
    for (tenant, [ada, bob]) in [a, b].into_iter().zip(people) {
        let scan = yard.upload(tenant, "letter.scan").await;
        let text = format!("update app.letter set scan = '{scan}' where path = 'ada'");
        yard.engine.raw_sql(tenant, &text).await.unwrap();
        let waits = json!({ "by": null, "gen": null, "subject": ada.to_string(), "due": true });
        assert_eq!(yard.wrapped(&scan).await, waits);
        let letter = yard.letter(tenant, "ada").await;
        assert_eq!(yard.bytes(tenant, "letter.scan", &letter).await.unwrap(), pattern(1000));
        assert_eq!(yard.engine.own_blobs().await.unwrap(), 1);
        yard.is_of(&scan, ada).await;
        assert_eq!(yard.bytes(tenant, "letter.scan", &letter).await.unwrap(), pattern(1000));
        let scan = yard.upload(tenant, "letter.scan").await;
        let lines = json!({ "path": "new", "from": bob.to_string(), "scan": scan }).to_string();
        let import = Import {
            entity: "letter".into(),
            input: Box::new(Cursor::new(lines)),
            format: Format::JsonLines,
            vectors: None,
            upsert: None,
            source: None,
            restart: false,
            on_bad: OnBad::Stop,
        };
        yard.engine.import(tenant, import, &mut |_| {}).await.unwrap();
        yard.is_of(&scan, bob).await;
    }
    yard.is_sound(9).await;
}

/// What is wrapped in the place of another opens nothing: not another blob's, person's or tenant's, not under another generation.
#[tokio::test]
async fn a_wrapped_key_in_anothers_place_opens_nothing() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    let [other, _] = yard.people(b).await;
    let face = async |tenant, handle: &str| {
        yard.blob_of(tenant, &format!("person?handle=eq.{handle}"), "face").await
    };
    let (of_ada, of_bob, of_other) =
        (face(a, "ada").await, face(a, "bob").await, face(b, "ada").await);
    let scan = yard.blob_of(a, "letter?path=eq.ada", "scan").await;
    yard.sql("create table public.was as select * from freehold.blob").await;
    let all = "key = w.key, key_subject = w.key_subject, key_class = w.key_class, key_subject_gen = w.key_subject_gen, key_gen = w.key_gen";
    for (set, from) in [
        (all, &of_bob),
        (all, &of_other),
        (all, &scan),
        ("key = w.key", &of_bob),
        ("key = w.key", &scan),
        ("key = w.key", &of_other),
    ] {
        yard.sql(&format!("update freehold.blob b set {set} from public.was w where b.id = '{of_ada}' and w.id = '{from}'")).await;
        let read = yard.bytes(a, "person.face", &ada.to_string()).await;
        // Of another tenant's person there is no key at all.
        assert!(
            matches!(&read, Err(Error::Failed(_)))
                || from == &of_other && code(read) == Code::Erased,
            "{set} {from}"
        );
        yard.sql(&format!("update freehold.blob b set {all} from public.was w where b.id = w.id"))
            .await;
    }
    // The same bytes as the tenant's, or as another's.
    for set in [
        "key_subject = null, key_class = null, key_subject_gen = null".to_owned(),
        format!("key_subject = '{bob}'"),
    ] {
        yard.sql(&format!("update freehold.blob set {set} where id = '{of_ada}'")).await;
        assert!(matches!(
            yard.bytes(a, "person.face", &ada.to_string()).await,
            Err(Error::Failed(_))
        ));
        yard.sql(&format!("update freehold.blob b set {all} from public.was w where b.id = w.id"))
            .await;
    }
    for (tenant, person) in [(a, ada), (a, bob), (b, other)] {
        let bytes = yard.bytes(tenant, "person.face", &person.to_string()).await.unwrap();
        assert_eq!(bytes, pattern(1000));
    }
}

/// The row, the object, the blob's wrapped key and the tenant's are all there: without the person's nothing opens.
#[tokio::test]
async fn without_the_persons_key_the_bytes_are_closed() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    let [other, _] = yard.people(b).await;
    let open = yard.ground.another().await.with_blobs(yard.blobs());
    yard.sql(&format!("delete from freehold.subject_key where subject = '{ada}'")).await;
    let bucket = open.bucket("person.face").unwrap();
    let blob = open.blob_at(a, &bucket, &ada.to_string()).await.unwrap();
    assert_eq!(code(open.read_blob(a, &blob, 0..blob.size, None).await.map(drop)), Code::Erased);
    for (tenant, person) in [(a, bob), (b, other)] {
        let blob = open.blob_at(tenant, &bucket, &person.to_string()).await.unwrap();
        assert!(open.read_blob(tenant, &blob, 0..blob.size, None).await.is_ok());
    }
    let verified = open.verify_blobs(a, |_| {}).await.unwrap();
    assert_eq!((verified.erased, verified.sound, verified.rotten), (2, 6, Vec::new()));
    let swept = open.sweep_blobs(a, std::time::Duration::ZERO, true).await.unwrap();
    assert_eq!((swept.kept, swept.stray, swept.missing), (8, Vec::new(), Vec::new()));
    // It can be removed all the same.
    let path = ada.to_string();
    assert!(open.remove_blob(a, Object { bucket: &bucket, path: &path }).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_uploaded_for_whoever_is_erased() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, _] = yard.people(a).await;
    let [other, _] = yard.people(b).await;
    let store = yard.engine.store();
    store.begin_erasure(a, "person", ada).await.unwrap();
    assert_eq!(code(yard.bytes(a, "person.face", &ada.to_string()).await), Code::Erased);
    let scan = yard.upload(a, "letter.scan").await;
    let row = json!({ "path": "late", "from": ada.to_string(), "scan": scan });
    let late = yard.ground.write(a, "letter", Verb::Insert(row.clone(), None)).await;
    assert_eq!(code(late), Code::Erased);
    let late = Verb::Insert(row, Some(Resolution::Merge));
    let late = yard.engine.write(a, operation("letter?on_conflict=path", late)).await;
    assert_eq!(code(late), Code::Erased);
    let text = format!("update app.letter set scan = '{scan}' where path = 'ada'");
    assert!(yard.engine.raw_sql(a, &text).await.is_err());
    let scan = yard.upload(b, "letter.scan").await;
    let row = json!({ "path": "late", "from": other.to_string(), "scan": scan });
    yard.ground.insert(b, "letter", row).await;
    yard.is_of(&scan, other).await;
}

#[tokio::test]
async fn who_gets_another_key_has_their_blobs_under_it() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    yard.people(b).await;
    let face = yard.blob_of(a, "person?handle=eq.ada", "face").await;
    yard.engine.store().renew_keys(a, ada).await.unwrap();
    assert_eq!(yard.bytes(a, "person.face", &ada.to_string()).await.unwrap(), pattern(1000));
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 2);
    let wanted =
        json!({ "by": ada.to_string(), "gen": 1, "subject": ada.to_string(), "due": false });
    assert_eq!(yard.wrapped(&face).await, wanted);
    // Whoever has kept the one before asks again.
    let old = format!("delete from freehold.subject_key where subject = '{ada}' and gen = 0");
    yard.sql(&old).await;
    assert_eq!(yard.bytes(a, "person.face", &ada.to_string()).await.unwrap(), pattern(1000));
    yard.is_of(&yard.blob_of(a, "person?handle=eq.bob", "face").await, bob).await;
    for tenant in [a, b] {
        yard.engine.store().rotate_tenant(tenant, &mut |_| true).await.unwrap();
    }
    yard.is_sound(8).await;
}

#[tokio::test]
async fn a_file_is_opened_for_a_purpose_that_is_counted() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, _] = yard.people(a).await;
    yard.people(b).await;
    let letter = yard.letter(a, "ada").await;
    yard.bytes(a, "letter.scan", &letter).await.unwrap();
    yard.bytes(a, "letter.stamp", &letter).await.unwrap();
    let purpose = yard.engine.purpose("support").unwrap();
    let bucket = yard.engine.bucket("person.face").unwrap();
    let face = yard.engine.blob_at(a, &bucket, &ada.to_string()).await.unwrap();
    for range in [0..10, 10..1000] {
        yard.engine.read_blob(a, &face, range, Some(&purpose)).await.map(drop).unwrap();
    }
    let opened =
        "select entity, field, purpose, opens, tenant_id from freehold.opened order by entity";
    let wanted = json!([
        { "entity": "letter", "field": "scan", "purpose": "account", "opens": 1, "tenant_id": a.id().to_string() },
        { "entity": "person", "field": "face", "purpose": "support", "opens": 2, "tenant_id": a.id().to_string() },
    ]);
    assert_eq!(yard.ground.truth(opened).await, wanted);
}
