//! A window: what changed since the last step, the units it touches, and these brought up to date.

use std::{collections::HashMap, time::Instant};

use freehold_model::{ReadModel, view::Images};
use freehold_store::{Change, Phase, Projection, Step};

use super::{Lane, Moved, Target, UNITS, Units, care::Care, pace::Pace, texts};
use crate::{Engine, error::Error};

/// Images read at once, at least and at most; between them a twentieth of what there is. Each time PostgreSQL looks through
/// all that is left, so a long backlog read in small pieces would take so long that a worker seldom lives to see its end.
const IMAGES: [usize; 2] = [4_000, 50_000];

impl Engine {
    /// Brings everything up to date that was written until now, or the first of very much, in as many transactions as it takes.
    pub(super) async fn follow(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        mut step: Step,
        lane: &mut Lane<'_>,
    ) -> Result<Moved, Error> {
        let (mut care, mut pace) = (Care::none(projection), Pace::new());
        'window: loop {
            let is_part = step.is_part();
            let (units, parked) = to_do(&mut step, target.read).await?;
            let moved = if is_part { Moved::Part(units.len()) } else { Moved::Whole(units.len()) };
            let (mut left, mut paused) = (&units[..], None);
            while !left.is_empty() {
                let begun = Instant::now();
                let (chunk, rest) = left.split_at(left.len().min(pace.units()));
                let done = if rest.is_empty() && parked.is_empty() && !care.is_taken() {
                    match target.finish(step, chunk).await {
                        Ok(()) => return Ok(moved),
                        Err(error) => Err((error, None)),
                    }
                } else {
                    match target.bring_up(&mut step, chunk, &parked, care).await {
                        Ok(()) => Ok(step),
                        Err(error) => Err((error, Some(step))),
                    }
                };
                step = match done {
                    Ok(step) => step,
                    Err((error, spoilt)) if error.is_of_rows() && !care.is_taken() => {
                        if let Some(spoilt) = spoilt {
                            spoilt.give_up().await?;
                        }
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
                    Err((error, _)) => return Err(error),
                };
                left = rest;
                if left.is_empty() {
                    break;
                }
                let pause = step.pause(Some(left)).await?;
                pace.took(begun.elapsed());
                lane.is_long().await;
                // Somebody else goes on where this one was too slow.
                let resumed = self.store.resume(&pause).await?;
                let Some(resumed) = resumed.filter(follows) else { return Ok(Moved::Taken) };
                (step, paused) = (resumed, Some(pause));
            }
            return step.finish().await.map(|()| moved);
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
