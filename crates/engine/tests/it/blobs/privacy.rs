//! What is erased or expired takes its blobs along, and their bytes.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use freehold_engine::{
    Code, Files, Tenant,
    blob::{Mode, Object},
    erase::ErasureState,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Yard, blobs,
    flaky::{Flaky, Trouble},
    pattern, put,
};
use crate::ground::{code, ground};

const MODEL: &str = r#"
[model]
name = "people"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
face = { type = "blob", personal = "contact", optional = true }

[entity.letter.field]
path = { type = "text", unique = true, not_personal = "a number" }
from = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
scan = { type = "blob", personal = "contact", optional = true }
stamp = { type = "blob", not_personal = "a picture of the post's", optional = true }

[entity.visit.field]
path = { type = "text", unique = true, not_personal = "a number" }
who = { ref = "person", on_erase = "delete", optional = true, on_delete = "cascade" }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
day = { type = "date", optional = true, not_personal = "a day" }
ticket = { type = "blob", not_personal = "a ticket", optional = true, path = "path" }
photo = { type = "blob", personal = "contact", optional = true }

[[entity.visit.expire]]
delete = "1 month after at"

[[entity.visit.expire]]
blank = ["photo"]
after = "10 days after day"
"#;

pub(super) async fn yard() -> Yard {
    let ground = ground(MODEL).await;
    let flaky = Arc::new(Flaky::default());
    let engine = ground.engine.clone().with_blobs(blobs(&flaky));
    Yard { ground, engine, flaky }
}

impl Yard {
    /// An upload for a field.
    pub(super) async fn upload(&self, tenant: &Tenant, place: &str) -> String {
        put(&self.engine, tenant, place, "image/png", pattern(1000)).await.unwrap().id.to_string()
    }

    /// The ids of the two people of a tenant, each with a face, two letters and a visit.
    pub(super) async fn people(&self, tenant: &Tenant) -> [Uuid; 2] {
        let mut ids = Vec::new();
        for handle in ["ada", "bob"] {
            let face = self.upload(tenant, "person.face").await;
            let person = json!({ "handle": handle, "face": face });
            self.ground.insert(tenant, "person?select=handle", person).await;
            let rows = self.ground.read(tenant, &format!("person?handle=eq.{handle}")).await;
            let id = rows[0]["id"].as_str().unwrap().to_owned();
            let letter = json!({
                "path": handle, "from": id,
                "scan": self.upload(tenant, "letter.scan").await,
                "stamp": self.upload(tenant, "letter.stamp").await,
            });
            self.ground.insert(tenant, "letter?select=path", letter).await;
            let ticket = self.upload(tenant, "visit.ticket").await;
            let visit = json!({ "path": handle, "who": id, "ticket": ticket });
            self.ground.insert(tenant, "visit?select=path", visit).await;
            ids.push(id.parse().unwrap());
        }
        [ids[0], ids[1]]
    }

    /// Blobs of a tenant by field, as they are noted.
    async fn noted(&self, tenant: &Tenant) -> Value {
        let sql = format!(
            "select entity || '.' || field as field, count(*) as n from freehold.blob where tenant_id = '{}' group by 1 order by 1",
            tenant.id()
        );
        self.ground.truth(&sql).await
    }

    async fn download(&self, tenant: &Tenant, bucket: &str, path: &str) -> Code {
        let bucket = self.engine.bucket(bucket).unwrap();
        code(self.engine.blob_at(tenant, &bucket, path).await.map(|_| ()))
    }
}

#[tokio::test]
async fn who_is_erased_leaves_no_byte() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, _] = yard.people(a).await;
    yard.people(b).await;
    let (before, objects) = (yard.noted(b).await, yard.flaky.objects().await);
    assert_eq!(objects.len(), 16);
    let ended = yard.engine.erase(a, "person", ada).await.unwrap();
    assert_eq!(ended.state, ErasureState::Ended);
    yard.settle().await;
    // Bob's four, and the stamp of a letter that is nobody's now.
    let left = json!([
        { "field": "letter.scan", "n": 1 }, { "field": "letter.stamp", "n": 2 },
        { "field": "person.face", "n": 1 }, { "field": "visit.ticket", "n": 1 },
    ]);
    assert_eq!(yard.noted(a).await, left);
    assert_eq!(yard.noted(b).await, before);
    let objects = yard.flaky.objects().await;
    assert_eq!(objects.len(), 13);
    let noted = yard.ground.truth("select object from freehold.blob").await;
    let noted = noted.to_string();
    assert!(objects.iter().all(|object| noted.contains(object.as_ref())), "{noted}");
    assert_eq!(yard.download(a, "visit", "ada").await, Code::NoSuchBlob);
    assert_eq!(yard.download(a, "person.face", &ada.to_string()).await, Code::NoSuchBlob);
}

#[tokio::test]
async fn what_has_expired_is_given_to_nobody_and_its_bytes_go() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    for (path, at, day) in [
        ("gone", "2020-01-01T00:00:00Z", "2999-01-01"),
        ("bare", "2999-01-01T00:00:00Z", "2020-01-01"),
        ("there", "2999-01-01T00:00:00Z", "2999-01-01"),
    ] {
        for tenant in [a, b] {
            let row = json!({
                "path": path, "at": at, "day": day,
                "ticket": yard.upload(tenant, "visit.ticket").await,
                "photo": yard.upload(tenant, "visit.photo").await,
            });
            yard.ground.insert(tenant, "visit?select=path", row).await;
        }
    }
    assert_eq!(yard.flaky.objects().await.len(), 12);
    let ids = yard
        .ground
        .truth(&format!(
            "select path, id from app.visit where tenant_id = '{}' order by path",
            a.id()
        ))
        .await;
    let id = |i: usize| ids[i]["id"].as_str().unwrap();
    let (bare, gone, there) = (id(0), id(1), id(2));
    let bucket = yard.engine.bucket("visit").unwrap();
    let photos = yard.engine.bucket("visit.photo").unwrap();
    // Before anything is removed.
    for (name, path) in [("visit", "gone"), ("visit.photo", gone), ("visit.photo", bare)] {
        assert_eq!(yard.download(a, name, path).await, Code::NoSuchBlob, "{name} {path}");
        let bucket = yard.engine.bucket(name).unwrap();
        assert_eq!(code(yard.engine.blob_info(a, &bucket, path).await), Code::NoSuchBlob);
    }
    for (bucket, path) in [(&bucket, "bare"), (&bucket, "there"), (&photos, there)] {
        yard.engine.blob_at(a, bucket, path).await.unwrap();
        yard.engine.blob_info(a, bucket, path).await.unwrap();
    }
    let all = freehold_engine::blob::Listing { limit: 10, ..Default::default() };
    let listed = yard.engine.list_blobs(a, &bucket, &all).await.unwrap();
    assert!(listed.contains("bare") && listed.contains("there") && !listed.contains("gone"));
    let listed = yard.engine.list_blobs(a, &photos, &all).await.unwrap();
    assert!(listed.contains(there) && !listed.contains(bare) && !listed.contains(gone));
    let object = Object { bucket: &bucket, path: "gone" };
    assert!(yard.engine.remove_blob(a, object).await.unwrap().is_none());
    assert_eq!(code(yard.engine.may_store(a, object, Mode::Replace).await), Code::NoSuchBlob);
    // Then the bytes.
    yard.engine.expire(None).await.unwrap();
    yard.settle().await;
    let left = json!([{ "field": "visit.photo", "n": 1 }, { "field": "visit.ticket", "n": 2 }]);
    assert_eq!(yard.noted(a).await, left);
    assert_eq!(yard.noted(b).await, left);
    assert_eq!(yard.flaky.objects().await.len(), 6);
}

#[tokio::test]
async fn a_person_gets_their_files_and_nobody_elses() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    yard.people(b).await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("ada.files");
    let mut files = Files::in_folder(folder.clone());
    let mut out = Vec::new();
    let export = yard.engine.export_person(a, "person", ada, &mut out, Some(&mut files));
    assert_eq!(export.await.unwrap(), 3);
    let lines: Vec<Value> =
        out.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let told: Vec<&Value> = lines[1..]
        .iter()
        .flat_map(|line| ["face", "scan", "stamp", "ticket"].map(|field| &line["row"][field]))
        .filter(|value| value.is_object())
        .collect();
    // Of those that are personal no name is kept.
    let named = told.iter().filter(|blob| blob["name"] == "a name").count();
    let nameless = told.iter().filter(|blob| blob["name"].is_null()).count();
    assert_eq!((named, nameless), (2, 2));
    assert_eq!(told.len(), 4, "{lines:?}");
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pattern(1000));
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for blob in &told {
        assert_eq!((&blob["type"], &blob["size"]), (&json!("image/png"), &json!(1000)), "{blob}");
        assert_eq!(blob["sha256"], json!(sum), "{blob}");
        let file = folder.join(blob["file"].as_str().unwrap());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(file).unwrap(), pattern(1000));
    }
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!((std::fs::read_dir(&folder).unwrap().count(), files.written, files.lost), (4, 4, 0));
    // One that is lost is said to be; a storage that is away ends it.
    let bucket = yard.engine.bucket("person.face").unwrap();
    let face = yard.engine.blob_at(a, &bucket, &bob.to_string()).await.unwrap();
    yard.flaky.lose(&face.object.as_str().into()).await;
    let mut files = Files::in_folder(home.path().join("bob.files"));
    let mut out = Vec::new();
    yard.engine.export_person(a, "person", bob, &mut out, Some(&mut files)).await.unwrap();
    assert_eq!((files.written, files.lost), (3, 1));
    assert!(String::from_utf8(out).unwrap().contains("\"lost\":"));
    yard.flaky.fail_after(0, Trouble::Fails);
    let mut files = Files::in_folder(home.path().join("again.files"));
    let away = yard.engine.export_person(a, "person", ada, &mut Vec::new(), Some(&mut files)).await;
    assert_eq!(code(away), Code::Storage);
}
