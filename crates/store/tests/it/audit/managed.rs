//! Servers of a provider: what cannot be held there, and what must be all the same.

use freehold_store::{
    Mode, Operator, RootKey,
    audit::{OnManaged, Profile, Severity, checks},
};
use freehold_testkit::OwnServer;

use super::{OF_TEST_SERVERS, database, facts, furnish, simple};
use crate::fixture::{ROOT, state};

#[tokio::test]
async fn the_gate_sees_enough_to_find_them() {
    let db = database(Mode::Ticket).await;
    let client = db.client().await;
    client
        .batch_execute("set role freehold_gate; set search_path = pg_catalog, pg_temp")
        .await
        .unwrap();
    for check in checks() {
        let asked = client.simple_query(&check.statement(&facts())).await;
        match asked {
            Ok(_) => {}
            Err(error) if check.managed == OnManaged::No => assert_eq!(state(&error), "42501"),
            Err(error) => panic!("{}: {error:?}", check.id),
        }
    }
}

#[tokio::test]
async fn what_a_provider_withholds_is_told_and_stops_no_server() {
    let db = database(Mode::Ticket).await;
    let client = db.client().await;
    // As it is where nobody could lock anything down.
    let open = "update freehold.platform_version set locked = false;
        drop event trigger freehold_guard; drop event trigger freehold_no_ddl; drop event trigger freehold_note_ddl;
        grant select on pg_stat_activity, pg_class to public; grant execute on function pg_terminate_backend to public;
        grant usage on language plpgsql to public; grant usage on schema information_schema to public";
    client.batch_execute(open).await.unwrap();
    assert_eq!(
        simple(&client, "select * from freehold.wall_faults()").await,
        Vec::<Vec<String>>::new()
    );
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    let managed = operator.audit(Some(Profile::Managed)).await.unwrap();
    let left: Vec<&str> = managed.residuals.iter().map(|residual| &*residual.check.id).collect();
    assert_eq!(left, ["FH-L01", "FH-L02", "FH-L03", "FH-L05", "FH-L06"]);
    let worst = managed.findings.iter().filter(|f| !OF_TEST_SERVERS.contains(&f.check.id.as_str()));
    assert!(worst.map(|finding| finding.check.severity).max() <= Some(Severity::Note));
    let own = operator.audit(None).await.unwrap();
    assert_eq!(own.profile, Profile::SelfHosted, "the operator is a superuser");
    assert_eq!(own.worst(), Some(Severity::Error));
    assert!(own.residuals.is_empty());
}

#[tokio::test]
async fn an_operator_without_superuser_has_a_managed_server_and_a_wall_without_faults() {
    let server = OwnServer::start().await;
    let admin = server.client().await;
    let provide = "create role op login createrole password 'secret'; create schema freehold_ext;
        grant usage on schema freehold_ext to public; create extension vector schema freehold_ext";
    admin.batch_execute(provide).await.unwrap();
    admin.batch_execute("alter database postgres owner to op").await.unwrap();
    let mut operator = Operator::open(&server.url_as("op", "secret"), "test").await.unwrap();
    assert_eq!(operator.set_up(&RootKey::new(ROOT)).await.unwrap(), Mode::Ticket);
    furnish(&mut operator).await;

    admin.batch_execute("set session authorization freehold_control").await.unwrap();
    let faults = simple(&admin, "select * from freehold.wall_faults()").await;
    assert!(faults.is_empty(), "{faults:?}");
    let report = operator.audit(None).await.unwrap();
    assert_eq!((report.profile, report.locked), (Profile::Managed, false));
    assert!(report.unchecked.is_empty(), "{:?}", report.unchecked);
    let bad = report.findings.iter().filter(|finding| {
        finding.check.severity >= Severity::Warning
            && !OF_TEST_SERVERS.contains(&finding.check.id.as_str())
    });
    let bad: Vec<String> = bad.map(ToString::to_string).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let left: Vec<&str> = report.residuals.iter().map(|residual| &*residual.check.id).collect();
    assert_eq!(left, ["FH-R09", "FH-L01", "FH-L02", "FH-L03", "FH-L05", "FH-L06"]);
    let strict = operator.audit(Some(Profile::SelfHosted)).await.unwrap();
    let unchecked: Vec<&str> = strict.unchecked.iter().map(|one| &*one.check.id).collect();
    assert_eq!(unchecked, ["FH-R11", "FH-K12", "FH-S03"]);
    assert_eq!(strict.worst(), Some(Severity::Error));

    // What is severe stops the servers for all, so no tenant's SQL may bring it about.
    admin
        .batch_execute("reset session authorization; set session authorization freehold_app")
        .await
        .unwrap();
    for attempt in [
        "select lo_create(0)",
        "alter role freehold_app set search_path = 'elsewhere'",
        "alter role freehold_app password 'mine'",
    ] {
        let done = admin.batch_execute(attempt).await;
        assert!(done.is_ok(), "{attempt}: {done:?}");
    }
    for attempt in [
        "alter role freehold_app set backtrace_functions = 'x'",
        "alter role freehold_app set freehold.ticket = 'x'",
        "alter role freehold_app set log_statement = 'all'",
        "alter role freehold_app bypassrls",
        "create schema mine",
        "create temp table mine ()",
    ] {
        assert!(admin.batch_execute(attempt).await.is_err(), "{attempt}");
    }
    // Its rights are its own to drop, as far as PostgreSQL lets it: an outage, and no fault of the wall.
    let _ = admin.batch_execute("drop owned by freehold_app").await;
    admin.batch_execute("reset session authorization").await.unwrap();
    let faults = simple(&admin, "select * from freehold.wall_faults()").await;
    assert!(faults.is_empty(), "{faults:?}");
}
