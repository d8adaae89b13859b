//! The order of steps: what adds comes before what changes, and that before what removes.

use std::collections::BTreeMap;

use crate::{
    Refusal,
    plan::{Action, Effect, Plan, Step},
};

/// When a step runs. Within a phase, steps run in the order in which they were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything that is renamed, at once.
    Rename,
    /// What requests without a key may read no longer.
    Shut,
    /// Tables of new entities.
    Create,
    /// Columns of new fields.
    Add,
    /// Indexes that are no longer wanted, on fields whose type is to change.
    Release,
    /// What a field's own columns need in order to be as they should.
    Change,
    /// References, which need the tables and types on both sides.
    Refer,
    /// Checks of the rows that were there before.
    Validate,
    /// What has to wait until all rows are known to be right.
    Require,
    /// Indexes, beside running writes.
    Index,
    /// Columns of vectors that are made from texts: of new fields, and beside old ones.
    Stage,
    /// Embedding of rows that are there.
    Fill,
    /// New vectors take the place of old ones.
    Swap,
    /// Embedding of the rows that were written between filling and swapping.
    Refill,
    /// What the change log must carry, for the read models before and after.
    Capture,
    /// Tables of read models, beside those that are served.
    CreateRead,
    /// Filling them.
    Build,
    /// They take the place of those before.
    Serve,
    /// What the change log need no longer carry.
    ReleaseCapture,
    /// Indexes that are no longer wanted.
    DropIndex,
    /// Vectors that are no longer wanted, before other fields: they watch over texts.
    DropVector,
    /// Types of fields that old vectors were made from.
    ChangeSource,
    /// What [`Phase::Refer`] does, for those fields.
    ReferSource,
    /// What [`Phase::Validate`] does, for those fields.
    ValidateSource,
    /// What [`Phase::Require`] does, for those fields.
    RequireSource,
    /// What [`Phase::Index`] does, for those fields.
    IndexSource,
    /// What requests without a key may read from now on, once all columns are there.
    Open,
    /// The other fields that are no longer wanted.
    DropField,
    /// Entities that are no longer wanted.
    DropEntity,
    /// What is left of them elsewhere.
    AfterEntity,
}

/// Steps and refusals as they are found.
#[derive(Debug, Default)]
pub(crate) struct Order {
    steps: BTreeMap<Phase, Vec<Step>>,
    refusals: Vec<Refusal>,
}

impl Order {
    /// Adds a step.
    pub(crate) fn step(
        &mut self,
        phase: Phase,
        title: impl Into<String>,
        effect: Effect,
        action: Action,
    ) -> &mut Step {
        let steps = self.steps.entry(phase).or_default();
        steps.push(Step { title: title.into(), effect, note: None, action, undo: None });
        steps.last_mut().expect("a step was pushed")
    }

    /// Adds a step of one transaction, unless there is nothing in it.
    pub(crate) fn transaction(
        &mut self,
        phase: Phase,
        title: impl Into<String>,
        effect: Effect,
        statements: Vec<String>,
    ) -> Option<&mut Step> {
        (!statements.is_empty())
            .then(|| self.step(phase, title, effect, Action::Transaction(statements)))
    }

    /// Adds a refusal; the plan is then not made.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.push(refusal);
    }

    /// The plan.
    pub(crate) fn finish(self) -> Result<Plan, Vec<Refusal>> {
        if self.refusals.is_empty() {
            Ok(Plan { steps: self.steps.into_values().flatten().collect(), ..Plan::default() })
        } else {
            Err(self.refusals)
        }
    }
}
