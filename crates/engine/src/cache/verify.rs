//! A share of the hits is read again to see whether it was right.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::{Cache, Found, Status, way::Asked};
use crate::{
    Engine, Snapshot,
    read::{Manner, Read},
};

static TURN: AtomicU32 = AtomicU32::new(0);

impl Engine {
    /// Reads a hit again beside everything else, if it is its turn. What has the same stamp and is not the same is wrong.
    pub(super) fn verify(
        &self,
        cache: &Cache,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        found: &Found,
    ) {
        let one_in = cache.0.config.verify_one_in;
        let is_hit = matches!(found.status, Status::Hit | Status::Shared | Status::Collapsed);
        if one_in == 0 || !is_hit || !TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(one_in) {
            return;
        }
        let (engine, cache) = (self.clone(), cache.clone());
        let (tenant, manner, version) =
            (asked.tenant.clone(), asked.manner.clone(), snapshot.version);
        let (entity, query, count) =
            (asked.read.entity.to_owned(), asked.read.query.to_owned(), asked.read.count);
        let entry = Arc::clone(&found.entry);
        tokio::spawn(async move {
            let read = Read { entity: &entity, query: &query, count };
            let same = engine.is_same(&tenant, read, &manner, version, &entry).await;
            if let Some(same) = same {
                cache.0.counts.verified(tenant.id(), &entity, same);
                if !same {
                    tracing::error!(tenant = %tenant.id(), entity, "a kept answer was not what PostgreSQL says");
                }
            }
        });
    }

    /// None if nothing can be said: it has changed meanwhile.
    async fn is_same(
        &self,
        tenant: &crate::Tenant,
        read: Read<'_>,
        manner: &Manner,
        version: i64,
        entry: &super::Entry,
    ) -> Option<bool> {
        let snapshot = self.snapshot();
        if snapshot.version != version {
            return None;
        }
        let mut query = self.understand(&snapshot, tenant, read, manner).await.ok()?;
        query.stamped(&entry.sources);
        let (answer, stamp) = self.answer_stamped(&snapshot, tenant, query, manner).await.ok()?;
        let (stamp, _) = stamp?;
        (stamp == entry.stamp).then(|| is_equal(&answer.body, &entry.answer.body))
    }
}

/// Without an order, rows may come in another.
fn is_equal(one: &str, other: &str) -> bool {
    let sorted = |text: &str| match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(rows)) => {
            let mut rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
            rows.sort_unstable();
            rows
        }
        _ => {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        }
    };
    one == other || sorted(one) == sorted(other)
}
