//! Reading rows from the command line.

use std::time::Duration;

use clap::Args;

use super::Sure;
use crate::http::patience;

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// ENTITY?QUERY
    pub(crate) query: String,
    #[arg(long)]
    pub(crate) tenant: String,
    /// Also give the number of all rows that match
    #[arg(long)]
    pub(crate) count: bool,
    /// Wait until read models show the write that gave this token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) after: Option<String>,
    /// At most so long, such as 2s or 500ms
    #[arg(long, value_name = "TIME", requires = "after", default_value = "2s", value_parser = wait)]
    pub(crate) wait: Duration,
    /// What personal data is opened for [default: what its classes are kept for]
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    #[command(flatten)]
    pub(crate) sure: Sure,
}

fn wait(text: &str) -> Result<Duration, String> {
    patience(text).map_err(|refusal| refusal.hint.unwrap_or(refusal.message))
}
