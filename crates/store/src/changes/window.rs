//! Windows that take several transactions, and steps that go back a little way.

use std::time::Duration;

use super::{Projection, step::Step};
use crate::{
    error::{Error, Fault},
    param::list,
    store::Store,
};

/// How long a window that was begun waits for the worker that began it.
const HOLD: Duration = Duration::from_secs(10);

/// A window that is not finished yet, and who may go on with it.
#[derive(Debug, Clone)]
pub struct Paused {
    projection: Projection,
    turn: i64,
}

impl Store {
    /// Goes on with a window. `None` if another worker has begun with it since: then drop what is left of it.
    ///
    /// # Errors
    /// As [`Store::step`].
    pub async fn resume(&self, paused: &Paused) -> Result<Option<Step>, Error> {
        self.take(&paused.projection, Some(paused.turn)).await
    }
}

impl Step {
    /// Commits what was done so far. The window goes on with [`Store::resume`]; if that does not come, with the units that are
    /// `left`: another worker is handed them. Without them it begins anew.
    ///
    /// # Errors
    /// As [`Step::finish`].
    pub async fn pause(self, left: Option<&[Vec<String>]>) -> Result<Paused, Error> {
        self.demand_steady()?;
        let doing = "pausing a step";
        let text = "select freehold.step_pause($1, $2::text::integer, $3::text::boolean, $4::text::interval, $5::text::text[], $6::text::integer, $7::text::bigint)";
        let (version, resumed) = (self.version(), self.resumed.to_string());
        let hold = format!("{} s", HOLD.as_secs());
        let projection = self.projection.clone();
        // All of them are said once.
        let todo = left.filter(|left| !self.resumed && !left.is_empty());
        let todo = todo.map(|left| list(left.iter().flatten().map(String::as_str)));
        let left = left.map(|left| left.len().to_string());
        let images = self.images.to_string();
        let params = [
            Some(&*projection.model),
            Some(&version),
            Some(&resumed),
            Some(&hold),
            todo.as_deref(),
            left.as_deref(),
            Some(&images),
        ];
        let rows = self.commit_with(doing, text, &params).await?;
        let turn = rows.first().and_then(|row| row.int(0));
        let turn = turn.ok_or_else(|| Fault::new(doing, "no such projection"))?;
        Ok(Paused { projection, turn })
    }

    /// From here on [`Step::go_back`] leads, also after a statement that failed.
    ///
    /// # Errors
    /// Faults only.
    pub async fn mark(&mut self) -> Result<(), Error> {
        self.tx.mark().await
    }

    /// Takes back what was done since the last [`Step::mark`].
    ///
    /// # Errors
    /// Faults only.
    pub async fn go_back(&mut self) -> Result<(), Error> {
        self.tx.go_back().await
    }
}
