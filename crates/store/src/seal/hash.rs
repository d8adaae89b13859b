//! What contents are told apart by: a hash of a blob's bytes in the open.

use aws_lc_rs::digest;

use crate::key::hex;

/// Of which kind a blob's hash is.
///
/// BLAKE3 because uploads wait for it: on the same core it was three times as fast as SHA-256 by the processor's own instructions.
/// Sealing proves that bytes are those that were sealed; this tells contents apart, and finds what went wrong before they were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKind {
    /// Of what was uploaded before version 9 of the platform.
    Sha256,
    /// Of what is uploaded now.
    Blake3,
}

impl HashKind {
    /// As it is noted.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Sha256 => 0,
            Self::Blake3 => 1,
        }
    }

    /// The kind that is noted so.
    pub(crate) fn numbered(number: i64) -> Option<Self> {
        [Self::Sha256, Self::Blake3].into_iter().find(|kind| kind.number() == number)
    }

    /// A hash of nothing yet.
    #[must_use]
    pub fn begin(self) -> ContentHash {
        match self {
            Self::Sha256 => ContentHash::Sha256(Hash::default()),
            Self::Blake3 => ContentHash::default(),
        }
    }
}

/// What a blob turned out to be once all of it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes, not of what they were sealed into.
    pub hash: [u8; 32],
}

impl Sum {
    /// The hash in hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        hex(&self.hash)
    }
}

/// The hash of a blob's bytes while they come; BLAKE3 unless another kind is asked for.
pub enum ContentHash {
    /// See [`HashKind::Sha256`].
    Sha256(Hash),
    /// See [`HashKind::Blake3`].
    Blake3(Box<blake3::Hasher>),
}

impl Default for ContentHash {
    fn default() -> Self {
        Self::Blake3(Box::default())
    }
}

impl ContentHash {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Blake3(hash) => {
                hash.update(bytes);
            }
        }
    }

    /// The hash in hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> String {
        hex(&self.finish())
    }

    /// What it is of so many bytes.
    #[must_use]
    pub fn sum(self, size: u64) -> Sum {
        Sum { size, hash: self.finish() }
    }

    fn finish(self) -> [u8; 32] {
        match self {
            Self::Sha256(hash) => hash.finish(),
            Self::Blake3(hash) => *hash.finalize().as_bytes(),
        }
    }
}

/// A SHA-256 that grows.
pub struct Hash(digest::Context);

impl Default for Hash {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hash {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash in hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> String {
        hex(&self.finish())
    }

    fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}
