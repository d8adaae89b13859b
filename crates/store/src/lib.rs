//! The only crate that speaks to PostgreSQL.
//!
//! [`Store`] is the tenants' door: every transaction opens one tenant by a signed token that the database checks, in the
//! same round trip as the statement. [`Operator`] is the other one, for set-up, tenants and the model.
//!
//! Invariants: no connection leaves this crate; no text but [`freehold_model::Sql`] becomes a statement, except what an
//! operator types; PostgreSQL's own words stay in the log; a connection whose transaction ended in doubt is closed.

mod apply;
pub mod audit;
mod blobs;
mod changes;
mod connect;
mod erasure;
mod error;
mod exported;
mod holds;
mod imports;
mod jobs;
mod key;
mod key_export;
mod keystore;
mod login;
mod operator;
mod param;
mod personal;
mod platform;
mod pool;
pub mod prove;
mod rebuild;
mod receipts;
mod refusal;
mod role;
mod rotation;
mod row;
mod scope;
pub mod script;
pub mod seal;
mod session;
mod store;
mod token;
mod totals;
mod tx;

pub use apply::{Apply, Building, Chore, Filling, Progress, Unfinished};
pub use blobs::{
    BlobPlace, BlobTotals, Doomed, GoneFolder, NewBlob, NotedBlob, Offer, Unowned, Upload, Verb,
};
pub use changes::{
    Built, Change, Freshness, Images, Lag, Parked, Paused, Phase, Position, Projection, Seen, Step,
    Undone, identity,
};
pub use erasure::{Erasure, ErasureInfo, ErasureState, Receipt};
pub use error::{Error, Fault};
pub use exported::{Exported, Sum};
pub use holds::Hold;
pub use imports::ImportMark;
pub use jobs::{Job, JobStatus, Wanted};
pub use key::{RootKey, hex, unhex};
pub use keystore::Erased;
pub use login::Login;
pub use operator::{
    ApiKey, BlobUsage, DISPLACES, Decision, KeyInfo, KeysImported, Limit, Moving, Operator, Origin,
    Placed, Policy, SliceDone, SliceInfo, Swept, TenantInfo, TenantState, WantedKey,
};
pub use param::Column;
pub use personal::{Keys, Opens};
pub use platform::{Mode, Server};
pub use rebuild::{Begun, given_up};
pub use refusal::Violation;
pub use role::Role;
pub use rotation::Rotated;
pub use row::Row;
pub use scope::{Access, SCOPE_MAX, Scope};
pub use store::{
    Bounds, Broken, Complaint, Config, CopyDue, CopyNotes, Current, Done, Due, DueNotes, Ended,
    Graph, KeystoreState, Load, Moment, Placement, PlainSearcher, Pulse, Question, Scan, Size,
    Stamp, Store, Table, Target, Tenant, TimeZone, Transaction, Typed, TypedError, Watch, Way,
    Work, Writer, Yardstick, digest_of,
};
pub use totals::{ExpiryLag, Opened, PrivacyTotals};
pub use tx::TenantTx;
