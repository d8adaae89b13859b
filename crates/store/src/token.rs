//! Tokens that open a tenant for one transaction of one backend.
//!
//! `v1.<kid 4>.<tenant 32 hex>.<principal 32 hex>.<expiry 10>.<backend pid 10>.<nonce 16 hex>.<mac 64 hex>`: 177
//! characters of fixed width, digits, small letters and dots alone, so it can stand in a statement as it is.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::key::{RootKey, hex};

/// The key in `freehold.mac_key` that servers sign with.
pub(crate) const KID: i16 = 1;

// The database takes at most 60 s; the rest is for clocks that disagree and for a request that waits on the wire.
const LIFE: Duration = Duration::from_secs(30);

/// Signs tokens for one database and the role `freehold_app`.
pub(crate) struct Minter {
    key: hmac::Key,
    database: String,
}

impl Minter {
    pub(crate) fn new(root: &RootKey, database: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*root.token_key()),
            database: database.to_owned(),
        }
    }

    pub(crate) fn mint(&self, tenant: Uuid, backend: i32) -> String {
        self.mint_at(tenant, backend, SystemTime::now() + LIFE)
    }

    fn mint_at(&self, tenant: Uuid, backend: i32, expiry: SystemTime) -> String {
        let mut nonce = [0; 8];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system has randomness");
        let expiry = expiry.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let principal = Uuid::nil().simple();
        let mut token = String::with_capacity(177);
        let _ = write!(
            token,
            "v1.{KID:04}.{}.{principal}.{expiry:010}.{backend:010}.{:016x}",
            tenant.simple(),
            u64::from_be_bytes(nonce)
        );
        let mut mac = hmac::Context::with_key(&self.key);
        for part in ["freehold|", &self.database, "|freehold_app|", &token] {
            mac.update(part.as_bytes());
        }
        let _ = write!(token, ".{}", hex(mac.sign().as_ref()));
        token
    }
}

/// The token key's pads as `freehold.mac_key` keeps them, in hexadecimal digits: inner, outer.
pub(crate) fn pads(root: &RootKey) -> (Zeroizing<String>, Zeroizing<String>) {
    let key = root.token_key();
    let pad = |with: u8| {
        let mut bytes = Zeroizing::new([with; 64]);
        bytes.iter_mut().zip(key.iter()).for_each(|(pad, key)| *pad ^= key);
        Zeroizing::new(hex(&*bytes))
    };
    (pad(0x36), pad(0x5c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_width_and_nothing_that_needs_quotes() {
        let minter = Minter::new(&RootKey::new([7; 32]), "a'b");
        for pid in [1, i32::MAX] {
            let token = minter.mint(Uuid::from_u128(u128::MAX), pid);
            assert_eq!(token.len(), 177);
            assert!(
                token.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase() || c == b'.')
            );
        }
    }

    #[test]
    fn two_tokens_for_the_same_differ() {
        let minter = Minter::new(&RootKey::new([7; 32]), "a");
        let expiry = SystemTime::now();
        assert_ne!(minter.mint_at(Uuid::nil(), 1, expiry), minter.mint_at(Uuid::nil(), 1, expiry));
    }
}
