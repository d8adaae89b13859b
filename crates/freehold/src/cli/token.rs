//! What `token` may be asked.

use std::time::Duration;

use clap::Args;

use super::role::{RoleName, life};

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// What the token lets its holder do
    #[arg(long, value_enum, default_value_t = RoleName::Writer)]
    pub(crate) role: RoleName,
    #[arg(long, required_unless_present = "stdin", requires = "backend")]
    pub(crate) tenant: Option<String>,
    /// What `select pg_backend_pid()` says in the driver's connection
    #[arg(long, value_name = "PID", requires = "tenant")]
    pub(crate) backend: Option<i32>,
    /// How long it can be used, at most 60s
    #[arg(long, value_name = "SECONDS", default_value = "30s", value_parser = life)]
    pub(crate) life: Duration,
    /// Answer each line `PID TENANT` of standard input with a token, for a process that needs many
    #[arg(long, conflicts_with_all = ["tenant", "backend"])]
    pub(crate) stdin: bool,
}
