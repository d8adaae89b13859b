//! Answers that are kept: what was read once is not read again while it is the same.

mod remote;

pub use freehold_store::seal::{ANSWER_OVERHEAD, AnswerKeys, AnswerName, Closed};
pub use remote::{Lease, Loser, Shared, SharedConfig, SharedState, Winner};
