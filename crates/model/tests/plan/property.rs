//! The property that carries plans, for random models: what a plan makes of the old tables is what the new model makes
//! on empty ground.

use freehold_model::plan::{Target, plan};
use freehold_testkit::random_model;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};

use crate::{model, postgres};

#[test]
fn a_random_change_makes_what_the_new_model_makes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases: cases(12), max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&random_model::change(), |(old, new)| {
            runtime.block_on(postgres::same(&format!("from\n{old}\nto\n{new}"), &model(&old), &model(&new)));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn most_random_changes_can_be_planned_and_lead_nowhere_from_their_end() {
    let mut runner = TestRunner::deterministic();
    let mut planned = 0;
    for _ in 0..200 {
        let (old, new) = random_model::change().new_tree(&mut runner).expect("a value").current();
        let (old, new) = (model(&old), model(&new));
        planned += usize::from(plan(&old, &new, Target { major: 18 }).is_ok());
        assert!(plan(&new, &new, Target { major: 18 }).expect("a plan").is_empty());
    }
    assert!(planned > 100, "{planned} of 200");
}

/// How many cases: `PROPTEST_CASES`, or few enough for every day.
#[allow(clippy::disallowed_methods, reason = "a test has no command line of ours")]
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
