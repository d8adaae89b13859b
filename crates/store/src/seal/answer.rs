//! How a cached answer is named and sealed before it leaves for Redis, format 1:
//!
//! ```text
//! 1  1  nonce[12]  AES-256-GCM-SIV of the answer  tag[16]
//! ```
//!
//! The first byte is the format, the second the suite. Both keys are HKDF-SHA256 of the tenant's key, with the tenant and
//! what they are for in its info, so whatever destroys the tenant's key destroys its cached answers. The name is
//! HMAC-SHA256 of the tenant and the request in its canonical form: whoever sees it learns neither, and cannot make
//! another. The associated data are format, suite, tenant and name: an answer opens as the one to its own request of its
//! own tenant. GCM-SIV for the reason that [`super::value`] gives.
//!
//! What is not hidden: how long an answer is, and when it is asked for.

use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::value::{Closed, nonce};

const FORMAT: u8 = 1;
const SUITE: u8 = 1;
const HEAD: usize = 2;
const TAG: usize = 16;

/// Bytes that sealing adds to an answer.
pub const ANSWER_OVERHEAD: usize = HEAD + NONCE_LEN + TAG;

/// What an answer is called outside: 32 bytes that say nothing.
pub type AnswerName = [u8; 32];

/// What a tenant's cached answers are named and sealed with; cheap to clone.
#[derive(Clone)]
pub struct AnswerKeys(Arc<Keys>);

struct Keys {
    naming: hmac::Key,
    sealing: LessSafeKey,
    tenant: Uuid,
}

impl AnswerKeys {
    pub(crate) fn new(tenant_key: &[u8; 32], tenant: Uuid) -> Self {
        let derive = |purpose: &[u8]| {
            let mut bytes = Zeroizing::new([0; 32]);
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"freehold answers 1")
                .extract(tenant_key)
                .expand(&[tenant.as_bytes(), purpose], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut *bytes))
                .expect("32 bytes are within HKDF's bounds");
            bytes
        };
        let sealing = UnboundKey::new(&AES_256_GCM_SIV, &*derive(b"seal"));
        Self(Arc::new(Keys {
            naming: hmac::Key::new(hmac::HMAC_SHA256, &*derive(b"name")),
            sealing: LessSafeKey::new(sealing.expect("a key of 32 bytes")),
            tenant,
        }))
    }

    /// The name of the answer to a request in its canonical form. The request must say all that the answer depends on
    /// beside the rows: who asks included.
    #[must_use]
    pub fn name(&self, request: &[u8]) -> AnswerName {
        let mut context = hmac::Context::with_key(&self.0.naming);
        context.update(b"FHN1");
        context.update(self.0.tenant.as_bytes());
        context.update(request);
        let mut name = [0; 32];
        name.copy_from_slice(context.sign().as_ref());
        name
    }

    /// Seals an answer under its name.
    ///
    /// # Panics
    /// If the answer has more than 64 GB.
    #[must_use]
    pub fn seal(&self, name: &AnswerName, plain: &[u8]) -> Vec<u8> {
        let nonce = nonce();
        let mut out = Vec::with_capacity(ANSWER_OVERHEAD + plain.len());
        out.extend_from_slice(&[FORMAT, SUITE]);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = self.0.sealing.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.data(name)),
            &mut out[HEAD + NONCE_LEN..],
        );
        out.extend_from_slice(tag.expect("an answer is within the cipher's bounds").as_ref());
        out
    }

    /// Opens an answer that was sealed under this name.
    ///
    /// # Errors
    /// `Form` for what no version up to this one has written, or one after it; `Elsewhere` for what somebody changed or
    /// put in the wrong place, which does not happen by itself.
    pub fn open(&self, name: &AnswerName, sealed: &[u8]) -> Result<Vec<u8>, Closed> {
        let rest = sealed.strip_prefix(&[FORMAT, SUITE]).ok_or(Closed::Form)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Closed::Form)?;
        let (bytes, tag) = rest.split_last_chunk::<TAG>().ok_or(Closed::Form)?;
        let mut plain = vec![0; bytes.len()];
        let opened = self.0.sealing.open_separate_gather(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(self.data(name)),
            bytes,
            tag,
            &mut plain,
        );
        opened.map(|()| plain).map_err(|_| Closed::Elsewhere)
    }

    fn data(&self, name: &AnswerName) -> [u8; 54] {
        let mut data = [0; 54];
        data[..4].copy_from_slice(b"FHA1");
        data[4..6].copy_from_slice(&[FORMAT, SUITE]);
        data[6..22].copy_from_slice(self.0.tenant.as_bytes());
        data[22..].copy_from_slice(name);
        data
    }
}

impl std::fmt::Debug for AnswerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerKeys")
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
