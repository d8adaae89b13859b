//! Projecting: what changed in entities becomes what read models show.
//!
//! ask what is due → take one projection → images of what changed → the units they touch → recompute → commit, together
//! with how far it is. Projections of different tenants and read models do not wait for one another; one that fails leaves
//! the failing unit parked and goes on.

mod isolate;
mod look;
mod schedule;

pub use freehold_store::{Lag, Parked, Seen};
pub use look::Compared;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use freehold_model::{Name, ReadModel, plan::next_table, view::Images};
use freehold_store::{Building, Phase, Projection, Step, Undone, identity};
use futures_util::{StreamExt as _, stream};

use crate::{Engine, error::Error};

/// Units brought up to date in one statement, or listed at once in a fill.
const UNITS: usize = 500;

/// Images read at once.
const IMAGES: usize = 4000;

/// Projections taken at once by one process.
const AT_ONCE: usize = 4;

/// Projections asked for at once.
const LIST: usize = 2000;

/// How long a transaction of a window may take before what it did is committed and the window goes on in another.
const LONG: Duration = Duration::from_secs(1);

/// Units, each with as many texts as the unit has columns.
type Units = BTreeSet<Vec<String>>;

/// What became of a projection that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// There was nothing to do, or somebody else is at it.
    No,
    /// It has seen everything there was.
    Yes,
    /// It moved on, and there is more to do.
    More,
}

/// A read model and the table of it that is worked on.
struct Target<'a> {
    read: &'a ReadModel,
    table: String,
}

impl Engine {
    /// Moves everything that is due on by one step; says how many were moved.
    ///
    /// # Errors
    /// Faults of asking; those of single projections are logged, and they stay due.
    pub async fn project_round(&self, seen: &mut Seen) -> Result<usize, Error> {
        let due = self.store.projection_due(seen, LIST).await?;
        let again = std::sync::atomic::AtomicBool::new(false);
        let moved = stream::iter(due)
            .map(async |undone| match self.project(&undone).await {
                Ok(moved) => moved != Moved::No,
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

    /// Fills the table of a read model that is being built, until every tenant's follows. `progress` hears how many
    /// tenants do, and of how many.
    ///
    /// # Errors
    /// Faults; what was filled stays.
    pub async fn build(
        &self,
        building: &Building,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), Error> {
        loop {
            let mut seen = Seen::default();
            let due = self.store.projection_due(&mut seen, LIST).await?;
            let ours = due.iter().filter(|undone| {
                undone.projection.model == *building.read
                    && undone.projection.version == building.version
            });
            let mut left = 0;
            for undone in ours {
                left += 1;
                while self.project(undone).await? != Moved::No {}
            }
            let status = self.store.projection_status(0).await?;
            let ours = |lag: &&freehold_store::Lag| {
                lag.tenant.is_none()
                    && lag.model == *building.read
                    && lag.version == i64::from(building.version)
            };
            if let Some(lag) = status.iter().find(ours) {
                progress(lag.filled, lag.tenants);
            }
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// One step of one projection, if there is one to make and nobody else is at it.
    async fn project(&self, undone: &Undone) -> Result<Moved, Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(&undone.projection.model);
        // That of another definition is somebody else's: of the apply that builds it, or of a server with a newer model.
        let Some(read) = read.filter(|read| identity(read) == undone.identity) else {
            return Ok(Moved::No);
        };
        let table = if undone.served { read.name().to_string() } else { next_table(read.name()) };
        let target = Target { read, table };
        let Some(step) = self.store.step(&undone.projection).await? else { return Ok(Moved::No) };
        match step.phase().clone() {
            Phase::Fill(after) => self.fill_page(&undone.projection, &target, step, after).await,
            Phase::Steady(_) => self.follow(&undone.projection, &target, step).await,
        }
    }

    async fn follow(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
    ) -> Result<Moved, Error> {
        let (cut, mut begun) = (step.is_cut(), Instant::now());
        let parked: Vec<Vec<String>> = step.parked(UNITS).await?;
        let mut units = touched(&mut step, target.read).await?;
        let any = !units.is_empty() || !parked.is_empty();
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
            if begun.elapsed() < LONG {
                continue;
            }
            begun = Instant::now();
            let paused = step.pause().await?;
            // Somebody else goes on where this one was too slow.
            let Some(resumed) = self.store.resume(&paused).await? else { return Ok(Moved::No) };
            step = resumed;
        }
        match done {
            Ok(()) => step.finish().await.map(|()| match (cut, any) {
                (true, _) => Moved::More,
                (false, true) => Moved::Yes,
                (false, false) => Moved::No,
            }),
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                self.isolate(projection, target, &units).await
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
            step.filled(None).await?;
            return Ok(Moved::More);
        };
        match target.recompute(&mut step, &page).await {
            Ok(()) => step.filled(Some(&last)).await.map(|()| Moved::More),
            Err(error) if error.is_of_rows() => {
                step.give_up().await?;
                self.isolate_page(projection, target, &page).await
            }
            Err(error) => Err(error),
        }
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
