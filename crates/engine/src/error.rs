//! What can go wrong in an operation: a refusal, which is the caller's, or a fault, which is ours.

pub use freehold_model::{Code, Refusal};
pub use freehold_store::{Error, Fault};

use crate::embed::EmbedError;

impl From<EmbedError> for Error {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Refused(refusal) => Self::Refused(refusal),
            EmbedError::Unavailable { refusal, source } => {
                tracing::warn!(%refusal, source = source.map(tracing::field::display), "an embedder is away");
                Self::Refused(refusal)
            }
        }
    }
}

/// What went wrong, for tables and logs that must not hold what may be somebody's: details, and words that come from
/// PostgreSQL, may quote a value.
pub(crate) fn without_values(error: &Error) -> String {
    match error {
        Error::Refused(refusal) if matches!(refusal.code, Code::TryAgain | Code::Held) => {
            refusal.to_string()
        }
        Error::Refused(refusal) => format!("{}: {}", refusal.code.as_str(), refusal.code.about()),
        Error::Violated(violation) => {
            format!("{}: {}", violation.code.as_str(), violation.code.about())
        }
        Error::Failed(fault) => fault.to_string(),
    }
}
