//! What one worker knows of what there is to do.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use freehold_store::{Seen, Store, Undone};

use super::{AFTER_FAULT, Moved};
use crate::error::Error;

/// When a projection that somebody else was at is looked at again.
const TAKEN: Duration = Duration::from_millis(200);

/// Up to where one worker has looked for work, and what it has found and not finished. The default has seen nothing: with
/// it everything is looked through.
///
/// The looks tell of each change once. What was told and not done, because another worker was at it, is remembered here;
/// else it would wait for a look at everything, if the other died or had begun before the change.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Seen,
    owed: HashMap<Key, (Instant, Undone)>,
    // Those that are worked at, and whether they have become due again since.
    moving: HashMap<Key, bool>,
    is_owing: bool,
}

/// The tenant's id, the read model and the version of its definition.
type Key = (String, String, i32);

impl Watch {
    /// What there is to do: what is new, at most `limit` of it, and what is owed whose time has come.
    pub(super) async fn due(&mut self, store: &Store, limit: usize) -> Result<Vec<Undone>, Error> {
        let mut due = store.projection_due(&mut self.seen, limit).await?;
        self.is_owing = false;
        for undone in &due {
            self.owed.remove(&key(undone));
        }
        let now = Instant::now();
        let come = self.owed.extract_if(|_, (at, _)| *at <= now);
        due.extend(come.map(|(_, (_, undone))| undone));
        Ok(due)
    }

    /// Looks through everything the next time, as if it had seen nothing.
    pub(super) fn look_at_all(&mut self) {
        self.seen = Seen::default();
        self.owed.clear();
    }

    /// Whether to begin with it: not if it is worked at. Then what is new of it is done after that.
    pub(super) fn begin(&mut self, undone: &Undone) -> bool {
        let again = self.moving.entry(key(undone)).and_modify(|again| *again = true);
        matches!(again, Entry::Vacant(_)) && {
            again.or_insert(false);
            true
        }
    }

    /// Remembers what is left to do of it.
    pub(super) fn note(&mut self, undone: Undone, moved: Moved) {
        let again = self.moving.remove(&key(&undone)) == Some(true);
        let at = match moved {
            Moved::Whole(_) if !again => return,
            Moved::Whole(_) | Moved::Part(_) => {
                self.is_owing = true;
                Instant::now()
            }
            Moved::Taken => Instant::now() + TAKEN,
        };
        self.owed.insert(key(&undone), (at, undone));
    }

    /// Whether something is left that can be gone on with at once.
    pub(super) fn is_owing(&self) -> bool {
        self.is_owing
    }

    /// Remembers that it could not be moved.
    pub(super) fn note_fault(&mut self, undone: Undone) {
        self.moving.remove(&key(&undone));
        self.owed.insert(key(&undone), (Instant::now() + AFTER_FAULT, undone));
    }
}

fn key(undone: &Undone) -> Key {
    let projection = &undone.projection;
    (projection.tenant.id().to_string(), projection.model.clone(), projection.version)
}
