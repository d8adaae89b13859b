//! The Redis that the tests use: the machine's, or else Debian's, unpacked in the cache folder and installed nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres::cache_dir;

const ELSEWHERE: &str = "install Redis 6 or newer, so that redis-server is on the PATH; on Debian and Ubuntu it is \
    fetched without being installed, which needs apt-get, dpkg and lists of packages (apt-get update, as root)";

/// Sees to it that there is a `redis-server`: on the PATH, or where `testkit` looks for it.
pub(crate) fn fetch() -> Result<(), String> {
    if let Some(version) = version(Command::new("redis-server")) {
        eprintln!("    {version}, on the PATH");
        return Ok(());
    }
    let folder = cache_dir().join("redis");
    if version(unpacked(&folder)).is_none() {
        unpack(&folder).map_err(|why| format!("there is no Redis: {why}\n{ELSEWHERE}"))?;
    }
    let found = version(unpacked(&folder));
    let found = found.ok_or_else(|| {
        format!("the Redis in {} does not run here\n{ELSEWHERE}", folder.display())
    })?;
    eprintln!("    {found}, in {}", folder.display());
    Ok(())
}

/// What it says its version is, if it runs.
fn version(mut program: Command) -> Option<String> {
    let output = program.arg("--version").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    Some(format!("Redis {number}"))
}

/// The program in a folder, with the libraries beside it. `testkit/src/redis.rs` runs it in the same way.
fn unpacked(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("usr/bin/redis-server"));
    let folders = ["usr/lib", "lib"].map(|lib| triplets(&folder.join(lib)));
    if let Ok(path) = std::env::join_paths(folders.concat()) {
        command.env("LD_LIBRARY_PATH", path);
    }
    command
}

// Debian keeps libraries in a folder for the machine's kind, such as x86_64-linux-gnu.
fn triplets(lib: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect()
}

fn unpack(folder: &Path) -> Result<(), String> {
    let partial = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
    let packages = packages(&partial).or_else(|_| {
        // The lists of packages are missing or old, as on a new machine.
        run(&partial, "apt-get", &["-qq", "update"])?;
        packages(&partial)
    })?;
    eprintln!("    fetching {}", packages.join(" "));
    let words: Vec<&str> =
        ["-qq", "download"].into_iter().chain(packages.iter().map(String::as_str)).collect();
    run(&partial, "apt-get", &words)?;
    for entry in fs::read_dir(&partial).map_err(|error| error.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".deb") {
            run(&partial, "dpkg", &["-x", &name, "."])?;
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(&partial, folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// `redis-server` and what it needs that is not installed.
fn packages(within: &Path) -> Result<Vec<String>, String> {
    let words = ["-qq", "--simulate", "--no-install-recommends", "install", "redis-server"];
    let said = run(within, "apt-get", &words)?;
    // Inst liblzf1 (3.6-3 Debian:12.11/oldstable [amd64]); one that would be replaced has [its version] behind the name.
    let new = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once(" ("));
    let names: Vec<_> =
        new.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(' ')).collect();
    match names.iter().any(|name| name == "redis-server") {
        true => Ok(names),
        false => Err("apt-get knows no redis-server".into()),
    }
}

fn run(within: &Path, program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(words).current_dir(within).env("LC_ALL", "C").output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {}", words.join(" "), why.trim_end()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
