//! Signed URLs: leave for one tenant's object, one verb and some time, for whoever has the URL. The token says nothing of
//! whose it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{
    error::Error,
    key::{hex, unhex},
    role::Role,
    seal::wrap,
    store::{Store, Tenant},
};

/// What a signed URL allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To read the object.
    Get,
    /// To upload it, if nothing is there.
    Put,
    /// To upload it, in the place of what is there.
    Replace,
}

impl Verb {
    /// The least that allows it.
    fn role(self) -> Role {
        match self {
            Self::Get => Role::Reader,
            Self::Put | Self::Replace => Role::Writer,
        }
    }

    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Get => b"get",
            Self::Put => b"put",
            Self::Replace => b"replace",
        }
    }
}

impl Store {
    /// A token for `object`, as the URL names it.
    #[must_use]
    pub fn sign_url(&self, tenant: &Tenant, verb: Verb, object: &str, life: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = now.saturating_add(life).as_secs();
        let mut text = Vec::with_capacity(40);
        text.extend_from_slice(&until.to_be_bytes());
        text.extend_from_slice(tenant.id().as_bytes());
        text.extend_from_slice(tenant.key().as_bytes());
        hex(&wrap::seal_text(
            self.0.ring.urls(),
            &[b"url 1", verb.as_bytes(), object.as_bytes()],
            &text,
        ))
    }

    /// Whose URL it is. The tenant, and the API key that the URL was signed for, are checked with the next transaction.
    ///
    /// # Errors
    /// `Unauthenticated` if the token was not made for this object and verb, or its time is over.
    pub fn open_url(&self, verb: Verb, object: &str, token: &str) -> Result<Tenant, Error> {
        let refuse = || {
            Refusal::new(Code::Unauthenticated, "the signed URL is not right, or its time is over")
                .hint("ask whoever signed it for another; it holds for one path and verb")
        };
        let sealed = unhex(token).ok_or_else(refuse)?;
        let purpose = [&b"url 1"[..], verb.as_bytes(), object.as_bytes()];
        let text = wrap::open_text(self.0.ring.urls(), &purpose, &sealed).ok_or_else(refuse)?;
        let (until, ids) = text.split_first_chunk::<8>().ok_or_else(refuse)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if u64::from_be_bytes(*until) < now.as_secs() {
            return Err(refuse().into());
        }
        let id = |bytes: Option<&[u8]>| bytes.and_then(|bytes| Uuid::from_slice(bytes).ok());
        let (id, key) = id(ids.get(..16)).zip(id(ids.get(16..))).ok_or_else(refuse)?;
        Ok(Tenant::vouched(id, String::new(), key, verb.role()))
    }
}
