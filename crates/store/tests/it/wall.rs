//! What PostgreSQL lets nobody do, whatever the rooms above do.

use freehold_model::Code;
use freehold_store::Mode;

use crate::fixture::{Forge, House, backend, code, house, house_in, insert, sql, state};

#[tokio::test]
async fn each_tenant_sees_its_own_rows() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        assert_eq!(house.handles(&house.a).await, ["ann"]);
        assert_eq!(house.handles(&house.b).await, ["bob"]);
        let all: i64 = house
            .db
            .client()
            .await
            .query_one("select count(*) from app.person", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(all, 2);
    }
}

#[tokio::test]
async fn a_row_for_another_tenant_is_refused() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let b = house.b.id().to_string();
        let foreign = sql(
            "insert into app.person (tenant_id, handle) values ($1, 'eve') returning id::text",
            &[&b],
        );
        assert_eq!(code(house.store.run(&house.a, &foreign).await), Code::Forbidden);
        let theirs = sql("delete from app.person where tenant_id = $1 returning id::text", &[&b]);
        assert!(house.store.run_all(&house.a, &theirs).await.unwrap().is_empty());
        let moved = sql("update app.person set tenant_id = $1 returning id::text", &[&b]);
        assert_eq!(code(house.store.run_all(&house.a, &moved).await), Code::Forbidden);
        assert_eq!(house.handles(&house.b).await, ["bob"]);
    }
}

#[tokio::test]
async fn partitions_and_the_platform_are_closed() {
    let house = house().await;
    for text in [
        "select * from freehold_shelf.\"person~0\"",
        "select * from freehold.tenant",
        "select * from freehold.mac_key",
        "select * from freehold.api_key",
        "select freehold.seal('00000000-0000-0000-0000-000000000000')",
        "select freehold.platform()",
        "select freehold.tenant_named('b')",
        "select freehold.due()",
        "select freehold.wall_faults()",
        "select freehold.repair_login()",
        "set role freehold_gate",
        "set role freehold_owner",
        "create table app.mine (id int)",
        "create temp table mine (id int)",
        "truncate app.person",
    ] {
        assert_eq!(code(house.store.raw(&house.a, text).await), Code::Syntax, "{text}");
    }
}

#[tokio::test]
async fn nothing_is_read_without_a_tenant() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let attacker = house.attacker().await;
        for text in [
            "select * from app.person",
            "insert into app.person (handle) values ('eve')",
            "delete from app.person",
        ] {
            assert!(attacker.batch_execute(text).await.is_err(), "{text}");
        }
        // The tenant ends with its transaction.
        let text = "commit; select * from app.person";
        assert_eq!(code(house.store.raw(&house.a, text).await), Code::Syntax);
    }
}

#[tokio::test]
async fn the_sealed_parameter_cannot_be_set() {
    let house = house().await;
    let b = house.b.id().simple().to_string();
    for text in [
        format!("set backtrace_functions = '{b}'"),
        format!("set local backtrace_functions = '{b}'"),
        format!("select set_config('backtrace_functions', '{b}', true)"),
        format!("alter role freehold_app set backtrace_functions = '{b}'"),
        "reset all; select handle from app.person".to_owned(),
        "savepoint s; rollback to s; set local role none; set local backtrace_functions to default; select 1".to_owned(),
    ] {
        assert_eq!(code(house.store.raw(&house.a, &text).await), Code::Syntax, "{text}");
    }
    let attacker = house.attacker().await;
    let set = format!("begin; set local backtrace_functions = '{b}'");
    assert_eq!(state(&attacker.batch_execute(&set).await.unwrap_err()), "42501");
}

#[tokio::test]
async fn a_ticket_fits_no_other_tenant_and_no_other_transaction() {
    let house = house_in(Mode::Ticket).await;
    let attacker = house.attacker().await;
    let pid = backend(&attacker).await;
    let token = house.token(&house.a, Forge::none(pid)).await;
    attacker.batch_execute(&format!("begin; call freehold.open('{token}')")).await.unwrap();
    let ticket: String =
        attacker.query_one("select current_setting('freehold.ticket')", &[]).await.unwrap().get(0);
    attacker.batch_execute("commit").await.unwrap();

    let swapped = format!("{}{}", house.b.id().simple(), &ticket[32..]);
    for forged in [ticket.as_str(), &swapped, "", "x"] {
        attacker
            .batch_execute(&format!("begin; set local freehold.ticket = '{forged}'"))
            .await
            .unwrap();
        assert!(attacker.batch_execute("select * from app.person").await.is_err(), "{forged}");
        attacker.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn only_a_genuine_token_opens() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let attacker = house.attacker().await;
        let pid = backend(&attacker).await;
        let genuine = house.token(&house.b, Forge::none(pid)).await;
        let a = house.token(&house.a, Forge::none(pid)).await;
        let flipped =
            format!("{}{}", &genuine[..171], if genuine.ends_with('0') { '1' } else { '0' });
        let forged = [
            ("cut", genuine[..171].to_owned()),
            ("empty", String::new()),
            ("one bit", flipped),
            (
                "another tenant",
                genuine.replace(
                    &house.b.id().simple().to_string(),
                    &house.a.id().simple().to_string(),
                ),
            ),
            ("another's MAC", format!("{}{}", &genuine[..108], &a[108..])),
            ("expired", house.token(&house.b, Forge { life: -1, ..Forge::none(pid) }).await),
            ("too long", house.token(&house.b, Forge { life: 90, ..Forge::none(pid) }).await),
            ("another backend", house.token(&house.b, Forge::none(pid + 1)).await),
            (
                "another database",
                house.token(&house.b, Forge { database: Some("other"), ..Forge::none(pid) }).await,
            ),
            (
                "another login",
                house.token(&house.b, Forge { login: "postgres", ..Forge::none(pid) }).await,
            ),
            ("the ticket's key", house.token(&house.b, Forge { kid: 0, ..Forge::none(pid) }).await),
            ("padded", format!("{genuine}00")),
        ];
        for (what, token) in forged {
            assert!(!opens(&attacker, &token).await, "{what}");
        }
        assert!(opens(&attacker, &genuine).await);
        one_open_per_transaction(&house, &attacker, &genuine, &a).await;
    }
}

async fn one_open_per_transaction(
    house: &House,
    attacker: &tokio_postgres::Client,
    b: &str,
    a: &str,
) {
    let twice = format!("begin; call freehold.open('{b}'); call freehold.open('{a}')");
    assert_eq!(state(&attacker.batch_execute(&twice).await.unwrap_err()), "28000");
    attacker.batch_execute("rollback").await.unwrap();
    let missing = house.token(&house.a, Forge::none(backend(attacker).await)).await;
    assert!(opens(attacker, &missing).await);
}

async fn opens(attacker: &tokio_postgres::Client, token: &str) -> bool {
    let opened = attacker.batch_execute(&format!("begin; call freehold.open('{token}')")).await;
    let read = match opened {
        Ok(()) => attacker.query("select handle from app.person", &[]).await.is_ok(),
        Err(_) => false,
    };
    attacker.batch_execute("rollback").await.unwrap();
    read
}

#[tokio::test]
async fn a_hostile_search_path_changes_nothing() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        // As if somebody had been allowed to make objects: operators and functions that say yes to everything.
        let owner = house.db.client().await;
        owner
            .batch_execute(
                "create schema evil; grant usage on schema evil to public;
                 create function evil.yes(bytea, bytea) returns boolean language sql immutable as 'select true';
                 create operator evil.= (leftarg = bytea, rightarg = bytea, function = evil.yes);
                 create function evil.sha256(bytea) returns bytea language sql immutable as 'select ''x''::bytea';
                 create function evil.decode(text, text) returns bytea language sql immutable as 'select ''x''::bytea';
                 create function evil.yes(text, text) returns boolean language sql immutable as 'select true';
                 create operator evil.= (leftarg = text, rightarg = text, function = evil.yes)",
            )
            .await
            .unwrap();
        let attacker = house.attacker().await;
        attacker.batch_execute("set search_path = evil, pg_catalog").await.unwrap();
        let pid = backend(&attacker).await;
        let genuine = house.token(&house.b, Forge::none(pid)).await;
        let forged = format!("{}{}", &genuine[..108], "00".repeat(32));
        assert!(!opens(&attacker, &forged).await);
        assert!(opens(&attacker, &genuine).await);
        let ticket = format!("{}{}", house.b.id().simple(), "00".repeat(32));
        attacker
            .batch_execute(&format!("begin; set local freehold.ticket = '{ticket}'"))
            .await
            .unwrap();
        assert!(attacker.batch_execute("select * from app.person").await.is_err());
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_also_to_those_who_know_it_already() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let mut operator = house.operator().await;
        operator.suspend_tenant("a").await.unwrap();
        assert_eq!(code(house.store.run(&house.a, &insert("al")).await), Code::TenantSuspended);
        assert_eq!(code(house.store.begin(&house.a).await), Code::TenantSuspended);
        assert_eq!(code(house.store.tenant_named("a").await), Code::TenantSuspended);
        assert_eq!(house.handles(&house.b).await, ["bob"]);
        operator.resume_tenant("a").await.unwrap();
        assert_eq!(house.handles(&house.a).await, ["ann"]);
    }
}
