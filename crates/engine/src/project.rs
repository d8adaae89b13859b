//! Projecting: what changed in entities becomes what read models show.
//!
//! ask what is due → take one projection → images of what changed → the units they touch → recompute → commit, together
//! with how far it is. Projections of different tenants and read models do not wait for one another. Where units fail the
//! same is done once more with care, which finds and parks them.

pub(crate) mod build;
mod care;
mod follow;
mod forever;
mod lane;
mod look;
mod pace;
mod watch;

pub use build::{BuildProgress, Throttle};
use care::Care;
pub use freehold_store::{Lag, Parked};
pub(crate) use lane::Lane;
pub use look::Compared;
pub(crate) use look::no_such_read;
pub use watch::Watch;

use std::{collections::BTreeSet, time::Duration};

use freehold_model::ReadModel;
use freehold_store::{Phase, Projection, Step, Undone, identity};
use futures_util::{StreamExt as _, stream};

use crate::{Engine, error::Error};

/// Units brought up to date in one transaction at most, or listed at once in a fill.
const UNITS: usize = 500;

/// Projections taken at once by one process; and half as many that take long.
const AT_ONCE: usize = 4;

/// Projections asked for at once.
const LIST: usize = 500;

/// How long it waits after a fault.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Units, each with as many texts as the unit has columns.
type Units = BTreeSet<Vec<String>>;

/// A read model and the table of it that is worked on.
pub(crate) struct Target<'a> {
    pub(crate) read: &'a ReadModel,
    pub(crate) table: String,
}

/// What came of trying to move a projection on by one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is where its log was, with so many units recomputed.
    Whole(usize),
    /// So many units were filled or recomputed, and others are to follow.
    Part(usize),
    /// Somebody else is at it, and may not have seen all that there is.
    Taken,
}

impl Engine {
    // Says whether something was done.
    fn note(&self, watch: &mut Watch, undone: Undone, moved: Result<Moved, Error>) -> bool {
        match moved {
            Ok(moved) => {
                watch.note(undone, moved);
                !matches!(moved, Moved::Taken | Moved::Whole(0))
            }
            Err(error) => {
                let Projection { tenant, model, .. } = &undone.projection;
                tracing::warn!(tenant = tenant.name(), read = model, error = %error, "a read model could not follow; it is tried again");
                watch.note_fault(undone);
                false
            }
        }
    }

    /// Moves everything that is due on by one step; says how many were moved.
    ///
    /// # Errors
    /// Faults of asking; those of single projections are logged, and they stay due.
    pub async fn project_round(&self, watch: &mut Watch) -> Result<usize, Error> {
        let due = watch.due(&self.store, LIST).await?;
        let mut moving = stream::iter(due)
            .map(async |undone| {
                let moved = self.project(&undone, &mut Lane::own()).await;
                (undone, moved)
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some((undone, moved)) = moving.next().await {
            count += usize::from(self.note(watch, undone, moved));
        }
        Ok(count)
    }

    /// One step of one projection.
    async fn project(&self, undone: &Undone, lane: &mut Lane<'_>) -> Result<Moved, Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(&undone.projection.model);
        // That of another definition is somebody else's: of a server with a newer model. This one may have it soon.
        let Some(read) = read.filter(|read| identity(read) == undone.identity) else {
            return Ok(Moved::Taken);
        };
        let target = Target { read, table: read.name().to_string() };
        self.advance(&undone.projection, &target, lane).await
    }

    /// The same for a table that may be another than the one that is read.
    pub(crate) async fn advance(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        lane: &mut Lane<'_>,
    ) -> Result<Moved, Error> {
        let Some(step) = self.store.step(projection).await? else { return Ok(Moved::Taken) };
        match step.phase() {
            Phase::Fill(_) => self.fill_page(projection, target, step).await,
            Phase::Steady(_) | Phase::Window(_) => {
                Box::pin(self.follow(projection, target, step, lane)).await
            }
        }
    }

    async fn fill_page(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
    ) -> Result<Moved, Error> {
        let mut care = Care::none(projection);
        loop {
            let Phase::Fill(after) = step.phase().clone() else { return Ok(Moved::Taken) };
            if after.is_none() {
                step.query(&target.read.clear(&target.table)).await?;
            }
            let limit = u32::try_from(UNITS).unwrap_or(u32::MAX);
            let rows = step.query(&target.read.page(after.as_deref(), limit)).await?;
            let page: Vec<Vec<String>> =
                rows.iter().filter_map(|row| texts(row, target.read)).collect();
            let Some(last) = page.last().cloned() else {
                step.filled(None, 0).await?;
                // What was written meanwhile is next.
                return Ok(Moved::Part(0));
            };
            match target.bring_up(&mut step, &page, &Units::new(), care).await {
                Ok(()) => {
                    step.filled(Some(&last), page.len()).await?;
                    return Ok(Moved::Part(page.len()));
                }
                Err(error) if error.is_of_rows() && !care.is_taken() => {
                    step.give_up().await?;
                    care.take();
                    let Some(again) = self.store.step(projection).await? else {
                        return Ok(Moved::Taken);
                    };
                    step = again;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

// A unit with a null in it has no rows.
fn texts(row: &freehold_store::Row, read: &ReadModel) -> Option<Vec<String>> {
    (0..read.unit().len()).map(|at| row.text(at).map(str::to_owned)).collect()
}
