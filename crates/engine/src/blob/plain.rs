//! The same bytes by the storage's library alone, for benchmarks to compare with.

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload, WriteMultipart};

use super::{Blobs, parts::PART};
use crate::error::Error;

impl Blobs {
    /// Stores `parts` as they are, in one request or in parts as blobs are.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn put_plain(&self, name: &str, parts: &[Bytes]) -> Result<(), Error> {
        let doing = "storing plain bytes";
        let path = self.at(name);
        let size: usize = parts.iter().map(Bytes::len).sum();
        if size <= PART {
            let payload: PutPayload = parts.iter().cloned().collect();
            return self.in_time(doing, self.store().put(&path, payload)).await.map(drop);
        }
        let upload = self.in_time(doing, self.store().put_multipart(&path)).await?;
        let mut write = WriteMultipart::new_with_chunk_size(upload, PART);
        for part in parts {
            self.in_time(doing, write.wait_for_capacity(2)).await?;
            write.put(part.clone());
        }
        self.in_time(doing, write.finish()).await.map(drop)
    }

    /// Reads them again; says how many there were.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn get_plain(&self, name: &str) -> Result<u64, Error> {
        let doing = "reading plain bytes";
        let path = self.at(name);
        let got = self.in_time(doing, self.store().get(&path)).await?;
        let mut bytes = got.into_stream();
        let mut size = 0;
        loop {
            let next = async { bytes.next().await.transpose() };
            let Some(some) = self.in_time(doing, next).await? else { return Ok(size) };
            size += some.len() as u64;
        }
    }

    /// Deletes what was stored so.
    pub async fn delete_plain(&self, name: &str) {
        super::tend::delete(self, name).await;
    }
}
