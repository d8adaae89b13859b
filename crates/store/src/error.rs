//! Why something did not happen: the caller's side and ours.

use std::{error::Error as StdError, fmt};

use freehold_model::Refusal;

use crate::refusal::Violation;

/// Every way in which a call can end without its result.
#[derive(Debug)]
pub enum Error {
    /// The caller's: what was asked for cannot be done as it stands, and nothing was changed.
    Refused(Refusal),
    /// The caller's too: a row that breaks a rule of the model. [`Error::refine`] says which in the model's words.
    Violated(Violation),
    /// Ours: the log gets the whole of it, the caller only that it happened.
    Failed(Fault),
}

/// Something that went wrong on our side; opaque, with its causes as [`StdError::source`].
#[derive(Debug)]
pub struct Fault {
    doing: &'static str,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Trying again is of no use until somebody has looked at it.
    Plain,
    Passing,
    /// Nothing is opened until it is mended.
    Closed,
}

impl Fault {
    pub(crate) fn new(
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { doing, kind: Kind::Plain, source: Some(source.into()) }
    }

    /// One that passes: what is needed does not answer.
    pub fn unavailable(
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind: Kind::Passing, ..Self::new(doing, source) }
    }

    /// One that keeps the house shut: the wall is broken.
    pub(crate) fn closed(
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind: Kind::Closed, ..Self::new(doing, source) }
    }

    /// Whether PostgreSQL could not be reached or has no room now, so that trying again later may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Passing
    }

    /// Whether no tenant is opened because the wall between tenants is broken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.kind == Kind::Closed
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.doing)
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Violated(violation) => violation.refusal().fmt(f),
            Self::Failed(fault) => fault.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(fault) => fault.source(),
            Self::Refused(_) | Self::Violated(_) => None,
        }
    }
}

impl Error {
    /// Whether rows or values are to blame, so that trying again changes nothing until they do.
    #[must_use]
    pub fn is_of_rows(&self) -> bool {
        let (state, _) = self.of_postgres();
        state == "57014" || ["22", "23", "54", "P0"].iter().any(|class| state.starts_with(class))
    }

    /// A state of five characters and what there is to say, for those who look after the database: where PostgreSQL said
    /// it, in its own words.
    pub(crate) fn of_postgres(&self) -> (String, String) {
        let refusal = match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Violated(violation) => violation.refusal(),
            Self::Failed(fault) => {
                let source = fault.source().and_then(|source| source.downcast_ref());
                let state = source.and_then(tokio_postgres::Error::code);
                let state = state.map_or("XX000", tokio_postgres::error::SqlState::code);
                return (state.to_owned(), crate::connect::chain(fault));
            }
        };
        let detail = refusal.detail.as_ref().map(|detail| format!(": {detail}"));
        let words = format!("{}{}", refusal.message, detail.unwrap_or_default());
        (refusal.code.as_str().to_owned(), words)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<crate::seal::Rot> for Error {
    fn from(rot: crate::seal::Rot) -> Self {
        Fault::new("opening a blob", rot).into()
    }
}
