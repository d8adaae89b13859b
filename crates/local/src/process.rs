//! Waiting for what another process does, and processes as `/proc` shows them.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::At;
use crate::{Error, Event, Progress};

/// Looks every 10 ms whether it is so; says whether it came to be so in time.
#[allow(
    clippy::disallowed_methods,
    reason = "no event tells that another process has written a file or has ended"
)]
pub(crate) fn until(
    limit: Duration,
    mut so: impl FnMut() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let end = Instant::now() + limit;
    loop {
        if so()? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The file, made if need be and locked for us alone until it is dropped; says so when it has to wait. The kernel frees the lock of
/// a process that dies.
pub(crate) fn lock(path: PathBuf, progress: &mut Progress<'_>) -> Result<File, Error> {
    let file = File::options().create(true).append(true).open(&path).at("open", &path)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress(Event::Waiting { lock: path.clone() }),
        Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
    }
    file.lock().at("lock", &path)?;
    Ok(file)
}

/// The processes that work in that folder, as all of a PostgreSQL server do in their data folder; and no others do, since the
/// folder is closed to them.
pub(crate) fn working_in(folder: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| works_in(*pid, folder)).collect()
}

/// Whether that process is alive and works in that folder.
pub(crate) fn works_in(pid: Pid, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|found| found == folder)
}

/// Sends a signal; a process that is gone already is fine.
pub(crate) fn signal(pid: Pid, signal: Signal) -> Result<(), Error> {
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => sent.at("signal process", pid.to_string()),
    }
}
