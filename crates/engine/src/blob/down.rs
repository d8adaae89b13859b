//! Downloading: the row by the tenant's own rights, then the bytes, opened as they come.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    pin::Pin,
};

use bytes::Bytes;
use freehold_model::entity::Field;
use freehold_store::{Access, BlobPlace, Opens, Tenant, seal::Unsealer};
use futures_util::{Stream, StreamExt as _, stream};
use object_store::{GetOptions, GetRange, GetResultPayload};
use uuid::Uuid;

use super::{Blobs, Bucket, no_such_blob, place, unreadable};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal::{self, StatedPurpose},
};

/// Bytes read from a file at once.
const READ: usize = 1 << 20;

/// The bytes of a blob as they are opened.
pub type Passed = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

type Sealed = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// A row and the id of the blob it has, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) row: String,
    pub(super) blob: Option<Uuid>,
}

impl Engine {
    /// The row at `path` of a bucket, if the tenant has one there.
    ///
    /// # Errors
    /// Faults, and refusals of the database.
    pub(super) async fn find_row(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        path: &str,
    ) -> Result<Option<Found>, Error> {
        self.snapshot().permit(tenant, &bucket.entity, Access::Read)?;
        let rows = self.store.run_all(tenant, &bucket.find(path)).await.map_err(unreadable)?;
        Ok(rows.first().map(|row| Found {
            row: row.text(0).unwrap_or_default().to_owned(),
            blob: row.text(1).and_then(|id| id.parse().ok()),
        }))
    }

    /// Whether there is a blob at `path`.
    ///
    /// # Errors
    /// As [`Engine::blob_at`], which says more of it.
    pub async fn has_blob(
        &self,
        tenant: &Tenant,
        bucket: &Bucket,
        path: &str,
    ) -> Result<bool, Error> {
        Ok(self.find_row(tenant, bucket, path).await?.is_some_and(|found| found.blob.is_some()))
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
        let found = self.find_row(tenant, bucket, path).await?;
        let blob = match found.and_then(|found| found.blob) {
            Some(id) => self.store.blob_place(tenant, id).await?,
            None => None,
        };
        Ok(blob.ok_or_else(|| no_such_blob(path))?)
    }

    /// The bytes `range` of a blob, which is not empty and ends within it, unless the blob is empty itself. One that is personal
    /// data is opened for `purpose`, or for that of its class, and counted.
    ///
    /// # Errors
    /// `Erased` if the person whose it is is; `Storage` before the first byte, or in the stream; `BlobLost`, or `NoSuchBlob` if it was deleted meanwhile; a fault
    /// in the stream if the bytes are not those that were stored.
    pub async fn read_blob(
        &self,
        tenant: &Tenant,
        blob: &BlobPlace,
        range: Range<u64>,
        purpose: Option<&StatedPurpose>,
    ) -> Result<Passed, Error> {
        let blobs = self.blobs()?;
        let (unsealer, place) = blob.key()?.unsealer(blob.size, range);
        match fetch(blobs, &blob.object, place).await? {
            Ok(sealed) => {
                self.note_opened(tenant, blob, purpose).await?;
                Ok(Box::pin(opened(blobs.clone(), blob.object.clone(), sealed, unsealer)))
            }
            Err(_) if self.store.blob_place(tenant, blob.id).await?.is_none() => {
                Err(Refusal::new(Code::NoSuchBlob, "there is no such object")
                    .detail("it was removed a moment ago")
                    .into())
            }
            Err(lost) => {
                blobs.found_unsound(&blob.object, lost.what());
                Err(Refusal::new(Code::BlobLost, "the bytes of this object are lost")
                    .detail(lost.what())
                    .hint("only a backup of the object storage has them; `freehold blobs verify` says which others are lost")
                    .into())
            }
        }
    }
}

impl Engine {
    async fn note_opened(
        &self,
        tenant: &Tenant,
        blob: &BlobPlace,
        purpose: Option<&StatedPurpose>,
    ) -> Result<(), Error> {
        let snapshot = self.snapshot();
        let field = snapshot.model.entity(&blob.entity).and_then(|it| it.field(&blob.field));
        if field.and_then(Field::personal).is_none() {
            return Ok(());
        }
        let mut opens = Opens::default();
        opens.add(&blob.entity, &blob.field);
        let named = |entity: &str, field: &str| {
            personal::purpose_of(&snapshot, purpose.into(), entity, field)
        };
        self.store.note_opens(tenant, &named, &opens).await
    }
}

/// What an object is, of which the storage itself says that it is not what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Missing,
    Cut,
}

impl Lost {
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Missing => "the storage has no such object",
            Self::Cut => "the object is shorter than it was stored",
        }
    }
}

/// The sealed bytes `range` of an object.
///
/// # Errors
/// `Storage` if nothing can be said of the object.
pub(super) async fn fetch(
    blobs: &Blobs,
    object: &str,
    range: Range<u64>,
) -> Result<Result<Sealed, Lost>, Error> {
    let doing = "reading a blob";
    let path = blobs.at(object);
    let end = range.end;
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let got = match blobs.in_time(doing, blobs.store().get_opts(&path, options)).await {
        Ok(got) => got,
        // An error may mean anything: so the storage is asked for the object itself.
        Err(error) => {
            return match blobs.size_of(object).await {
                Ok(None) => Ok(Err(Lost::Missing)),
                Ok(Some(size)) if size < end => Ok(Err(Lost::Cut)),
                _ => Err(error),
            };
        }
    };
    let range = got.range.clone();
    match got.payload {
        GetResultPayload::File(file, _) => Ok(Ok(Box::pin(from_file(file, range)))),
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
            Ok(Ok(Box::pin(stream::unfold(bytes, in_time))))
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
    blobs: Blobs,
    object: String,
    sealed: Sealed,
    unsealer: Unsealer,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold(
        (blobs, object, sealed, unsealer),
        |(blobs, object, mut sealed, mut unsealer)| async move {
            // By then the answer has begun, so whoever gets it sees only that it breaks off.
            let changed = |error: &_| blobs.found_unsound(&object, error);
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
            Ok(Some((Bytes::from(out), (blobs, object, sealed, unsealer))))
        },
    )
}
