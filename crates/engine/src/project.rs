//! Projecting: what changed in entities becomes what read models show.
//!
//! ask what is due → take one projection → images of what changed → the units they touch → recompute → commit, together
//! with how far it is. Projections of different tenants and read models do not wait for one another; one that fails leaves
//! the failing unit parked and goes on.

pub(crate) mod build;
mod isolate;
mod look;

pub use build::{BuildProgress, Throttle};
pub use freehold_store::{Lag, Parked, Seen};
pub use look::Compared;
pub(crate) use look::no_such_read;

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

impl Engine {
    /// Keeps read models up to date until the process ends. Run it as a task; any number of processes may.
    pub async fn project_forever(&self) {
        let mut seen = Seen::default();
        let (mut all, mut busy) = (Instant::now(), Instant::now());
        loop {
            if all.elapsed() > LOOK_AT_ALL {
                (seen, all) = (Seen::default(), Instant::now());
            }
            match self.project_round(&mut seen).await {
                Ok(0) => {
                    let pause = LOOK[usize::from(busy.elapsed() > LIVELY)];
                    // Whoever writes through this process says so; for the others one looks.
                    let _ = tokio::time::timeout(pause, self.store.woken()).await;
                }
                Ok(_) => busy = Instant::now(),
                Err(error) => {
                    tracing::error!(error = %error, "projecting failed; it is tried again");
                    tokio::time::sleep(AFTER_FAULT).await;
                    seen = Seen::default();
                }
            }
        }
    }

    /// Moves everything that is due on by one step; says how many were moved.
    ///
    /// # Errors
    /// Faults of asking; those of single projections are logged, and they stay due.
    pub async fn project_round(&self, seen: &mut Seen) -> Result<usize, Error> {
        let due = self.store.projection_due(seen, LIST).await?;
        let again = std::sync::atomic::AtomicBool::new(false);
        let moved = stream::iter(due)
            .map(async |undone| match self.project(&undone).await {
                Ok(moved) => moved.is_some(),
                Err(error) => {
                    again.store(true, std::sync::atomic::Ordering::Relaxed);
                    let Projection { tenant, model, .. } = &undone.projection;
                    tracing::warn!(tenant = tenant.name(), read = model, error = %error, "a read model could not follow; it is tried again");
                    false
                }
            })
            .buffer_unordered(AT_ONCE)
            .filter(|moved| std::future::ready(*moved))
            .count()
            .await;
        if again.into_inner() {
            *seen = Seen::default();
        }
        Ok(moved)
    }

    /// One step of one projection, if there is one to make and nobody else is at it; says how many units it was about.
    async fn project(&self, undone: &Undone) -> Result<Option<usize>, Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(&undone.projection.model);
        // That of another definition is somebody else's: of a server with a newer model.
        let Some(read) = read.filter(|read| identity(read) == undone.identity) else {
            return Ok(None);
        };
        let target = Target { read, table: read.name().to_string() };
        self.advance(&undone.projection, &target).await
    }

    /// The same for a table that may be another than the one that is read.
    pub(crate) async fn advance(
        &self,
        projection: &Projection,
        target: &Target<'_>,
    ) -> Result<Option<usize>, Error> {
        let Some(step) = self.store.step(projection).await? else { return Ok(None) };
        match step.phase().clone() {
            Phase::Fill(after) => self.fill_page(projection, target, step, after).await.map(Some),
            Phase::Steady(_) => self.follow(projection, target, step).await,
        }
    }

    async fn follow(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
    ) -> Result<Option<usize>, Error> {
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
            let Some(resumed) = self.store.resume(&paused).await? else { return Ok(None) };
            step = resumed;
        }
        match done {
            Ok(()) => step.finish().await.map(|()| (!units.is_empty()).then_some(units.len())),
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                let isolated = self.isolate(projection, target, &units).await?;
                Ok(isolated.then_some(units.len()))
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
    ) -> Result<usize, Error> {
        if after.is_none() {
            step.query(&target.read.clear(&target.table)).await?;
        }
        let limit = u32::try_from(UNITS).unwrap_or(u32::MAX);
        let rows = step.query(&target.read.page(after.as_deref(), limit)).await?;
        let page: Vec<Vec<String>> =
            rows.iter().filter_map(|row| texts(row, target.read)).collect();
        let Some(last) = page.last().cloned() else {
            step.filled(None, 0).await?;
            return Ok(0);
        };
        match target.recompute(&mut step, &page).await {
            Ok(()) => step.filled(Some(&last), page.len()).await?,
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                self.isolate_page(projection, target, &page).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(page.len())
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
