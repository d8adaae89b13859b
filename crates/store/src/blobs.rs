//! What PostgreSQL knows of blobs: uploads, what is live, what is doomed, whose quota they count against, and the keys.
//!
//! All of it is asked as `freehold_control`, with the tenant named: a tenant's own SQL can see its blobs and give an upload to
//! a row, and nothing else. Where the bytes are kept is for others to know.

mod begin;
mod folders;
mod names;
mod opened;
mod owners;
mod ring;
mod url;

pub use folders::GoneFolder;
pub(crate) use names::Names;
pub(crate) use opened::Noted;
use opened::Opened;
pub use owners::{Offer, Unowned};
pub(crate) use ring::{KeyRing, TRIES, TenantKey, epoch_in};
pub use url::Verb;

use std::time::Duration;

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{
    error::{Error, Fault},
    row::Row,
    seal::{BlobKey, HashKind, Sum},
    store::{Store, Tenant},
};

/// For what a blob's key is wrapped, before the tenant and the blob.
pub(crate) const BLOB_KEY: &[u8] = b"blob key";

/// What is to be uploaded.
#[derive(Debug, Clone, Copy)]
pub struct NewBlob<'a> {
    /// The field that it is for.
    pub entity: &'a str,
    /// The field that it is for.
    pub field: &'a str,
    /// What the file was called, if anything.
    pub name: Option<&'a str>,
    /// Its content type.
    pub content_type: &'a str,
    /// Its size in bytes as far as it is known beforehand; 0 if it is not.
    pub reserve: u64,
}

/// An upload that was noted and has no bytes yet.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id, which a row takes.
    pub id: Uuid,
    /// The name its bytes are to be stored under, which says nothing.
    pub object: String,
    // Whether that was noted beforehand.
    given: bool,
    /// What they are to be sealed with.
    pub key: BlobKey,
}

/// A blob whose bytes are all there.
#[derive(Debug, Clone)]
pub struct BlobPlace {
    /// Its id.
    pub id: Uuid,
    /// The field that it is for.
    pub entity: String,
    /// The field that it is for.
    pub field: String,
    /// Where its bytes are.
    pub object: String,
    // None if the person is erased.
    key: Option<BlobKey>,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash in hexadecimal digits, of whichever kind.
    pub hash: String,
    /// Its content type.
    pub content_type: String,
    /// What the file was called.
    pub name: Option<String>,
    /// Whether a row has it.
    pub live: bool,
    /// When it was uploaded; RFC 3339 in UTC.
    pub created: String,
    /// Whose it is, if its field is personal data.
    pub subject: Option<Uuid>,
}

/// A blob of a tenant in whatever state, for those who compare what is noted with what is stored.
#[derive(Debug, Clone)]
pub struct NotedBlob {
    /// Its id.
    pub id: Uuid,
    /// The field that it is for.
    pub entity: String,
    /// The field that it is for.
    pub field: String,
    /// Where its bytes are.
    pub object: String,
    /// What opens them; none if the wrapped key does not open.
    pub key: Option<BlobKey>,
    /// Whether that is so because the person whose it is is erased, or is being erased.
    pub erased: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash and of which kind it is, in hexadecimal digits; none while it is uploaded.
    pub hash: Option<(HashKind, String)>,
    /// `uploading`, `pending`, `live` or `doomed`.
    pub state: String,
    /// How long ago it was begun.
    pub age: Duration,
}

/// A blob whose bytes are to be deleted.
#[derive(Debug, Clone)]
pub struct Doomed {
    tenant: Uuid,
    id: Uuid,
    /// Where its bytes are.
    pub object: String,
    /// The storage's name for the upload in parts that was under way, if any was.
    pub upload: Option<String>,
}

/// Blobs of all tenants together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlobTotals {
    /// That a row has.
    pub live: u64,
    /// Whose bytes are there and that no row has yet.
    pub pending: u64,
    /// That are being uploaded.
    pub uploading: u64,
    /// Whose bytes are to be deleted.
    pub doomed: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// For how long the oldest of the doomed waits, in milliseconds.
    pub oldest_doomed_ms: u64,
    /// Doomed whose bytes could not be deleted several times.
    pub stuck: u64,
}

impl Store {
    /// Notes what the storage calls an upload in parts, before the first is stored, so that they can be given up by anybody.
    ///
    /// # Errors
    /// `NoSuchBlob` if the upload was given up.
    pub async fn blob_in_parts(&self, tenant: &Tenant, id: Uuid, begun: &str) -> Result<(), Error> {
        let text = "select freehold.blob_in_parts($1::text::uuid, $2::text::uuid, $3)::text";
        let (whose, id) = (tenant.id().to_string(), id.to_string());
        let params = [Some(whose.as_str()), Some(&id), Some(begun)];
        let rows = self.ask("noting an upload in parts", text, &params).await?;
        match rows.first().and_then(|row| row.text(0)) {
            Some("true") => Ok(()),
            _ => Err(given_up().into()),
        }
    }

    /// All bytes of the upload are stored: a row may take it.
    ///
    /// # Errors
    /// `Quota`; `NoSuchBlob` if it took so long that it was given up.
    pub async fn finish_blob(&self, tenant: &Tenant, id: Uuid, sum: &Sum) -> Result<(), Error> {
        let doing = "ending an upload";
        let text = "select freehold.blob_finish($1::text::uuid, $2::text::uuid, $3::text::bigint, $4, $5::text::bigint)";
        let (whose, id, size) = (tenant.id().to_string(), id.to_string(), sum.size.to_string());
        let (digits, kind) = (sum.digits(), HashKind::Blake3.number().to_string());
        let params = [Some(whose.as_str()), Some(&id), Some(&size), Some(&digits), Some(&kind)];
        let rows = self.ask(doing, text, &params).await?;
        match rows.first().and_then(|row| row.text(0)) {
            Some("pending") => Ok(()),
            Some("quota") => Err(over_quota().into()),
            Some("gone") => Err(given_up().into()),
            _ => Err(Fault::new(doing, "no answer").into()),
        }
    }

    /// Nobody wants the upload: its bytes, if there are any, are deleted later. One that a row has stays.
    ///
    /// # Errors
    /// Faults only.
    pub async fn give_up_blob(&self, tenant: &Tenant, id: Uuid) -> Result<(), Error> {
        self.doom(tenant, id, false).await
    }

    /// A blob that is noted as a row's and that no row has.
    ///
    /// # Errors
    /// Faults only.
    pub async fn doom_lost_blob(&self, tenant: &Tenant, id: Uuid) -> Result<(), Error> {
        self.doom(tenant, id, true).await
    }

    async fn doom(&self, tenant: &Tenant, id: Uuid, live: bool) -> Result<(), Error> {
        let text =
            "select freehold.blob_give_up($1::text::uuid, $2::text::uuid, $3::text::boolean)::text";
        let params = [Some(tenant.id().to_string()), Some(id.to_string()), Some(live.to_string())];
        let params = params.each_ref().map(Option::as_deref);
        self.ask("giving up an upload", text, &params).await.map(drop)
    }

    /// Where a blob's bytes are. Whether the caller may have them is for the caller's own transaction to say.
    ///
    /// # Errors
    /// Faults, also if its key does not open.
    pub async fn blob_place(&self, tenant: &Tenant, id: Uuid) -> Result<Option<BlobPlace>, Error> {
        let doing = "looking for a blob";
        let text = "select id, sealed, key_subject, key_class, key_gen, entity, field, object, size, hash, type, name, state, created, subject \
                    from freehold.blob_place($1::text::uuid, $2::text::uuid)";
        let params = [Some(tenant.id().to_string()), Some(id.to_string())];
        let params = params.each_ref().map(Option::as_deref);
        for _ in 0..TRIES {
            let rows = self.ask(doing, text, &params).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let text = |i: usize| row.text(i).unwrap_or_default().to_owned();
            let opened = self.open_blob_keys(tenant, &[Noted::read(row)]).await?.pop();
            let key = match opened {
                Some(Opened::Key(key)) => Some(BlobKey::new(key, tenant.id(), id)),
                Some(Opened::Erased) => None,
                // A key has changed, perhaps between the two questions.
                _ => continue,
            };
            return Ok(Some(BlobPlace {
                id,
                entity: text(5),
                field: text(6),
                object: text(7),
                key,
                size: unsigned(row, 8),
                hash: text(9),
                content_type: text(10),
                name: row.text(11).map(str::to_owned),
                live: row.text(12) == Some("live"),
                created: text(13),
                subject: row.text(14).and_then(|id| id.parse().ok()),
            }));
        }
        Err(Fault::new(doing, "the blob's key does not open").into())
    }

    /// The folder in which all objects of the tenant are.
    ///
    /// # Errors
    /// Faults only.
    pub async fn blob_folder(&self, tenant: &Tenant) -> Result<String, Error> {
        Ok(self.tenant_key(tenant).await?.folder.clone())
    }

    /// Up to `most` of a tenant's blobs, whatever their state, by id from behind `after`.
    ///
    /// # Errors
    /// Faults only.
    pub async fn blobs_of(
        &self,
        tenant: &Tenant,
        after: Option<Uuid>,
        most: usize,
    ) -> Result<Vec<NotedBlob>, Error> {
        let text = "select id, sealed, key_subject, key_class, key_gen, entity, field, object, size, hash, state, age_s, hash_kind \
                    from freehold.blobs_of($1::text::uuid, $2::text::uuid, $3::text::bigint)";
        let (whose, after) = (tenant.id().to_string(), after.map(|id| id.to_string()));
        let most = most.to_string();
        let params = [Some(whose.as_str()), after.as_deref(), Some(&most)];
        let rows = self.ask("listing blobs", text, &params).await?;
        let noted: Vec<Noted> = rows.iter().map(Noted::read).collect();
        let opened = self.open_blob_keys(tenant, &noted).await?;
        let noted = |(row, opened): (&Row, Opened)| {
            let id = row.text(0)?.parse().ok()?;
            let erased = matches!(opened, Opened::Erased);
            Some(NotedBlob {
                id,
                entity: row.text(5)?.to_owned(),
                field: row.text(6)?.to_owned(),
                object: row.text(7)?.to_owned(),
                key: opened.key().map(|key| BlobKey::new(key, tenant.id(), id)),
                erased,
                size: unsigned(row, 8),
                hash: HashKind::numbered(row.int(12)?).zip(row.text(9).map(str::to_owned)),
                state: row.text(10)?.to_owned(),
                age: Duration::from_secs(unsigned(row, 11)),
            })
        };
        Ok(rows.iter().zip(opened).filter_map(noted).collect())
    }

    /// Takes up to `most` blobs of all tenants whose bytes are to be deleted. Nobody else gets them for a while.
    ///
    /// # Errors
    /// Faults only.
    pub async fn doomed_blobs(&self, most: usize) -> Result<Vec<Doomed>, Error> {
        let text = "select tenant, id, object, upload from freehold.blobs_doomed($1::text::bigint)";
        let rows = self.ask("looking for doomed blobs", text, &[Some(&most.to_string())]).await?;
        let doomed = |row: &Row| {
            Some(Doomed {
                tenant: row.text(0)?.parse().ok()?,
                id: row.text(1)?.parse().ok()?,
                object: row.text(2)?.to_owned(),
                upload: row.text(3).map(str::to_owned),
            })
        };
        Ok(rows.iter().filter_map(doomed).collect())
    }

    /// The bytes of a doomed blob are gone: nothing of it is left, and its room in the quota is free.
    ///
    /// # Errors
    /// Faults only.
    pub async fn forget_blob(&self, doomed: &Doomed) -> Result<(), Error> {
        let text = "select freehold.blob_forget($1::text::uuid, $2::text::uuid)::text";
        let params = [Some(doomed.tenant.to_string()), Some(doomed.id.to_string())];
        let params = params.each_ref().map(Option::as_deref);
        self.ask("forgetting a blob", text, &params).await.map(drop)
    }

    /// Dooms the uploads of all tenants that no row has taken in `grace`; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expire_blobs(&self, grace: Duration) -> Result<u64, Error> {
        let grace = format!("{} ms", grace.as_millis());
        let text = "select freehold.blobs_expire($1::text::interval)";
        let rows = self.ask("giving up old uploads", text, &[Some(&grace)]).await?;
        Ok(rows.first().map_or(0, |row| unsigned(row, 0)))
    }

    /// Blobs of all tenants together.
    ///
    /// # Errors
    /// Faults only.
    pub async fn blob_totals(&self) -> Result<BlobTotals, Error> {
        let text = "select live, pending, uploading, doomed, bytes, oldest_doomed_ms, stuck from freehold.blob_totals()";
        let rows = self.ask("counting blobs", text, &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::new("counting blobs", "no row"))?;
        Ok(BlobTotals {
            live: unsigned(row, 0),
            pending: unsigned(row, 1),
            uploading: unsigned(row, 2),
            doomed: unsigned(row, 3),
            bytes: unsigned(row, 4),
            oldest_doomed_ms: unsigned(row, 5),
            stuck: unsigned(row, 6),
        })
    }
}

impl BlobPlace {
    /// What opens its bytes.
    ///
    /// # Errors
    /// `Erased` if the person whose it is is.
    pub fn key(&self) -> Result<&BlobKey, Refusal> {
        self.key.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::Erased,
                "the person whose file this is is erased, or is being erased",
            )
            .hint("nothing opens its bytes any more")
        })
    }
}

fn given_up() -> Refusal {
    Refusal::new(Code::NoSuchBlob, "the upload was given up")
        .detail("it took longer than uploads are waited for")
        .hint("upload it again")
}

fn over_quota() -> Refusal {
    Refusal::new(Code::Quota, "the tenant has no room left for this blob")
        .hint("delete some, or ask for more room")
}

fn unsigned(row: &Row, i: usize) -> u64 {
    row.int(i).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}
