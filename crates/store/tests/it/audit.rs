//! The audit: a fresh installation is clean, and whatever is spoilt is found.

mod managed;
mod sabotages;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use freehold_model::declare;
use freehold_store::{
    Mode, Operator, RootKey,
    audit::{Facts, OnManaged, Profile, Severity, checks},
};
use freehold_testkit::TestDb;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use crate::fixture::{ROOT, apply};
use sabotages::{SABOTAGES, Sabotage};

const MODEL: &str = include_str!("isolation/model.toml");

/// What is so on the servers that run the tests: they keep nothing on purpose, and may trust whoever is on the machine.
const OF_TEST_SERVERS: [&str; 2] = ["FH-S03", "FH-S05"];

/// What is found, by the id of its check.
type Found = BTreeMap<&'static str, BTreeSet<(String, String)>>;

#[tokio::test]
async fn a_fresh_installation_is_clean() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let db = database(mode).await;
        let mut operator = Operator::open(db.url(), "test").await.unwrap();
        let report = operator.audit(None).await.unwrap();
        assert_eq!((report.profile, report.mode), (Profile::SelfHosted, Some(mode)));
        assert_eq!((report.locked, report.model_version), (true, 1));
        assert_eq!(report.checked.len(), checks().len(), "{:?}", report.unchecked);
        let bad = report.findings.iter().filter(|finding| {
            finding.check.severity >= Severity::Warning
                && !OF_TEST_SERVERS.contains(&finding.check.id.as_str())
        });
        let bad: Vec<String> = bad.map(ToString::to_string).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let faults = simple(&db.client().await, "select * from freehold.wall_faults()").await;
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[tokio::test]
async fn every_check_has_its_sabotage_and_every_sabotage_its_check() {
    for check in checks() {
        assert!(SABOTAGES.iter().any(|sabotage| sabotage.finds == check.id), "{}", check.id);
    }
    for sabotage in SABOTAGES {
        assert!(checks().iter().any(|check| check.id == sabotage.finds), "{}", sabotage.finds);
    }
    assert!(SABOTAGES.len() >= 100, "{}", SABOTAGES.len());
}

#[tokio::test]
async fn whatever_is_spoilt_is_found_in_mode_seal() {
    sabotage_all(Mode::Seal).await;
}

#[tokio::test]
async fn whatever_is_spoilt_is_found_in_mode_ticket() {
    sabotage_all(Mode::Ticket).await;
}

async fn sabotage_all(mode: Mode) {
    let db = database(mode).await;
    let client = db.client().await;
    let asked = prepared(&client).await;
    let clean = examine(&client, &asked).await;
    let mut missed = Vec::new();
    for sabotage in SABOTAGES {
        if let Err(why) = sabotage_once(&client, &asked, &clean, sabotage).await {
            missed.push(format!("{}: {why}\n    {}", sabotage.finds, sabotage.sql));
        }
    }
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), SABOTAGES.len(), missed.join("\n"));
    assert_eq!(examine(&client, &asked).await, clean, "nothing is left behind");
}

/// All in one transaction that is rolled back: roles and their rights are those of the whole server.
async fn sabotage_once(
    client: &Client,
    asked: &[Statement],
    clean: &Found,
    sabotage: &Sabotage,
) -> Result<(), String> {
    client.batch_execute("begin").await.unwrap();
    let tried = async {
        let before = if sabotage.before.is_empty() {
            clean.clone()
        } else {
            run(client, sabotage.before).await?;
            look_where(client, sabotage).await?;
            examine(client, asked).await
        };
        run(client, sabotage.sql).await?;
        look_where(client, sabotage).await?;
        let after = examine(client, asked).await;
        let none = BTreeSet::new();
        let (old, new) = (
            before.get(sabotage.finds).unwrap_or(&none),
            after.get(sabotage.finds).unwrap_or(&none),
        );
        if new.is_subset(old) {
            let ids = after.iter().filter(|(id, found)| before.get(*id) != Some(found));
            return Err(format!("not found; others did: {:?}", ids.collect::<Vec<_>>()));
        }
        let check = checks().iter().find(|check| check.id == sabotage.finds).unwrap();
        if check.severity == Severity::Severe {
            let faults = simple(client, "select id from freehold.wall_faults()").await;
            if !faults.iter().any(|row| row[0] == sabotage.finds) {
                return Err(format!("freehold.wall_faults() says {faults:?}"));
            }
        }
        Ok(())
    };
    let tried = tried.await;
    client.batch_execute("rollback").await.unwrap();
    tried
}

async fn run(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|error| {
        error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
    })
}

/// What a server says of itself cannot be changed in a transaction. So another answer is put before its own.
async fn look_where(client: &Client, sabotage: &Sabotage) -> Result<(), String> {
    if !sabotage.sql.contains("temp view") {
        return Ok(());
    }
    run(
        client,
        "do $$ begin execute format('grant temporary on database %I to freehold_gate', current_database()); end $$;
         set local search_path = pg_temp, pg_catalog;
         alter function freehold.wall_faults() set search_path = pg_temp, pg_catalog",
    )
    .await
}

/// Prepared once: to plan them is most of the work.
async fn prepared(client: &Client) -> Vec<Statement> {
    let mut asked = Vec::new();
    for check in checks() {
        asked.push(client.prepare(&check.statement(&facts())).await.unwrap());
    }
    asked
}

async fn examine(client: &Client, asked: &[Statement]) -> Found {
    let mut found = Found::new();
    for (check, statement) in checks().iter().zip(asked) {
        let rows = client.query(statement, &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{}: {error:?}", check.id));
        if !rows.is_empty() {
            found.insert(&check.id, rows.iter().map(|row| (row.get(0), row.get(1))).collect());
        }
    }
    found
}

fn facts() -> Facts {
    let model = declare::read(MODEL).unwrap().model;
    let entities = model.entities().iter().map(|entity| entity.name.to_string()).collect();
    Facts {
        entities,
        open: model.open().map(ToString::to_string).collect(),
        vectors: vec![("person.likeness".into(), "a test".into())],
        copies: vec!["face".into()],
    }
}

/// Those that decide whose tenant is opened. PostgreSQL keeps them as it understood them, hence by what it writes down.
#[tokio::test]
async fn the_platforms_functions_are_known_by_their_bodies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit/bodies.txt");
    let recorded = std::fs::read_to_string(&path).unwrap();
    let mut known: BTreeSet<String> = recorded.lines().map(str::to_owned).collect();
    for mode in [Mode::Seal, Mode::Ticket] {
        let db = database(mode).await;
        let client = db.client().await;
        client.batch_execute("set search_path = pg_catalog, pg_temp").await.unwrap();
        let text = "select proname || ' ' || encode(sha256(convert_to(pg_get_function_sqlbody(oid), 'UTF8')), 'hex')
            from pg_proc where pronamespace = 'freehold'::regnamespace and prosqlbody is not null
              and proname in ('genuine', 'vouched', 'seal', 'ticket_mac', 'tenant', 'uuidv7', 'key_holder', 'tenant_named',
                'tenant_known', 'keys_of', 'add_key', 'end_key', 'ticket')";
        let bodies = simple(&client, text).await;
        assert!(bodies.len() >= 6, "{bodies:?}");
        known.extend(bodies.into_iter().map(|mut row| row.remove(0)));
    }
    let now: String = known.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let why = "a body has changed: empty src/audit/bodies.txt and run this with UPDATE_EXPECT=1, on PostgreSQL 18 and on 16";
    assert!(std::fs::read_to_string(&path).unwrap() == now, "{why}:\n{now}");
}

#[tokio::test]
async fn the_fingerprint_is_of_the_wall_and_not_of_the_tenants() {
    let (one, two) = (database(Mode::Seal).await, database(Mode::Seal).await);
    let mut operators = Vec::new();
    for db in [&one, &two] {
        operators.push(Operator::open(db.url(), "test").await.unwrap());
    }
    operators[0].create_tenant("another").await.unwrap();
    let first = operators[0].fingerprint().await.unwrap();
    assert_eq!(first.len(), 64);
    assert_eq!(first, operators[1].fingerprint().await.unwrap());
    assert_eq!(first, operators[0].audit(None).await.unwrap().fingerprint);
    let client = one.client().await;
    // Slices of time come and go.
    let slice = "do $$ begin execute (select 'drop table ' || max(oid::regclass::text) from pg_class where relname like 'visit~s2%' and relkind = 'r'); end $$";
    client.batch_execute(slice).await.unwrap();
    assert_eq!(first, operators[0].fingerprint().await.unwrap());
    for change in [
        "grant update (tenant_id) on app.person to freehold_app",
        "alter policy wall on app.person with check (true)",
        "grant execute on function pg_terminate_backend to public",
        "alter function freehold.tenant() immutable",
    ] {
        client.batch_execute(change).await.unwrap();
        let now = operators[0].fingerprint().await.unwrap();
        assert_ne!(now, first, "{change}");
    }
}

#[test]
fn the_document_has_the_checks_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md");
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    let (head, _) = document.split_once("<!-- checks -->\n").expect("a place for the table");
    let mut table = String::from("<!-- checks -->\n");
    for severity in [Severity::Severe, Severity::Error, Severity::Warning, Severity::Note] {
        let name = severity.as_str();
        table += &format!("\n### {}{}\n\n", name[..1].to_uppercase(), &name[1..]);
        table += "| id | looks for | because | managed |\n|---|---|---|---|\n";
        for check in checks().iter().filter(|check| check.severity == severity) {
            let managed = match &check.managed {
                OnManaged::Same => "same",
                OnManaged::No => "not checked",
                OnManaged::Residual(text) => text,
            };
            let (what, why) = (check.what.replace('|', "\\|"), check.why.replace('|', "\\|"));
            table += &format!("| {} {} | {what} | {why} | {managed} |\n", check.id, check.name);
        }
    }
    let wanted = format!("{head}{table}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == wanted, "docs/audit.md is not as the checks are; UPDATE_EXPECT=1 writes it");
}

async fn simple(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| {
        panic!(
            "{sql}: {}",
            error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
        )
    });
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    rows.collect()
}

/// With the model applied, two tenants, and the function that servers ask.
async fn database(mode: Mode) -> TestDb {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap();
        furnish(&mut operator).await;
    };
    TestDb::from_template(&format!("audit {} {MODEL}", mode.as_str()), build).await
}

async fn furnish(operator: &mut Operator) {
    for name in ["acme", "umbrella"] {
        operator.create_tenant(name).await.unwrap();
    }
    apply(operator, MODEL).await;
    operator.tend_slices(usize::MAX, |_, _| ()).await.unwrap();
}
