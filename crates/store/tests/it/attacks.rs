//! Every attack of the catalogue against our own schema, in both modes of the gate, and what came of it:
//! `attacks/attacks.txt`. The same against a database in which everything is as it usually is: `attacks/control.txt`, where
//! nearly all must leak, so that each is known to be able to. `UPDATE_EXPECT=1` records both anew; a leak of our own is
//! never recorded.

use std::{fmt::Write as _, path::Path};

use freehold_model::declare;
use freehold_store::{
    Config, Mode, Operator, RootKey, Store,
    prove::{Arena, Attack, Verdict, catalogue},
};
use freehold_testkit::TestDb;

use crate::{
    fixture::ROOT,
    isolation::{MODEL, database},
};

const SABOTAGE: &str = include_str!("attacks/sabotage.sql");
const NO_POLICIES: &str = "alter table app.person disable row level security; \
                           alter table app.commit disable row level security; alter table app.file disable row level security; alter function freehold.tenant() immutable";

type Outcome = (&'static Attack, Verdict);

#[tokio::test]
async fn every_attack_is_held_in_both_modes() {
    let (seal, ticket) = tokio::join!(all(Mode::Seal, ""), all(Mode::Ticket, ""));
    let mut text =
        "Every attack and what came of it in the modes seal and ticket, and by what.\n\n"
            .to_owned();
    let mut leaks = String::new();
    for ((attack, sealed), (_, ticketed)) in seal.iter().zip(&ticket) {
        let by = match (sealed, ticketed) {
            (Verdict::Held { by }, _) => by,
            (_, other) => other.reason(),
        };
        let (sealed_word, ticketed_word) = (sealed.as_str(), ticketed.as_str());
        let _ = writeln!(
            text,
            "{} {:<34}{sealed_word:<10}{ticketed_word:<10}{by}",
            attack.id, attack.name
        );
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
    let open = format!("{SABOTAGE}{NO_POLICIES}");
    let (policies, none) = tokio::join!(all(Mode::Seal, SABOTAGE), all(Mode::Seal, &open));
    let mut text = "The same attacks on a database without Freehold's care, with policies as they are usually written and without any.\n\n".to_owned();
    let leaked = |verdict: &Verdict| matches!(verdict, Verdict::Leaked { .. });
    let (mut leaks, mut detail) = (0, String::new());
    for ((attack, first), (_, second)) in policies.iter().zip(&none) {
        leaks += usize::from(leaked(first) || leaked(second));
        let _ = writeln!(
            text,
            "{} {:<34}{:<10}{}",
            attack.id,
            attack.name,
            first.as_str(),
            second.as_str()
        );
        let _ = writeln!(
            detail,
            "{} {:<34}{} / {}",
            attack.id,
            attack.name,
            first.reason(),
            second.reason()
        );
    }
    let _ = writeln!(text, "\n{leaks} of {} leak", policies.len());
    // What leaked, for whoever looks at why one does not.
    println!("{detail}");
    compare("control.txt", &text);
}

#[test]
fn the_document_says_what_is_residual_and_what_is_not_tried_beside_real_tenants() {
    let document = include_str!("../../../../docs/prove.md");
    let section = |title: &str| {
        let rest = document.split_once(title).unwrap().1;
        rest.split("\n## ").next().unwrap().lines().filter_map(row).collect::<Vec<_>>()
    };
    fn row(line: &str) -> Option<(String, String)> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (id, name) = (cells.next()?.to_owned(), cells.next()?.to_owned());
        catalogue().any(|attack| attack.id == id).then_some((id, name))
    }
    let named = |wanted: &dyn Fn(&Attack) -> bool| {
        let all = catalogue().filter(|attack| wanted(attack));
        all.map(|attack| (attack.id.to_owned(), attack.name.to_owned())).collect::<Vec<_>>()
    };
    let recorded = include_str!("attacks/attacks.txt");
    let residual = |attack: &Attack| {
        let line = recorded.lines().find(|line| line.starts_with(&format!("{} ", attack.id)));
        line.is_some_and(|line| line.contains("  residual"))
    };
    assert_eq!(section("## What cannot be prevented"), named(&residual));
    assert_eq!(section("## What is not tried beside real tenants"), named(&|attack| !attack.safe));
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
    let db = database(mode).await;
    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    let [a, b] = operator.make_canaries().await.unwrap();
    let mut other = Operator::open(db.url(), "test").await.unwrap();
    assert!(other.make_canaries().await.is_err(), "two proofs at once");
    assert!(are_neighbours(&db).await);
    let (a, b) = (store.tenant_named(&a).await.unwrap(), store.tenant_named(&b).await.unwrap());
    let mut arena = Arena::open(db.url(), &RootKey::new(ROOT), &model, [&a, &b]).await.unwrap();
    assert!(arena.unfilled().is_empty() && arena.mode() == mode, "{:?}", arena.unfilled());
    if !sabotage.is_empty() {
        sabotage_it(&db, sabotage).await;
        arena = arena.careless();
    }
    let mut outcomes = Vec::new();
    for attack in catalogue() {
        let verdict = attack.run(&arena).await.unwrap_or_else(|error| {
            panic!("{}: {error}: {:?}", attack.id, std::error::Error::source(&error))
        });
        outcomes.push((attack, verdict));
    }
    if sabotage.is_empty() {
        assert_eq!(operator.remove_canaries().await.unwrap(), 2);
        assert!(arena.void().is_empty(), "statements that try nothing: {:#?}", arena.void());
    }
    outcomes
}

/// Whether the rows of both lie in the same partitions, where they see most of one another.
async fn are_neighbours(db: &TestDb) -> bool {
    let text = "select count(distinct shelf) = 1 and count(*) = 2 from freehold.tenant t, generate_series(0, 7) shelf \
                where t.name like 'freehold-canary-%' and satisfies_hash_partition('freehold_shelf.\"person~d\"'::regclass, 8, shelf, t.id)";
    db.client().await.query_one(text, &[]).await.unwrap().get(0)
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
