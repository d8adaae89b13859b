//! A slice that was dropped leaves a receipt; and a hold that comes, or a row of whoever is held, while it is about to be dropped
//! keeps it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ALL, DAY, event, filled, rows, tend, there};
use crate::ground::{Ground, receipts};

#[tokio::test]
async fn each_slice_that_was_dropped_has_a_receipt() {
    let ground = filled().await;
    assert_eq!(ground.engine.receipt_slices().await.unwrap(), 0, "an apply drops none");
    let mut operator = ground.operator().await;
    let over = operator.slices().await.unwrap().into_iter().filter(|slice| slice.over);
    let over: Vec<Value> = over.map(|slice| json!([slice.from, slice.to])).collect();
    assert_eq!(tend(&mut operator).await["dropped"], over.len());
    // Whoever dropped them may have died there; workers write what is owed, each once, however many do.
    let another = ground.another().await;
    let (one, other) = tokio::join!(ground.engine.expire_due(), another.receipt_slices());
    one.unwrap();
    other.unwrap();
    let all = receipts(&ground.engine.store()).await;
    let told: Vec<Value> =
        all.iter().map(|one| json!([one["slice"]["from"], one["slice"]["to"]])).collect();
    assert_eq!(told, over);
    for (at, one) in all.iter().enumerate() {
        assert_eq!(one["receipt"], at + 1);
        assert_eq!(one["slice"]["entity"], "event");
        assert_eq!(one["slice"]["rule"], "delete 10 days after at");
        assert!(one["slice"]["about_rows"].is_u64() && one["slice"]["bytes"].as_u64() > Some(0));
        assert!(one["slice"]["dropped"].as_str().unwrap().ends_with('Z'), "{one}");
        assert!(!one.to_string().contains(&ground.a.id().to_string()));
    }
    assert_eq!(ground.engine.receipt_slices().await.unwrap(), 0);
    assert_eq!(ground.engine.store().rows_without_receipt(true).await.unwrap(), 0);
}

#[tokio::test]
async fn what_went_row_by_row_before_its_slice_is_counted_as_rows_alone() {
    let ground = filled().await;
    let held = ground.read(&ground.b, "person").await[0]["id"].as_str().unwrap().parse().unwrap();
    let store = ground.engine.store();
    let hold = store.place_hold(&ground.b, Some(held), "a case", None).await.unwrap();
    // A slice that a hold keeps for longer than rows may lie is emptied of the others' rows.
    assert_eq!(ground.engine.expire(None).await.unwrap()[0].rows, 2);
    assert_eq!(store.rows_without_receipt(true).await.unwrap(), 2);
    store.release_hold(hold.parse().unwrap()).await.unwrap();
    let dropped = tend(&mut ground.operator().await).await["dropped"];
    assert_eq!(ground.engine.expire(None).await.unwrap(), []);
    assert_eq!(ground.engine.receipt_expired(true).await.unwrap(), dropped + 1);
    let rows = receipts(&ground.engine.store()).await.into_iter();
    let rows: Vec<Value> = rows.filter(|one| one["slice"].is_null()).collect();
    assert_eq!((rows.len(), &rows[0]["expired"]["rows"]), (1, &json!(2)), "{rows:?}");
    assert_eq!(rows[0]["expired"]["rule"], "delete 10 days after at");
}

#[tokio::test]
async fn a_hold_that_is_past_keeps_nothing() {
    let ground = filled().await;
    let store = ground.engine.store();
    let ada = ground.read(&ground.b, "person").await[0]["id"].as_str().unwrap().parse().unwrap();
    store.place_hold(&ground.b, Some(ada), "past", Some("2020-01-01")).await.unwrap();
    store.place_hold(&ground.a, None, "past", Some("2020-01-01")).await.unwrap();
    assert!(store.holds(None).await.unwrap().iter().all(|hold| !hold.in_force));
    assert!(!tend(&mut ground.operator().await).await.contains_key("held"));
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
    store.place_hold(&ground.b, Some(ada), "now", Some("2999-01-01")).await.unwrap();
    let holds = store.holds(None).await.unwrap();
    assert_eq!(holds.iter().filter(|hold| hold.in_force).count(), 1);
}

/// Somebody reads, so that the first slice cannot be dropped, until `meanwhile` is done; then what was done with slices.
async fn meanwhile(ground: &Ground, meanwhile: impl Future<Output = ()>) -> Vec<(String, String)> {
    let reader = ground.db.client().await;
    reader.batch_execute("begin; select count(*) from app.event").await.unwrap();
    let watcher = ground.db.client().await;
    let mut operator = ground.operator().await;
    let mut all = Vec::new();
    let told = |slice: &freehold_engine::slice::SliceInfo,
                done: freehold_engine::slice::SliceDone| {
        all.push((slice.from.clone(), done.as_str().to_owned()));
    };
    let between = async {
        let waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(30);
        while watcher.query(waits, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "it never waited");
            tokio::task::yield_now().await;
        }
        meanwhile.await;
        reader.batch_execute("commit").await.unwrap();
    };
    let (tended, ()) = tokio::join!(freehold_engine::slice::tend(&mut operator, told), between);
    tended.unwrap();
    all
}

/// A row about this person in the oldest slice that is over, which is the one that cannot be dropped meanwhile.
struct Oldest {
    day: String,
    minutes: i64,
}

async fn oldest(ground: &Ground) -> Oldest {
    let slice = ground.operator().await.slices().await.unwrap().remove(0);
    assert!(slice.over);
    let sql = format!(
        "select (extract(epoch from now() - ('{}'::timestamptz + interval '1 hour')) / 60)::int as m",
        slice.from
    );
    let minutes = ground.truth(&sql).await[0]["m"].as_i64().unwrap();
    assert!(minutes > 20 * DAY);
    Oldest { day: slice.from, minutes }
}

#[tokio::test]
async fn a_hold_that_comes_while_a_slice_is_dropped_keeps_it() {
    let ground = filled().await;
    let Oldest { day, minutes } = oldest(&ground).await;
    let ada = ground.read(&ground.b, "person").await[0]["id"].clone();
    event(&ground, &ground.b, 77, minutes, Some(&ada)).await;
    let store = ground.engine.store();
    let ada = ada.as_str().unwrap().parse().unwrap();
    let placed = Box::pin(async {
        store.place_hold(&ground.b, Some(ada), "a case", None).await.unwrap();
    });
    let done = Box::pin(meanwhile(&ground, placed)).await;
    assert_eq!(done[0], (day, "held".into()), "{done:?}");
    assert!(done.iter().any(|(_, done)| done == "dropped"));
    assert_eq!(there(&ground).await.as_array().unwrap().len(), ALL.len() + 1);
}

#[tokio::test]
async fn a_row_of_whoever_is_held_that_comes_while_its_slice_is_dropped_keeps_it() {
    let ground = filled().await;
    let store = ground.engine.store();
    ground.insert(&ground.b, "person", json!({ "handle": "bob" })).await;
    let bob = ground.read(&ground.b, "person?handle=eq.bob").await[0]["id"].clone();
    store
        .place_hold(&ground.b, Some(bob.as_str().unwrap().parse().unwrap()), "a case", None)
        .await
        .unwrap();
    let Oldest { day, minutes } = oldest(&ground).await;
    let row = Box::pin(event(&ground, &ground.b, 77, minutes, Some(&bob)));
    let done = Box::pin(meanwhile(&ground, row)).await;
    assert_eq!(done[0], (day, "held".into()), "{done:?}");
    assert_eq!(ground.truth("select count(*) as n from app.event where n = 77").await[0]["n"], 1);
    assert_eq!(there(&ground).await.as_array().unwrap().len(), 3, "the others are gone");
}
