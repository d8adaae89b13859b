//! How bytes of tenants are sealed before they leave for object storage.
//!
//! Each blob has a random key of its own, wrapped by its tenant's key, which is wrapped by one derived from the root key
//! (`wrap`). A sealed object, format 1:
//!
//! ```text
//! header    "FHB1"  16 (log2 of a chunk's bytes)  0 0 0  commitment[32]
//! chunk i   AES-256-GCM of 65,536 bytes of the blob, and the tag of 16; the last chunk has 0 to 65,536
//! ```
//!
//! The key of the chunks and the commitment are HKDF-SHA256 of the blob's key with the tenant and the blob in its
//! info, so an object opens as nobody else's and under one key alone. The nonce of chunk i is 3 zero bytes, i as 8 bytes,
//! big-endian, and 1 for the last chunk, else 0: a chunk that is missing, moved or from elsewhere does not open. The
//! associated data are the format, the tenant and the blob.

mod answer;
mod blob_key;
mod hash;
mod part;
mod personal;
mod unseal;
pub(crate) mod value;
pub(crate) mod wrap;
mod yardstick;

pub use answer::{ANSWER_OVERHEAD, AnswerKeys, AnswerName};
pub use hash::{ContentHash, Hash, HashKind, Sum};
pub use part::{BLOCK, Part};
pub use personal::Personal;
pub use unseal::Unsealer;
pub use value::{BlindKey, Class, Closed, OVERHEAD, Place, SubjectKey, class_of};
pub use yardstick::SealYardstick;

use std::ops::Range;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey},
    hkdf,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a blob in one chunk.
pub const CHUNK: usize = 1 << 16;

/// Bytes of a sealed object before its first chunk.
pub const HEADER: usize = 40;

const TAG: usize = 16;
const MAGIC: [u8; 8] = *b"FHB1\x10\0\0\0";
const FORMAT: &[u8] = b"freehold blob 1";

/// Why sealed bytes did not open. All of it means that they are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rot {
    /// The object does not begin as one of this format does.
    #[error("the object has no header of this format")]
    Header,
    /// The key is another than the one it was sealed with.
    #[error("the object was sealed with another key")]
    Key,
    /// A chunk was changed, moved, or is another object's.
    #[error("a chunk of the object does not open")]
    Chunk,
    /// The object ends too early, or goes on after its end.
    #[error("the object has another length than it had")]
    Length,
}

/// The key of one blob, bound to it and to its tenant.
#[derive(Clone)]
pub struct BlobKey {
    secret: Zeroizing<[u8; 32]>,
    tenant: Uuid,
    blob: Uuid,
}

/// Seals a blob as its bytes come, in memory that does not grow with it. Nothing leaves it unsealed.
pub struct Sealer {
    cipher: Cipher,
    // What is sealed and not taken yet, and behind it the chunk that is being filled, in the clear: it is sealed where it is,
    // and only when there is more, since the last one is told apart.
    bytes: Part,
    open: usize,
    size: u64,
    spare: Option<Part>,
}

struct Cipher {
    key: LessSafeKey,
    data: [u8; FORMAT.len() + 32],
    index: u64,
}

impl BlobKey {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, tenant: Uuid, blob: Uuid) -> Self {
        Self { secret, tenant, blob }
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Begins to seal; with room for so many sealed bytes. A key seals one object only.
    #[must_use]
    pub fn sealer(&self, room: usize) -> Sealer {
        let mut bytes = Part::with_capacity(room.max(HEADER));
        bytes.push(&self.header());
        Sealer { cipher: self.cipher(0), bytes, open: 0, size: 0, spare: None }
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..].copy_from_slice(&*self.derive(b"commitment"));
        header
    }

    fn cipher(&self, index: u64) -> Cipher {
        let key = UnboundKey::new(&AES_256_GCM, &*self.derive(b"chunks"));
        let mut data = [0; FORMAT.len() + 32];
        data[..FORMAT.len()].copy_from_slice(FORMAT);
        data[FORMAT.len()..FORMAT.len() + 16].copy_from_slice(self.tenant.as_bytes());
        data[FORMAT.len() + 16..].copy_from_slice(self.blob.as_bytes());
        Cipher { key: LessSafeKey::new(key.expect("a key of 32 bytes")), data, index }
    }

    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, FORMAT)
            .extract(&*self.secret)
            .expand(&[self.tenant.as_bytes(), self.blob.as_bytes(), purpose], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *bytes))
            .expect("32 bytes are within HKDF's bounds");
        bytes
    }
}

impl std::fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobKey")
    }
}

impl Sealer {
    /// Takes more of the blob.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.open == CHUNK {
                self.seal(false);
            }
            let some = bytes.len().min(CHUNK - self.open);
            self.bytes.push(&bytes[..some]);
            self.open += some;
            bytes = &bytes[some..];
        }
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next `wanted` bytes of the object, once so many are sealed.
    pub fn take(&mut self, wanted: usize) -> Option<Part> {
        if self.bytes.len() - self.open < wanted {
            return None;
        }
        let room = || Part::with_capacity(wanted + wanted / 8);
        let mut rest = self.spare.take().unwrap_or_else(room);
        rest.push(&self.bytes[wanted..]);
        self.bytes.truncate(wanted);
        Some(std::mem::replace(&mut self.bytes, rest))
    }

    /// Bytes that were taken from it and are needed no more: memory that need not be asked for again.
    pub fn give_back(&mut self, memory: Vec<u8>) {
        self.spare = Some(Part::of(memory));
    }

    /// Seals what is left; the rest of the object.
    #[must_use]
    pub fn finish(mut self) -> Part {
        self.seal(true);
        self.bytes
    }

    fn seal(&mut self, last: bool) {
        let begin = self.bytes.len() - self.open;
        let tag = self.cipher.seal(self.bytes.tail(begin), last);
        self.bytes.push(tag.as_ref());
        self.open = 0;
    }
}

impl Cipher {
    fn seal(&mut self, chunk: &mut [u8], last: bool) -> Tag {
        let nonce = nonce(self.index, last);
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(self.data), chunk);
        self.index += 1;
        sealed.expect("a chunk is within the cipher's bounds")
    }

    fn open<'c>(&mut self, chunk: &'c mut [u8], last: bool) -> Result<&'c mut [u8], Rot> {
        let opened = self.key.open_in_place(nonce(self.index, last), Aad::from(self.data), chunk);
        self.index += 1;
        opened.map_err(|_| Rot::Chunk)
    }
}

fn nonce(index: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&index.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Chunks of a blob of `size` bytes; an empty one has one.
fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK as u64).max(1)
}

/// Bytes that a blob of `size` bytes is sealed into.
#[must_use]
pub fn sealed_size(size: u64) -> u64 {
    HEADER as u64 + size + chunks(size) * TAG as u64
}

/// The bytes of the sealed object in which the bytes `range` of a blob of `size` bytes are. `range` is not empty and ends
/// within the blob, or is that of an empty blob.
#[must_use]
pub fn sealed_range(size: u64, range: &Range<u64>) -> Range<u64> {
    let step = (CHUNK + TAG) as u64;
    let first = range.start / CHUNK as u64;
    let behind = range.end.div_ceil(CHUNK as u64).max(first + 1);
    let start = if first == 0 { 0 } else { HEADER as u64 + first * step };
    start..(HEADER as u64 + behind * step).min(sealed_size(size))
}

#[cfg(test)]
mod tests;
