//! Slices of time at the command line and over HTTP: what is told of them, and what is refused.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
};

use serde_json::{Value, json};

use crate::harness::{House, answer};

const MODEL: &str = r#"
[model]
name = "events"

[entity.event]
slices = "day"

[entity.event.field]
kind = { type = "text" }
at = { type = "timestamptz", default = "now()" }

[[entity.event.expire]]
delete = "20 days after at"
within = "2 days"
"#;

/// A row that was made so many days ago.
async fn old(house: &House, days: i32) -> String {
    let sql = "select json_build_object('kind', $1::int || ' days', 'at', t.at, 'id', left(m, 8) || '-' || right(m, 4) || '-7000-8000-000000000000')::text \
               from (select now() - $1::int * interval '1 day' as at) t, lpad(to_hex(floor(extract(epoch from t.at) * 1000)::bigint), 12, '0') m";
    house.db.client().await.query_one(sql, &[&days]).await.unwrap().get(0)
}

fn slices(answer: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["slices"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_slices_are_told_and_dropped() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
        for days in [1, 12] {
            house.fine(&["insert", "event", &old(&house, days).await, "--tenant", tenant]);
        }
    }
    let rows = async || house.number("select count(*) from app.event").await;
    let parts = "select count(*) from pg_class where relname like 'event~s2%' and relkind = 'r'";
    assert!(house.number(parts).await > 30);
    // One is over in part, and for an hour after midnight the one before it cannot be dropped yet.
    let hour = "select 1 + (extract(hour from now() at time zone 'UTC') < 1)::int::bigint";
    let before = house.number(hour).await;
    let told = slices(&house.fine(&["expire", "--dry-run", "--json"])).len() as i64;
    assert!(told == before || told == house.number(hour).await, "{told}, not {before}");

    house.write("freehold.toml", MODEL.replace("20 days", "5 days"));
    house.fine(&["apply"]);
    assert_eq!(rows().await, 4, "an apply drops no slice");
    let told = house.fine(&["expire", "--dry-run"]);
    assert!(told.contains("drop") && told.contains("what is over goes row by row"), "{told}");
    let of_a = house.fine(&["expire", "--once", "--tenant", "a", "--json"]);
    assert!(slices(&of_a).is_empty(), "{of_a}");
    assert_eq!(rows().await, 3);
    let done = slices(&house.fine(&["expire", "--once", "--json"]));
    assert!(done.len() > 12 && done.iter().all(|slice| slice["slice"] == "dropped"), "{done:?}");
    assert_eq!(rows().await, 2);
    assert!(house.number(parts).await < 20);
    for tenant in ["a", "b"] {
        let left = house.fine(&["query", "event?select=kind", "--tenant", tenant]);
        assert_eq!(left.trim(), r#"{"kind":"1 days"}"#);
    }
    assert!(slices(&house.fine(&["expire", "--once", "--json"])).is_empty());
    house.fine(&["work", "--once", "--slices"]);
    assert_eq!(rows().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_ahead_slices_are_is_measured_and_holds_that_are_past_count_for_nothing() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _server = house.serve_with(&["--no-workers", "--metrics", &port.to_string()]);
    let ahead = || -> u64 {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let text = answer(&mut stream).body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("freehold_slices_ahead_seconds{entity=\"event\"} "));
        line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
    };
    let day = 24 * 60 * 60;
    assert!((9 * day..=11 * day).contains(&ahead()), "{}", ahead());
    // Without the slice of the day after tomorrow there are slices until its begin.
    let client = house.db.client().await;
    let drop = |from: i32| {
        format!(
            "do $$ begin execute format('drop table freehold_shelf.%I', 'event~s' || to_char((now() at time zone 'UTC')::date + {from}, 'YYYYMMDD')); end $$"
        )
    };
    client.batch_execute(&drop(2)).await.unwrap();
    assert!((day..=2 * day).contains(&ahead()), "{}", ahead());
    client.batch_execute(&drop(0)).await.unwrap();
    assert_eq!(ahead(), 0);
    house.fine(&["expire", "--once"]);
    assert!(ahead() > 9 * day);

    // A slice that is over, and a hold that was.
    house.write("freehold.toml", MODEL.replace("20 days", "5 days"));
    house.fine(&["apply"]);
    let planned = || slices(&house.fine(&["expire", "--dry-run", "--json"]));
    house.fine(&["hold", "place", "--tenant", "a", "--reason", "past", "--until", "2020-01-01"]);
    assert!(planned().iter().any(|slice| slice["slice"] == "drop"), "{:?}", planned());
    house.fine(&["hold", "place", "--tenant", "a", "--reason", "now", "--until", "2999-01-01"]);
    assert!(planned().iter().any(|slice| slice["slice"] == "drop_unless_held"));
    let holds: Value = serde_json::from_str(&house.fine(&["hold", "list", "--json"])).unwrap();
    let in_force = |at: usize| holds[at]["in_force"].as_bool();
    assert_eq!((in_force(0), in_force(1)), (Some(false), Some(true)));
    // Dropped ones have their receipts at once.
    let dropped = slices(&house.fine(&["expire", "--once", "--json"]));
    let dropped = dropped.iter().filter(|slice| slice["slice"] == "dropped").count();
    let receipts = house.fine(&["erase", "receipts", "--json"]);
    assert!(dropped > 5 && receipts.matches("partition dropped").count() == dropped, "{receipts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_time_is_refused_over_http_with_the_mend() {
    let house = House::empty().await;
    house.write("freehold.toml", MODEL);
    house.fine(&["apply"]);
    for tenant in ["a", "b"] {
        house.fine(&["tenant", "create", tenant]);
    }
    let (server, key) = (house.serve(), house.key("a"));
    let row = r#"{"id":"0e6b1a52-8c1a-4c11-9d0f-3d1f5c1f2a10","kind":"x"}"#;
    let answer = server.as_tenant(&key, "POST /rest/v1/event", row);
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &told["code"]), (400, &json!("23514")));
    assert!(told["hint"].as_str().unwrap().contains("leave `id` out"), "{told}");
    assert_eq!(server.as_tenant(&key, "POST /rest/v1/event", r#"{"kind":"x"}"#).status, 201);
}
