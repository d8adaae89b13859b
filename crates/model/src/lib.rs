//! What is declared: a pure compiler from a model file to tables, and from query text to SQL.
//!
//! Invariants: no I/O, no clock, no environment, no randomness, no async. The same text always gives
//! the same SQL. Core types are not `Serialize`; wire formats live at the edge.

pub mod blobs;
pub mod catalogue;
pub mod ddl;
pub mod declare;
pub mod diagnostic;
pub mod entity;
pub mod erase;
pub mod mutate;
pub mod names;
pub mod plan;
pub mod query;
pub mod refusal;
pub mod reseal;
pub mod sealed;
pub mod sql;
mod suggest;
pub mod view;

pub use catalogue::Catalogue;
pub use diagnostic::{Diagnostic, Label};
pub use entity::{KeptQuery, Model};
pub use names::Name;
pub use refusal::{Code, Refusal};
pub use sql::Sql;
pub use view::ReadModel;

#[cfg(test)]
#[path = "../tests/pg/mod.rs"]
mod pg;
