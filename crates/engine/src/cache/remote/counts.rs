//! What was done and what went wrong, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) away: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) puts: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_written: AtomicU64,
    pub(super) leases_won: AtomicU64,
    pub(super) leases_lost: AtomicU64,
}

/// What a [`Shared`](super::Shared) did since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedState {
    /// Whether Redis answered lately.
    pub up: bool,
    /// Answers that were found, of whatever stamp.
    pub hits: u64,
    /// Answers that were not there.
    pub misses: u64,
    /// Calls that were not made because Redis is away.
    pub away: u64,
    /// Calls that Redis refused, or during which it went away.
    pub errors: u64,
    /// Calls that took too long.
    pub timeouts: u64,
    /// How often a connection was made.
    pub connections: u64,
    /// Answers that were stored.
    pub puts: u64,
    /// Answers that were not stored: the queue was full, or Redis away or out of memory.
    pub dropped: u64,
    /// Answers that were larger than one may be.
    pub too_large: u64,
    /// Bytes of sealed answers that were found.
    pub bytes_read: u64,
    /// Bytes of sealed answers that were stored.
    pub bytes_written: u64,
    /// Bytes that wait to be stored.
    pub queued_bytes: u64,
    /// Leases that were had, also where nobody could be asked for one.
    pub leases_won: u64,
    /// Leases that somebody else had.
    pub leases_lost: u64,
}

pub(super) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

pub(super) fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
