//! The PostgreSQL that the tests use.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use freehold_local::{Binaries, Event};

/// Brings it into the cache folder, so that no test has to, and so that it can be seen.
pub(crate) fn fetch() -> Result<(), String> {
    let cache = cache_dir();
    let mut last = String::new();
    let binaries = Binaries::ensure(&cache, &mut |event| show(&event, &mut last));
    if !last.is_empty() && std::io::stderr().is_terminal() {
        eprintln!();
    }
    binaries.map_err(|error| error.report())?;
    eprintln!("    PostgreSQL 16 and 18 with pgvector are in {}", cache.display());
    Ok(())
}

/// Stops the servers that testkit leaves running.
pub(crate) fn stop() -> Result<(), String> {
    let entries =
        fs::read_dir(cache_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_test = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("test-"))
    };
    for folder in entries.filter(is_test) {
        let stopped = freehold_local::stop(&folder).map_err(|error| error.report())?;
        eprintln!(
            "    {} {}",
            folder.display(),
            if stopped { "stopped" } else { "was not running" }
        );
    }
    Ok(())
}

pub(crate) fn cache_dir() -> PathBuf {
    let given = std::env::var_os("FREEHOLD_CACHE").filter(|path| !path.is_empty());
    given.map_or_else(freehold_local::default_cache_dir, PathBuf::from)
}

/// On a terminal one line that changes, else a line per kind of event.
fn show(event: &Event, last: &mut String) {
    let (kind, amount) = match event {
        Event::Waiting { lock } => {
            ("waiting for another process", format!(" ({})", lock.display()))
        }
        Event::Fetching { bytes, total } => (
            "fetching PostgreSQL",
            format!(" {:.1} of {:.1} MB", megabytes(*bytes), megabytes(*total)),
        ),
        Event::Unpacking { files, total } => ("unpacking", format!(" {files} of {total} files")),
        _ => return,
    };
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K    {kind}{amount}");
        let _ = std::io::stderr().flush();
    } else if last != kind {
        eprintln!("    {kind}{amount}");
    }
    kind.clone_into(last);
}

#[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
