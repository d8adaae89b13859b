//! Tokens with anything about them forged. Signed by the key itself and not by the code that servers sign with, so that
//! a change of the one without the other is found.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use uuid::Uuid;

use crate::{
    key::{RootKey, hex},
    platform::APP,
    token::KID,
};

/// Makes tokens.
pub(super) struct Forger {
    key: hmac::Key,
    database: String,
}

/// What a token says.
#[derive(Clone)]
pub(super) struct Forge<'a> {
    pub(super) tenant: Uuid,
    pub(super) backend: i32,
    /// Seconds from now on.
    pub(super) life: i64,
    pub(super) kid: i16,
    pub(super) login: &'a str,
    pub(super) database: Option<&'a str>,
    pub(super) principal: Uuid,
    pub(super) role: i16,
}

impl Forge<'_> {
    /// What a genuine token of this tenant and backend says.
    pub(super) fn none(tenant: Uuid, backend: i32) -> Self {
        let principal = Uuid::nil();
        let (life, kid, role) = (30, KID, 2);
        Self { tenant, backend, life, kid, login: APP, database: None, principal, role }
    }
}

/// A token in its parts.
pub(super) struct Token {
    pub(super) kid: i16,
    pub(super) role: i16,
    pub(super) tenant: Uuid,
    pub(super) principal: Uuid,
    pub(super) expiry: i64,
    pub(super) nonce: i64,
    pub(super) mac: String,
}

impl Forger {
    pub(super) fn new(root: &RootKey, database: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*root.token_key());
        Self { key, database: database.to_owned() }
    }

    pub(super) fn sign(&self, forge: &Forge<'_>) -> Token {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        let expiry = i64::try_from(now).unwrap_or_default() + forge.life;
        let nonce = i64::from_ne_bytes(Uuid::new_v4().as_bytes()[..8].try_into().unwrap_or([1; 8]));
        let mut signed = Vec::with_capacity(128);
        signed.extend(forge.role.to_be_bytes());
        signed.extend(forge.tenant.as_bytes());
        signed.extend(forge.principal.as_bytes());
        signed.extend(expiry.to_be_bytes());
        signed.extend(nonce.to_be_bytes());
        signed.extend(forge.backend.to_be_bytes());
        signed.extend(forge.database.unwrap_or(&self.database).as_bytes());
        signed.push(0);
        signed.extend(forge.login.as_bytes());
        let mac = hex(hmac::sign(&self.key, &signed).as_ref());
        let Forge { tenant, principal, kid, role, .. } = *forge;
        Token { kid, role, tenant, principal, expiry, nonce, mac }
    }
}

impl Token {
    /// As drivers pass it.
    pub(super) fn text(&self) -> String {
        format!(
            "v3.{:04x}.{:04x}.{}.{}.{:016x}.{:016x}.{}",
            self.kid,
            self.role,
            self.tenant.simple(),
            self.principal.simple(),
            self.expiry,
            self.nonce,
            self.mac
        )
    }

    /// The call that servers send.
    pub(super) fn typed(&self) -> String {
        format!(
            "call freehold.open('{}','{}','{}','{}','{}','{}','\\x{}')",
            self.kid, self.role, self.tenant, self.principal, self.expiry, self.nonce, self.mac
        )
    }

    /// The call with the text.
    pub(super) fn call(&self) -> String {
        format!("call freehold.open('{}')", self.text())
    }
}
