//! Blobs: bytes that live and die with their rows.
//!
//! Up: note → seal and store, part by part → say that it is whole → a row takes it (an ordinary write). Down: the row, by
//! the tenant's own rights → where the bytes are → open and pass on, chunk by chunk. Away: the row lets go of it in its own
//! transaction → a worker deletes the bytes → nothing is left.
//!
//! Every step can be the last one before a crash. An upload is noted before its first byte is stored, so no byte is ever
//! unknown; a row can take it only when all bytes are stored, so no row is ever without; and bytes are deleted only after
//! the commit that let go of them.

mod abandoned;
mod down;
mod folder;
mod hashing;
mod owner;
mod paging;
mod parts;
mod place;
mod plain;
mod rows;
mod sealing;
mod sweep;
mod tend;
mod up;
mod verify;

pub use abandoned::Abandoned;
pub use down::Passed;
pub use paging::{Names, Shown};
pub use place::Blobs;
pub use rows::{Mode, Object};
pub use sweep::Swept;
pub use up::{Put, Stored};
pub use verify::{Amiss, Verified};

pub(crate) use owner::{offer, offer_loaded};

pub use freehold_model::blobs::{Bucket, Listing, Page, Sort, bucket, buckets};
use freehold_model::entity::Entity;
pub use freehold_store::{BlobPlace, BlobTotals, Verb};

use std::time::Duration;

use freehold_store::{Access, Tenant};

use crate::{
    Engine,
    error::{Code, Error, Refusal},
};

impl Engine {
    /// The same engine with a place for the bytes of blobs.
    #[must_use]
    pub fn with_blobs(mut self, blobs: Blobs) -> Self {
        self.blobs = Some(blobs);
        self
    }

    pub(crate) fn blobs(&self) -> Result<&Blobs, Refusal> {
        self.blobs.as_ref().ok_or_else(|| {
            Refusal::new(Code::NotBuilt, "this server has no place for blobs")
                .hint("start it with --blobs file:///FOLDER or --blobs s3://BUCKET/PREFIX")
        })
    }

    /// The bucket called `name` in the model as it is now.
    ///
    /// # Errors
    /// `NoSuchBlob`.
    pub fn bucket(&self, name: &str) -> Result<Bucket, Error> {
        Ok(bucket(&self.snapshot().model, name)?)
    }

    /// Whether its blobs are read without a key: they are if their rows are.
    #[must_use]
    pub fn bucket_is_open(&self, bucket: &Bucket) -> bool {
        self.snapshot().model.entity(&bucket.entity).is_some_and(Entity::is_open)
    }

    /// A page of a bucket, as a JSON array.
    ///
    /// # Errors
    /// Faults, and refusals of the database.
    pub async fn list_blobs(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        listing: &Listing<'_>,
    ) -> Result<String, Error> {
        self.snapshot().permit(tenant, &bucket.entity, Access::Read)?;
        let row = self.store.run(tenant, &bucket.list(listing)).await?;
        Ok(row.text(0).unwrap_or("[]").to_owned())
    }

    /// What is known of the blob at `path`, as a JSON object.
    ///
    /// # Errors
    /// `NoSuchBlob`.
    pub async fn blob_info(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        path: &str,
    ) -> Result<String, Error> {
        self.snapshot().permit(tenant, &bucket.entity, Access::Read)?;
        let rows = self.store.run_all(tenant, &bucket.info(path)).await.map_err(unreadable)?;
        let text = rows.first().and_then(|row| row.text(0));
        Ok(text.ok_or_else(|| no_such_blob(path))?.to_owned())
    }

    /// A token that lets whoever has it do `verb` with `object` for `life`.
    #[must_use]
    pub fn sign_url(&self, tenant: &Tenant, verb: Verb, object: &str, life: Duration) -> String {
        self.store.sign_url(tenant, verb, object, life)
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn open_url(&self, verb: Verb, object: &str, token: &str) -> Result<Tenant, Error> {
        self.store.open_url(verb, object, token)
    }

    /// How often reads of this process found an object missing, cut or changed.
    #[must_use]
    pub fn unsound_blobs(&self) -> u64 {
        self.blobs.as_ref().map_or(0, Blobs::unsound)
    }

    /// Blobs of all tenants together.
    ///
    /// # Errors
    /// Faults only.
    pub async fn blob_totals(&self) -> Result<BlobTotals, Error> {
        self.store.blob_totals().await
    }
}

pub(crate) fn no_such_blob(path: &str) -> Refusal {
    Refusal::new(Code::NoSuchBlob, "there is no such object")
        .detail(path.chars().take(200).collect::<String>())
        .hint("list the bucket: paths are compared byte by byte")
}

// A path that is no id, in a bucket whose blobs are told apart by ids, leads nowhere.
pub(crate) fn unreadable(error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.code == Code::InvalidValue => {
            Refusal::new(Code::NoSuchBlob, "there is no such object")
                .hint("objects of this bucket are named by their rows' ids")
                .into()
        }
        other => other,
    }
}
