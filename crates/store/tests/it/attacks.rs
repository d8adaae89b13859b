//! Every attack of the catalogue against our own schema, in both modes of the gate, and what came of it:
//! `attacks/attacks.txt`. The same against a database in which everything is as it usually is: `attacks/control.txt`, where
//! nearly all must leak, so that each is known to be able to. `UPDATE_EXPECT=1` records both anew; a leak of our own is
//! never recorded.

use std::{fmt::Write as _, path::Path};

use freehold_model::declare;
use freehold_store::{
    Config, Mode, RootKey, Store,
    prove::{Arena, Attack, Verdict, catalogue},
};
use freehold_testkit::TestDb;

use crate::{
    fixture::ROOT,
    isolation::{MODEL, database},
};

const SABOTAGE: &str = include_str!("attacks/sabotage.sql");

type Outcome = (&'static Attack, Verdict);

#[tokio::test]
async fn every_attack_is_held_in_both_modes() {
    let (seal, ticket) = tokio::join!(all(Mode::Seal, ""), all(Mode::Ticket, ""));
    let mut text = "Every attack and what came of it in the modes seal and ticket, and by what.\n\n".to_owned();
    let mut leaks = String::new();
    for ((attack, sealed), (_, ticketed)) in seal.iter().zip(&ticket) {
        let by = match (sealed, ticketed) {
            (Verdict::Held { by }, _) => by,
            (_, other) => other.reason(),
        };
        let (sealed_word, ticketed_word) = (sealed.as_str(), ticketed.as_str());
        let _ = writeln!(text, "{} {:<34}{sealed_word:<10}{ticketed_word:<10}{by}", attack.id, attack.name);
        for (mode, verdict) in [("seal", sealed), ("ticket", ticketed)] {
            if let Verdict::Leaked { evidence } = verdict {
                let _ = writeln!(leaks, "{} {} ({mode}): {evidence}", attack.id, attack.name);
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks}");
    compare("attacks.txt", &text);
}

#[tokio::test]
async fn in_a_database_as_they_usually_are_nearly_every_attack_leaks() {
    let outcomes = all(Mode::Seal, SABOTAGE).await;
    let mut text = "The same attacks on a database without Freehold's care: the attack must be able to leak.\n\n".to_owned();
    for (attack, verdict) in &outcomes {
        let _ = writeln!(text, "{} {:<34}{}", attack.id, attack.name, verdict.as_str());
    }
    let leaked = |verdict: &Verdict| matches!(verdict, Verdict::Leaked { .. });
    let count = outcomes.iter().filter(|(_, verdict)| leaked(verdict)).count();
    let _ = writeln!(text, "\n{count} of {} leak", outcomes.len());
    for (attack, verdict) in &outcomes {
        if !leaked(verdict) || verdict.reason().contains(" of ") {
            println!("{} {:<34}{} {}", attack.id, attack.name, verdict.as_str(), verdict.reason());
        }
    }
    compare("control.txt", &text);
}

#[test]
fn ids_are_never_given_twice() {
    let mut ids: Vec<_> = catalogue().map(|attack| attack.id).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

async fn all(mode: Mode, sabotage: &str) -> Vec<Outcome> {
    let model = declare::read(MODEL).unwrap().model;
    let db = database(mode, &model).await;
    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let (a, b) = (store.tenant_named("a").await.unwrap(), store.tenant_named("b").await.unwrap());
    let arena = Arena::open(db.url(), &RootKey::new(ROOT), &model, [&a, &b]).await.unwrap();
    assert!(arena.unfilled().is_empty() && arena.mode() == mode, "{:?}", arena.unfilled());
    sabotage_it(&db, sabotage).await;
    let mut outcomes = Vec::new();
    for attack in catalogue() {
        let verdict = attack.run(&arena).await.unwrap_or_else(|error| {
            panic!("{}: {error}: {:?}", attack.id, std::error::Error::source(&error))
        });
        outcomes.push((attack, verdict));
    }
    outcomes
}

async fn sabotage_it(db: &TestDb, sabotage: &str) {
    if let Err(error) = db.client().await.batch_execute(sabotage).await {
        panic!("{:?}", error.as_db_error());
    }
}

#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/attacks").join(file);
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let differs: Vec<_> = recorded.lines().zip(text.lines()).filter(|(a, b)| a != b).collect();
    assert!(recorded == text, "{file}: recorded and found differ: {differs:#?}");
}
