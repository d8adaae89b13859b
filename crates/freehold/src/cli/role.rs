//! Roles as they are typed, and for how long keys and tokens count.

use std::time::Duration;

use clap::ValueEnum;

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Reads
    Reader,
    /// Reads and writes
    Writer,
    /// Manages the tenant's keys, too
    Admin,
}

impl RoleName {
    pub(crate) fn role(self) -> freehold_engine::Role {
        match self {
            Self::Reader => freehold_engine::Role::Reader,
            Self::Writer => freehold_engine::Role::Writer,
            Self::Admin => freehold_engine::Role::Admin,
        }
    }
}

/// Days, such as `30` or `30d`.
pub(super) fn days(text: &str) -> Result<u32, String> {
    match text.strip_suffix('d').unwrap_or(text).parse() {
        Ok(days @ 1..=24_000) => Ok(days),
        _ => Err("from 1 to 24000 days".into()),
    }
}

/// Seconds, such as `30` or `30s`.
pub(super) fn life(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('s').unwrap_or(text).parse() {
        Ok(seconds @ 1..=60) => Ok(Duration::from_secs(seconds)),
        _ => Err("from 1s to 60s".into()),
    }
}
