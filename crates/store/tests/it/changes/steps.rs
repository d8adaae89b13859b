//! Steps: one at a time, all or nothing, and what cannot be done.

use std::time::Duration;

use freehold_model::Code;
use freehold_store::{Change, Error, Mode, Phase};

use super::{
    again, log_house, log_house_in, names, projection, run, statement, steady, take, told,
};
use crate::fixture::code;

const NOTE: &str = "insert into app.seen (reader, number, entity, kind, image) values ('r', 1, 'person', 'i', '{}')";

#[tokio::test]
async fn a_step_counts_once_it_is_finished() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = log_house_in(mode).await;
        let people = projection(&house.a, "people");
        take(&house.store, &people).await;
        run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;

        let mut step = steady(&house.store, &people).await;
        assert_eq!(*step.phase(), Phase::Steady(1));
        step.query(&statement(NOTE)).await.unwrap();
        // What is written now belongs to the next step.
        run(&house.store, &house.a, "insert into app.person (handle) values ('ben')").await;
        assert_eq!(told(&step.changes(10).await.unwrap()), [('i', "person", vec!["ann"])]);
        assert!(house.store.step(&people).await.unwrap().is_none(), "somebody has it");
        assert!(house.store.step(&projection(&house.a, "both")).await.unwrap().is_some());
        assert!(house.store.step(&projection(&house.b, "people")).await.unwrap().is_some());
        drop(step);

        let mut step = again(&house.store, &people).await;
        assert_eq!(told(&step.changes(10).await.unwrap()).len(), 2);
        step.query(&statement(NOTE)).await.unwrap();
        step.finish().await.unwrap();
        assert_eq!(take(&house.store, &people).await, []);
        let noted = house.store.run(&house.a, &statement("select count(*) from app.seen")).await;
        assert_eq!(noted.unwrap().int(0), Some(1));
    }
}

#[tokio::test]
async fn who_was_overtaken_can_do_nothing() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    let mut zombie = steady(&house.store, &people).await;
    zombie.query(&statement(NOTE)).await.unwrap();
    // The server thinks that it is dead.
    let admin = house.db.client().await;
    let kill = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'freehold_project' and datname = current_database()";
    admin.query(kill, &[]).await.unwrap();
    assert_eq!(take(&house.store, &people).await.len(), 1);
    assert!(zombie.finish().await.is_err());

    // One that paused, and came back too late.
    run(&house.store, &house.a, "insert into app.person (handle) values ('ben')").await;
    let paused = steady(&house.store, &people).await.pause(None).await.unwrap();
    assert!(house.store.step(&people).await.unwrap().is_none(), "the window is somebody's");
    admin.execute("update freehold.projection set held_until = now()", &[]).await.unwrap();
    assert_eq!(take(&house.store, &people).await.len(), 1);
    assert!(house.store.resume(&paused).await.unwrap().is_none());
}

#[tokio::test]
async fn a_window_ends_where_it_was_read_however_many_transactions_it_takes() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    let mut step = steady(&house.store, &people).await;
    assert_eq!(step.changes(10).await.unwrap().len(), 1);
    let paused = step.pause(None).await.unwrap();
    run(&house.store, &house.a, "insert into app.person (handle) values ('ben')").await;
    let paused = house.store.resume(&paused).await.unwrap().unwrap().pause(None).await.unwrap();
    run(&house.store, &house.a, "insert into app.person (handle) values ('cy')").await;
    house.store.resume(&paused).await.unwrap().unwrap().finish().await.unwrap();
    let changes = take(&house.store, &people).await;
    assert_eq!(told(&changes), [('i', "person", vec!["ben"]), ('i', "person", vec!["cy"])]);
}

/// A window of more images than this is cut, in these tests.
const FEW: &str = "create or replace function freehold.window_most() returns bigint language sql immutable return 3";

#[tokio::test]
async fn a_long_window_is_cut_between_two_transactions() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    let admin = house.db.client().await;
    admin.batch_execute(FEW).await.unwrap();
    let late = house.db.client().await;
    let insert = |name: &str| {
        format!(
            "insert into app.person (tenant_id, handle) select '{}', '{name}' || i from generate_series(1, 2) i",
            house.a.id()
        )
    };
    // It has its number before all others, and is committed between two steps.
    late.batch_execute(&format!("begin; {}", insert("late"))).await.unwrap();
    let write = async |text: &str| {
        let mut tx = house.store.begin(&house.a).await.unwrap();
        tx.query(&statement(text)).await.unwrap();
        tx.commit_placed(&house.store).await.unwrap().unwrap()
    };
    let handles = |changes: &[Change]| {
        let images = changes.iter().flat_map(|change| &change.images[1]);
        images.map(|image| image.clone().unwrap()).collect::<Vec<_>>()
    };
    let is_fresh = async |position| {
        house.store.freshness(&house.a, &["people"], position).await.unwrap().is_fresh
    };
    let one = write("insert into app.person (handle) values ('one1'), ('one2')").await;
    for name in ["two", "three", "four"] {
        admin.batch_execute(&insert(name)).await.unwrap();
    }
    let last = write("insert into app.person (handle) values ('last')").await;
    let first = steady(&house.store, &people).await;
    assert_eq!(*first.phase(), Phase::Steady(2));
    assert!(first.is_part());
    drop(first);
    again(&house.store, &people).await.give_up().await.unwrap();
    assert_eq!(handles(&take(&house.store, &people).await), ["one1", "one2"]);
    // What was moved on after the cut may have taken units with it: they come with the windows that follow.
    assert!(!is_fresh(one).await);
    late.batch_execute("commit").await.unwrap();
    // The next ones go on from there, whatever is paused between.
    let mut step = steady(&house.store, &people).await;
    let read = handles(&step.changes(100).await.unwrap());
    assert_eq!(read, ["late1", "late2"]);
    let paused = step.pause(None).await.unwrap();
    house.store.resume(&paused).await.unwrap().unwrap().finish().await.unwrap();
    for wanted in [["two1", "two2"], ["three1", "three2"]] {
        assert_eq!(handles(&take(&house.store, &people).await), wanted);
        assert!(!is_fresh(one).await && !is_fresh(last).await);
    }
    let step = steady(&house.store, &people).await;
    assert!(!step.is_part() && *step.phase() == Phase::Steady(3));
    step.give_up().await.unwrap();
    assert_eq!(handles(&take(&house.store, &people).await), ["four1", "four2", "last"]);
    assert!(is_fresh(one).await && is_fresh(last).await);
}

#[tokio::test]
async fn a_fill_goes_on_where_it_stopped() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    let step = house.store.step(&people).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Fill(None));
    let odd = ["a\"b\\c{,}".to_owned(), String::new()];
    step.filled(Some(&odd), 2).await.unwrap();
    run(&house.store, &house.a, "insert into app.person (handle) values ('meanwhile')").await;
    let step = house.store.step(&people).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Fill(Some(odd.to_vec())));
    assert!(step.finish().await.is_err(), "the images are not seen yet");
    again(&house.store, &people).await.filled(None, 0).await.unwrap();
    assert_eq!(told(&take(&house.store, &people).await), [('i', "person", vec!["meanwhile"])]);
    // Tenant b came after the read models: there is nothing to be filled for it.
    let step = house.store.step(&projection(&house.b, "people")).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Steady(0));
}

#[tokio::test]
async fn what_fails_is_parked_and_comes_back() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    let unit = ["it's {odd}, \"quoted\" \\ and 'long'".repeat(200), String::new()];
    for attempt in 1..=2 {
        let mut step = again(&house.store, &people).await;
        let error = step.query(&statement("select 1 / 0")).await.unwrap_err();
        drop(step);
        let mut step = again(&house.store, &people).await;
        step.park(&unit, &error, Some("22012")).await.unwrap();
        step.park(&["other".to_owned(), "unit".to_owned()], &error, None).await.unwrap();
        step.finish().await.unwrap();
        let parked = house.store.parked_units(10).await.unwrap();
        assert_eq!(parked.len(), 2);
        let parked = parked.iter().find(|parked| parked.unit == unit).unwrap();
        assert_eq!((parked.attempts, parked.tenant.as_str()), (attempt, "a"));
        assert!(!parked.sqlstate.is_empty() && !parked.error.is_empty());
    }
    let waiting = again(&house.store, &people).await.parked(10).await.unwrap();
    assert!(waiting.len() == 2 && waiting.iter().all(|(_, due)| !due), "{waiting:?}");
    assert_eq!(house.store.replay(Some("both")).await.unwrap(), 0);
    assert_eq!(house.store.replay(Some("people")).await.unwrap(), 2);
    let due = super::due(&house.store, &mut Default::default()).await;
    assert!(due.contains(&("a".into(), "people".into(), 0)), "{due:?}");
    let mut step = again(&house.store, &people).await;
    let parked = step.parked(10).await.unwrap();
    assert!(parked.len() == 2 && parked.iter().all(|(_, due)| *due), "{parked:?}");
    step.unpark(&unit).await.unwrap();
    step.finish().await.unwrap();
    assert_eq!(house.store.parked_units(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_can_be_waited_for() {
    let house = log_house().await;
    let (people, both) = (projection(&house.a, "people"), projection(&house.a, "both"));
    take(&house.store, &people).await;
    take(&house.store, &both).await;
    let write = statement("insert into app.person (handle) values ('ann')");
    let (_, position) = house.store.run_placed(&house.a, &write).await.unwrap();
    let text = house.store.position_text(position.unwrap());
    let position = house.store.read_position(&text).await.unwrap();
    let fresh = async |models: &[&str]| {
        house.store.freshness(&house.a, models, position).await.unwrap().is_fresh
    };
    assert!(!fresh(&["people"]).await && !fresh(&["both", "people"]).await);
    let soon = tokio::time::Instant::now() + Duration::from_millis(20);
    let late = house.store.wait_fresh(&house.a, &["people"], position, soon).await.unwrap();
    assert!(!late.is_fresh && late.served == "1", "{late:?}");
    let store = house.store.clone();
    let waiting = tokio::spawn({
        let (store, a) = (house.store.clone(), house.a.clone());
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        async move { store.wait_fresh(&a, &["people"], position, until).await }
    });
    take(&store, &people).await;
    assert!(waiting.await.unwrap().unwrap().is_fresh);
    assert!(fresh(&["people"]).await && !fresh(&["both", "people"]).await);
    assert!(!fresh(&["no such"]).await);

    // What touched nothing that the read model reads is not waited for.
    let mut tx = house.store.begin(&house.a).await.unwrap();
    tx.query(&statement("update app.person set note = 'x'")).await.unwrap();
    let position = tx.commit_placed(&house.store).await.unwrap().unwrap();
    let models = ["people"];
    assert!(house.store.freshness(&house.a, &models, position).await.unwrap().is_fresh);
    let (_, none) = house.store.run_placed(&house.a, &statement("select 1")).await.unwrap();
    assert_eq!(none, None);
    // A write that fails has no position, and the connection goes on.
    let wrong = statement("insert into app.person (handle) values (null)");
    assert_eq!(code(house.store.run_placed(&house.a, &wrong).await), Code::Required);
    house.store.woken().await;

    for text in ["", "00000000000000000000000000000000", "nonsense", &text[1..]] {
        assert!(matches!(house.store.read_position(text).await, Err(Error::Refused(_))), "{text}");
    }
}

#[tokio::test]
async fn links_come_as_asked_for() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    take(&house.store, &both).await;
    run(
        &house.store,
        &house.a,
        "insert into app.person (handle) values ('ann'), (E'b\\\\\"{},\\n')",
    )
    .await;
    let mut step = steady(&house.store, &both).await;
    let images = step.images("person", &names(&["born", "handle"]), 10).await.unwrap().unwrap();
    assert_eq!(images.links[0], [None, None]);
    assert_eq!(images.links[1], [Some("ann".to_owned()), Some("b\\\"{},\n".to_owned())]);
}

#[tokio::test]
async fn a_projection_begins_with_what_its_snapshot_saw() {
    let house = log_house().await;
    let (reader, writer) = (house.db.client().await, house.db.client().await);
    reader.batch_execute("begin isolation level repeatable read; select 1").await.unwrap();
    // Others get numbers between this transaction's snapshot and its own number.
    let mut between = Vec::new();
    for _ in 0..3 {
        let row = writer.query_one("select pg_current_xact_id()::text", &[]).await.unwrap();
        between.push(row.get::<_, String>(0));
    }
    let begun = "select array_agg(pg_visible_in_snapshot(x::xid8, s)), max(s::text), bool_or(pg_visible_in_snapshot(own, s))
        from unnest($1::text[]) x, (select pg_current_xact_id()) o (own), lateral (select freehold.before(pg_current_snapshot(), own)) b (s)";
    let row = reader.query_one(begun, &[&between]).await.unwrap();
    assert_eq!(row.get::<_, Vec<bool>>(0), [false; 3], "{}", row.get::<_, String>(1));
    assert!(!row.get::<_, bool>(2));
    let before = "select freehold.before($1::text::pg_snapshot, $2::text::xid8)::text";
    for (seen, border, left) in [
        ("10:20:10,12", "25", "10:20:10,12"),
        ("10:20:10,12", "15", "10:15:10,12"),
        ("10:20:10,12", "12", "10:12:10"),
        ("10:20:12", "11", "11:11:"),
        ("20:20:", "20", "20:20:"),
    ] {
        let row = reader.query_one(before, &[&seen, &border]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), left, "{seen} before {border}");
    }
}

#[tokio::test]
async fn a_window_that_was_left_goes_on_with_what_is_left_of_it() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    let units = |names: &[&str]| -> Vec<Vec<String>> {
        names.iter().map(|name| vec![(*name).to_owned(), "a \"b\", {}".to_owned()]).collect()
    };
    let mut step = steady(&house.store, &people).await;
    assert_eq!(step.changes(10).await.unwrap().len(), 1);
    let paused = step.pause(Some(&units(&["a", "b", "c"]))).await.unwrap();
    let step = house.store.resume(&paused).await.unwrap().unwrap();
    let paused = step.pause(Some(&units(&["b", "c"]))).await.unwrap();
    run(&house.store, &house.a, "insert into app.person (handle) values ('ben')").await;
    let admin = house.db.client().await;
    admin.execute("update freehold.projection set held_until = now()", &[]).await.unwrap();

    let step = again(&house.store, &people).await;
    assert_eq!(*step.phase(), Phase::Window(units(&["b", "c"]).concat()));
    let again_paused = step.pause(Some(&units(&["c"]))).await.unwrap();
    assert!(house.store.resume(&paused).await.unwrap().is_none(), "somebody else has it");
    house.store.resume(&again_paused).await.unwrap().unwrap().finish().await.unwrap();
    assert_eq!(
        told(&take(&house.store, &people).await),
        [('i', "person", vec!["ben"])],
        "what came after the window began is next"
    );
    let kept = "select todo is null and upto is null and changes = 2 from freehold.projection where model = 'people' and turn > 0";
    assert!(admin.query_one(kept, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_step_goes_back_past_what_failed() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = log_house_in(mode).await;
        let people = projection(&house.a, "people");
        take(&house.store, &people).await;
        let mut step = again(&house.store, &people).await;
        step.mark().await.unwrap();
        step.query(&statement(NOTE)).await.unwrap();
        step.mark().await.unwrap();
        step.query(&statement(NOTE)).await.unwrap();
        assert!(step.query(&statement("select 1 / 0")).await.is_err());
        assert_eq!(step.sqlstate(), Some("22012"));
        step.go_back().await.unwrap();
        step.query(&statement(NOTE)).await.unwrap();
        step.finish().await.unwrap();
        let noted = house.store.run(&house.a, &statement("select count(*) from app.seen")).await;
        assert_eq!(noted.unwrap().int(0), Some(2));
    }
}
