//! Memory for uploads: how much of them a server holds at once, and how much of that is one tenant's. Whoever sends slowly holds
//! what others wait for, so no tenant may have more than half.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freehold_engine::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::config::server::Limits;

/// MiB of one upload that are in memory at once, at most: a part that fills, those that travel, and what is sealed meanwhile.
const IN_MEMORY: u32 = 32;

/// Tenants that are kept in mind before those without uploads are forgotten.
const TENANTS_MAX: usize = 1_000;

/// In MiB.
pub(super) struct Room {
    all: u32,
    each: u32,
    patience: Duration,
    free: Arc<Semaphore>,
    tenants: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
}

/// Room that is taken, until it is dropped.
pub(super) struct Held {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = limits.upload_mib.max(2);
        Self {
            all,
            each: all / 2,
            patience: Duration::from_secs(limits.wait_seconds),
            free: Arc::new(Semaphore::new(all as usize)),
            tenants: Mutex::default(),
        }
    }

    /// Waits until there is room for an upload of so many bytes, as far as that is known.
    ///
    /// # Errors
    /// `TooMany` if there is none in time.
    pub(super) async fn take(&self, tenant: Uuid, length: Option<u64>) -> Result<Held, Refusal> {
        let wanted = length.map_or(IN_MEMORY, |length| {
            u32::try_from(length.div_ceil(1 << 20)).unwrap_or(IN_MEMORY).min(IN_MEMORY)
        });
        let (wanted, share) = (wanted.clamp(1, self.each), self.share_of(tenant));
        let taking = async {
            // First among the tenant's own, so that they do not stand in line before others.
            let of_tenant = share.acquire_many_owned(wanted).await?;
            let of_all = self.free.clone().acquire_many_owned(wanted).await?;
            Ok::<_, tokio::sync::AcquireError>(Held { _of_tenant: of_tenant, _of_all: of_all })
        };
        match tokio::time::timeout(self.patience, taking).await {
            Ok(Ok(held)) => Ok(held),
            _ => Err(Refusal::new(Code::TooMany, "too much is uploaded at the moment")
                .detail(format!(
                    "at most {} MiB are in memory at once, and {} of one tenant",
                    self.all, self.each
                ))
                .hint("try again, or upload less at once")),
        }
    }

    fn share_of(&self, tenant: Uuid) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS_MAX {
            // What is held or waited for holds its semaphore.
            tenants.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = || Arc::new(Semaphore::new(self.each as usize));
        tenants.entry(tenant).or_insert_with(share).clone()
    }
}
