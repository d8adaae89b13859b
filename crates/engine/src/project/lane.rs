//! Who works next, where there is more to do than can be done at once.
//!
//! Steps wait in the order in which they became due, each projection once. One that is too long for one transaction leaves
//! its lane after the first, and goes on in one of few others: however many tenants write very much at once, the rest find
//! a lane that moves.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::AT_ONCE;

/// The lanes of one process.
pub(super) struct Lanes {
    short: Semaphore,
    long: Semaphore,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { short: Semaphore::new(AT_ONCE), long: Semaphore::new(AT_ONCE / 2) }
    }

    /// Waits until there is room for a step.
    pub(super) async fn enter(&self) -> Lane<'_> {
        let permit = self.short.acquire().await.ok();
        Lane { lanes: Some(self), is_long: false, _permit: permit }
    }
}

/// A place in a lane, given back when it is dropped.
pub(crate) struct Lane<'a> {
    lanes: Option<&'a Lanes>,
    is_long: bool,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Lane<'_> {
    /// Of whoever counts by itself how much it does at once.
    pub(crate) fn own() -> Self {
        Self { lanes: None, is_long: false, _permit: None }
    }

    /// Moves over, if it has not yet, and waits until there is room. No transaction may be open.
    pub(super) async fn is_long(&mut self) {
        let Some(lanes) = self.lanes.filter(|_| !self.is_long) else { return };
        self.is_long = true;
        self._permit = None;
        self._permit = lanes.long.acquire().await.ok();
    }
}
