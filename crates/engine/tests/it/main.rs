//! The ways through the engine against a real PostgreSQL, always with two tenants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behind;
mod blobs;
mod changes;
mod coarser;
mod consistency;
mod derived;
mod embedded;
mod erased;
mod expired;
mod fair;
mod ground;
mod history;
mod kept;
mod keys;
mod later;
mod likeness;
mod moved;
mod nearest;
mod projected;
mod rebuilt;
mod remote;
mod renamed;
mod residue;
mod sealed;
mod search;
mod sliced;
mod subject;
mod writes;
