//! A blob's hash, made beside its sealing: on another core, a stretch of bytes behind.

use bytes::Bytes;
use freehold_store::seal::ContentHash;
use tokio::task::JoinHandle;

use super::place;
use crate::error::Error;

/// Bytes that are worth a journey to another thread, which takes long on a busy machine. Fewer are hashed where they are,
/// while the last of the object is on its way.
const STRETCH: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Hashing {
    hash: ContentHash,
    under_way: Option<JoinHandle<ContentHash>>,
    waiting: Vec<Bytes>,
    size: usize,
}

impl Hashing {
    /// Takes more bytes. It holds those of two stretches at most.
    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.size += bytes.len();
        self.waiting.push(bytes);
        if self.size < STRETCH {
            return Ok(());
        }
        self.arrive().await?;
        let (mut hash, waiting) =
            (std::mem::take(&mut self.hash), std::mem::take(&mut self.waiting));
        self.size = 0;
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            waiting.iter().for_each(|bytes| hash.update(bytes));
            hash
        }));
        Ok(())
    }

    /// The hash of all there was.
    pub(super) async fn finish(mut self) -> Result<ContentHash, Error> {
        self.arrive().await?;
        self.waiting.iter().for_each(|bytes| self.hash.update(bytes));
        Ok(self.hash)
    }

    async fn arrive(&mut self) -> Result<(), Error> {
        if let Some(under_way) = self.under_way.take() {
            self.hash = under_way.await.map_err(|error| place::failed("hashing a blob", &error))?;
        }
        Ok(())
    }
}
