//! Read models are rebuilt, and one is defined anew, one after the other; whoever does it may be killed at it.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use super::{
    Chance, Tally,
    house::{House, READS},
};
use crate::harness::ended;

/// How long what was begun may take in the end.
const FINISH: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, PartialEq)]
enum Chore {
    Rebuild(&'static str),
    Apply,
}

/// The process at work, and what it is at. What was cut off is owed.
pub(super) struct Builder {
    chance: Chance,
    at: Option<(Chore, Child)>,
    owed: Option<Chore>,
    wider: bool,
}

impl Builder {
    pub(super) fn new(chance: Chance) -> Self {
        Self { chance, at: None, owed: None, wider: false }
    }

    /// Looks after the process at work, which it may kill, and begins with the next one.
    pub(super) fn go_on(&mut self, house: &House, tally: &Tally) {
        if let Some((chore, mut child)) = self.at.take() {
            let is_over = child.try_wait().unwrap().is_some();
            if !is_over && self.chance.below(4) > 0 {
                self.at = Some((chore, child));
                return;
            }
            child.kill().unwrap();
            self.note(chore, ended(child).code == Some(0), tally);
        }
        let (chore, arguments) = self.next(house);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.at = Some((chore, house.command(&arguments).spawn().unwrap()));
    }

    /// Ends what is under way, and what was cut off.
    pub(super) async fn finish(&mut self, house: &House, tally: &Tally) {
        if let Some((chore, child)) = self.at.take() {
            let done = tokio::task::spawn_blocking(|| ended(child).code == Some(0)).await.unwrap();
            self.note(chore, done, tally);
        }
        let until = Instant::now() + FINISH;
        while let Some(chore) = self.owed {
            let ended = house.run(&match chore {
                Chore::Rebuild(read) => vec!["rebuild", read],
                Chore::Apply => vec!["apply", "--resume"],
            });
            assert!(Instant::now() < until, "it cannot be finished: {ended:?}");
            self.note(chore, ended.code == Some(0), tally);
        }
    }

    fn next(&mut self, house: &House) -> (Chore, Vec<String>) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let slow = ["--throttle", "40%"];
        match self.owed {
            Some(Chore::Apply) => {
                let how = if self.chance.below(4) == 0 { "--cancel" } else { "--resume" };
                (Chore::Apply, words(&["apply", how]))
            }
            Some(Chore::Rebuild(read)) if self.chance.below(3) == 0 => {
                (Chore::Rebuild(read), words(&["rebuild", read, "--cancel"]))
            }
            Some(chore @ Chore::Rebuild(read)) => (chore, words(&["rebuild", read])),
            None if self.chance.below(3) == 0 => {
                self.wider = !self.wider;
                house.define(self.wider);
                (Chore::Apply, words(&[&["apply"], &slow[..]].concat()))
            }
            None => {
                let which = usize::try_from(self.chance.below(READS.len() as u64)).unwrap();
                let slow = if self.chance.below(2) == 0 { &slow[..] } else { &[] };
                let read = READS[which];
                (Chore::Rebuild(read), words(&[&["rebuild", read], slow].concat()))
            }
        }
    }

    fn note(&mut self, chore: Chore, done: bool, tally: &Tally) {
        self.owed = (!done).then_some(chore);
        let mut counts = tally.lock().unwrap();
        match chore {
            _ if !done => counts.builds_cut_off += 1,
            Chore::Rebuild(_) => counts.rebuilds += 1,
            Chore::Apply => counts.applies += 1,
        }
    }
}
