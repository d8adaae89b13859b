//! Projecting: what changed in entities becomes what read models show.
//!
//! ask what is due → take one projection → images of what changed → the units they touch → recompute → commit, together
//! with how far it is. Projections of different tenants and read models do not wait for one another; one that fails leaves
//! the failing unit parked and goes on.

pub(crate) mod build;
mod isolate;
mod look;
mod watch;

pub use build::{BuildProgress, Throttle};
pub use freehold_store::{Lag, Parked};
pub use look::Compared;
pub(crate) use look::no_such_read;
pub use watch::Watch;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use freehold_model::{Name, ReadModel, view::Images};
use freehold_store::{Phase, Projection, Step, Undone, identity};
use futures_util::{StreamExt as _, stream};

use crate::{Engine, error::Error};

/// Units brought up to date in one transaction, or listed at once in a fill.
const UNITS: usize = 500;

/// Images read at once.
const IMAGES: usize = 4000;

/// Projections taken at once by one process.
const AT_ONCE: usize = 4;

/// Projections asked for at once.
const LIST: usize = 500;

/// How often a process looks for what others wrote: soon after there was something, and later.
const LOOK: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// For how long after work it looks often.
const LIVELY: Duration = Duration::from_secs(2);

/// How often it looks at everything, in case another process was told of work and died.
const LOOK_AT_ALL: Duration = Duration::from_secs(15);

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
    /// So many units were filled, and others are to follow.
    Part(usize),
    /// Somebody else is at it, and may not have seen all that there is.
    Taken,
}

impl Engine {
    /// Keeps read models up to date until the process ends. Run it as a task; any number of processes may.
    pub async fn project_forever(&self) {
        let mut watch = Watch::default();
        let (mut all, mut busy) = (Instant::now(), Instant::now());
        loop {
            if all.elapsed() > LOOK_AT_ALL {
                (watch, all) = (Watch::default(), Instant::now());
            }
            match self.project_round(&mut watch).await {
                Ok(0) => {
                    let pause = LOOK[usize::from(busy.elapsed() > LIVELY)];
                    // Whoever writes through this process says so; for the others one looks.
                    let _ = tokio::time::timeout(pause, self.store.woken()).await;
                }
                Ok(_) => busy = Instant::now(),
                Err(error) => {
                    tracing::error!(error = %error, "projecting failed; it is tried again");
                    tokio::time::sleep(AFTER_FAULT).await;
                    watch = Watch::default();
                }
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
                let moved = self.project(&undone).await;
                (undone, moved)
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some((undone, moved)) = moving.next().await {
            match moved {
                Ok(moved) => {
                    count += usize::from(!matches!(moved, Moved::Taken | Moved::Whole(0)));
                    watch.note(undone, moved);
                }
                Err(error) => {
                    let Projection { tenant, model, .. } = &undone.projection;
                    tracing::warn!(tenant = tenant.name(), read = model, error = %error, "a read model could not follow; it is tried again");
                    watch.note_fault(undone);
                }
            }
        }
        Ok(count)
    }

    /// One step of one projection.
    async fn project(&self, undone: &Undone) -> Result<Moved, Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(&undone.projection.model);
        // That of another definition is somebody else's: of a server with a newer model. This one may have it soon.
        let Some(read) = read.filter(|read| identity(read) == undone.identity) else {
            return Ok(Moved::Taken);
        };
        let target = Target { read, table: read.name().to_string() };
        self.advance(&undone.projection, &target).await
    }

    /// The same for a table that may be another than the one that is read.
    pub(crate) async fn advance(
        &self,
        projection: &Projection,
        target: &Target<'_>,
    ) -> Result<Moved, Error> {
        let Some(step) = self.store.step(projection).await? else { return Ok(Moved::Taken) };
        match step.phase().clone() {
            Phase::Fill(after) => self.fill_page(projection, target, step, after).await,
            Phase::Steady(_) => self.follow(projection, target, step).await,
        }
    }

    async fn follow(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
    ) -> Result<Moved, Error> {
        let parked: Vec<Vec<String>> = step.parked(UNITS).await?;
        let mut units = touched(&mut step, target.read).await?;
        units.extend(parked.iter().cloned());
        let units: Vec<Vec<String>> = units.into_iter().collect();
        let mut chunks = units.chunks(UNITS).peekable();
        let mut done = Ok(());
        while let Some(chunk) = chunks.next() {
            done = target.recompute(&mut step, chunk).await;
            for unit in chunk.iter().filter(|unit| done.is_ok() && parked.contains(unit)) {
                step.unpark(unit).await?;
            }
            if done.is_err() || chunks.peek().is_none() {
                break;
            }
            let paused = step.pause().await?;
            // Somebody else goes on where this one was too slow.
            let Some(resumed) = self.store.resume(&paused).await? else {
                return Ok(Moved::Taken);
            };
            step = resumed;
        }
        match done {
            Ok(()) => step.finish().await.map(|()| Moved::Whole(units.len())),
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                let isolated = self.isolate(projection, target, &units).await?;
                Ok(if isolated { Moved::Whole(units.len()) } else { Moved::Taken })
            }
            Err(error) => Err(error),
        }
    }

    async fn fill_page(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
        after: Option<Vec<String>>,
    ) -> Result<Moved, Error> {
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
        match target.recompute(&mut step, &page).await {
            Ok(()) => step.filled(Some(&last), page.len()).await?,
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                self.isolate_page(projection, target, &page).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(Moved::Part(page.len()))
    }
}

impl Target<'_> {
    async fn recompute(&self, step: &mut Step, units: &[Vec<String>]) -> Result<(), Error> {
        let columns: Vec<Vec<String>> = (0..self.read.unit().len())
            .map(|column| units.iter().map(|unit| unit[column].clone()).collect())
            .collect();
        step.query(&self.read.recompute(&self.table, &columns)).await.map(drop)
    }
}

/// The units that everything the step is to follow touches.
async fn touched(step: &mut Step, read: &ReadModel) -> Result<Units, Error> {
    let mut units = Units::new();
    for source in read.sources() {
        let entity: &Name = &source.entity;
        while let Some(images) = step.images(entity, &source.links, IMAGES).await? {
            let touch = read.touch(Images { entity, links: &images.links });
            let rows = step.query(&touch).await?;
            units.extend(rows.iter().filter_map(|row| texts(row, read)));
        }
    }
    Ok(units)
}

// A unit with a null in it has no rows.
fn texts(row: &freehold_store::Row, read: &ReadModel) -> Option<Vec<String>> {
    (0..read.unit().len()).map(|at| row.text(at).map(str::to_owned)).collect()
}
