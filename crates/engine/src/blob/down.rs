//! Downloading: the row by the tenant's own rights, then the bytes, opened as they come.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    pin::Pin,
};

use bytes::Bytes;
use freehold_store::{Access, BlobPlace, Tenant, seal::Unsealer};
use futures_util::{Stream, StreamExt as _, stream};
use object_store::{GetOptions, GetRange, GetResultPayload};
use uuid::Uuid;

use super::{Blobs, Bucket, no_such_blob, place, unreadable};
use crate::{Engine, error::Error};

/// Bytes read from a file at once.
const READ: usize = 1 << 20;

/// The bytes of a blob as they are opened.
pub type Passed = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

type Sealed = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// A row and the blob it has.
#[derive(Debug, Clone)]
pub struct Found {
    /// The row's id.
    pub row: String,
    /// Its blob, if it has one.
    pub blob: Option<BlobPlace>,
}

impl Engine {
    /// The row at `path` of a bucket, if the tenant has one there.
    ///
    /// # Errors
    /// Faults, and refusals of the database.
    pub async fn find_blob(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        path: &str,
    ) -> Result<Option<Found>, Error> {
        self.snapshot().permit(tenant, &bucket.entity, Access::Read)?;
        let rows = self.store.run_all(tenant, &bucket.find(path)).await.map_err(unreadable)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.text(1).and_then(|id| id.parse::<Uuid>().ok());
        let blob = match id {
            Some(id) => self.store.blob_place(tenant, id).await?,
            None => None,
        };
        Ok(Some(Found { row: row.text(0).unwrap_or_default().to_owned(), blob }))
    }

    /// The blob at `path`.
    ///
    /// # Errors
    /// `NoSuchBlob`.
    pub async fn blob_at(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        path: &str,
    ) -> Result<BlobPlace, Error> {
        let found = self.find_blob(tenant, bucket, path).await?;
        Ok(found.and_then(|found| found.blob).ok_or_else(|| no_such_blob(path))?)
    }

    /// The bytes `range` of a blob, which is not empty and ends within it, unless the blob is empty itself.
    ///
    /// # Errors
    /// `Storage` before the first byte, or in the stream; a fault in the stream if the bytes are not those that were
    /// stored.
    pub async fn read_blob(&self, blob: &BlobPlace, range: Range<u64>) -> Result<Passed, Error> {
        let (unsealer, place) = blob.key.unsealer(blob.size, range);
        let sealed = fetch(self.blobs()?, &blob.object, place).await?;
        Ok(Box::pin(opened(blob.object.clone(), sealed, unsealer)))
    }
}

/// The sealed bytes `range` of an object.
pub(super) async fn fetch(blobs: &Blobs, object: &str, range: Range<u64>) -> Result<Sealed, Error> {
    let doing = "reading a blob";
    let path = blobs.at(object);
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let got = blobs.in_time(doing, blobs.store().get_opts(&path, options)).await?;
    let range = got.range.clone();
    match got.payload {
        GetResultPayload::File(file, _) => Ok(Box::pin(from_file(file, range))),
        GetResultPayload::Stream(bytes) => {
            let patience = blobs.patience();
            let in_time = move |mut bytes: stream::BoxStream<
                'static,
                object_store::Result<Bytes>,
            >| async move {
                match tokio::time::timeout(patience, bytes.next()).await {
                    Ok(None) => None,
                    Ok(Some(Ok(some))) => Some((Ok(some), bytes)),
                    Ok(Some(Err(error))) => {
                        Some((Err(place::failed(doing, &error)), stream::empty().boxed()))
                    }
                    Err(elapsed) => {
                        Some((Err(place::failed(doing, &elapsed)), stream::empty().boxed()))
                    }
                }
            };
            Ok(Box::pin(stream::unfold(bytes, in_time)))
        }
    }
}

// In larger pieces than the library reads: each is a journey to another thread.
fn from_file(
    file: std::fs::File,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let doing = "reading a blob";
    stream::try_unfold((file, range), move |(mut file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let wanted = READ.min(usize::try_from(range.end - range.start).unwrap_or(READ));
            let mut bytes = vec![0; wanted];
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut bytes)?;
            let start = range.start + wanted as u64;
            Ok::<_, std::io::Error>((Bytes::from(bytes), (file, start..range.end)))
        });
        match read.await {
            Ok(Ok(read)) => Ok(Some(read)),
            Ok(Err(error)) => Err(place::failed(doing, &error)),
            Err(error) => Err(place::failed(doing, &error)),
        }
    })
}

/// Opens what comes; ends with an error if it is not what was stored.
fn opened(
    object: String,
    sealed: Sealed,
    unsealer: Unsealer,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold(
        (object, sealed, unsealer),
        |(object, mut sealed, mut unsealer)| async move {
            // By then the answer has begun, so whoever gets it sees only that it breaks off.
            let changed = |error: &_| {
                tracing::error!(object, error = %error, "an object is not what was stored: `freehold blobs verify` says which are");
            };
            let mut out = Vec::new();
            while out.is_empty() {
                match sealed.next().await {
                    Some(bytes) => {
                        let bytes = bytes?;
                        out.reserve(bytes.len());
                        unsealer.push(&bytes, &mut out).inspect_err(changed)?;
                    }
                    None => {
                        unsealer.finish().inspect_err(changed)?;
                        return Ok(None);
                    }
                }
            }
            Ok(Some((Bytes::from(out), (object, sealed, unsealer))))
        },
    )
}
