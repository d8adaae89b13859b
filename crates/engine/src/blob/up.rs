//! Uploading: sealed as the bytes come, stored in parts, in memory that does not grow with the blob.

use std::pin::pin;

use bytes::Bytes;
use freehold_model::entity::{Blob, Kind};
use freehold_store::{
    Access, NewBlob, Tenant,
    seal::{Part, Sum},
};
use futures_util::{
    Stream,
    future::{Either, select},
};
use uuid::Uuid;

use super::{parts::Parts, sealing::Sealing, tend};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
};

/// What is to be uploaded.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// The entity whose row is to have it.
    pub entity: &'a str,
    /// The field.
    pub field: &'a str,
    /// What the file is called, if anything.
    pub name: Option<&'a str>,
    /// Its content type; what stands behind a `;` is not kept.
    pub content_type: &'a str,
    /// Its size in bytes, if that is known.
    pub length: Option<u64>,
}

/// An upload that a row can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What the row's field is set to.
    pub id: Uuid,
    /// Bytes.
    pub size: u64,
    /// Tells contents apart; hexadecimal digits.
    pub etag: String,
}

impl Engine {
    fn is_personal(&self, put: &Put<'_>) -> bool {
        let snapshot = self.snapshot();
        let field = snapshot.model.entity(put.entity).and_then(|entity| entity.field(put.field));
        field.is_some_and(|field| field.personal().is_some())
    }

    /// Uploads a blob for a field. Of one in a field of personal data no name is kept. No row has it yet: write `id` into the field. An upload that no row takes is deleted
    /// after a day.
    ///
    /// # Errors
    /// `NoSuchEntity`, `NoSuchField`, `BlobType`, `Limit`, `Quota`, `Body` if the bytes end too early, `Storage`. Nothing is
    /// left of the upload then, or soon.
    pub async fn put_blob<S, E>(
        &self,
        tenant: &Tenant,
        put: Put<'_>,
        bytes: S,
    ) -> Result<Stored, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let blobs = self.blobs()?;
        self.snapshot().permit(tenant, put.entity, Access::Write)?;
        let takes = self.takes(&put)?;
        let content_type = essence(put.content_type)?;
        check_type(&takes, &content_type)?;
        check_size(&takes, put.length.unwrap_or(0))?;
        let new = NewBlob {
            entity: put.entity,
            field: put.field,
            // It is not sealed, and often says whose the file is.
            name: put.name.filter(|_| !self.is_personal(&put)),
            content_type: &content_type,
            reserve: put.length.unwrap_or(0),
        };
        let mut upload = self.store.draft_blob(tenant).await?;
        let mut sealing = Sealing::new(&upload.key, &takes, put.length, bytes);
        let mut unwanted =
            Unwanted { engine: Some(self.clone()), tenant: tenant.clone(), id: upload.id };
        let done = async {
            // The first part is sealed while the upload is noted; no byte is stored before.
            let first = match select(
                pin!(self.store.note_blob(tenant, &mut upload, new)),
                pin!(sealing.next()),
            )
            .await
            {
                Either::Left((noted, first)) => {
                    noted?;
                    first.await?
                }
                Either::Right((first, noted)) => {
                    noted.await?;
                    first?
                }
            };
            let mut parts = Parts::new(self, blobs, tenant, &upload);
            let stored = store(&mut parts, sealing, first, put.length).await;
            if stored.is_err() {
                parts.abort().await;
            }
            let sum = stored?;
            self.store.finish_blob(tenant, upload.id, &sum).await?;
            Ok::<_, Error>(sum)
        };
        let sum = match Box::pin(done).await {
            Ok(sum) => sum,
            Err(error) => {
                // An upload that was given up meanwhile, whose bytes were deleted before they were there, is noted nowhere.
                if is_given_up(&error) {
                    tend::delete(blobs, &upload.object).await;
                }
                return Err(error);
            }
        };
        unwanted.engine = None;
        Ok(Stored { id: upload.id, size: sum.size, etag: sum.digits()[..32].to_owned() })
    }

    /// Nobody wants the upload after all; one that a row has stays.
    pub async fn give_up_blob(&self, tenant: &Tenant, id: Uuid) {
        if let Err(error) = self.store.give_up_blob(tenant, id).await {
            tracing::debug!(%error, "an upload was not given up; it is when its time is over");
        }
    }

    fn takes(&self, put: &Put<'_>) -> Result<Blob, Refusal> {
        let snapshot = self.snapshot();
        let entity = snapshot.model.entity(put.entity).ok_or_else(|| {
            Refusal::new(Code::NoSuchEntity, "there is no such entity").detail(put.entity)
        })?;
        match entity.field(put.field).map(|field| &field.kind) {
            Some(Kind::Blob(blob)) => Ok(blob.clone()),
            _ => {
                Err(Refusal::new(Code::NoSuchField, "the entity has no such field of type `blob`")
                    .detail(format!("{}.{}", put.entity, put.field)))
            }
        }
    }
}

/// Gives the upload up unless it was ended well, also when whoever uploads goes away in the middle.
struct Unwanted {
    engine: Option<Engine>,
    tenant: Tenant,
    id: Uuid,
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        let (tenant, id) = (self.tenant.clone(), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { engine.give_up_blob(&tenant, id).await });
        }
    }
}

/// Stores `first` and whatever comes behind it. The hash is made while the last bytes are on their way.
async fn store<S, E>(
    parts: &mut Parts<'_>,
    mut sealing: Sealing<'_, S>,
    first: Option<Part>,
    length: Option<u64>,
) -> Result<Sum, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut next = first;
    while let Some(part) = next {
        if let Some(memory) = parts.send(part).await? {
            sealing.give_back(memory);
        }
        tokio::task::yield_now().await;
        next = sealing.next().await?;
    }
    let (last, size, hashing) = sealing.finish();
    if length.is_some_and(|length| length != size) {
        return Err(cut_short().into());
    }
    let (stored, hash) = tokio::join!(parts.finish(last), hashing.finish());
    stored?;
    Ok(hash?.sum(size))
}

pub(super) fn check_size(takes: &Blob, size: u64) -> Result<(), Refusal> {
    if size <= takes.max {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, "the blob is larger than the field takes")
        .detail(format!("at most {} bytes", takes.max))
        .hint("`max` of the field in the model says how large it may be"))
}

fn check_type(takes: &Blob, content_type: &str) -> Result<(), Refusal> {
    if takes.takes(content_type) {
        return Ok(());
    }
    Err(Refusal::new(Code::BlobType, "the field does not take blobs of this content type")
        .detail(content_type)
        .hint(format!("it takes {}", takes.types.join(", "))))
}

/// `image/png` of `Image/PNG; q=1`
fn essence(content_type: &str) -> Result<String, Refusal> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let essence = if essence.is_empty() { "application/octet-stream".to_owned() } else { essence };
    let word = |word: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        !word.is_empty() && word.bytes().all(fits)
    };
    let whole = essence.len() <= 127
        && essence.split_once('/').is_some_and(|(kind, rest)| word(kind) && word(rest));
    if whole {
        return Ok(essence);
    }
    Err(Refusal::new(Code::BlobType, "this is no content type")
        .detail(content_type.chars().filter(|c| !c.is_control()).take(100).collect::<String>())
        .hint("send one such as image/png"))
}

fn is_given_up(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.code == Code::NoSuchBlob)
}

pub(super) fn cut_short() -> Refusal {
    Refusal::new(Code::Body, "the bytes ended before the blob was whole").hint("send it again")
}
