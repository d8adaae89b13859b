//! What can be wrong with a wall, and how to find it in PostgreSQL's catalogue.
//!
//! Each check is one query in `audit/checks`, with what it is about in the comment above it. The severe ones are also made
//! into `freehold.wall_faults()`, which servers ask before they serve and while they do. So nothing that a tenant's SQL
//! could bring about by itself may be severe: it would stop the servers for all.

mod examine;
mod registry;
mod statement;

use std::fmt;

pub use registry::checks;
pub use statement::{Facts, boot_sql};

use crate::platform::Mode;

/// How bad a finding is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Says something about neighbours, or will hurt one day.
    Warning,
    /// A part of the defence is missing.
    Error,
    /// Rows of a tenant can be reached by another: no server may go on.
    Severe,
}

impl Severity {
    /// `note`, `warning`, `error` or `severe`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Severe => "severe",
        }
    }
}

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The operator is its superuser, and nothing of it is out of reach.
    SelfHosted,
    /// A provider is; some of the defence is not to be had there.
    Managed,
}

impl Profile {
    /// `self-hosted` or `managed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SelfHosted => "self-hosted",
            Self::Managed => "managed",
        }
    }
}

/// What becomes of a check on a managed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnManaged {
    /// It holds there as well.
    Same,
    /// It cannot be held there; this is what is left open.
    Residual(String),
    /// It is the provider's business, or cannot be looked at.
    No,
}

/// One thing that can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable, such as `FH-W01`.
    pub id: String,
    /// In a few words with hyphens, such as `not-forced`.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it looks for.
    pub what: String,
    /// The attack or the failure it prevents.
    pub why: String,
    /// What to do; SQL where that is possible.
    pub mend: String,
    /// What becomes of it on a managed server.
    pub managed: OnManaged,
    pub(crate) sql: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static Check,
    /// What it found it at, as PostgreSQL names it.
    pub object: String,
    /// What is wrong there; may be empty.
    pub detail: String,
}

/// What a managed server leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residual {
    /// Which check tells of it.
    pub check: &'static Check,
    /// What is left open.
    pub text: &'static str,
    /// At how many objects.
    pub count: usize,
}

/// A check that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// Which.
    pub check: &'static Check,
    /// Why not.
    pub why: &'static str,
}

/// Everything an audit has found, and of what.
#[derive(Debug, Clone)]
pub struct Report {
    /// For whom it was judged.
    pub profile: Profile,
    /// The database's name.
    pub database: String,
    /// PostgreSQL's version, such as `18.4`.
    pub server_version: String,
    /// How the platform keeps a transaction's tenant.
    pub mode: Option<Mode>,
    /// The platform's version in the database.
    pub platform_version: Option<i64>,
    /// Whether PostgreSQL's own catalogue is locked down.
    pub locked: bool,
    /// The applied model's version; 0 where none is.
    pub model_version: i64,
    /// SHA-256 over everything in the catalogue that the wall is made of, as hexadecimal digits.
    pub fingerprint: String,
    /// The checks that were made.
    pub checked: Vec<&'static Check>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What this profile leaves open.
    pub residuals: Vec<Residual>,
    /// What could not be looked at.
    pub unchecked: Vec<Unchecked>,
}

impl Report {
    /// How bad the worst finding is.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.check.severity).max()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.check.id, self.object, self.detail)
    }
}
