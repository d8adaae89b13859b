//! The only crate that speaks to PostgreSQL.
//!
//! [`Store`] is the tenants' door: every transaction opens one tenant by a signed token that the database checks, in the
//! same round trip as the statement. [`Operator`] is the other one, for set-up, tenants and the model.
//!
//! Invariants: no connection leaves this crate; no text but [`freehold_model::Sql`] becomes a statement, except what an
//! operator types; PostgreSQL's own words stay in the log; a connection whose transaction ended in doubt is closed.

mod apply;
pub mod audit;
mod changes;
mod connect;
mod error;
mod imports;
mod jobs;
mod key;
mod login;
mod operator;
mod param;
mod platform;
mod pool;
pub mod prove;
mod rebuild;
mod refusal;
mod row;
pub mod script;
mod session;
mod store;
mod token;
mod tx;

pub use apply::{Apply, Building, Chore, Filling, Progress, Unfinished};
pub use changes::{
    Built, Change, Freshness, Images, Lag, Parked, Paused, Phase, Position, Projection, Seen, Step,
    Undone, identity,
};
pub use error::{Error, Fault};
pub use imports::ImportMark;
pub use jobs::{Job, JobStatus, Wanted};
pub use key::RootKey;
pub use login::Login;
pub use operator::{ApiKey, KeyInfo, Operator, Swept, TenantInfo, TenantState};
pub use param::Column;
pub use platform::{Mode, Server};
pub use rebuild::{Begun, given_up};
pub use refusal::Violation;
pub use row::Row;
pub use store::{
    Broken, Complaint, Config, Done, Due, DueNotes, Ended, Pulse, Store, Table, Tenant,
    Transaction, Typed, TypedError, Watch, Way, Work, Yardstick,
};
pub use tx::TenantTx;
