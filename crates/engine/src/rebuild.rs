//! Rebuilding a read model: the same definition, filled anew beside the table that is read, which it then replaces.
//!
//! begin, or go on → fill and follow → change places. Killed anywhere, it goes on when it is called again.

use freehold_model::ReadModel;
use freehold_store::Operator;

use crate::{
    Engine,
    error::Error,
    project::{BuildProgress, Throttle},
};

/// What is heard of a rebuild while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has begun; `true` if it goes on with one that was interrupted.
    Begun(bool),
    /// How far it is.
    Built(BuildProgress),
    /// Waits for whoever uses the table; the attempt, from 1.
    Waiting(u32),
    /// It is built and takes its place: from now on it is not to be interrupted, or it has to be called once more.
    Serving,
}

impl Engine {
    /// Rebuilds a read model while the old table is read.
    ///
    /// # Errors
    /// `NoSuchEntity`; `ApplyConflict` if something else changes tables, or it is given up meanwhile; faults. What was
    /// filled stays, and the next call goes on.
    pub async fn rebuild(
        &self,
        operator: &mut Operator,
        name: &str,
        throttle: Throttle,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<BuildProgress, Error> {
        let snapshot = self.snapshot();
        let read = known(&snapshot, name)?;
        let begun =
            operator.begin_rebuild(read, |tries| progress(Progress::Waiting(tries))).await?;
        progress(Progress::Begun(begun.resumed));
        let mut last = BuildProgress::default();
        let mut built = |now| {
            last = now;
            progress(Progress::Built(now));
        };
        self.build(&begun.building, throttle, &mut built).await?;
        progress(Progress::Serving);
        operator.finish_rebuild(read, |tries| progress(Progress::Waiting(tries))).await?;
        Ok(last)
    }

    /// Gives a rebuild up, also one that another process is at; says whether there was one.
    ///
    /// # Errors
    /// `NoSuchEntity`; `ApplyConflict` if it is an apply that builds it; faults.
    pub async fn cancel_rebuild(&self, operator: &mut Operator, name: &str) -> Result<bool, Error> {
        let snapshot = self.snapshot();
        operator.cancel_rebuild(known(&snapshot, name)?.name(), |_| {}).await
    }
}

fn known<'a>(snapshot: &'a crate::Snapshot, name: &str) -> Result<&'a ReadModel, Error> {
    let read = snapshot.model.read(name);
    Ok(read.ok_or_else(|| crate::project::no_such_read(name))?)
}
