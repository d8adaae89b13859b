//! What one worker knows of what there is to do.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use freehold_store::{Seen, Store, Undone};

use super::{AFTER_FAULT, Moved, pace::Usual};
use crate::error::Error;

/// When a projection that somebody else was at is looked at again.
const TAKEN: Duration = Duration::from_millis(200);

/// With more images than this a step is taken for long before it has begun.
const MANY: u64 = 2_000;

/// A projection rests so many times as long as its step took, if that was long and others were at work, and no longer than
/// this: so it has a third of a processor at most, and what is written meanwhile is followed in one step.
const REST: u32 = 2;
const REST_MAX: Duration = Duration::from_millis(200);

/// For how long, and of how many projections, one remembers that their steps are long.
const MEMORY: Duration = Duration::from_secs(60);
const MEMORIES: usize = 1_000;

/// Up to where one worker has looked for work, and what it has found and not finished. The default has seen nothing: with
/// it everything is looked through.
///
/// The looks tell of each change once. What was told and not done, because another worker was at it, is remembered here;
/// else it would wait for a look at everything, if the other died or had begun before the change.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Seen,
    // When to begin with it, and a number that grows, for those that are owed at once.
    owed: HashMap<Key, (Instant, u64, Undone)>,
    owings: u64,
    // Those that are worked at, and what was told of them since.
    moving: HashMap<Key, Option<Undone>>,
    // Those whose last step was long, and until when they rest.
    long: HashMap<Key, Instant>,
    usual: Usual,
}

/// The tenant's id, the read model and the version of its definition.
type Key = (String, String, i32);

impl Watch {
    /// What there is to do: what is new, at most `limit` of it, and what is owed whose time has come.
    pub(super) async fn due(&mut self, store: &Store, limit: usize) -> Result<Vec<Undone>, Error> {
        let mut due = store.projection_due(&mut self.seen, limit).await?;
        let told: HashSet<Key> = due.iter().map(key).collect();
        self.owed.retain(|key, _| !told.contains(key));
        due.extend(self.come());
        Ok(due)
    }

    /// Up to where it has looked.
    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Where the next look goes on.
    pub(super) fn has_seen(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// Owes what it was told: at once, or when its rest is over. What is worked at is done again after that.
    pub(super) fn told(&mut self, due: Vec<Undone>) {
        let now = Instant::now();
        for undone in due {
            let key = key(&undone);
            if let Some(again) = self.moving.get_mut(&key) {
                *again = Some(undone);
                continue;
            }
            // What failed, or was somebody else's, is not taken up sooner because there is more of it.
            let owed = self.owed.get(&key).map_or(now, |(at, ..)| *at);
            let at = self.long.get(&key).map_or(owed, |rests| owed.max(*rests));
            self.owe(key, at, undone);
        }
    }

    /// When there is something to begin with that is not worked at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.owed.values().map(|(at, ..)| *at).min()
    }

    /// What is owed whose time has come, the first first.
    pub(super) fn come(&mut self) -> Vec<Undone> {
        let now = Instant::now();
        let mut come: Vec<_> = self.owed.extract_if(|_, (at, ..)| *at <= now).collect();
        come.sort_by_key(|(_, (at, number, _))| (*at, *number));
        come.into_iter().map(|(_, (.., undone))| undone).collect()
    }

    /// It is worked at from now on. Says whether it is expected to take long.
    pub(super) fn begin(&mut self, undone: &Undone) -> bool {
        let key = key(undone);
        let was_long = self.long.get(&key).is_some_and(|rests| *rests + MEMORY > Instant::now());
        let is_long = undone.changes > MANY || was_long;
        self.moving.insert(key, None);
        is_long
    }

    /// It was worked at for so long, and others perhaps `beside` it. To be said before [`Self::note`].
    pub(super) fn worked(&mut self, undone: &Undone, (took, beside): (Duration, bool)) {
        let (key, now) = (key(undone), Instant::now());
        if !self.usual.is_long(took) {
            self.long.remove(&key);
            return;
        }
        if self.long.len() >= MEMORIES {
            self.long.retain(|_, rests| *rests + MEMORY > now);
        }
        self.long.insert(key, now + rest(took, beside));
    }

    /// Remembers what is left to do of it.
    pub(super) fn note(&mut self, undone: Undone, moved: Moved) {
        let (key, now) = (key(&undone), Instant::now());
        let again = self.moving.remove(&key).flatten();
        let at = match moved {
            Moved::Whole(_) if again.is_none() => return,
            Moved::Whole(_) | Moved::Part(_) => {
                self.long.get(&key).map_or(now, |rests| now.max(*rests))
            }
            Moved::Taken => now + TAKEN,
        };
        self.owe(key, at, again.unwrap_or(undone));
    }

    /// Remembers that it could not be moved.
    pub(super) fn note_fault(&mut self, undone: Undone) {
        self.moving.remove(&key(&undone));
        self.owe(key(&undone), Instant::now() + AFTER_FAULT, undone);
    }

    fn owe(&mut self, key: Key, at: Instant, undone: Undone) {
        self.owings += 1;
        self.owed.insert(key, (at, self.owings, undone));
    }
}

/// How long a projection rests after a long step.
fn rest(took: Duration, beside: bool) -> Duration {
    if beside { (took * REST).min(REST_MAX) } else { Duration::ZERO }
}

fn key(undone: &Undone) -> Key {
    let projection = &undone.projection;
    (projection.tenant.id().to_string(), projection.model.clone(), projection.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_for_others_and_has_an_end() {
        assert_eq!(rest(Duration::from_millis(30), true), Duration::from_millis(60));
        assert_eq!(rest(Duration::from_secs(30), true), REST_MAX);
        assert_eq!(rest(Duration::from_secs(30), false), Duration::ZERO);
    }
}
