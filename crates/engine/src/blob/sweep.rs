//! Whether what is noted and what is stored agree, in both directions, tenant by tenant.

use std::{collections::HashMap, time::Duration};

use freehold_store::{NotedBlob, Tenant};
use futures_util::StreamExt as _;

use super::{Blobs, buckets, tend};
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
                    (false, "pending" | "live")
                        if self.is_missing(tenant, blobs, &noted).await? =>
                    {
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
    async fn is_missing(
        &self,
        tenant: &Tenant,
        blobs: &Blobs,
        noted: &NotedBlob,
    ) -> Result<bool, Error> {
        Ok(blobs.size_of(&noted.object).await?.is_none()
            && self.store.blob_place(tenant, noted.id).await?.is_some())
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
