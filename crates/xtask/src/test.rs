//! All tests, with what they need.

use crate::postgres;
use crate::steps::{Steps, cargo};

/// The rooms whose tests depend on which PostgreSQL it is.
const NEAR_POSTGRESQL: [&str; 4] = ["-p", "freehold-store", "-p", "freehold-engine"];

/// The tests of the whole house; with `--all`, those near PostgreSQL on 16, too.
pub(crate) fn run(steps: &mut Steps, arguments: &[String]) {
    let all = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--all");
    let rest: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--all").collect();
    if !steps.step("PostgreSQL for the tests", postgres::fetch) {
        return;
    }
    let major = std::env::var_os("FREEHOLD_TEST_PG")
        .map_or("18".into(), |major| major.to_string_lossy().into_owned());
    let begin = ["test", "--workspace"];
    steps.step(&format!("tests on PostgreSQL {major}"), || {
        cargo(&[&begin, rest.as_slice()].concat(), &[("FREEHOLD_TEST_PG", &major)])
    });
    if all {
        on_16(steps, &rest);
    }
}

fn on_16(steps: &mut Steps, rest: &[&str]) {
    steps.step("tests near PostgreSQL, on 16", || {
        cargo(&[&["test"], &NEAR_POSTGRESQL[..], rest].concat(), &[("FREEHOLD_TEST_PG", "16")])
    });
}
