//! The way from one model to another: ordered steps, each with the SQL that runs.
//!
//! Both models become tables as [`crate::ddl`] sees them; the old one under its new names, so that what is
//! left is a comparison by name. Steps that only add come first and those that remove come last, so that servers with
//! the old model keep working as long as they can.

mod conversion;
mod entity;
mod field;
mod order;
mod reads;
mod rename;
mod revector;

pub use reads::next_table;

use std::fmt::Write as _;

use crate::{
    Model, Name, Refusal,
    ddl::{naming::root, own::Places},
    sql::ident,
};

/// The server a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its major version, 15 or newer.
    pub major: u16,
}

/// Ordered steps from one model to another. Each is done before the next begins; a plan that was interrupted is taken
/// up again at the first step that is not recorded as done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they run.
    pub steps: Vec<Step>,
    /// The parts of tables that it names: it is of no use once there are others.
    pub places: Places,
}

/// One step: the smallest part of a plan that is done or not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, such as `add field person.email`.
    pub title: String,
    /// What it costs.
    pub effect: Effect,
    /// What can go wrong because of the rows that are there, in one clause.
    pub note: Option<String>,
    /// How it is done.
    pub action: Action,
    /// Statements that take it back, in the name of `freehold_owner`; none if it cannot be taken back.
    pub undo: Option<Vec<String>>,
}

/// What a step costs those who use the data meanwhile, or afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is lost and nobody waits for longer than it takes to change the catalogue.
    Additive,
    /// Every row is rewritten or read while others wait.
    Rewriting {
        /// What is done to the rows, and who waits.
        why: String,
    },
    /// Data is lost for good.
    Destructive {
        /// The name by which the step must be allowed, such as `drop:person.email`.
        flag: String,
    },
}

/// How a step is done. Statements run in the name of `freehold_owner`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// All statements in one transaction, with a lock timeout, tried again when it strikes.
    Transaction(Vec<String>),
    /// One statement after the other, each outside a transaction. They can be run again from the first after an
    /// interruption.
    Concurrently(Vec<String>),
    /// The engine fills `column` wherever it is null with embeddings as the new model's `field` says, until no row is
    /// left. It can be interrupted anywhere and taken up again.
    Fill {
        /// Of which entity.
        entity: Name,
        /// The vector field that says which texts and which embedder.
        field: Name,
        /// The column: the field's own, or a hidden one that will take its place.
        column: String,
    },
    /// The engine fills the table [`next_table`] of this read model of the new model, until it follows every tenant's
    /// changes. It can be interrupted anywhere and taken up again.
    Build {
        /// Which.
        read: Name,
    },
}

/// The steps from `old` to `new`; from [`Model::default`] they build everything.
///
/// # Errors
/// Changes that PostgreSQL cannot make, all of them, each with the alternative.
pub fn plan(old: &Model, new: &Model, target: Target) -> Result<Plan, Vec<Refusal>> {
    plan_with(old, new, target, &Places::default())
}

/// The same where tenants have partitions of their own, which are carried along.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(
    old: &Model,
    new: &Model,
    target: Target,
    places: &Places,
) -> Result<Plan, Vec<Refusal>> {
    let renames = rename::find(old, new)?;
    let renamed = renames.apply(old);
    let mut order = order::Order::default();
    let noted = renames.captures(old, &renamed);
    rename::plan(old, &renamed, places, &noted, &mut order);
    entity::plan(&renamed, new, target, &renames.places(places), &mut order);
    reads::plan(old, new, &noted, &mut order);
    Ok(Plan { places: places.clone(), ..order.finish()? })
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The flags of its destructive steps, in order.
    #[must_use]
    pub fn destructive(&self) -> Vec<&str> {
        let mut flags: Vec<&str> = Vec::new();
        for step in &self.steps {
            if let Effect::Destructive { flag } = &step.effect
                && !flags.contains(&flag.as_str())
            {
                flags.push(flag);
            }
        }
        flags
    }

    /// The plan as a script: a comment for each step, and the statements exactly as they run.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (position, step) in self.steps.iter().enumerate() {
            if position > 0 {
                text.push('\n');
            }
            step.render(position + 1, &mut text);
        }
        text
    }
}

impl Step {
    fn render(&self, number: usize, text: &mut String) {
        let _ = match &self.effect {
            Effect::Additive => writeln!(text, "-- {number}. {} (additive)", self.title),
            Effect::Rewriting { why } => {
                writeln!(text, "-- {number}. {} (rewriting: {why})", self.title)
            }
            Effect::Destructive { flag } => {
                writeln!(text, "-- {number}. {} (destructive: {flag})", self.title)
            }
        };
        if let Some(note) = &self.note {
            let _ = writeln!(text, "-- {note}");
        }
        match &self.action {
            Action::Transaction(statements) => {
                text.push_str("begin;\n");
                for statement in statements {
                    let _ = writeln!(text, "{statement};");
                }
                text.push_str("commit;\n");
            }
            Action::Concurrently(statements) => {
                for statement in statements {
                    let _ = writeln!(text, "{statement};");
                }
            }
            Action::Fill { entity, column, .. } => {
                let _ = writeln!(
                    text,
                    "-- Freehold embeds the rows of {entity} in which {} is null",
                    ident(column)
                );
            }
            Action::Build { read } => {
                let _ = writeln!(text, "-- Freehold fills {}", root(&next_table(read)));
            }
        }
    }
}
