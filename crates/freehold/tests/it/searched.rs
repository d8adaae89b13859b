//! Searches from outside: what they say of their answers, and that they stay right while a tenant's rows move to a partition of
//! its own and back, by processes that are killed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::harness::{Answer, House, Served, is_ours, until};

const MODEL: &str = "
[model]
name = \"docs\"
[entity.doc.field]
number = { type = \"integer\", unique = true }
kind = { type = \"integer\" }
at = { vector = 8, metric = \"l2\" }
";

const ROWS: i64 = 3_000;

const NEAR: &str = "doc?select=number,d:at.distance()&at=nearest.[1,2,3,4,5,6,7,8]&limit=10";

async fn house() -> House {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    for arguments in [&["apply"][..], &["tenant", "create", "a"], &["tenant", "create", "b"]] {
        house.fine(arguments);
    }
    let text = format!(
        "insert into app.doc (tenant_id, number, kind, at)
         select t.id, n, n % 5, (select array_agg(((hashint8(n * 31 + d) % 1000)::float4))::freehold_ext.vector(8)
           from generate_series(1, 8) d)
         from freehold.tenant t, generate_series(1, {ROWS}) n where t.name = 'a' or n <= 40"
    );
    house.db.client().await.batch_execute(&text).await.unwrap();
    house
}

fn ask(server: &Served, key: &str, query: &str, prefer: &str) -> Answer {
    let (key, prefer) = (format!("apikey: {key}"), format!("prefer: {prefer}"));
    server.ask(&format!("GET /rest/v1/{query}"), &[&key, &prefer, "consistency: strong"], b"")
}

fn numbers(answer: &Answer) -> Vec<i64> {
    let rows = answer.json();
    let rows = rows.as_array().unwrap_or_else(|| panic!("{answer:?}"));
    rows.iter().map(|row| row["number"].as_i64().unwrap()).collect()
}

/// From the truth, past the wall.
async fn truth(house: &House, tenant: &str, filter: &str) -> Vec<i64> {
    let text = format!(
        "select number::bigint from app.doc where tenant_id = (select id from freehold.tenant where name = '{tenant}') {filter}
         order by at operator(freehold_ext.<->) '[1,2,3,4,5,6,7,8]', id limit 10"
    );
    let rows = house.db.client().await.query(&text, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_how_it_was_done() {
    let house = house().await;
    let (server, key, other) = (house.serve(), house.key("a"), house.key("b"));
    let info = |query: &str, prefer: &str| {
        let answer = ask(&server, &key, query, prefer);
        assert!(matches!(answer.status, 200 | 206), "{answer:?}");
        answer.header("search-info").unwrap_or_default().to_owned()
    };
    let exact = format!("path=exact, scanned={ROWS}, complete=?1, recall=1, more=?1");
    for prefer in ["recall=exact", "recall=0.99", "recall=fast", "count=exact"] {
        assert_eq!(info(NEAR, prefer), exact, "a shelf is always searched exactly");
    }
    assert_eq!(
        info(&format!("{NEAR}&kind=eq.2"), ""),
        "path=exact, scanned=600, complete=?1, recall=1, more=?1"
    );
    let few = format!("{NEAR}&number=lte.7");
    assert_eq!(info(&few, ""), "path=exact, scanned=7, complete=?1, recall=1, more=?0");
    assert_eq!(info("doc?number=eq.1", ""), "", "nothing was searched");
    for (prefer, wrong) in [
        ("recall=fast", "at=nearest.[1,2]"),
        ("handling=strict, recall=2", "at=nearest.[1,2,3,4,5,6,7,8]"),
    ] {
        let refused = ask(&server, &key, &format!("doc?{wrong}"), prefer);
        assert_eq!(refused.status, 400, "{prefer}, {wrong}: {refused:?}");
        is_ours(&refused.body);
    }
    let theirs = ask(&server, &other, NEAR, "recall=exact");
    assert_eq!(numbers(&theirs), truth(&house, "b", "").await);
    assert!(theirs.header("search-info").unwrap().contains("scanned=40"), "{theirs:?}");

    let shown = house.run(&["query", NEAR, "--tenant", "a", "--recall", "exact"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.err.contains(&format!("search: {exact}")), "{shown:?}");
    let rows: Vec<Value> =
        shown.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<i64> = rows.iter().map(|row| row["number"].as_i64().unwrap()).collect();
    assert_eq!(found, truth(&house, "a", "").await);
    let wrong = house.run(&["query", NEAR, "--tenant", "a", "--recall", "twice"]);
    assert_ne!(wrong.code, Some(0), "{wrong:?}");
}

/// Searches and writes for as long as it may: every answer is the truth, and no row is there twice or not at all. What is
/// written changes no row that is searched for.
fn watched(server: Arc<Served>, key: String, truth: Vec<i64>, stop: Arc<AtomicBool>) -> (u32, u32) {
    let (mut reads, mut writes) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let found = ask(&server, &key, NEAR, "recall=exact");
        assert_eq!((found.status, numbers(&found)), (200, truth.clone()), "after {reads} reads");
        let counted = ask(&server, &key, "doc?select=count(),number.min(),number.max()", "");
        let row = &counted.json()[0];
        assert_eq!(
            (&row["count"], &row["min"], &row["max"]),
            (&ROWS.into(), &1.into(), &ROWS.into())
        );
        let number = ROWS - i64::from(reads % 100);
        let line = format!("PATCH /rest/v1/doc?number=eq.{number}");
        let body = format!("{{\"kind\":{reads}}}");
        let headers = [
            &*format!("apikey: {key}"),
            "prefer: return=representation",
            "content-type: application/json",
        ];
        let written = server.ask(&line, &headers, body.as_bytes());
        // While rows change places writers wait, or are told to try again.
        match written.status {
            200 => {
                assert_eq!(written.json()[0]["kind"], reads, "{written:?}");
                writes += 1;
            }
            503 | 504 | 409 => is_ours(&written.body),
            _ => panic!("{written:?}"),
        }
        reads += 1;
    }
    (reads, writes)
}

/// Runs the command until it has done its work, killed a little later each time. Says how often it was killed.
async fn killed_again_and_again(house: &House, arguments: &[&str]) -> u32 {
    for kills in 0..40 {
        let mut child = house.command(arguments).spawn().unwrap();
        // Plays: whoever kills it, at any moment of its work.
        tokio::time::sleep(Duration::from_millis(60 + u64::from(kills) * 45)).await;
        if let Some(status) = child.try_wait().unwrap() {
            let ended = crate::harness::ended(child);
            assert!(status.success(), "{arguments:?}: {ended:?}");
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    house.fine(arguments);
    40
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_places_are_found_all_the_time_though_the_mover_is_killed() {
    let house = house().await;
    let (server, key) = (Arc::new(house.serve()), house.key("a"));
    let stop = Arc::new(AtomicBool::new(false));
    let truth = truth(&house, "a", "").await;
    let watcher = {
        let (server, key, stop) = (Arc::clone(&server), key.clone(), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || watched(server, key, truth, stop))
    };
    let leaves = "select count(distinct tableoid) from app.doc where tenant_id = (select id from freehold.tenant where name = 'a')
        and tableoid::regclass::text not like '%~_\"'";
    let there = killed_again_and_again(&house, &["tenant", "promote", "a", "doc"]).await;
    assert_eq!(house.number(leaves).await, 1, "on a leaf of its own");
    let fast = || ask(&server, &key, NEAR, "recall=fast");
    until("the index is measured and asked", async || {
        let answer = fast();
        assert_eq!(numbers(&answer).len(), 10);
        answer.header("search-info").unwrap().starts_with("path=index")
    })
    .await;
    let back = killed_again_and_again(&house, &["tenant", "demote", "a", "doc"]).await;
    assert_eq!(house.number(leaves).await, 0, "on the shelf");
    stop.store(true, Ordering::Relaxed);
    let (reads, writes) = watcher.await.unwrap();
    assert!(there > 0 && back > 0, "killed {there} and {back} times");
    assert!(reads > 5 && writes > 5, "{reads} reads, {writes} writes");
    let left = "select count(*) from pg_class c where c.relname ~ '^doc~' and c.relkind in ('r', 'p') and c.relname !~ '^doc~[0-7d]$'";
    assert_eq!(house.number(left).await, 0, "nothing is left behind");
    let audited = house.run(&["audit"]);
    assert!(audited.out.contains("checks made") && !audited.out.contains("FH-W"), "{audited:?}");
}
