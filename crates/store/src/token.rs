//! Tokens that open a tenant for one transaction of one backend.
//!
//! A token is the arguments of `freehold.open(kid, role, tenant, principal, expiry, nonce, mac)`: as typed arguments it needs no
//! slicing in the database, where that would cost more than the MAC. Drivers pass the same as one text,
//! `v3.<kid 4>.<role 4>.<tenant 32>.<principal 32>.<expiry 16>.<nonce 16>.<mac 64>`, hexadecimal digits all. Either way it can stand
//! in a statement as it is. The MAC is HMAC-SHA256 over
//! `role 2 ‖ tenant 16 ‖ principal 16 ‖ expiry 8 ‖ nonce 8 ‖ backend 4 ‖ database ‖ 0 ‖ login role`, numbers big-endian.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    key::{RootKey, hex},
    role::Role,
};

/// The key in `freehold.mac_key` that servers sign with.
pub(crate) const KID: i16 = 1;

// The database takes at most 60 s; the rest is for clocks that disagree and for a request that waits on the wire.
const LIFE: Duration = Duration::from_secs(30);

/// Signs tokens for one database and one of the roles that may open tenants.
pub(crate) struct Minter {
    key: hmac::Key,
    database: String,
    role: &'static str,
}

impl Minter {
    pub(crate) fn new(root: &RootKey, database: &str, role: &'static str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*root.token_key()),
            database: database.to_owned(),
            role,
        }
    }

    /// The call that opens the tenant in this backend, now; in the name of an API key, or of the server if it is nil.
    pub(crate) fn opening(
        &self,
        role: Role,
        tenant: Uuid,
        principal: Uuid,
        backend: i32,
    ) -> String {
        let token = self.sign(role, tenant, principal, backend, LIFE);
        format!(
            "call freehold.open('{KID}','{}','{}','{}','{}','{}','\\x{}')",
            token.role, token.tenant, token.principal, token.expiry, token.nonce, token.mac
        )
    }

    /// The token as one text, for drivers.
    pub(crate) fn text(&self, role: Role, tenant: Uuid, backend: i32, life: Duration) -> String {
        let token = self.sign(role, tenant, Uuid::nil(), backend, life);
        format!(
            "v3.{KID:04x}.{:04x}.{}.{}.{:016x}.{:016x}.{}",
            token.role,
            token.tenant.simple(),
            token.principal.simple(),
            token.expiry,
            token.nonce,
            token.mac
        )
    }

    /// The number that `freehold.position()` has masked.
    pub(crate) fn unmask(&self, position: &str) -> Option<u64> {
        let bytes: Vec<u8> = (0..position.len() / 2)
            .map(|at| u8::from_str_radix(position.get(2 * at..2 * at + 2)?, 16).ok())
            .collect::<Option<_>>()?;
        let (once, masked) = bytes.split_at_checked(16)?;
        let mask: [u8; 8] = self.mask(b"position", once).get(..8)?.try_into().ok()?;
        Some(u64::from_be_bytes(masked.try_into().ok()?) ^ u64::from_be_bytes(mask))
    }

    /// What numbers are masked with that the database gives to tenants' statements.
    pub(crate) fn mask(&self, what: &[u8], once: &[u8]) -> Vec<u8> {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(what);
        mac.update(once);
        mac.sign().as_ref().to_vec()
    }

    fn sign(
        &self,
        role: Role,
        tenant: Uuid,
        principal: Uuid,
        backend: i32,
        life: Duration,
    ) -> Token {
        let role = role.number();
        let mut nonce = [0; 8];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system has randomness");
        let until = SystemTime::now() + life;
        let expiry = until.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let expiry = i64::try_from(expiry).unwrap_or_default();
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&role.to_be_bytes());
        mac.update(tenant.as_bytes());
        mac.update(principal.as_bytes());
        mac.update(&expiry.to_be_bytes());
        mac.update(&nonce);
        mac.update(&backend.to_be_bytes());
        mac.update(self.database.as_bytes());
        mac.update(b"\0");
        mac.update(self.role.as_bytes());
        let mac = hex(mac.sign().as_ref());
        Token { role, tenant, principal, expiry, nonce: i64::from_be_bytes(nonce), mac }
    }
}

struct Token {
    role: i16,
    tenant: Uuid,
    principal: Uuid,
    expiry: i64,
    nonce: i64,
    mac: String,
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
    fn a_token_has_nothing_that_needs_quotes_and_is_never_the_same() {
        let minter = Minter::new(&RootKey::new([7; 32]), "a'b\\c", "freehold_app");
        let opening = || minter.opening(Role::Writer, Uuid::from_u128(u128::MAX), Uuid::nil(), 1);
        assert_ne!(opening(), opening());
        let call = opening();
        let arguments =
            call.strip_prefix("call freehold.open(").unwrap().strip_suffix(')').unwrap();
        let parts: Vec<&str> = arguments.split(',').collect();
        assert_eq!(parts.len(), 7);
        for part in parts {
            let inner = part.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            let inner = inner.strip_prefix("\\x").unwrap_or(inner);
            let plain = |c: u8| c.is_ascii_digit() || c.is_ascii_lowercase() || c == b'-';
            assert!(inner.bytes().all(plain), "{inner}");
        }
        let text = minter.text(Role::Reader, Uuid::from_u128(u128::MAX), 1, LIFE);
        assert_eq!(text.len(), 177);
        assert!(text.bytes().all(|c| c.is_ascii_hexdigit() || c == b'.' || c == b'v'), "{text}");
    }
}
