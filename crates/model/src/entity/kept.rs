//! Queries that are kept ready.

use crate::Name;

/// A query whose answer is kept ready for each tenant that asked for it lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptQuery {
    /// What it is called.
    pub name: Name,
    /// What it is for, in the author's words.
    pub about: Option<String>,
    /// The entity or read model.
    pub entity: String,
    /// The query string, as it was written.
    pub query: String,
    /// For how many minutes after a tenant asked for it.
    pub warm_minutes: u32,
}
