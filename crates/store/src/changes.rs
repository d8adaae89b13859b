//! The changes of tenants' rows, read once and in order, and how far each read model has followed them.
//!
//! A [`Projection`] is a read model of one tenant. A [`Step`] is one transaction that moves it on: it sees one snapshot,
//! hands out the images of rows that changed since the last step, runs the statements that the compiler made of them, and
//! commits them together with the snapshot. So every change counts once, whatever dies when. While it lasts nobody else
//! works on that projection; others are not held up.
//!
//! ```text
//! due = store.projection_due(&mut seen, limit)          what there is to do; wait for store.woken() or a little while
//! step = store.step(&projection)                        None: somebody else has it
//!   Fill      a page of units → recompute → step.filled(after)            until there are none: step.filled(None)
//!   Steady    step.images(entity, links, most) … → touch → recompute → step.finish(), or both at once: step.finish_with(…)
//!             or, if these are too many units for one transaction,    step.pause(left) … store.resume(&paused) … finish()
//!   Window    units that another worker left → recompute → as above
//! ```
//!
//! A step of very much ends before what came last: [`Step::is_part`] says so, and the next one follows the rest.
//!
//! A statement that fails spoils its transaction, but for a step that has set a mark before it: then it goes back, finds the
//! unit that fails, and parks it.

mod build;
mod due;
mod image;
mod position;
mod step;
mod window;

use std::sync::Arc;

use aws_lc_rs::digest;
use freehold_model::ReadModel;
use tokio::sync::Notify;

pub use build::Built;
pub(crate) use due::count;
pub use due::{Lag, Parked, Seen, Undone};
pub use image::{Change, Images};
pub use position::{Freshness, Position};
pub use step::{Phase, Step};
pub use window::Paused;

use crate::{
    key::{RootKey, hex},
    pool::{Lease, Pool},
    store::{Store, Tenant},
    token::Minter,
};

/// A read model of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Projection {
    /// Whose.
    pub tenant: Tenant,
    /// The read model's name.
    pub model: String,
    /// Which of its definitions.
    pub version: i32,
}

/// Tells definitions of read models apart; workers leave those of others alone.
#[must_use]
pub fn identity(read: &ReadModel) -> String {
    hex(digest::digest(&digest::SHA256, read.identity().as_bytes()).as_ref())
}

/// What the store has for workers.
pub(crate) struct Feed {
    pool: Arc<Pool>,
    minter: Minter,
    seal: position::Seal,
    written: Notify,
    stepped: Notify,
}

impl Feed {
    pub(crate) fn new(pool: Arc<Pool>, minter: Minter, key: &RootKey) -> Self {
        let seal = position::Seal::new(key);
        Self { pool, minter, seal, written: Notify::new(), stepped: Notify::new() }
    }
}

/// The sessions of workers: nothing is found by a search path, and rows only by index. A plan is kept for long, and one that
/// was made while a table was small would read a whole shelf, with all tenants' rows, for one of them.
pub(crate) fn settings<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut settings = settings.to_vec();
    for (name, value) in &mut settings {
        match *name {
            "search_path" => *value = "",
            "default_transaction_isolation" => *value = "repeatable read",
            // What a crash takes back it takes back whole: the rows together with how far they are.
            "synchronous_commit" => *value = "off",
            _ => {}
        }
    }
    settings.push(("enable_seqscan", "off"));
    settings
}

impl Store {
    /// Tells this process's workers that something was written. [`Store::run_placed`] and
    /// [`TenantTx::commit_placed`](crate::TenantTx::commit_placed) do it by themselves.
    pub fn wake(&self) {
        self.0.feed.written.notify_one();
    }

    /// Waits until something is written through this store. What was written since the last call counts. Others may write
    /// past it, so whoever waits must also look from time to time.
    pub async fn woken(&self) {
        self.0.feed.written.notified().await;
    }

    /// Empties the parts of the change log that are behind and that nobody needs any more, and says how many. A projection
    /// that has not seen its changes for as long as `hold` is to be filled anew instead; without, it holds the log up.
    ///
    /// # Errors
    /// Faults only.
    pub async fn tend_log(&self, hold: Option<std::time::Duration>) -> Result<u64, crate::Error> {
        let hold = hold.map(|hold| format!("{} ms", hold.as_millis()));
        let text = "select freehold.tend_log($1::text::interval)";
        let rows = self.ask("tending the change log", text, &[hold.as_deref()]).await?;
        let count = rows.first().and_then(|row| row.int(0));
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }

    async fn worker(&self) -> Result<Lease, crate::Error> {
        self.demand_whole_wall()?;
        Ok(self.0.feed.pool.lease().await?)
    }
}
