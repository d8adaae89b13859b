//! The tenants' keys, unwrapped and kept for a while.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use freehold_model::Refusal;
use uuid::Uuid;

use crate::{
    error::{Error, Fault},
    key::{RootKey, hex, unhex},
    keystore::{Content, Key, Keystore},
    row::Row,
    seal::wrap,
    store::{Store, Tenant},
};

/// How long an unwrapped key is used without asking for it again.
const KEPT: Duration = Duration::from_secs(60);

/// Most keys that are kept.
const KEPT_MAX: usize = 10_000;

/// How often something is tried again that a change of keys came between.
pub(crate) const TRIES: usize = 4;

/// What opens keys, and the keys that were opened lately.
pub(crate) struct KeyRing {
    // Wraps tenants' keys where there is no keystore: epoch 0.
    root: Key,
    urls: Key,
    receipts: Key,
    keystore: Option<Keystore>,
    epochs: Mutex<BTreeMap<u32, Key>>,
    kept: Mutex<HashMap<Uuid, (Instant, Arc<TenantKey>)>>,
}

/// A tenant's key, and the one before while keys are moved from that to this.
pub(crate) struct TenantKey {
    /// The folder of the tenant's objects.
    pub(crate) folder: String,
    /// Counts the tenant's keys.
    pub(crate) generation: i64,
    /// Wraps what is new.
    pub(crate) key: Key,
    pub(crate) old: Option<Key>,
}

impl TenantKey {
    /// What was wrapped by it, or by the one before.
    pub(crate) fn unwrap(&self, purpose: &[&[u8]], wrapped: &[u8]) -> Option<Key> {
        wrap::unwrap(&self.key, purpose, wrapped)
            .or_else(|| wrap::unwrap(self.old.as_ref()?, purpose, wrapped))
    }
}

impl KeyRing {
    /// With the keystore, if there is one: its file says what receipts are signed with.
    pub(crate) fn new(root: &RootKey, keystore: Option<Keystore>) -> Result<Self, Refusal> {
        let content = match &keystore {
            Some(keystore) => keystore.read()?,
            None => None,
        };
        let (receipts, epochs) = match content {
            Some(Content { receipts, epochs }) => (receipts, epochs),
            None => (root.report_key(), BTreeMap::new()),
        };
        Ok(Self {
            root: root.tenants_key(),
            urls: root.url_key(),
            receipts,
            keystore,
            epochs: Mutex::new(epochs),
            kept: Mutex::default(),
        })
    }

    /// What signed URLs are sealed with.
    pub(super) fn urls(&self) -> &[u8; 32] {
        &self.urls
    }

    /// What receipts are signed with.
    pub(crate) fn receipts(&self) -> &[u8; 32] {
        &self.receipts
    }

    pub(crate) fn keystore(&self) -> Option<&Keystore> {
        self.keystore.as_ref()
    }

    /// Forgets epoch keys and the tenants' that they opened.
    pub(crate) fn forget_all(&self) {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.kept().clear();
    }

    pub(crate) fn forget(&self, tenant: Uuid) {
        self.kept().remove(&tenant);
    }

    /// The key of an epoch. The file is read again for one that is not known.
    pub(crate) fn epoch(&self, epoch: u32) -> Result<Key, Error> {
        if epoch == 0 {
            return Ok(self.root.clone());
        }
        let lock = || self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = lock().get(&epoch) {
            return Ok(key.clone());
        }
        let content = match &self.keystore {
            Some(keystore) => keystore.read()?,
            None => None,
        };
        let mut known = lock();
        *known = content.map(|content| content.epochs).unwrap_or_default();
        known.get(&epoch).cloned().ok_or_else(|| {
            let why = format!(
                "the key of epoch {epoch} is not in the keystore: it was destroyed, and this database is restored from before that (`freehold keys import`), or the keystore is an old one"
            );
            Fault::new("opening a tenant's key", why).into()
        })
    }

    /// A tenant's key, wrapped under an epoch.
    pub(crate) fn wrap_tenant(&self, epoch: u32, tenant: Uuid, key: &Key) -> Result<String, Error> {
        Ok(hex(&wrap::wrap(&*self.epoch(epoch)?, &purpose(&tenant), key)))
    }

    /// The same, open.
    pub(crate) fn unwrap_tenant(
        &self,
        epoch: u32,
        tenant: Uuid,
        wrapped: &str,
    ) -> Result<Key, Error> {
        let wrapped = unhex(wrapped).unwrap_or_default();
        let key = wrap::unwrap(&*self.epoch(epoch)?, &purpose(&tenant), &wrapped);
        let wrong = || Fault::new("opening a tenant's key", "it was wrapped with another key");
        key.ok_or_else(|| wrong().into())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, Arc<TenantKey>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn purpose(tenant: &Uuid) -> [&[u8]; 2] {
    [b"tenant key", tenant.as_bytes()]
}

/// A number of an epoch in a row; 0 if there is none.
pub(crate) fn epoch_in(row: &Row, at: usize) -> u32 {
    row.int(at).and_then(|epoch| u32::try_from(epoch).ok()).unwrap_or_default()
}

impl Store {
    /// The tenant's key and the folder of its objects; made if it has none.
    pub(crate) async fn tenant_key(&self, tenant: &Tenant) -> Result<Arc<TenantKey>, Error> {
        let doing = "looking for a tenant's key";
        let ring = &self.0.ring;
        if let Some((at, key)) = ring.kept().get(&tenant.id())
            && at.elapsed() < KEPT
        {
            return Ok(key.clone());
        }
        let id = tenant.id().to_string();
        let text = "select folder, gen, epoch, wrapped, old_epoch, old_wrapped from freehold.tenant_key_of($1::text::uuid, $2, $3::text::bigint)";
        let mut rows = self.ask(doing, text, &[Some(&id), None, None]).await?;
        for _ in 0..TRIES {
            if !rows.is_empty() {
                break;
            }
            // If a new epoch begins meanwhile, it is not taken.
            let epoch = self.epoch_now().await?;
            let made = ring.wrap_tenant(epoch, tenant.id(), &wrap::random())?;
            let epoch = epoch.to_string();
            rows = self.ask(doing, text, &[Some(&id), Some(&made), Some(&epoch)]).await?;
        }
        let row = rows.first().ok_or_else(|| Fault::new(doing, "the tenant is gone"))?;
        let open = |epoch: usize, wrapped: &str| {
            ring.unwrap_tenant(epoch_in(row, epoch), tenant.id(), wrapped)
        };
        let key = Arc::new(TenantKey {
            folder: row.text(0).unwrap_or_default().to_owned(),
            generation: row.int(1).unwrap_or_default(),
            key: open(2, row.text(3).unwrap_or_default())?,
            old: row.text(5).map(|wrapped| open(4, wrapped)).transpose()?,
        });
        let mut kept = ring.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, ..)| at.elapsed() < KEPT);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(tenant.id(), (Instant::now(), key.clone()));
        }
        Ok(key)
    }

    /// The same, asked for again: what it was kept as opens not all of what is there.
    pub(crate) async fn tenant_key_anew(&self, tenant: &Tenant) -> Result<Arc<TenantKey>, Error> {
        self.0.ring.forget(tenant.id());
        self.tenant_key(tenant).await
    }

    async fn epoch_now(&self) -> Result<u32, Error> {
        let doing = "looking for the epoch";
        let rows = self.ask(doing, "select epoch from freehold.keystore_of()", &[]).await?;
        Ok(rows.first().map_or(0, |row| epoch_in(row, 0)))
    }
}
