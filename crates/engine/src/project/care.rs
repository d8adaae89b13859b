//! Recomputing units, and with care finding those that fail among those that do not, and parking them.

use freehold_model::Sql;
use freehold_store::{Projection, Step};

use super::{Target, Units};
use crate::error::Error;

/// Whether units are recomputed so that those that fail can be parked. It costs more, so it is taken after something
/// failed.
#[derive(Clone, Copy)]
pub(super) struct Care<'a> {
    projection: &'a Projection,
    taken: bool,
}

impl<'a> Care<'a> {
    pub(super) fn none(projection: &'a Projection) -> Self {
        Self { projection, taken: false }
    }

    pub(super) fn take(&mut self) {
        self.taken = true;
    }

    pub(super) fn is_taken(self) -> bool {
        self.taken
    }
}

impl Target<'_> {
    /// Brings units up to date. With care those that fail are parked; without, the step is of no more use if one fails.
    /// What was `parked` and does not fail any more is taken out.
    pub(super) async fn bring_up(
        &self,
        step: &mut Step,
        units: &[Vec<String>],
        parked: &Units,
        care: Care<'_>,
    ) -> Result<(), Error> {
        let failing = if care.taken {
            self.recompute_or_park(step, units, care.projection).await?
        } else {
            self.recompute(step, units).await?;
            Units::new()
        };
        for unit in units.iter().filter(|unit| parked.contains(*unit) && !failing.contains(*unit)) {
            step.unpark(unit).await?;
        }
        Ok(())
    }

    /// Brings the last units of a step up to date, none of which is parked, and ends it.
    pub(super) async fn finish(&self, step: Step, units: &[Vec<String>]) -> Result<(), Error> {
        // Boxed, as it holds the step and all that it sends.
        Box::pin(step.finish_with(&self.recomputing(units))).await
    }

    async fn recompute(&self, step: &mut Step, units: &[Vec<String>]) -> Result<(), Error> {
        step.query(&self.recomputing(units)).await.map(drop)
    }

    fn recomputing(&self, units: &[Vec<String>]) -> Sql {
        let columns: Vec<Vec<String>> = (0..self.read.unit().len())
            .map(|column| units.iter().map(|unit| unit[column].clone()).collect())
            .collect();
        self.read.recompute(&self.table, &columns)
    }

    // Halves what fails until single units are left.
    async fn recompute_or_park(
        &self,
        step: &mut Step,
        units: &[Vec<String>],
        projection: &Projection,
    ) -> Result<Units, Error> {
        let mut parts = vec![units];
        let mut failing = Units::new();
        while let Some(part) = parts.pop() {
            step.mark().await?;
            let Err(error) = self.recompute(step, part).await else { continue };
            if !error.is_of_rows() {
                return Err(error);
            }
            let sqlstate = step.sqlstate().map(str::to_owned);
            step.go_back().await?;
            if let [unit] = part {
                step.park(unit, &error, sqlstate.as_deref()).await?;
                failing.insert(unit.clone());
            } else {
                let (left, right) = part.split_at(part.len() / 2);
                parts.extend([right, left]);
            }
        }
        if !failing.is_empty() {
            tracing::warn!(
                tenant = projection.tenant.name(),
                read = projection.model,
                parked = failing.len(),
                "units of a read model could not be brought up to date and are parked"
            );
        }
        Ok(failing)
    }
}
