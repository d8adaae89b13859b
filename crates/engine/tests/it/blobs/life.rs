//! From the upload to the last byte, and who may do what.

use std::time::Duration;

use freehold_engine::{
    Code, RootKey, Tenant,
    blob::{Mode, Object},
    write::Verb,
};
use serde_json::json;

use super::{Yard, pattern, put};
use crate::ground::{body, code};

#[tokio::test]
async fn a_blob_comes_and_goes_with_its_row() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    for size in [0, 1, 65_536, 300_000, 20_000_000] {
        let stored = yard.store(a, "one", size).await.unwrap();
        assert_eq!(stored.size, size as u64);
        assert_eq!(yard.get(a, "one").await.unwrap(), pattern(size), "{size}");
        yard.agrees(1).await;
    }
    // What is stored is not what was uploaded.
    let shown = yard.ground.read(a, "file?select=path,file").await;
    let file = &shown[0]["file"];
    assert_eq!(file["size"], 20_000_000);
    assert_eq!(file["type"], "text/plain");
    assert_eq!(file.as_object().unwrap().len(), 6, "{file}");
    // The other tenant has nothing of it.
    assert_eq!(code(yard.get(b, "one").await), Code::NoSuchBlob);
    yard.store(b, "one", 10).await.unwrap();
    yard.agrees(2).await;
    assert_eq!(yard.get(b, "one").await.unwrap(), pattern(10));
    // A row that is deleted in whatever way takes it along.
    yard.engine.raw_sql(a, "delete from app.file").await.unwrap();
    assert_eq!(code(yard.get(a, "one").await), Code::NoSuchBlob);
    yard.agrees(1).await;
    let bucket = yard.engine.bucket("file.file").map(|_| ()).map_err(|_| ());
    assert!(bucket.is_err(), "a bucket has one name");
    let bucket = yard.engine.bucket("file").unwrap();
    let object = Object { bucket: &bucket, path: "one" };
    assert!(yard.engine.remove_blob(b, object).await.unwrap().is_some());
    assert!(yard.engine.remove_blob(b, object).await.unwrap().is_none());
    yard.agrees(0).await;
}

#[tokio::test]
async fn a_row_takes_an_upload_that_is_its_tenants_whole_and_unused() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let insert = async |tenant, path: &str, id: String| {
        let row = Verb::Insert(json!({ "path": path, "file": id }), None);
        yard.ground.write(tenant, "file", row).await
    };
    let stored = yard.put(a, 10).await.unwrap();
    let id = stored.id.to_string();
    let nobodys = "00000000-0000-4000-8000-000000000000".to_owned();
    assert_eq!(code(insert(a, "x", nobodys).await), Code::Reference);
    assert_eq!(code(insert(b, "x", id.clone()).await), Code::Reference);
    insert(a, "x", id.clone()).await.unwrap();
    assert_eq!(code(insert(a, "y", id.clone()).await), Code::Reference);
    // Whoever writes: SQL too, and also within one transaction.
    let other = yard.put(a, 10).await.unwrap().id;
    let both = format!(
        "update app.file set file = '{other}'; insert into app.file (path, file) values ('z', '{other}')"
    );
    assert!(yard.engine.raw_sql(a, &both).await.is_err());
    assert_eq!(yard.get(a, "x").await.unwrap(), pattern(10));
    yard.engine.raw_sql(a, &format!("update app.file set file = '{other}'")).await.unwrap();
    assert!(yard.engine.raw_sql(a, &format!("update app.file set file = '{id}'")).await.is_err());
    yard.agrees(1).await;
    // Of another field, of another type, or too large.
    let face = put(&yard.engine, a, "person.face", "image/png", pattern(1000)).await.unwrap();
    assert_eq!(code(insert(a, "face", face.id.to_string()).await), Code::Reference);
    let wrong = put(&yard.engine, a, "person.face", "text/html", pattern(10)).await;
    assert_eq!(code(wrong), Code::BlobType);
    let large = put(&yard.engine, a, "person.face", "image/png", pattern(1001)).await;
    assert_eq!(code(large), Code::Limit);
    let person = Verb::Insert(json!({ "name": "ada", "face": face.id.to_string() }), None);
    let written = yard.ground.write(a, "person", person).await.unwrap();
    assert_eq!(body(&written)[0]["face"]["type"], "image/png");
    // The limits hold in the kernel: an upload from before they were narrowed is not taken.
    let early = put(&yard.engine, a, "person.face", "image/gif", pattern(900)).await.unwrap();
    let narrow = super::MODEL.replace("1 KB", "800 B");
    yard.ground.change(&narrow, &[]).await.unwrap();
    let person = Verb::Insert(json!({ "name": "eve", "face": early.id.to_string() }), None);
    assert_eq!(code(yard.ground.write(a, "person", person).await), Code::Check);
}

#[tokio::test]
async fn a_tenant_that_is_deleted_leaves_no_byte_and_no_key() {
    let yard = Yard::new().await;
    yard.store(&yard.ground.a, "one", 100).await.unwrap();
    yard.put(&yard.ground.a, 100).await.unwrap();
    yard.store(&yard.ground.b, "one", 100).await.unwrap();
    yard.ground.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    let keys = yard.ground.truth("select 1 from freehold.tenant_key").await;
    assert_eq!(keys.as_array().unwrap().len(), 1);
    while yard.engine.delete_doomed().await.unwrap() > 0 {}
    assert_eq!(yard.flaky.objects().await.len(), 1);
    assert_eq!(yard.get(&yard.ground.b, "one").await.unwrap(), pattern(100));
}

#[tokio::test]
async fn fields_that_go_or_are_renamed_take_their_blobs_along() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    yard.store(a, "one", 100).await.unwrap();
    let renamed = super::MODEL
        .replace("[entity.file.field]", "[entity.paper]\nwas = \"file\"\n[entity.paper.field]");
    yard.ground.change(&renamed, &[]).await.unwrap();
    yard.engine.refresh().await.unwrap();
    let noted = yard.ground.truth("select entity, field, state from freehold.blob").await;
    assert_eq!(noted, json!([{ "entity": "paper", "field": "file", "state": "live" }]));
    let fewer = "[model]\nname = \"files\"\n[entity.paper.field]\npath = { type = \"text\", unique = true }\n\
                 [entity.person.field]\nname = { type = \"text\" }\nface = { type = \"blob\", optional = true }";
    yard.ground.change(fewer, &["drop:paper.file"]).await.unwrap();
    while yard.engine.delete_doomed().await.unwrap() > 0 {}
    assert_eq!(yard.flaky.objects().await.len(), 0);
}

#[tokio::test]
async fn quotas_are_exact_however_many_upload_at_once() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let mut operator = yard.ground.operator().await;
    operator.set_blob_quota("a", Some(Some(1050)), Some(Some(20))).await.unwrap();
    let uploads = (0..30).map(|_| yard.put(a, 100));
    let done = futures_util::future::join_all(uploads).await;
    let (fine, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    assert_eq!(fine.len(), 10);
    assert!(refused.into_iter().all(|refused| code(refused) == Code::Quota));
    yard.put(b, 100).await.unwrap();
    yard.settle().await;
    operator.set_blob_quota("a", Some(None), Some(Some(3))).await.unwrap();
    let uploads = (0..10).map(|_| yard.put(a, 100));
    let done = futures_util::future::join_all(uploads).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 3);
    yard.agrees(0).await;
    let usage = operator.blob_usage("a").await.unwrap();
    assert_eq!((usage.bytes, usage.objects), (0, 0));
    assert_eq!((usage.bytes_max, usage.objects_max), (None, Some(3)));
}

#[tokio::test]
async fn signed_urls_open_what_they_were_signed_for_until_then() {
    use freehold_engine::blob::Verb as Leave;
    let yard = Yard::new().await;
    let (engine, a) = (&yard.engine, &yard.ground.a);
    let token = engine.sign_url(a, Leave::Get, "file/one", Duration::from_secs(60));
    assert_eq!(engine.open_url(Leave::Get, "file/one", &token).unwrap(), *a);
    assert!(!token.contains(&a.id().simple().to_string()));
    let wrong = |verb, object: &str, token: &str| code(engine.open_url(verb, object, token));
    assert_eq!(wrong(Leave::Put, "file/one", &token), Code::Unauthenticated);
    assert_eq!(wrong(Leave::Get, "file/two", &token), Code::Unauthenticated);
    assert_eq!(wrong(Leave::Get, "file/one", &token[2..]), Code::Unauthenticated);
    assert_eq!(wrong(Leave::Get, "file/one", "ä"), Code::Unauthenticated);
    assert_eq!(wrong(Leave::Get, "file/one", ""), Code::Unauthenticated);
    let _ = RootKey::random();
}

#[tokio::test]
async fn blobs_open_when_their_tenants_key_is_another() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    yard.store(a, "x", 100_000).await.unwrap();
    yard.store(a, "y", 0).await.unwrap();
    yard.store(b, "x", 10).await.unwrap();
    let begun = yard.put(a, 20).await.unwrap();
    let other = yard.ground.another().await;
    let wrapped = "select id, encode(key, 'hex') as key from freehold.blob where tenant_id = ";
    let keys = async |tenant: &Tenant| {
        yard.ground.truth(&format!("{wrapped}'{}' order by id", tenant.id())).await
    };
    let (of_a, of_b) = (keys(a).await, keys(b).await);
    other.store().rotate_tenant(a, &mut |_| true).await.unwrap();
    assert_eq!(keys(b).await, of_b);
    let now = keys(a).await;
    for (now, was) in now.as_array().unwrap().iter().zip(of_a.as_array().unwrap()) {
        assert!(now["id"] == was["id"] && now["key"] != was["key"]);
    }
    // The engine still has the key before in mind: it reads, takes what was begun, and stores anew.
    assert_eq!(yard.get(a, "x").await.unwrap(), pattern(100_000));
    let bucket = yard.engine.bucket("file").unwrap();
    let place = Object { bucket: &bucket, path: "z" };
    yard.engine.take_blob(a, place, Mode::Upsert, &begun).await.unwrap();
    other.store().rotate_tenant(a, &mut |_| true).await.unwrap();
    yard.store(a, "w", 30).await.unwrap();
    for (path, size) in [("y", 0), ("z", 20), ("w", 30)] {
        assert_eq!(yard.get(a, path).await.unwrap(), pattern(size));
    }
    assert_eq!(yard.get(b, "x").await.unwrap(), pattern(10));
    yard.agrees(5).await;
}
