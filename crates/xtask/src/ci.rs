//! Everything that must hold before a change goes in.

use crate::steps::{Steps, cargo, has_subcommand};
use crate::{postgres, test, tidy};

/// All of it, the quick steps first.
pub(crate) fn run(steps: &mut Steps) {
    steps.step("house rules", tidy::check);
    steps.step("format", || cargo(&["fmt", "--all", "--check"], &[]));
    steps.step("what is built in", deny);
    steps.step("lints", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
    });
    steps.step("documentation", || {
        cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
    });
    test::run(steps, &["--all".into()]);
    // As the tests built it: building it once more for release takes longer than everything before it.
    steps.step("the demo", || cargo(&["run", "--", "demo", "--once"], &[]));
    steps.step("stop the PostgreSQL of the tests", postgres::stop);
}

/// Known vulnerabilities are looked up elsewhere: their database is not in a package registry, and this must work with no more.
fn deny() -> Result<(), String> {
    if !has_subcommand("deny") {
        eprintln!("    cargo-deny is missing; it is built once (a few minutes)");
        cargo(&["install", "cargo-deny", "--locked", "--debug"], &[])?;
    }
    cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"], &[])
}
