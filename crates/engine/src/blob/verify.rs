//! Whether what is stored is what was noted: everything is read again.

use freehold_store::{NotedBlob, Tenant, seal::HashKind};
use futures_util::StreamExt as _;

use super::{Blobs, down};
use crate::{Engine, error::Error};

/// Blobs looked at in one statement.
const PAGE: usize = 500;

/// Blobs one behind the other that the storage does not give, before it is taken to be away.
const AWAY: usize = 3;

/// What reading everything again found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Blobs that are as they were stored.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are missing, cut or changed: only a backup of the storage can mend them.
    pub rotten: Vec<Amiss>,
    /// Those of people who are erased: nothing opens them, so they were not read.
    pub erased: u64,
    /// Those of which the storage said nothing: they may be sound.
    pub unread: Vec<Amiss>,
    /// Why the storage was taken to be away. What comes behind the last of `unread` was not looked at then.
    pub away: Option<Error>,
}

/// A blob that is not as it was stored, or of which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amiss {
    /// Its id.
    pub id: String,
    /// The field that it is for, as `entity.field`.
    pub field: String,
    /// What is wrong.
    pub what: String,
}

impl Engine {
    /// Reads every whole blob of a tenant again and compares its hash; hears how many bytes it has read. It stops when the
    /// storage is away.
    ///
    /// # Errors
    /// Faults of the database.
    pub async fn verify_blobs(
        &self,
        tenant: &Tenant,
        mut progress: impl FnMut(u64),
    ) -> Result<Verified, Error> {
        let blobs = self.blobs()?;
        let mut verified = Verified::default();
        let (mut after, mut silent) = (None, 0);
        loop {
            let page = self.store.blobs_of(tenant, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(verified) };
            after = Some(last.id);
            for noted in page.iter().filter(|noted| matches!(&*noted.state, "pending" | "live")) {
                if noted.erased {
                    verified.erased += 1;
                    continue;
                }
                let amiss = |what| Amiss {
                    id: noted.id.to_string(),
                    field: format!("{}.{}", noted.entity, noted.field),
                    what,
                };
                let read = read_again(blobs, noted).await;
                silent = if matches!(read, Err(Wrong::Unread(_))) { silent + 1 } else { 0 };
                match read {
                    Ok(()) => {
                        verified.sound += 1;
                        verified.bytes += noted.size;
                        progress(verified.bytes);
                    }
                    Err(Wrong::Rotten(what)) => {
                        // Deleted meanwhile, perhaps.
                        if !matches!(self.store.blob_place(tenant, noted.id).await, Ok(None)) {
                            verified.rotten.push(amiss(what));
                        }
                    }
                    Err(Wrong::Unread(error)) => {
                        verified.unread.push(amiss(error.to_string()));
                        if silent == AWAY {
                            verified.away = Some(error);
                            return Ok(verified);
                        }
                    }
                }
            }
        }
    }
}

enum Wrong {
    Rotten(String),
    Unread(Error),
}

async fn read_again(blobs: &Blobs, noted: &NotedBlob) -> Result<(), Wrong> {
    let rotten = |what: &dyn std::fmt::Display| Wrong::Rotten(what.to_string());
    let key = noted.key.as_ref().ok_or_else(|| rotten(&"its key does not open"))?;
    let (mut unsealer, place) = key.unsealer(noted.size, 0..noted.size);
    let fetched = down::fetch(blobs, &noted.object, place).await.map_err(Wrong::Unread)?;
    let mut sealed = fetched.map_err(|lost| rotten(&lost.what()))?;
    let kind = noted.hash.as_ref().map_or(HashKind::Blake3, |(kind, _)| *kind);
    let (mut out, mut hash) = (Vec::new(), kind.begin());
    while let Some(bytes) = sealed.next().await {
        unsealer.push(&bytes.map_err(Wrong::Unread)?, &mut out).map_err(|rot| rotten(&rot))?;
        hash.update(&out);
        out.clear();
    }
    unsealer.finish().map_err(|rot| rotten(&rot))?;
    if noted.hash == Some((kind, hash.digits())) {
        return Ok(());
    }
    Err(rotten(&"its hash is another than the one that was noted"))
}
