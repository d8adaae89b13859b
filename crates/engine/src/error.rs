//! What can go wrong in an operation: a refusal, which is the caller's, or a fault, which is ours.

pub use freehold_model::{Code, Refusal};
pub use freehold_store::{Error, Fault};

use crate::embed::EmbedError;

/// Most fields that are named for one value.
const NAMED_MAX: usize = 3;

/// Says which fields the value may be for that the database refused without a name.
pub(crate) fn naming(error: Error, suspects: impl FnOnce(Code) -> Vec<String>) -> Error {
    let nameless = |refusal: &Refusal| {
        refusal.detail.is_none()
            && refusal.hint.is_none()
            && matches!(refusal.code, Code::InvalidValue | Code::InvalidTime | Code::OutOfRange)
    };
    match error {
        Error::Refused(refusal) if nameless(&refusal) => {
            let mut fields = suspects(refusal.code);
            fields.sort_unstable();
            fields.dedup();
            Error::Refused(match fields.len() {
                1..=NAMED_MAX => refusal.detail(format!("a value of {}", fields.join(" or "))),
                _ => refusal,
            })
        }
        other => other,
    }
}

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
