//! The running server as its own `postmaster.pid` describes it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::process;

/// The first process of a server. PostgreSQL writes these lines: pid, data folder, start time, port, socket folder, addresses,
/// shared memory, status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: Pid,
    pub(crate) port: u16,
    pub(crate) socket_dir: PathBuf,
    /// It takes connections.
    pub(crate) ready: bool,
}

impl Postmaster {
    /// The live server over that data folder. None, too, in the first moments of its start.
    pub(crate) fn live(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(pid_file(data)).ok()?)
            .filter(|found| process::works_in(found.pid, data))
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        Some(Self {
            pid: pid(text)?,
            port: lines.get(3)?.parse().ok()?,
            socket_dir: lines.get(4)?.into(),
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// The process that the lock file of that data folder names, dead or alive.
pub(crate) fn named_in(data: &Path) -> Option<Pid> {
    pid(&fs::read_to_string(pid_file(data)).ok()?)
}

pub(crate) fn pid_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

fn pid(text: &str) -> Option<Pid> {
    text.lines().next()?.trim().parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_postgresql_writes() {
        let text = "4711\n/d/pg\n1795000000\n5432\n/d/run\n\n  1048578         3\nready   \n";
        let found = Postmaster::parse(text).expect("complete");
        assert_eq!((found.pid.as_raw_nonzero().get(), found.port, found.ready), (4711, 5432, true));
        assert_eq!(found.socket_dir, Path::new("/d/run"));
        assert!(!Postmaster::parse(&text.replace("ready   ", "starting")).expect("complete").ready);
        assert_eq!(Postmaster::parse("4711\n/d/pg\n"), None);
        assert_eq!(Postmaster::parse(""), None);
    }
}
