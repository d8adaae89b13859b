//! Filters that were lately seen to fit many rows: looking costs as much as the search.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use freehold_model::Sql;

/// For how long what was seen holds. Should fewer rows fit by then, the index gives too few and all are measured.
const HOLDS: Duration = Duration::from_secs(60);

/// Filters that are kept in mind; then all are forgotten.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Ample {
    seen: HashMap<u64, Instant>,
}

/// A tenant's filter, with its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter(u64);

impl Filter {
    pub(super) fn of(tenant: u128, fitting: &Sql) -> Self {
        let mut hasher = DefaultHasher::new();
        (tenant, fitting.text(), fitting.params()).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Ample {
    pub(super) fn has(&self, filter: Filter, now: Instant) -> bool {
        self.seen.get(&filter.0).is_some_and(|at| now.duration_since(*at) < HOLDS)
    }

    pub(super) fn note(&mut self, filter: Filter, now: Instant) {
        if self.seen.len() >= MOST {
            self.seen.clear();
        }
        self.seen.insert(filter.0, now);
    }

    pub(super) fn forget(&mut self, filter: Filter) {
        self.seen.remove(&filter.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_holds_for_a_while_and_until_it_was_wrong() {
        let (mut ample, now) = (Ample::default(), Instant::now());
        ample.note(Filter(1), now);
        assert!(ample.has(Filter(1), now) && !ample.has(Filter(2), now));
        assert!(!ample.has(Filter(1), now + HOLDS));
        ample.forget(Filter(1));
        assert!(!ample.has(Filter(1), now));
        for number in 0..=MOST as u64 {
            ample.note(Filter(number), now);
        }
        assert!(ample.seen.len() <= MOST);
    }
}
