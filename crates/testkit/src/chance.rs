//! Choices of long tests, which are those of an earlier run again if its seed is given.

use std::time::{Duration, SystemTime};

/// Chooses: splitmix64.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The choices of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// A place in a list of so many.
    pub fn index(&mut self, many: usize) -> usize {
        usize::try_from(self.below(many as u64)).expect("below a usize")
    }

    /// One of these.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.index(all.len())]
    }

    /// A time from `low` up to `high` milliseconds.
    pub fn between(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high - low))
    }
}

/// What whoever runs the tests says by this variable, a whole number.
///
/// # Panics
/// If it is none.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
pub fn switch(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

/// The seed that this variable says, else another each time.
#[must_use]
pub fn seed(name: &str) -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
    switch(name).unwrap_or_else(|| u64::from(now))
}
