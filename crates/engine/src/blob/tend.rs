//! What workers do for blobs: delete the bytes of those that no row has any more, and give up uploads that no row took.

use std::time::{Duration, Instant};

use freehold_store::Doomed;
use futures_util::StreamExt as _;
use object_store::ObjectStoreExt as _;

use super::Blobs;
use crate::{Engine, error::Error};

/// How long an upload waits for a row.
pub(super) const GRACE: Duration = Duration::from_secs(24 * 3600);

const PAUSE: Duration = Duration::from_secs(1);
const EXPIRE_PAUSE: Duration = Duration::from_secs(60);

/// Blobs taken at once, and how many of them are deleted side by side.
const BATCH: usize = 200;
const ABREAST: usize = 8;

impl Engine {
    /// Does it until the process ends, if this process has a place for blobs.
    pub async fn tend_blobs_forever(&self) {
        if self.blobs().is_err() {
            return std::future::pending().await;
        }
        let mut expired: Option<Instant> = None;
        loop {
            if expired.is_none_or(|at| at.elapsed() > EXPIRE_PAUSE) {
                expired = Some(Instant::now());
                match self.expire_blobs(GRACE).await {
                    Ok(0) => {}
                    Ok(uploads) => {
                        tracing::info!(uploads, "uploads that no row took were given up")
                    }
                    Err(error) => tracing::warn!(%error, "old uploads could not be given up"),
                }
            }
            match self.delete_doomed().await {
                Ok(deleted) if deleted == BATCH => {}
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "doomed blobs could not be deleted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Dooms uploads that no row has taken in `grace`; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expire_blobs(&self, grace: Duration) -> Result<u64, Error> {
        self.store.expire_blobs(grace).await
    }

    /// Deletes the bytes of some doomed blobs; says of how many. What the storage refuses is tried again later.
    ///
    /// # Errors
    /// Faults of the database; `NotBuilt` without a place for blobs.
    pub async fn delete_doomed(&self) -> Result<usize, Error> {
        let blobs = self.blobs()?;
        let doomed = self.store.doomed_blobs(BATCH).await?;
        let deleted = futures_util::stream::iter(doomed)
            .map(|doomed| async move {
                if !give_up_parts(blobs, &doomed).await || !delete(blobs, &doomed.object).await {
                    return Ok(0);
                }
                self.store.forget_blob(&doomed).await.map(|()| 1)
            })
            .buffer_unordered(ABREAST)
            .collect::<Vec<Result<usize, Error>>>()
            .await;
        deleted.into_iter().sum()
    }
}

/// The parts of an upload that did not end; one that is not there ended, or was given up before.
async fn give_up_parts(blobs: &Blobs, doomed: &Doomed) -> bool {
    let (Some(store), Some(upload)) = (blobs.named(), &doomed.upload) else { return true };
    let path = blobs.at(&doomed.object);
    gone(blobs, store.abort_multipart(&path, upload)).await
}

/// Deletes an object; one that is not there was deleted before.
pub(super) async fn delete(blobs: &Blobs, object: &str) -> bool {
    let path = blobs.at(object);
    gone(blobs, blobs.store().delete(&path)).await
}

async fn gone(blobs: &Blobs, work: impl Future<Output = object_store::Result<()>>) -> bool {
    match tokio::time::timeout(blobs.patience(), work).await {
        Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "an object could not be deleted");
            false
        }
        Err(_) => {
            tracing::warn!("an object could not be deleted in time");
            false
        }
    }
}
