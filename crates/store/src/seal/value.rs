//! How one value of a person is sealed before PostgreSQL sees it, format 1:
//!
//! ```text
//! 1  1  class  generation  nonce[12]  AES-256-GCM-SIV of the value  tag[16]
//! ```
//!
//! The first byte is the format, the second the suite. The value is JSON, then 0x80 and zeros up to a multiple of 16, so that
//! its length is told in steps. The associated data are the tenant, the field's number, the row, the person, class,
//! generation and suite: a value opens where it was sealed and nowhere else. GCM-SIV, because a nonce that comes twice (a
//! machine that was copied while it ran) then shows only whether two messages are the same.

use std::cell::RefCell;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac, rand,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::personal::Personal;

const FORMAT: u8 = 1;
const SUITE: u8 = 1;
const HEAD: usize = 4;
const TAG: usize = 16;
const PAD: usize = 16;

/// Up to how many bytes an opened value is copied out of where it was opened. To wipe a second copy of a long one costs as much
/// as to open it; of a short one it is quicker than to wipe what lies behind it.
const COPIED: usize = 512;

/// Bytes that sealing adds to a value, before it is filled up to a multiple of 16.
pub const OVERHEAD: usize = HEAD + NONCE_LEN + TAG;

/// Which of a person's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It goes with the person.
    Ordinary,
    /// It stays for a duty when the person is erased.
    Kept,
}

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its tenant's id.
    pub tenant: Uuid,
    /// The number of its field.
    pub field: u32,
    /// The id of its row.
    pub row: Uuid,
    /// Whose it is; nil for nobody's.
    pub subject: Uuid,
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// It has no form that this version knows.
    #[error("the value is sealed in no known form")]
    Form,
    /// Its key is gone, or is being destroyed.
    #[error("the key of the value is gone")]
    Gone,
    /// It was changed, or belongs elsewhere.
    #[error("the value was changed, or was sealed for another place")]
    Elsewhere,
}

/// A key of a person.
pub struct SubjectKey {
    key: LessSafeKey,
    /// Wraps the keys of their blobs; made of the same secret.
    pub(super) wraps: Zeroizing<[u8; 32]>,
    class: Class,
    generation: u8,
}

/// What makes blind indexes for a tenant.
#[derive(Clone)]
pub struct BlindKey(hmac::Key);

impl Class {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ordinary => 0,
            Self::Kept => 1,
        }
    }
}

impl SubjectKey {
    /// The key in these bytes.
    ///
    /// # Panics
    /// Never: 32 bytes are a key.
    #[must_use]
    pub fn new(secret: &[u8; 32], class: Class, generation: u8) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, secret).expect("a key of 32 bytes");
        let wraps = super::blob_key::wrapping(secret, class, generation);
        Self { key: LessSafeKey::new(key), wraps, class, generation }
    }

    /// Seals a value, given as JSON.
    ///
    /// # Panics
    /// If the value has more than 64 GB.
    #[must_use]
    pub fn seal(&self, place: &Place, value: &[u8]) -> Vec<u8> {
        let nonce = nonce();
        let padded = (value.len() / PAD + 1) * PAD;
        let mut out = Vec::with_capacity(OVERHEAD + padded);
        out.extend_from_slice(&[FORMAT, SUITE, self.class.number(), self.generation]);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(value);
        out.push(0x80);
        out.resize(HEAD + NONCE_LEN + padded, 0);
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.data(place)),
            &mut out[HEAD + NONCE_LEN..],
        );
        out.extend_from_slice(tag.expect("a value is within the cipher's bounds").as_ref());
        out
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Personal<Vec<u8>>, Closed> {
        if class_of(sealed)? != (self.class, self.generation) {
            return Err(Closed::Gone);
        }
        let (nonce, rest) = sealed[HEAD..].split_first_chunk::<NONCE_LEN>().ok_or(Closed::Form)?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(self.data(place)), &mut bytes);
        let opened = opened.map_err(|_| Closed::Elsewhere)?;
        let end = opened.iter().rposition(|byte| *byte != 0).filter(|end| opened[*end] == 0x80);
        let end = end.ok_or(Closed::Form)?;
        if end < COPIED {
            return Ok(Personal::new(opened[..end].to_vec()));
        }
        bytes.truncate(end);
        Ok(Personal::new(std::mem::take(&mut *bytes)))
    }

    /// What its values may be opened for.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Which of the person's keys of its class, counted from 0.
    #[must_use]
    pub fn generation(&self) -> u8 {
        self.generation
    }

    /// Whether it is the key of this class and generation.
    #[must_use]
    pub fn is(&self, wanted: (Class, u8)) -> bool {
        (self.class, self.generation) == wanted
    }

    fn data(&self, place: &Place) -> [u8; 59] {
        let mut data = [0; 59];
        data[..4].copy_from_slice(b"FHV1");
        data[4..20].copy_from_slice(place.tenant.as_bytes());
        data[20..24].copy_from_slice(&place.field.to_be_bytes());
        data[24..40].copy_from_slice(place.row.as_bytes());
        data[40..56].copy_from_slice(place.subject.as_bytes());
        data[56..].copy_from_slice(&[self.class.number(), self.generation, SUITE]);
        data
    }
}

/// With which of a person's keys a value was sealed.
///
/// # Errors
/// `Form`.
pub fn class_of(sealed: &[u8]) -> Result<(Class, u8), Closed> {
    match sealed {
        [FORMAT, SUITE, 0, generation, ..] => Ok((Class::Ordinary, *generation)),
        [FORMAT, SUITE, 1, generation, ..] => Ok((Class::Kept, *generation)),
        _ => Err(Closed::Form),
    }
}

impl BlindKey {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The blind index of a value of a field, made alike before: the same for the same value, and nothing else to be told
    /// from it without the key.
    #[must_use]
    pub fn index(&self, field: u32, value: &str) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"FHI1");
        context.update(&field.to_be_bytes());
        context.update(value.as_bytes());
        let mut index = [0; 16];
        index.copy_from_slice(&context.sign().as_ref()[..16]);
        index
    }
}

// Randomness costs more than sealing a short value, so it is fetched for 256 of them at once.
pub(super) fn nonce() -> [u8; NONCE_LEN] {
    const POOL: usize = 256 * NONCE_LEN;
    thread_local! {
        static NONCES: RefCell<(Box<[u8; POOL]>, usize)> = RefCell::new((Box::new([0; POOL]), POOL));
    }
    NONCES.with_borrow_mut(|(pool, used)| {
        if *used == POOL {
            rand::fill(&mut pool[..]).expect("the system has randomness");
            *used = 0;
        }
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&pool[*used..*used + NONCE_LEN]);
        *used += NONCE_LEN;
        nonce
    })
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
