//! One at a time: of those who miss the same answer one makes it, and the others wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::memory::Name;

#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Name, Arc<Turn<()>>>>);

/// The turn to make an answer, given on when it is dropped.
pub(super) struct Flight<'f> {
    flights: &'f Flights,
    name: Name,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Flights {
    /// Waits for the turn; says whether somebody else had it before.
    pub(super) async fn enter(&self, name: Name) -> (Flight<'_>, bool) {
        let turn = Arc::clone(self.all().entry(name).or_default());
        // Made before the wait, so that whoever gives up tidies, too.
        let mut flight = Flight { flights: self, name, turn: None };
        let waits = match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => {
                flight.turn = Some(guard);
                false
            }
            Err(_) => {
                flight.turn = Some(turn.lock_owned().await);
                true
            }
        };
        (flight, waits)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Arc<Turn<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut all = self.flights.all();
        self.turn = None;
        // Whoever waits has a clone of it.
        if all.get(&self.name).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            all.remove(&self.name);
        }
    }
}
