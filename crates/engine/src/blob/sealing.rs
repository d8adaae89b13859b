//! A blob's bytes on their way from whoever sends them to the parts of its object: checked, hashed and sealed.

use bytes::Bytes;
use freehold_model::entity::Blob;
use freehold_store::seal::{BlobKey, Part, Sealer, sealed_size};
use futures_util::{Stream, StreamExt as _};

use super::{hashing::Hashing, parts::PART, up};
use crate::error::Error;

/// Bytes sealed at once.
const STRETCH: usize = 1 << 18;

/// Room for a blob of which nobody knows how large it is.
const ROOM: usize = 1 << 18;

pub(super) struct Sealing<'a, S> {
    takes: &'a Blob,
    bytes: S,
    // Came, and is not sealed yet.
    came: Bytes,
    sealer: Sealer,
    hashing: Hashing,
}

impl<'a, S, E> Sealing<'a, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    /// `length` is how many bytes there are, if that is known.
    pub(super) fn new(key: &BlobKey, takes: &'a Blob, length: Option<u64>, bytes: S) -> Self {
        let most = PART + 2 * STRETCH;
        let room = length.map_or(ROOM, |length| {
            usize::try_from(sealed_size(length)).map_or(most, |size| size.min(most))
        });
        let (came, hashing) = (Bytes::new(), Hashing::default());
        Self { takes, bytes, came, sealer: key.sealer(room), hashing }
    }

    /// The next part of [`PART`] bytes; none once all that is left is smaller.
    ///
    /// # Errors
    /// `Limit`, `Body`.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Error> {
        loop {
            if let Some(part) = self.sealer.take(PART) {
                return Ok(Some(part));
            }
            if self.came.is_empty() {
                let Some(some) = self.bytes.next().await else { return Ok(None) };
                self.came = some.map_err(|error| up::cut_short().detail(error.to_string()))?;
                up::check_size(self.takes, self.sealer.size() + self.came.len() as u64)?;
                self.hashing.push(self.came.clone()).await?;
            }
            self.sealer.push(&self.came.split_to(self.came.len().min(STRETCH)));
        }
    }

    /// Memory of a part that was stored.
    pub(super) fn give_back(&mut self, memory: Vec<u8>) {
        self.sealer.give_back(memory);
    }

    /// What is left of the object, how large the blob is, and its hash as far as it is made.
    pub(super) fn finish(self) -> (Part, u64, Hashing) {
        let size = self.sealer.size();
        (self.sealer.finish(), size, self.hashing)
    }
}
