//! The level in the process: bounded in bytes, and no tenant has more than a share of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::{notification::RemovalCause, sync::Cache};
use uuid::Uuid;

use super::entry::Entry;

/// What a question of a tenant is called: a digest of everything that its answer depends on but the rows.
pub(super) type Name = [u8; 32];

/// A tenant may have this part of the memory, as a divisor.
const SHARE: u64 = 4;

/// Entries that nobody asked for so long go.
const IDLE: Duration = Duration::from_secs(3_600);

/// How long it is remembered that an answer is not kept.
const FLEETING: Duration = Duration::from_secs(10);

pub(super) struct Memory {
    entries: Cache<Name, Arc<Kept>>,
    /// Answers that turned out not to be kept: nobody waits for another to make them.
    fleeting: Cache<Name, ()>,
    tenants: Arc<Mutex<HashMap<Uuid, Usage>>>,
    share: u64,
}

pub(super) struct Kept {
    tenant: Uuid,
    pub(super) entry: Arc<Entry>,
}

/// What a tenant has.
#[derive(Default)]
struct Usage {
    bytes: u64,
    evicted: u64,
    /// Names in the order in which they came. Some may be gone.
    order: VecDeque<Name>,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let tenants: Arc<Mutex<HashMap<Uuid, Usage>>> = Arc::default();
        let told = Arc::clone(&tenants);
        let entries = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, kept: &Arc<Kept>| u32::try_from(kept.entry.bytes()).unwrap_or(u32::MAX))
            .time_to_idle(IDLE)
            .eviction_listener(move |_, kept: Arc<Kept>, cause| {
                let mut tenants = told.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(usage) = tenants.get_mut(&kept.tenant) else { return };
                usage.bytes = usage.bytes.saturating_sub(kept.entry.bytes() as u64);
                usage.evicted += u64::from(cause == RemovalCause::Size);
                if usage.bytes == 0 {
                    usage.order.clear();
                }
            })
            .build();
        let fleeting = Cache::builder().max_capacity(10_000).time_to_live(FLEETING).build();
        Self { entries, fleeting, tenants, share: (bytes / SHARE).max(1) }
    }

    pub(super) fn get(&self, name: &Name) -> Option<Arc<Entry>> {
        self.entries.get(name).map(|kept| Arc::clone(&kept.entry))
    }

    pub(super) fn is_fleeting(&self, name: &Name) -> bool {
        self.fleeting.contains_key(name)
    }

    /// Remembers that the answer is not kept.
    pub(super) fn let_go(&self, name: Name) {
        self.entries.invalidate(&name);
        self.fleeting.insert(name, ());
    }

    /// Keeps it, and drops the tenant's oldest if it has more than its share.
    pub(super) fn put(&self, name: Name, tenant: Uuid, entry: Arc<Entry>) {
        let bytes = entry.bytes() as u64;
        if bytes > self.share {
            self.entries.invalidate(&name);
            return;
        }
        let surplus = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let usage = tenants.entry(tenant).or_default();
            usage.bytes += bytes;
            usage.order.push_back(name);
            let mut surplus = Vec::new();
            let mut freed = 0;
            while usage.bytes.saturating_sub(freed) > self.share && usage.order.len() > 1 {
                let Some(oldest) = usage.order.pop_front() else { break };
                if oldest != name
                    && let Some(kept) = self.entries.get(&oldest)
                {
                    freed += kept.entry.bytes() as u64;
                    usage.evicted += 1;
                    surplus.push(oldest);
                }
            }
            // A name that is put again and again stands in the order as often.
            if usage.order.len() > 4_096 {
                let mut seen = std::collections::HashSet::new();
                let order = std::mem::take(&mut usage.order);
                usage.order = order.into_iter().rev().filter(|name| seen.insert(*name)).collect();
                usage.order.make_contiguous().reverse();
            }
            surplus
        };
        for name in surplus {
            self.entries.invalidate(&name);
        }
        self.entries.insert(name, Arc::new(Kept { tenant, entry }));
    }

    /// Entries, bytes, and for each tenant its bytes and how many entries had to go for want of room.
    pub(super) fn usage(&self) -> (u64, u64, Vec<(Uuid, u64, u64)>) {
        self.entries.run_pending_tasks();
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let each = tenants.iter().map(|(tenant, usage)| (*tenant, usage.bytes, usage.evicted));
        (self.entries.entry_count(), self.entries.weighted_size(), each.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use freehold_store::{Moment, Stamp};

    use super::*;
    use crate::{cache::entry::Known, read::Answer};

    fn entry(bytes: usize) -> Arc<Entry> {
        let body = "x".repeat(bytes);
        let answer = Answer { body, rows: 1, total: None, offset: 0, search: None };
        let known = Known { at: Instant::now(), moment: Moment::default() };
        Arc::new(Entry::new(answer, vec!["commit".into()], Stamp([0; 16]), known))
    }

    fn name(n: usize) -> Name {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&n.to_be_bytes());
        name
    }

    #[test]
    fn a_tenant_has_a_share_and_loses_its_own_oldest() {
        let memory = Memory::new(400_000);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        memory.put(name(1_000), other, entry(5_000));
        for n in 0..100 {
            memory.put(name(n), one, entry(5_000));
        }
        let (_, _, mut tenants) = memory.usage();
        tenants.sort_unstable();
        assert!(tenants[0].1 <= 100_000, "{tenants:?}");
        assert!(tenants[0].2 >= 80, "{tenants:?}");
        assert_eq!(tenants[1].2, 0);
        assert!(memory.get(&name(1_000)).is_some(), "another tenant's is still there");
        assert!(memory.get(&name(99)).is_some());
        assert!(memory.get(&name(0)).is_none());
    }

    #[test]
    fn what_is_put_again_counts_once() {
        let memory = Memory::new(400_000);
        let one = Uuid::from_u128(1);
        for _ in 0..10_000 {
            memory.put(name(1), one, entry(5_000));
        }
        let (entries, _, tenants) = memory.usage();
        assert_eq!(entries, 1);
        assert!(tenants[0].1 < 10_000, "{tenants:?}");
    }

    #[test]
    fn what_is_larger_than_a_share_is_not_kept() {
        let memory = Memory::new(400_000);
        memory.put(name(1), Uuid::from_u128(1), entry(200_000));
        assert!(memory.get(&name(1)).is_none());
    }
}
