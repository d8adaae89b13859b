//! A kept answer, and how it is written down for the shared level.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use freehold_store::{Moment, Stamp, digest_of, hex};
use serde::{Deserialize, Serialize};

use crate::{
    read::Answer,
    search::{Path, Search},
};

/// Bytes that an entry takes besides its body, about.
const OVERHEAD: usize = 512;

/// An answer, and what it was made of.
#[derive(Debug)]
pub struct Entry {
    /// The answer.
    pub answer: Answer,
    /// Tells this answer from every other to the same question: hexadecimal digits.
    pub etag: String,
    pub(super) sources: Vec<String>,
    pub(super) stamp: Stamp,
    /// When it was last known to be what PostgreSQL would say.
    known: Mutex<Known>,
}

/// What PostgreSQL said in a snapshot that was taken after `at`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) at: Instant,
    /// How late that snapshot was.
    pub(super) moment: Moment,
}

impl Entry {
    pub(super) fn new(answer: Answer, sources: Vec<String>, stamp: Stamp, known: Known) -> Self {
        let etag = etag(&answer);
        Self { answer, etag, sources, stamp, known: Mutex::new(known) }
    }

    pub(super) fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was still the same then.
    pub(super) fn confirm(&self, then: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.moment = known.moment.later(then.moment);
        known.at = known.at.max(then.at);
    }

    pub(super) fn bytes(&self) -> usize {
        let sources: usize = self.sources.iter().map(|name| name.len() + 32).sum();
        self.answer.body.len() + sources + OVERHEAD
    }

    /// For the shared level, to be sealed.
    pub(super) fn written(&self) -> Vec<u8> {
        let head = Head {
            sources: self.sources.clone(),
            stamp: self.stamp.0,
            rows: self.answer.rows,
            total: self.answer.total,
            offset: self.answer.offset,
            search: self.answer.search.as_ref().map(Found::of),
        };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let length = u32::try_from(head.len()).unwrap_or_default();
        [&length.to_be_bytes()[..], &head, self.answer.body.as_bytes()].concat()
    }

    /// What [`Self::written`] wrote; it is known to be right of no time yet.
    pub(super) fn read(bytes: &[u8]) -> Option<(Answer, Vec<String>, Stamp)> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (head, body) = rest.split_at_checked(length)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let answer = Answer {
            body: String::from_utf8(body.to_vec()).ok()?,
            rows: head.rows,
            total: head.total,
            offset: head.offset,
            search: head.search.map(Found::search),
        };
        Some((answer, head.sources, Stamp(head.stamp)))
    }
}

/// The validator of an answer.
pub(crate) fn etag(answer: &Answer) -> String {
    let number = |number: u64| number.to_be_bytes();
    let total = answer.total.map_or([0xff; 8], number);
    let parts = [answer.body.as_bytes(), &number(answer.rows), &total, &number(answer.offset)];
    hex(&digest_of(&parts)[..16])
}

#[derive(Serialize, Deserialize)]
struct Head {
    sources: Vec<String>,
    stamp: [u8; 16],
    rows: u64,
    total: Option<u64>,
    offset: u64,
    search: Option<Found>,
}

/// A search that was exact: others are not kept.
#[derive(Serialize, Deserialize)]
struct Found {
    corrected: bool,
    scanned: Option<u64>,
    more: Option<bool>,
}

impl Found {
    fn of(search: &Search) -> Self {
        let corrected = search.path == Path::Corrected;
        Self { corrected, scanned: search.scanned, more: search.more }
    }

    fn search(self) -> Search {
        Search {
            path: if self.corrected { Path::Corrected } else { Path::Exact },
            scanned: self.scanned,
            complete: true,
            recall: 1.0,
            more: self.more,
        }
    }
}
