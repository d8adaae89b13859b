//! What `audit` may be asked.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Judge for this kind of server [default: self-hosted for a superuser, else managed]
    #[arg(long, value_enum)]
    pub(crate) profile: Option<ProfileName>,
    /// Write the findings here too, as SARIF 2.1.0 for CI
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Exit with 1 when something is found that is as bad or worse
    #[arg(long, value_enum, default_value = "error")]
    pub(crate) fail_on: Threshold,
    /// Print all checks instead of making them
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// The operator is the server's superuser
    SelfHosted,
    /// A provider is
    Managed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Threshold {
    Severe,
    Error,
    Warning,
}
