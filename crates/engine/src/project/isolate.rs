//! Finding the units that fail among those that do not, and parking them.

use freehold_store::{Phase, Projection};

use super::{Target, touched};
use crate::{Engine, error::Error};

/// A unit that fails, and how.
struct Failing {
    unit: Vec<String>,
    error: Error,
    sqlstate: Option<String>,
}

impl Engine {
    /// Follows the same changes once more, with those of `units` parked that fail.
    pub(super) async fn isolate(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        units: &[Vec<String>],
    ) -> Result<bool, Error> {
        let failing = self.failing(projection, target, units).await?;
        let Some(mut step) = self.store.step(projection).await? else { return Ok(false) };
        if !matches!(step.phase(), Phase::Steady(_)) {
            return Ok(false);
        }
        let mut now = touched(&mut step, target.read).await?;
        now.extend(units.iter().cloned());
        let good: Vec<Vec<String>> =
            now.into_iter().filter(|unit| !failing.iter().any(|bad| bad.unit == *unit)).collect();
        for chunk in good.chunks(super::UNITS) {
            target.recompute(&mut step, chunk).await?;
        }
        for bad in &failing {
            step.park(&bad.unit, &bad.error, bad.sqlstate.as_deref()).await?;
        }
        say(projection, failing.len());
        step.finish().await.map(|()| true)
    }

    /// Fills a page once more, with those of its units parked that fail.
    pub(super) async fn isolate_page(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        page: &[Vec<String>],
    ) -> Result<bool, Error> {
        let failing = self.failing(projection, target, page).await?;
        let Some(mut step) = self.store.step(projection).await? else { return Ok(false) };
        if !matches!(step.phase(), Phase::Fill(_)) {
            return Ok(false);
        }
        let good: Vec<Vec<String>> = page
            .iter()
            .filter(|unit| !failing.iter().any(|bad| bad.unit == **unit))
            .cloned()
            .collect();
        target.recompute(&mut step, &good).await?;
        for bad in &failing {
            step.park(&bad.unit, &bad.error, bad.sqlstate.as_deref()).await?;
        }
        say(projection, failing.len());
        step.filled(page.last().map(Vec::as_slice), page.len()).await.map(|()| true)
    }

    // Halves what fails until single units are left, each time in a transaction that is given up.
    async fn failing(
        &self,
        projection: &Projection,
        target: &Target<'_>,
        units: &[Vec<String>],
    ) -> Result<Vec<Failing>, Error> {
        let mut suspects: Vec<&[Vec<String>]> = units.chunks(super::UNITS).collect();
        let mut failing = Vec::new();
        while let Some(part) = suspects.pop() {
            let Some(mut step) = self.store.step(projection).await? else { return Ok(failing) };
            let tried = target.recompute(&mut step, part).await;
            let sqlstate = step.sqlstate().map(str::to_owned);
            step.give_up().await?;
            match tried {
                Ok(()) => {}
                Err(error) if !error.is_of_rows() => return Err(error),
                Err(error) if part.len() == 1 => {
                    failing.push(Failing { unit: part[0].clone(), error, sqlstate });
                }
                Err(_) => {
                    let (left, right) = part.split_at(part.len() / 2);
                    suspects.extend([left, right]);
                }
            }
        }
        Ok(failing)
    }
}

fn say(projection: &Projection, parked: usize) {
    tracing::warn!(
        tenant = projection.tenant.name(),
        read = projection.model,
        parked,
        "units of a read model could not be brought up to date and are parked"
    );
}
