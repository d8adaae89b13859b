//! What sealing costs, beside the cipher alone: for `freehold bench seal`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::aead::{AES_256_GCM, AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use uuid::Uuid;

use super::{Class, Place, SubjectKey};

/// Ways to seal, with a key each.
pub struct SealYardstick {
    ours: SubjectKey,
    raw: LessSafeKey,
    siv: LessSafeKey,
    place: Place,
}

impl Default for SealYardstick {
    fn default() -> Self {
        let raw = UnboundKey::new(&AES_256_GCM, &[2; 32]).expect("a key of 32 bytes");
        let siv = UnboundKey::new(&AES_256_GCM_SIV, &[3; 32]).expect("a key of 32 bytes");
        let place = Place {
            tenant: Uuid::from_u128(1),
            field: 1,
            row: Uuid::from_u128(2),
            subject: Uuid::from_u128(3),
        };
        Self {
            ours: SubjectKey::new(&[1; 32], Class::Ordinary, 0),
            raw: LessSafeKey::new(raw),
            siv: LessSafeKey::new(siv),
            place,
        }
    }
}

impl SealYardstick {
    /// How long it takes to seal the value so often, as it is done for a field.
    #[must_use]
    pub fn ours(&self, value: &[u8], times: usize) -> Duration {
        let begun = Instant::now();
        for _ in 0..times {
            black_box(self.ours.seal(&self.place, black_box(value)));
        }
        begun.elapsed()
    }

    /// The same with AES-256-GCM alone: a copy, a nonce that counts, associated data as long, no format.
    ///
    /// # Panics
    /// Never: the value is within the cipher's bounds.
    #[must_use]
    pub fn raw(&self, value: &[u8], times: usize) -> Duration {
        alone(&self.raw, value, times)
    }

    /// The same with AES-256-GCM-SIV, which is the cipher of fields: what it costs more than this is ours.
    ///
    /// # Panics
    /// Never: the value is within the cipher's bounds.
    #[must_use]
    pub fn siv(&self, value: &[u8], times: usize) -> Duration {
        alone(&self.siv, value, times)
    }

    /// How long it takes to open it so often.
    ///
    /// # Panics
    /// Never: it was sealed here.
    #[must_use]
    pub fn open(&self, value: &[u8], times: usize) -> Duration {
        let sealed = self.ours.seal(&self.place, value);
        let begun = Instant::now();
        for _ in 0..times {
            black_box(self.ours.open(&self.place, black_box(&sealed)).expect("it was sealed here"));
        }
        begun.elapsed()
    }
}

fn alone(key: &LessSafeKey, value: &[u8], times: usize) -> Duration {
    let begun = Instant::now();
    for time in 0..times {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(time as u64).to_be_bytes());
        let mut bytes = Vec::with_capacity(value.len() + 16);
        bytes.extend_from_slice(black_box(value));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = key.seal_in_place_append_tag(nonce, Aad::from([7; 59]), &mut bytes);
        sealed.expect("a value is within the cipher's bounds");
        black_box(bytes);
    }
    begun.elapsed()
}
