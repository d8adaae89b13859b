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
