//! Who works next, where there is more to do than can be done at once.
//!
//! Steps wait in the order in which they became due, each projection once. Those that are long go on in one of few other
//! lanes: a step from its second transaction on, and from the first where the last step of its projection was long or there
//! is much to read. So however many tenants write very much at once, the rest find a lane that moves.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::AT_ONCE;

/// The lanes of one process.
pub(super) struct Lanes {
    short: Semaphore,
    long: Semaphore,
    begun: AtomicU64,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            short: Semaphore::new(AT_ONCE),
            long: Semaphore::new(AT_ONCE / 2),
            begun: AtomicU64::new(0),
        }
    }

    /// Waits until there is room for a step.
    pub(super) async fn enter(&self, is_long: bool) -> Lane<'_> {
        let lane = if is_long { &self.long } else { &self.short };
        let permit = lane.acquire().await.ok();
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        Lane { lanes: Some(self), is_long, _permit: permit, begun: Instant::now(), before }
    }

    /// Whether steps wait for a lane.
    pub(super) fn are_full(&self) -> bool {
        self.short.available_permits() == 0
    }
}

/// A place in a lane, given back when it is dropped.
pub(crate) struct Lane<'a> {
    lanes: Option<&'a Lanes>,
    is_long: bool,
    _permit: Option<SemaphorePermit<'a>>,
    begun: Instant,
    before: u64,
}

impl Lane<'_> {
    /// Of whoever counts by itself how much it does at once.
    pub(crate) fn own() -> Self {
        Self { lanes: None, is_long: false, _permit: None, begun: Instant::now(), before: 0 }
    }

    /// Moves over, if it has not yet, and waits until there is room. No transaction may be open.
    pub(super) async fn is_long(&mut self) {
        let Some(lanes) = self.lanes.filter(|_| !self.is_long) else { return };
        self.is_long = true;
        self._permit = None;
        let waiting = Instant::now();
        self._permit = lanes.long.acquire().await.ok();
        self.begun += waiting.elapsed();
    }

    /// How long its holder has worked, and whether others have begun to work meanwhile.
    pub(super) fn worked(&self) -> (Duration, bool) {
        let beside = self.lanes.is_some_and(|lanes| {
            lanes.begun.load(Ordering::Relaxed) > self.before + 1 || lanes.are_full()
        });
        (self.begun.elapsed(), beside)
    }
}
