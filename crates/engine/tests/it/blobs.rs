//! Blobs live and die with their rows, whatever fails in between.

mod announced;
mod before;
pub(crate) mod flaky;
mod folders;
mod forgotten;
mod life;
mod owners;
mod parcel;
mod privacy;
mod trouble;
mod workers;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freehold_engine::{
    Engine, Error, Tenant,
    blob::{Blobs, Mode, Object, Put, Stored},
};
use futures_util::{StreamExt as _, stream};
use object_store::ObjectStore;

use crate::ground::{Ground, ground};
use flaky::Flaky;

const MODEL: &str = "
[model]
name = \"files\"
[entity.file.field]
path = { type = \"text\", unique = true }
file = { type = \"blob\", max = \"40 MB\", path = \"path\" }
[entity.person.field]
name = { type = \"text\" }
face = { type = \"blob\", max = \"1 KB\", types = [\"image/*\"], optional = true }
";

/// A ground whose engine stores in memory, by a store that can be made to fail.
struct Yard {
    ground: Ground,
    engine: Engine,
    flaky: Arc<Flaky>,
}

impl Yard {
    async fn new() -> Self {
        let ground = ground(MODEL).await;
        let flaky = Arc::new(Flaky::default());
        let engine = ground.engine.clone().with_blobs(blobs(&flaky));
        Self { ground, engine, flaky }
    }

    fn blobs(&self) -> Blobs {
        blobs(&self.flaky)
    }

    async fn put(&self, tenant: &Tenant, size: usize) -> Result<Stored, Error> {
        put(&self.engine, tenant, "file.file", "text/plain", pattern(size)).await
    }

    async fn store(&self, tenant: &Tenant, path: &str, size: usize) -> Result<Stored, Error> {
        store(&self.engine, tenant, path, size).await
    }

    async fn get(&self, tenant: &Tenant, path: &str) -> Result<Vec<u8>, Error> {
        let bucket = self.engine.bucket("file")?;
        let blob = self.engine.blob_at(tenant, &bucket, path).await?;
        let mut bytes = self.engine.read_blob(tenant, &blob, 0..blob.size, None).await?;
        let mut all = Vec::new();
        while let Some(some) = bytes.next().await {
            all.extend_from_slice(&some?);
        }
        Ok(all)
    }

    /// Lets the workers do everything there is, as if a day had passed.
    async fn settle(&self) {
        self.flaky.work();
        self.engine.expire_blobs(Duration::ZERO).await.unwrap();
        let due = "update freehold.blob set next_at = null";
        self.ground.db.client().await.batch_execute(due).await.unwrap();
        while self.engine.delete_doomed().await.unwrap() > 0 {}
    }

    /// What must hold once everything is settled: objects, blobs and rows are one to one, and usage is what is stored.
    async fn agrees(&self, rows: usize) {
        self.settle().await;
        let admin = self.ground.db.client().await;
        let number = async |sql: &str| admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        let rows = i64::try_from(rows).unwrap();
        assert_eq!(number("select count(*) from app.file").await, rows);
        let joined = "select count(*) from app.file t join freehold.blob b on b.tenant_id = t.tenant_id and b.id = t.file \
                      where b.state = 'live' and b.row_id = t.id";
        assert_eq!(number(joined).await, rows);
        let others = "select count(*) from freehold.blob where entity = 'file'";
        assert_eq!(number(others).await, rows);
        let usage = "select count(*) from freehold.blob_usage u where (bytes, objects) <> \
                     (select coalesce(sum(size), 0), count(*) from freehold.blob b where b.tenant_id = u.tenant_id)";
        assert_eq!(number(usage).await, 0, "usage is not what there is");
        for tenant in [&self.ground.a, &self.ground.b] {
            let swept = self.engine.sweep_blobs(tenant, Duration::ZERO, true).await.unwrap();
            assert_eq!(swept.stray, Vec::<String>::new());
            assert_eq!(swept.missing, Vec::<String>::new());
            assert_eq!(swept.without_row, Vec::<String>::new());
            assert_eq!(swept.without_blob, Vec::<String>::new());
            let verified = self.engine.verify_blobs(tenant, |_| {}).await.unwrap();
            assert_eq!(verified.rotten, []);
        }
        assert_eq!(i64::try_from(self.flaky.objects().await.len()).unwrap(), rows);
    }
}

pub(crate) fn blobs(flaky: &Arc<Flaky>) -> Blobs {
    let store: Arc<dyn ObjectStore> = flaky.clone();
    Blobs::over(store).with_patience(Duration::from_secs(1))
}

pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 256) as u8).collect()
}

/// Uploads, and gives the blob to a row.
async fn store(engine: &Engine, tenant: &Tenant, path: &str, size: usize) -> Result<Stored, Error> {
    let stored = put(engine, tenant, "file.file", "text/plain", pattern(size)).await?;
    let bucket = engine.bucket("file")?;
    engine.take_blob(tenant, Object { bucket: &bucket, path }, Mode::Upsert, &stored).await?;
    Ok(stored)
}

pub(crate) async fn put(
    engine: &Engine,
    tenant: &Tenant,
    place: &str,
    content_type: &str,
    bytes: Vec<u8>,
) -> Result<Stored, Error> {
    let (entity, field) = place.split_once('.').unwrap();
    let put = Put { entity, field, name: Some("a name"), content_type, length: None };
    let pieces: Vec<_> = bytes
        .chunks(100_000)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    engine.put_blob(tenant, put, stream::iter(pieces)).await
}
