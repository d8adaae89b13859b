//! What is asked of the cache: what it is called, and since when an answer must be known to be right.

use std::time::Instant;

use freehold_store::{Position, Tenant, digest_of};

use super::{VOUCHED, entry::Entry, memory::Name};
use crate::{
    Snapshot,
    read::{Manner, Read},
};

/// What a request is, once for all steps.
pub(super) struct Asked<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) read: Read<'a>,
    pub(super) manner: &'a Manner,
    pub(super) arrived: Instant,
    /// An answer that was right then is good enough.
    pub(super) since: Instant,
    /// One that shows this is good enough, whenever it was right.
    pub(super) position: Option<Position>,
    pub(super) name: Name,
}

impl Asked<'_> {
    /// Whether the answer shows what it has to.
    pub(super) fn shown_by(&self, entry: &Entry) -> bool {
        self.position.is_none_or(|position| entry.known().moment.shows(position))
    }

    /// Since when it must be known that the answer is right and may be given. What does not show the position yet is asked
    /// about anew: what was heard may be from before it.
    pub(super) fn allowed_since(&self, entry: &Entry) -> Instant {
        if self.shown_by(entry) { self.since.max(self.lately()) } else { self.arrived }
    }

    /// A key that is revoked counts for no longer than from then, whatever age an answer may have.
    pub(super) fn lately(&self) -> Instant {
        self.arrived.checked_sub(VOUCHED).unwrap_or(self.arrived)
    }
}

/// Everything that an answer depends on but the rows: the tenant and what may be done in it, the model, and the question as it
/// was written, with the manner in which it is to be answered.
pub(super) fn name_of(
    snapshot: &Snapshot,
    tenant: &Tenant,
    read: Read<'_>,
    manner: &Manner,
) -> Name {
    let Manner { shape, range, zone, recall, purpose: _ } = manner;
    let zone = zone.as_ref().map_or("", |zone| zone.as_str());
    let manner = format!("{shape:?} {range:?} {zone} {recall:?} {}", read.count);
    digest_of(&[
        env!("CARGO_PKG_VERSION").as_bytes(),
        tenant.id().as_bytes(),
        tenant.role().as_str().as_bytes(),
        &snapshot.version.to_be_bytes(),
        read.entity.as_bytes(),
        read.query.as_bytes(),
        manner.as_bytes(),
    ])
}
