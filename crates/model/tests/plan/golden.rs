//! Each pair of models has its plan beside it. `UPDATE_EXPECT=1 cargo test -p freehold-model` writes what is now.

use std::{fmt::Write as _, fs};

use freehold_model::{
    Model,
    plan::{Target, plan},
};

use crate::{folder, pairs};

#[test]
fn every_pair_has_its_plan() {
    for (name, old, new) in pairs() {
        let now = shown(&old, &new, 18);
        expect(&format!("{name}.sql"), &now);
        let before_18 = shown(&old, &new, 17);
        if before_18 != now {
            expect(&format!("{name}.17.sql"), &before_18);
        }
    }
}

#[test]
fn a_model_needs_no_plan_to_itself() {
    for (name, _, new) in pairs() {
        assert!(plan(&new, &new, Target { major: 18 }).expect("a plan").is_empty(), "{name}");
    }
}

fn shown(old: &Model, new: &Model, major: u16) -> String {
    match plan(old, new, Target { major }) {
        Ok(plan) if plan.is_empty() => "-- nothing to do\n".into(),
        Ok(plan) => {
            let mut text = plan.render();
            for flag in plan.destructive() {
                let _ = write!(text, "\n-- needs --allow {flag}");
            }
            text
        }
        Err(refusals) => refusals.iter().fold(String::new(), |mut text, refusal| {
            let _ = writeln!(
                text,
                "{} {refusal}\n  {}",
                refusal.code.as_str(),
                refusal.hint.as_deref().unwrap_or("-")
            );
            text
        }),
    }
}

#[allow(clippy::disallowed_methods, reason = "a test has no command line of ours")]
fn expect(file: &str, actual: &str) {
    let path = folder().join(file);
    if std::env::var("UPDATE_EXPECT").is_ok() {
        fs::write(&path, actual).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{file} is not what is made now; UPDATE_EXPECT=1 writes it\n{actual}"
    );
}
