//! Commands that build tables while others are read.

use std::str::FromStr as _;

use clap::Args;
use freehold_engine::project::Throttle;

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Allow a destructive step by its flag, such as drop:person.email (repeatable)
    #[arg(long, value_name = "FLAG")]
    pub(crate) allow: Vec<String>,
    /// Finish an apply that was interrupted, with the model it had
    #[arg(long)]
    pub(crate) resume: bool,
    /// Give up an apply that was interrupted, as long as it has only been building read models
    #[arg(long, conflicts_with_all = ["allow", "resume", "throttle"])]
    pub(crate) cancel: bool,
    /// Build read models no faster than this: a share of the time such as 25%, or units each second such as 500/s
    #[arg(long, value_name = "SHARE|RATE", value_parser = throttle)]
    pub(crate) throttle: Option<Throttle>,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// The read model
    pub(crate) name: String,
    /// No faster than this: a share of the time such as 25%, or units each second such as 500/s
    #[arg(long, value_name = "SHARE|RATE", value_parser = throttle)]
    pub(crate) throttle: Option<Throttle>,
    /// Give it up instead, also one that another process is at
    #[arg(long, conflicts_with = "throttle")]
    pub(crate) cancel: bool,
}

fn throttle(text: &str) -> Result<Throttle, String> {
    Throttle::from_str(text).map_err(|refusal| refusal.hint.unwrap_or(refusal.message))
}
