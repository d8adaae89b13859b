//! Processes and connections that die in the middle: run again, nothing is missing and nothing is there twice.

use std::fmt::Write as _;

use crate::harness::{House, ended, is_ours, until};

const ROWS: i64 = 20_000;
const COUNT: &str = "select count(*) from app.note";

fn with_rows(house: &House) {
    let mut text = String::new();
    for number in 1..=ROWS {
        let _ = writeln!(text, "{{\"number\":{number},\"title\":\"note {number} of many\"}}");
    }
    house.write("rows.jsonl", text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_where_it_was() {
    let house = House::new().await;
    with_rows(&house);
    let import = ["import", "note", "rows.jsonl", "--tenant", "a", "--json"];
    let mut child = house.command(&import).spawn().unwrap();
    until("first rows are in", async || house.number(COUNT).await > 0).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let before = house.number(COUNT).await;
    assert!(before < ROWS, "it was over before it was killed");
    house.fine(&import);
    assert_eq!(house.number(COUNT).await, ROWS);
    assert_eq!(house.number("select count(distinct number) from app.note").await, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_connection_dies_says_so_and_goes_on() {
    let house = House::new().await;
    with_rows(&house);
    let import = ["import", "note", "rows.jsonl", "--tenant", "a", "--json"];
    let child = house.command(&import).spawn().unwrap();
    until("first rows are in", async || house.number(COUNT).await > 0).await;
    house.number("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()").await;
    let stopped = ended(child);
    assert_ne!(stopped.code, None, "{stopped:?}");
    if stopped.code != Some(0) {
        assert_eq!(stopped.code, Some(3), "{stopped:?}");
        assert!(!stopped.err.contains("panicked"), "{stopped:?}");
        house.fine(&import);
    }
    assert_eq!(house.number(COUNT).await, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_in_the_middle_does_not_bring_the_rows_before_it_twice() {
    let house = House::new().await;
    let mut text = String::new();
    for number in 1..=50 {
        let number = if number == 30 { 29 } else { number };
        let _ = writeln!(text, "{{\"number\":{number},\"title\":\"x\"}}");
    }
    house.write("rows.jsonl", &text);
    let import = ["import", "note", "rows.jsonl", "--tenant", "a"];
    let stopped = house.run(&import);
    is_ours(&stopped.err);
    assert!(stopped.code == Some(1) && stopped.err.contains("line 30"), "{stopped:?}");
    assert_eq!(house.number(COUNT).await, 29);
    house.write(
        "rows.jsonl",
        text.replacen(
            "29,\"title\":\"x\"}\n{\"number\":29",
            "29,\"title\":\"x\"}\n{\"number\":30",
            1,
        ),
    );
    house.fine(&import);
    assert_eq!(house.number(COUNT).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_is_killed_can_be_run_again() {
    let house = House::empty().await;
    let mut child = house.command(&["apply"]).spawn().unwrap();
    until("the first table is there", async || {
        house.number("select count(*) from pg_class where relname = 'person'").await > 0
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    house.fine(&["apply"]);
    house.fine(&["tenant", "create", "a"]);
    house.fine(&["insert", "note", r#"{"number":1,"title":"x"}"#, "--tenant", "a"]);
    assert!(house.fine(&["plan", "--json"]).contains("\"steps\":[]"));
}
