//! All tests, with what they need.

use crate::steps::{Steps, cargo};
use crate::{postgres, redis};

/// Tests wait for PostgreSQL more than they compute: with one for each core half of the machine is idle.
const AT_ONCE: (&str, &str) = ("RUST_TEST_THREADS", "4");

/// What depends on which PostgreSQL it is, of the tests of `store`.
const NEAR_POSTGRESQL: [&str; 10] = [
    "changes::capture",
    "changes::steps",
    "drivers::",
    "hygiene::",
    "isolation::",
    "placement::there",
    "requests::",
    "server::",
    "stamps::",
    "wall::",
];

/// The tests of the whole house; with `--all`, those near PostgreSQL on 16, too.
pub(crate) fn run(steps: &mut Steps, arguments: &[String]) {
    let all = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--all");
    let rest: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--all").collect();
    if !steps.step("PostgreSQL for the tests", postgres::fetch)
        || !steps.step("Redis for the tests", redis::fetch)
    {
        return;
    }
    let major = std::env::var_os("FREEHOLD_TEST_PG")
        .map_or("18".into(), |major| major.to_string_lossy().into_owned());
    let begin = ["test", "--workspace"];
    steps.step(&format!("tests on PostgreSQL {major}"), || {
        cargo(&[&begin, rest.as_slice()].concat(), &[("FREEHOLD_TEST_PG", &major), AT_ONCE])
    });
    if all {
        on_16(steps, &rest);
    }
}

fn on_16(steps: &mut Steps, rest: &[&str]) {
    let mut words = [&["test", "-p", "freehold-store", "--test", "it"], rest].concat();
    if rest.is_empty() {
        words.push("--");
        words.extend(NEAR_POSTGRESQL);
    }
    steps.step("tests near PostgreSQL, on 16", || {
        cargo(&words, &[("FREEHOLD_TEST_PG", "16"), AT_ONCE])
    });
}
