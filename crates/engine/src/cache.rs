//! Answers that are kept: what was read once is not read again while it is the same.

mod shared;

pub use freehold_store::seal::{ANSWER_OVERHEAD, AnswerKeys, AnswerName, Closed};
pub use shared::{Lease, Loser, Shared, SharedConfig, SharedState, Winner};
