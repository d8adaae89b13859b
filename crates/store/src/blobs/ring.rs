//! The tenants' keys, unwrapped and kept for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    error::{Error, Fault},
    key::{RootKey, hex, unhex},
    seal::wrap,
    store::{Store, Tenant},
};

/// How long an unwrapped key is used without asking for it again.
const KEPT: Duration = Duration::from_secs(60);

/// Most keys that are kept.
const KEPT_MAX: usize = 10_000;

type Key = Zeroizing<[u8; 32]>;

/// What opens keys, and the keys that were opened lately.
pub(crate) struct KeyRing {
    root: Key,
    urls: Key,
    receipts: Key,
    kept: Mutex<HashMap<Uuid, (Instant, Key, String)>>,
}

impl KeyRing {
    pub(crate) fn new(root: &RootKey) -> Self {
        Self {
            root: root.tenants_key(),
            urls: root.url_key(),
            receipts: root.report_key(),
            kept: Mutex::default(),
        }
    }

    /// What signed URLs are sealed with.
    pub(super) fn urls(&self) -> &[u8; 32] {
        &self.urls
    }

    /// What receipts are signed with.
    pub(crate) fn receipts(&self) -> &[u8; 32] {
        &self.receipts
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, Key, String)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The tenant's key and the folder of its objects; made if it has none.
    pub(crate) async fn tenant_key(&self, tenant: &Tenant) -> Result<(Key, String), Error> {
        let doing = "looking for a tenant's key";
        let ring = &self.0.ring;
        if let Some((at, key, folder)) = ring.kept().get(&tenant.id())
            && at.elapsed() < KEPT
        {
            return Ok((key.clone(), folder.clone()));
        }
        let id = tenant.id().to_string();
        let text = "select wrapped, folder from freehold.blob_key($1::text::uuid, $2)";
        let mut rows = self.ask(doing, text, &[Some(&id), None]).await?;
        if rows.is_empty() {
            let made =
                wrap::wrap(&ring.root, &[b"tenant key", tenant.id().as_bytes()], &wrap::random());
            rows = self.ask(doing, text, &[Some(&id), Some(&hex(&made))]).await?;
        }
        let row = rows.first().ok_or_else(|| Fault::new(doing, "the tenant is gone"))?;
        let wrapped = row.text(0).and_then(unhex).unwrap_or_default();
        let key = wrap::unwrap(&ring.root, &[b"tenant key", tenant.id().as_bytes()], &wrapped);
        let key = key.ok_or_else(|| Fault::new(doing, "it was wrapped with another root key"))?;
        let folder = row.text(1).unwrap_or_default().to_owned();
        let mut kept = ring.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, ..)| at.elapsed() < KEPT);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(tenant.id(), (Instant::now(), key.clone(), folder.clone()));
        }
        Ok((key, folder))
    }
}
