//! The chores of the house: `cargo xtask` says which.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod ci;
mod markdown;
mod postgres;
mod redis;
mod rust;
mod steps;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steps::Steps;

const USAGE: &str = "\
The chores of the house.

cargo xtask test [--all] [ARGUMENTS OF cargo test]
                   all tests, on PostgreSQL 18 (FREEHOLD_TEST_PG=16 for 16; --all does both);
                   fetches PostgreSQL and Redis into the cache folder the first time
cargo xtask redis  only looks for the Redis of the tests, and fetches it if need be
cargo xtask ci     everything that must hold before a change goes in
cargo xtask tidy   the house rules; `cargo xtask test` checks them, too
cargo xtask stop   stops the PostgreSQL that the tests leave running
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) =
        arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
    let mut steps = Steps::default();
    match (command, rest) {
        ("test", rest) => test::run(&mut steps, rest),
        ("redis", []) => {
            steps.step("Redis for the tests", redis::fetch);
        }
        ("ci", []) => ci::run(&mut steps),
        ("tidy", []) => {
            steps.step("house rules", tidy::check);
        }
        ("stop", []) => {
            steps.step("stop the PostgreSQL of the tests", postgres::stop);
        }
        ("help" | "--help" | "-h" | "", _) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("there is no such chore: {}\n\n{USAGE}", arguments.join(" "));
            return ExitCode::from(2);
        }
    }
    steps.finish()
}

/// The root of the repository.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the crate lies two folders deep").to_owned()
}
