//! How much is done in one transaction, and what counts as long.

use std::time::Duration;

use super::UNITS;

/// How long a transaction in the middle of a window should take: long enough that beginning and ending it do not count, short
/// enough that nobody waits long behind it.
const AIM: Duration = Duration::from_millis(200);

/// Units in the first transaction of a window, and in one of those that take longest.
const FIRST: usize = 200;
const LEAST: usize = 10;

/// How many units the next transaction of a window takes on. One unit may have one row or a million.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace(usize);

impl Pace {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn units(self) -> usize {
        self.0
    }

    /// The last transaction took so long.
    pub(super) fn took(&mut self, took: Duration) {
        if took > AIM * 2 {
            self.0 = (self.0 / 2).max(LEAST);
        } else if took < AIM {
            self.0 = (self.0 * 2).min(UNITS);
        }
    }
}

/// A step that takes less is never long.
const SHORT: Duration = Duration::from_millis(10);

/// What steps take that are not long. A machine under load makes all of them slow, so what is long is told by comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usual(Duration);

impl Default for Usual {
    fn default() -> Self {
        Self(SHORT / 4)
    }
}

impl Usual {
    /// Whether a step that took so long is a long one. It counts for the next, with a limit.
    pub(super) fn is_long(&mut self, took: Duration) -> bool {
        let limit = (self.0 * 4).max(SHORT);
        self.0 = (self.0 * 31 + took.min(limit)) / 32;
        took > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_get_as_large_as_they_may_be_fast() {
        let mut pace = Pace::new();
        for _ in 0..10 {
            pace.took(Duration::from_millis(20));
        }
        assert_eq!(pace.units(), UNITS);
        for _ in 0..10 {
            pace.took(Duration::from_millis(500));
        }
        assert_eq!(pace.units(), LEAST);
        pace.took(Duration::from_millis(300));
        assert_eq!(pace.units(), LEAST);
    }

    #[test]
    fn on_a_slow_machine_not_all_steps_are_long() {
        let mut usual = Usual::default();
        assert!(!usual.is_long(Duration::from_millis(9)));
        assert!(usual.is_long(Duration::from_millis(30)));
        for _ in 0..200 {
            usual.is_long(Duration::from_millis(20));
        }
        assert!(!usual.is_long(Duration::from_millis(30)));
        assert!(usual.is_long(Duration::from_millis(300)));
    }
}
