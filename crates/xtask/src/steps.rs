//! Steps with a heading each, and what became of them in the end.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The steps so far. One that fails does not keep the others from being made.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Result<(), String>)>,
}

impl Steps {
    /// Says what is done, does it, and keeps how it went. Says whether it went well.
    pub(crate) fn step(&mut self, title: &str, work: impl FnOnce() -> Result<(), String>) -> bool {
        eprintln!("\n==> {title}");
        let begin = Instant::now();
        let result = work();
        if let Err(why) = &result {
            eprintln!("{why}");
        }
        let well = result.is_ok();
        self.done.push((title.into(), begin.elapsed(), result));
        well
    }

    /// The table of times, and whether all went well.
    pub(crate) fn finish(self) -> ExitCode {
        eprintln!();
        for (title, time, result) in &self.done {
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            eprintln!("{word:>7} {:>7.1} s  {title}", time.as_secs_f64());
        }
        if self.done.iter().all(|(_, _, result)| result.is_ok()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Cargo in the root of the repository, printed as it is called.
pub(crate) fn cargo<A: AsRef<OsStr>>(
    arguments: &[A],
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let shown =
        environment.iter().map(|(name, value)| format!("{name}={value:?} ")).collect::<String>();
    let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    eprintln!("    {shown}cargo {}", words.join(" "));
    let status = command().args(arguments).envs(environment.iter().copied()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(format!("cargo {} failed ({status})", words.first().map_or("", |word| word)))
        }
        Err(error) => Err(format!("cargo cannot be run: {error}")),
    }
}

/// Whether cargo has that subcommand.
pub(crate) fn has_subcommand(name: &str) -> bool {
    command().args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}

fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root());
    command
}
