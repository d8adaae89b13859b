//! Projecting: what changed in entities becomes what read models show.
//!
//! ask what is due → take one projection → images of what changed → the units they touch → recompute → commit, together
//! with how far it is. Projections of different tenants and read models do not wait for one another. Where units fail the
//! same is done once more with care, which finds and parks them.

pub(crate) mod build;
mod care;
mod lane;
mod look;
mod watch;

pub use build::{BuildProgress, Throttle};
use care::Care;
pub use freehold_store::{Lag, Parked};
pub(crate) use lane::Lane;
use lane::Lanes;
pub use look::Compared;
pub(crate) use look::no_such_read;
pub use watch::Watch;

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use freehold_model::{ReadModel, view::Images};
use freehold_store::{Change, Phase, Projection, Step, Undone, identity};
use futures_util::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};

use crate::{Engine, error::Error};

/// Units brought up to date in one transaction, or listed at once in a fill.
const UNITS: usize = 500;

/// Images read at once, at least and at most; between them a twentieth of what there is. Each time PostgreSQL looks through
/// all that is left, so a long backlog read in small pieces would take so long that a worker seldom lives to see its end.
const IMAGES: [usize; 2] = [4_000, 50_000];

/// Projections taken at once by one process; and half as many that take long.
const AT_ONCE: usize = 4;

/// Projections asked for at once.
const LIST: usize = 500;

/// How often a process looks for what others wrote: soon after there was something, and later.
const LOOK: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// How long it waits at least between two looks, however much is written.
const BREATH: Duration = Duration::from_millis(2);

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
        let (mut watch, lanes) = (Watch::default(), Lanes::new());
        let mut moving = FuturesUnordered::new();
        let (mut all, mut busy) = (Instant::now(), Instant::now());
        let mut looked = Instant::now();
        loop {
            let pause = LOOK[usize::from(busy.elapsed() > LIVELY)];
            let pause = if watch.is_owing() { BREATH } else { pause };
            // While others wait for a lane, what is new would only wait behind them: it is asked for less often.
            let breath = if moving.len() > AT_ONCE { LOOK[0] } else { BREATH };
            tokio::select! {
                Some((undone, moved)) = moving.next() => {
                    if self.note(&mut watch, undone, moved) {
                        busy = Instant::now();
                    }
                }
                () = self.time_to_look(looked + breath, looked + pause), if moving.len() < LIST => {
                    if all.elapsed() > LOOK_AT_ALL {
                        watch.look_at_all();
                        all = Instant::now();
                    }
                    match watch.due(&self.store, LIST).await {
                        Ok(due) => {
                            let new = due.into_iter().filter(|undone| watch.begin(undone));
                            moving.extend(new.map(|undone| self.in_lane(undone, &lanes)));
                            looked = Instant::now();
                        }
                        Err(error) => {
                            tracing::error!(error = %error, "projecting failed; it is tried again");
                            watch.look_at_all();
                            looked = Instant::now() + AFTER_FAULT;
                        }
                    }
                }
            }
        }
    }

    // Whoever writes through this process says so; for the others one looks.
    async fn time_to_look(&self, soonest: Instant, latest: Instant) {
        tokio::time::sleep_until(soonest.into()).await;
        let _ = tokio::time::timeout_at(latest.into(), self.store.woken()).await;
    }

    async fn in_lane(&self, undone: Undone, lanes: &Lanes) -> (Undone, Result<Moved, Error>) {
        let mut lane = lanes.enter().await;
        let moved = self.project(&undone, &mut lane).await;
        (undone, moved)
    }

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
                self.follow(projection, target, step, lane).await
            }
        }
    }

    async fn follow(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
        lane: &mut Lane<'_>,
    ) -> Result<Moved, Error> {
        let mut care = Care::none(projection);
        'window: loop {
            let (units, parked) = to_do(&mut step, target.read).await?;
            let (mut left, mut paused) = (&units[..], None);
            while !left.is_empty() {
                let (chunk, rest) = left.split_at(left.len().min(UNITS));
                match target.bring_up(&mut step, chunk, &parked, care).await {
                    Ok(()) => left = rest,
                    Err(error) if error.is_of_rows() && !care.is_taken() => {
                        step.give_up().await?;
                        care.take();
                        let again = match &paused {
                            Some(paused) => self.store.resume(paused).await?,
                            None => self.store.step(projection).await?,
                        };
                        let Some(again) = again.filter(follows) else { return Ok(Moved::Taken) };
                        step = again;
                        if paused.is_none() {
                            // It sees more than the one that was given up.
                            continue 'window;
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                if left.is_empty() {
                    break;
                }
                let pause = step.pause(Some(left)).await?;
                lane.is_long().await;
                // Somebody else goes on where this one was too slow.
                let resumed = self.store.resume(&pause).await?;
                let Some(resumed) = resumed.filter(follows) else { return Ok(Moved::Taken) };
                (step, paused) = (resumed, Some(pause));
            }
            return step.finish().await.map(|()| Moved::Whole(units.len()));
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

fn follows(step: &Step) -> bool {
    !matches!(step.phase(), Phase::Fill(_))
}

/// The units of the step, and those that are parked, of which some may be among them.
async fn to_do(step: &mut Step, read: &ReadModel) -> Result<(Vec<Vec<String>>, Units), Error> {
    let all = step.parked(UNITS).await?;
    let due: Vec<_> = all.iter().filter(|(_, due)| *due).map(|(unit, _)| unit.clone()).collect();
    let parked: Units = all.into_iter().map(|(unit, _)| unit).collect();
    if let Phase::Window(left) = step.phase() {
        let units = left.chunks(read.unit().len()).map(<[String]>::to_vec).collect();
        return Ok((units, parked));
    }
    let mut units = touched(step, read).await?;
    units.extend(due);
    Ok((units.into_iter().collect(), parked))
}

/// The units that everything the step is to follow touches.
async fn touched(step: &mut Step, read: &ReadModel) -> Result<Units, Error> {
    let mut units = Units::new();
    let all = if let Phase::Steady(all) = *step.phase() { all } else { 0 };
    let at_once = usize::try_from(all / 20).unwrap_or(usize::MAX).clamp(IMAGES[0], IMAGES[1]);
    while !step.is_read() {
        let changes = step.changes(at_once).await?;
        if changes.is_empty() {
            break;
        }
        let mut of_entity: HashMap<String, Vec<Change>> = HashMap::new();
        for change in changes {
            of_entity.entry(change.entity.clone()).or_default().push(change);
        }
        for source in read.sources() {
            let Some(changes) = of_entity.remove(&*source.entity) else { continue };
            let images = freehold_store::Images::of(changes, &source.links)?;
            let images = Images { entity: &source.entity, links: &images.links };
            if let Some(said) = read.said(images) {
                units.extend(said);
                continue;
            }
            let rows = step.query(&read.touch(images)).await?;
            units.extend(rows.iter().filter_map(|row| texts(row, read)));
        }
    }
    Ok(units)
}

// A unit with a null in it has no rows.
fn texts(row: &freehold_store::Row, read: &ReadModel) -> Option<Vec<String>> {
    (0..read.unit().len()).map(|at| row.text(at).map(str::to_owned)).collect()
}
