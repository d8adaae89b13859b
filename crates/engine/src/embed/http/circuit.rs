//! Leaves a provider alone after it failed several times in a row, and then tries it with one call at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failed calls in a row after which the provider is left alone.
const FAILURES: u32 = 3;
/// For how long.
const REST: Duration = Duration::from_secs(5);
/// Longest rest a provider can ask for.
const REST_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Circuit {
    /// How long nobody may call, or `None` for a caller who may. After a rest one caller may; the others once it worked.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        let until = state.rests_until?;
        if now < until {
            return Some(until - now);
        }
        state.rests_until = Some(now + REST);
        None
    }

    /// A call failed for good; `wait` is how long the provider asked to be left alone.
    pub(super) fn failed(&self, now: Instant, wait: Option<Duration>) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let own = (state.failures >= FAILURES).then_some(REST);
        let rest = own.max(wait.map(|wait| wait.min(REST_MAX)));
        state.rests_until = rest.map(|rest| now + rest).max(state.rests_until);
    }

    /// The provider answered.
    pub(super) fn worked(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_repeated_failures_and_lets_one_caller_probe() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        for _ in 1..FAILURES {
            circuit.failed(start, None);
            assert_eq!(circuit.closed_for(start), None);
        }
        circuit.failed(start, None);
        assert_eq!(circuit.closed_for(start), Some(REST));
        let later = start + REST;
        assert_eq!(circuit.closed_for(later), None, "one may try");
        assert!(circuit.closed_for(later).is_some(), "and only one");
        circuit.worked();
        assert_eq!(circuit.closed_for(later), None);
        circuit.failed(later, None);
        assert_eq!(circuit.closed_for(later), None, "the count began anew");
    }

    #[test]
    fn rests_as_long_as_asked_but_not_for_ever() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        circuit.failed(start, Some(Duration::from_secs(20)));
        assert_eq!(circuit.closed_for(start), Some(Duration::from_secs(20)));
        circuit.failed(start, Some(Duration::from_secs(86_400)));
        assert_eq!(circuit.closed_for(start), Some(REST_MAX));
    }
}
