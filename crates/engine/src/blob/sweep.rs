//! Whether what is noted and what is stored agree, in both directions, tenant by tenant.

use std::{collections::HashMap, time::Duration};

use freehold_store::{NotedBlob, Tenant, seal::Hash};
use futures_util::StreamExt as _;

use super::{Blobs, buckets, down, tend};
use crate::{Engine, error::Error};

/// Blobs looked at in one statement.
const PAGE: usize = 500;

/// What a sweep of one tenant found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects that are stored and noted.
    pub kept: u64,
    /// Objects that nobody noted, older than the grace time; deleted unless the sweep only looks.
    pub stray: Vec<String>,
    /// Objects that nobody noted and that are young: left alone.
    pub young: u64,
    /// Blobs noted as whole whose bytes are not stored, by id: only a backup of the storage can mend them.
    pub missing: Vec<String>,
    /// Blobs noted as a row's that no row has, by id; doomed unless the sweep only looks.
    pub without_row: Vec<String>,
    /// Rows that name a blob that is not theirs: entity, field and the row's id.
    pub without_blob: Vec<String>,
}

/// What reading everything again found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs that are as they were stored.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are not.
    pub rotten: Vec<Rotten>,
}

/// A blob that is not as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotten {
    /// Its id.
    pub id: String,
    /// The field that it is for, as `entity.field`.
    pub field: String,
    /// What is wrong.
    pub what: String,
}

impl Engine {
    /// Compares what is noted of a tenant's blobs with what is stored, and takes away what belongs to nothing, unless
    /// `look` only.
    ///
    /// # Errors
    /// `Storage` if the storage cannot be listed; faults.
    pub async fn sweep_blobs(
        &self,
        tenant: &Tenant,
        grace: Duration,
        look: bool,
    ) -> Result<Swept, Error> {
        let blobs = self.blobs()?;
        let mut swept = Swept::default();
        // What is stored is read first: what is noted and stored meanwhile is not missed.
        let mut stored = blobs.stored(&self.store.blob_folder(tenant).await?).await?;
        let mut after = None;
        loop {
            let page = self.store.blobs_of(tenant, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for noted in page {
                let there = stored.remove(&noted.object).is_some();
                match (there, noted.state.as_str()) {
                    (true, _) => swept.kept += 1,
                    (false, "pending" | "live") if self.is_missing(blobs, &noted).await? => {
                        swept.missing.push(noted.id.to_string());
                    }
                    _ => {}
                }
            }
        }
        for (object, age) in stored {
            if age < grace {
                swept.young += 1;
            } else if look || tend::delete(blobs, &object).await {
                swept.stray.push(object);
            }
        }
        self.compare_rows(tenant, look, &mut swept).await?;
        Ok(swept)
    }

    async fn compare_rows(
        &self,
        tenant: &Tenant,
        look: bool,
        swept: &mut Swept,
    ) -> Result<(), Error> {
        let snapshot = self.snapshot();
        for bucket in buckets(&snapshot.model) {
            let lost = freehold_model::blobs::without_row(&snapshot.model, &bucket)?;
            for row in self.store.run_all(tenant, &lost).await? {
                let Some(id) = row.text(0) else { continue };
                swept.without_row.push(id.to_owned());
                if let (false, Ok(id)) = (look, id.parse()) {
                    self.store.doom_lost_blob(tenant, id).await?;
                }
            }
            let dangling = freehold_model::blobs::without_blob(&snapshot.model, &bucket)?;
            for row in self.store.run_all(tenant, &dangling).await? {
                let id = row.text(0).unwrap_or_default();
                swept.without_blob.push(format!("{}.{} {id}", bucket.entity, bucket.field));
            }
        }
        Ok(())
    }

    // Stored after the list was read, or deleted meanwhile; or really missing.
    async fn is_missing(&self, blobs: &Blobs, noted: &NotedBlob) -> Result<bool, Error> {
        use object_store::ObjectStoreExt as _;
        let path = blobs.at(&noted.object);
        let head = async {
            match blobs.store().head(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(true),
                other => other.map(|_| false),
            }
        };
        blobs.in_time("looking for a blob", head).await
    }

    /// Reads every whole blob of a tenant again and compares its hash.
    ///
    /// # Errors
    /// Faults of the database. What the storage cannot give is reported as rotten.
    pub async fn verify_blobs(
        &self,
        tenant: &Tenant,
        mut progress: impl FnMut(u64),
    ) -> Result<Verified, Error> {
        let blobs = self.blobs()?;
        let mut verified = Verified::default();
        let mut after = None;
        loop {
            let page = self.store.blobs_of(tenant, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for noted in page.iter().filter(|noted| matches!(&*noted.state, "pending" | "live")) {
                match read_again(blobs, noted).await {
                    Ok(()) => {
                        verified.sound += 1;
                        verified.bytes += noted.size;
                        progress(verified.bytes);
                    }
                    Err(what) => verified.rotten.push(Rotten {
                        id: noted.id.to_string(),
                        field: format!("{}.{}", noted.entity, noted.field),
                        what,
                    }),
                }
            }
        }
        Ok(verified)
    }
}

impl Blobs {
    /// Objects in a folder, and how old each is.
    pub(super) async fn stored(&self, folder: &str) -> Result<HashMap<String, Duration>, Error> {
        let folder = self.at(folder);
        let mut listed = self.store().list(Some(&folder));
        let now = std::time::SystemTime::now();
        let mut stored = HashMap::new();
        loop {
            let next = async { listed.next().await.transpose() };
            let Some(meta) = self.in_time("listing blobs", next).await? else { break };
            let age = now.duration_since(meta.last_modified.into()).unwrap_or_default();
            stored.insert(self.name_of(&meta.location), age);
        }
        Ok(stored)
    }
}

async fn read_again(blobs: &Blobs, noted: &NotedBlob) -> Result<(), String> {
    let key = noted.key.as_ref().ok_or("its key does not open")?;
    let (mut unsealer, place) = key.unsealer(noted.size, 0..noted.size);
    let mut sealed =
        down::fetch(blobs, &noted.object, place).await.map_err(|error| error.to_string())?;
    let (mut out, mut hash) = (Vec::new(), Hash::default());
    while let Some(bytes) = sealed.next().await {
        let bytes = bytes.map_err(|error| error.to_string())?;
        unsealer.push(&bytes, &mut out).map_err(|rot| rot.to_string())?;
        hash.update(&out);
        out.clear();
    }
    unsealer.finish().map_err(|rot| rot.to_string())?;
    if noted.hash.as_deref() == Some(&hash.digits()) {
        return Ok(());
    }
    Err("its hash is another than the one that was noted".into())
}
