//! What is left in folders of tenants that are gone, folders of which nobody here knows, and large files in a folder.

use std::time::Duration;

use freehold_engine::blob::{Abandoned, Blobs};
use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, path::Path};

use super::{Yard, pattern, store};

const HOUR: Duration = Duration::from_secs(3600);

impl Yard {
    /// The folder of a tenant, from its first object.
    async fn folder(&self, tenant: &str) -> String {
        let sql = format!(
            "select k.folder from freehold.tenant_key k join freehold.tenant t on t.id = k.tenant_id where t.name = '{tenant}'"
        );
        let rows = self.ground.truth(&sql).await;
        rows[0]["folder"].as_str().unwrap().replace('-', "")
    }

    async fn stray(&self, folder: &str) -> String {
        let object = format!("{folder}/stray");
        self.flaky.put(&Path::from(object.as_str()), "x".into()).await.unwrap();
        object
    }

    async fn names(&self) -> Vec<String> {
        self.flaky.objects().await.iter().map(ToString::to_string).collect()
    }
}

#[tokio::test]
async fn what_a_tenant_left_goes_and_nothing_of_anybody_else() {
    let yard = Yard::new().await;
    for tenant in [&yard.ground.a, &yard.ground.b] {
        yard.store(tenant, "one", 100).await.unwrap();
    }
    let (gone, there) = (yard.folder("a").await, yard.folder("b").await);
    let left = yard.stray(&gone).await;
    let others = yard.stray("0123456789abcdef0123456789abcdef").await;
    let beside = yard.stray("some other prefix").await;
    let young = yard.stray(&there).await;
    let unknown = ["0123456789abcdef0123456789abcdef", "some other prefix"].map(str::to_owned);
    // While the tenant is there, its folder is its own.
    let swept = yard.engine.sweep_folders(Duration::ZERO, false).await.unwrap();
    assert_eq!((swept.stray.len(), swept.young), (0, 0));
    assert_eq!(swept.unknown, unknown);
    yard.ground.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    // While its noted objects are to be deleted, workers do that.
    let swept = yard.engine.sweep_folders(Duration::ZERO, false).await.unwrap();
    assert_eq!((swept.stray.len(), swept.young), (0, 0));
    while yard.engine.delete_doomed().await.unwrap() > 0 {}
    let swept = yard.engine.sweep_folders(HOUR, false).await.unwrap();
    assert_eq!((swept.stray.len(), swept.young), (0, 1));
    let swept = yard.engine.sweep_folders(Duration::ZERO, true).await.unwrap();
    assert_eq!(swept.stray, std::slice::from_ref(&left));
    assert_eq!(yard.names().await.len(), 5);
    let swept = yard.engine.sweep_folders(Duration::ZERO, false).await.unwrap();
    assert_eq!(swept, Abandoned { stray: vec![left], young: 0, unknown: unknown.into() });
    let names = yard.names().await;
    assert_eq!(names.len(), 4);
    for object in [others, beside, young] {
        assert!(names.contains(&object), "{object}: {names:?}");
    }
    // An upload of then may still write: the folder is watched for days, then forgotten.
    let notes = async || yard.ground.truth("select 1 from freehold.gone_folder").await;
    assert_eq!(notes().await.as_array().unwrap().len(), 1);
    let late = yard.stray(&gone).await;
    let older = "update freehold.gone_folder set gone_at = gone_at - interval '3 days'";
    yard.ground.db.client().await.batch_execute(older).await.unwrap();
    let swept = yard.engine.sweep_folders(Duration::ZERO, false).await.unwrap();
    assert_eq!(swept.stray, [late]);
    assert_eq!(notes().await.as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn nothing_is_deleted_that_cannot_be_looked_up() {
    let yard = Yard::new().await;
    yard.store(&yard.ground.a, "one", 100).await.unwrap();
    yard.store(&yard.ground.b, "one", 100).await.unwrap();
    // A database that was restored from a backup that knows neither the tenant nor that it went.
    let admin = yard.ground.db.client().await;
    let folder = yard.folder("a").await;
    let forget = "delete from freehold.blob b using freehold.tenant t where t.id = b.tenant_id and t.name = 'a'; \
                  delete from freehold.tenant_key k using freehold.tenant t where t.id = k.tenant_id and t.name = 'a'";
    admin.batch_execute(forget).await.unwrap();
    let swept = yard.engine.sweep_folders(Duration::ZERO, false).await.unwrap();
    assert_eq!(swept, Abandoned { unknown: vec![folder], ..Abandoned::default() });
    // One that does not answer.
    yard.stray(&yard.folder("b").await).await;
    yard.ground.operator().await.delete_tenant("b", |_| {}).await.unwrap();
    while yard.engine.delete_doomed().await.unwrap() > 0 {}
    admin
        .batch_execute(
            "alter function freehold.blob_folders_gone(uuid, bigint) rename to not_there",
        )
        .await
        .unwrap();
    assert!(yard.engine.sweep_folders(Duration::ZERO, false).await.is_err());
    assert_eq!(yard.names().await.len(), 2);
}

/// Files are as long as what was sealed, wherever a block or a part of them ends.
#[tokio::test]
async fn large_blobs_in_a_folder_come_back_as_they_were() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(folder.path().to_owned()).unwrap();
    let engine = yard.ground.engine.clone().with_blobs(blobs);
    let bucket = engine.bucket("file").unwrap();
    // A part is 8 MiB of the sealed object, which has 40 bytes more, and 16 for each 64 KiB.
    let part = (8 << 20) - 40 - 16 * 128;
    for size in [0, 1, 4096, part - 1, part, part + 1, part + 4096, 20_000_000] {
        store(&engine, a, "large", size).await.unwrap();
        let blob = engine.blob_at(a, &bucket, "large").await.unwrap();
        let mut bytes = engine.read_blob(a, &blob, 0..blob.size, None).await.unwrap();
        let mut back = Vec::new();
        while let Some(some) = bytes.next().await {
            back.extend_from_slice(&some.unwrap());
        }
        assert!(back == pattern(size), "{size}");
        let file = std::fs::metadata(folder.path().join(&blob.object)).unwrap();
        let chunks = size.div_ceil(1 << 16).max(1);
        assert_eq!(file.len(), (40 + size + 16 * chunks) as u64, "{size}");
    }
    let verified = engine.verify_blobs(a, |_| {}).await.unwrap();
    assert!(verified.rotten.is_empty() && verified.unread.is_empty(), "{verified:?}");
}
