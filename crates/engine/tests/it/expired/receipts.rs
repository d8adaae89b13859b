//! What rules remove row by row is counted in the transaction that removes it, wherever that ends, and receipted once: of each rule,
//! tenant and day.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use freehold_engine::Mode;
use serde_json::{Value, json};

use super::{MODEL, filled};
use crate::ground::{Ground, ground, ground_in, receipts};

/// All that was noted was noted so long ago.
async fn ago(ground: &Ground, interval: &str) {
    let sql = format!("update freehold.rows_gone set at = at - interval '{interval}'");
    ground.db.client().await.batch_execute(&sql).await.unwrap();
}

async fn visits(ground: &Ground, rows: i32) {
    let sql = format!(
        "insert into app.visit (tenant_id, n, at) select t.id, n, now() - interval '2 years' from freehold.tenant t, generate_series(1, {rows}) n"
    );
    ground.db.client().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn each_rule_has_one_receipt_a_day_of_each_tenant() {
    let ground = filled().await;
    let (engine, store) = (&ground.engine, ground.engine.store());
    assert_eq!(engine.expire(None).await.unwrap().len(), 4);
    // A trickle: as often as workers come.
    for _ in 0..3 {
        visits(&ground, 2).await;
        assert_eq!(engine.expire(None).await.unwrap().len(), 2);
    }
    assert_eq!(engine.receipt_expired(false).await.unwrap(), 0, "the day is not over");
    assert_eq!(store.rows_without_receipt(true).await.unwrap(), 16);
    ago(&ground, "1 day").await;
    visits(&ground, 5).await;
    engine.expire(None).await.unwrap();

    // Workers write what is owed, each once, however many do.
    let another = ground.another().await;
    let (one, other) = tokio::join!(engine.expire_due(), another.receipt_expired(false));
    one.unwrap();
    other.unwrap();
    let all = receipts(&engine.store()).await;
    let mut told: Vec<Value> = all
        .iter()
        .map(|one| json!([one["tenant"], one["expired"]["rule"], one["expired"]["rows"]]))
        .collect();
    told.sort_by_key(ToString::to_string);
    let mut wanted = Vec::new();
    for tenant in [&ground.a, &ground.b] {
        wanted.push(json!([tenant.id().to_string(), "delete 1 month after at", 7]));
        wanted.push(json!([tenant.id().to_string(), "empty mail, note 10 days after day", 1]));
    }
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(told, wanted);
    for one in &all {
        let of = &one["expired"];
        assert_eq!(of["entity"], "visit");
        let [first, last, cut_off] =
            ["first", "last", "cut_off"].map(|name| of[name].as_str().unwrap());
        assert!(cut_off < first && first <= last && last.ends_with('Z'), "{one}");
        assert!(!one.to_string().contains("x.org"));
    }
    assert_eq!(store.rows_without_receipt(true).await.unwrap(), 10, "those of today");
    assert_eq!(engine.receipt_expired(true).await.unwrap(), 2, "if somebody wants them now");
    assert_eq!(receipts(&engine.store()).await[5]["expired"]["rows"], 5);
    assert_eq!(engine.receipt_expired(true).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_removed_of_a_tenant_that_is_gone_is_receipted() {
    let ground = filled().await;
    ground.engine.expire(None).await.unwrap();
    ground.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    assert_eq!(ground.engine.receipt_expired(true).await.unwrap(), 4);
    let of_a = receipts(&ground.engine.store()).await.into_iter();
    assert_eq!(of_a.filter(|one| one["tenant"] == ground.a.id().to_string()).count(), 2);
}

#[tokio::test]
async fn only_expiry_counts_what_it_removes() {
    let ground = filled().await;
    let store = ground.engine.store();
    let own = store.removal_permit(&ground.a).await.unwrap();
    let others = store.removal_permit(&ground.b).await.unwrap();
    assert_ne!(own, others);
    assert_eq!(store.removal_permit(&ground.a).await.unwrap(), own);
    let count = |permit: &str| {
        format!(
            "select freehold.rows_removed('{permit}', 'visit', 'delete 1 month after at', now(), 1000)"
        )
    };
    for permit in [&others, "00000000-0000-0000-0000-000000000000"] {
        let refused = ground.engine.raw_sql(&ground.a, &count(permit)).await.unwrap_err();
        assert!(refused.to_string().contains("only expiry counts what it removes"), "{refused}");
    }
    for hidden in [
        "select * from freehold.removal_permit",
        "select freehold.removal_permit(freehold.tenant())",
    ] {
        assert!(ground.engine.raw_sql(&ground.a, hidden).await.is_err(), "{hidden}");
    }
    assert_eq!(store.rows_without_receipt(true).await.unwrap(), 0);
    ground.engine.raw_sql(&ground.a, &count(&own)).await.unwrap();
    assert_eq!(store.rows_without_receipt(true).await.unwrap(), 1000, "the control");
}

/// Polls it so many times and ends it there, as a death would; what it gave if it was done before.
async fn ended_after<T>(polls: usize, whole: impl Future<Output = T>) -> Option<T> {
    let mut whole = pin!(whole);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        whole.as_mut().poll(context).map(Some)
    })
    .await
}

/// Waits until nobody is at anything, and says how many rows there are, how many are noted, how many are receipted.
async fn counts(ground: &Ground) -> (u64, u64, u64) {
    let admin = ground.db.client().await;
    let busy = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and usename like 'freehold%' and state <> 'idle'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while !admin.query(busy, &[]).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "somebody is at it");
        tokio::task::yield_now().await;
    }
    let there = ground.truth("select count(*) as n from app.visit").await[0]["n"].as_u64();
    let noted = ground.engine.store().rows_without_receipt(true).await.unwrap();
    let receipted = receipts(&ground.engine.store()).await.into_iter();
    let receipted = receipted.map(|one| one["expired"]["rows"].as_u64().unwrap()).sum();
    (there.unwrap(), noted, receipted)
}

/// Rows of each tenant: several transactions.
const ROWS: i32 = 2_500;

#[tokio::test]
async fn wherever_it_ends_all_that_is_gone_is_counted_once() {
    let ground = ground(MODEL).await;
    visits(&ground, ROWS).await;
    let all = 2 * ROWS as u64;
    let (mut ends, mut partly) = (0, 0);
    for polls in 1.. {
        let done = Box::pin(ended_after(polls, ground.engine.expire_at_once(None))).await;
        let (there, noted, receipted) = counts(&ground).await;
        assert_eq!((there + noted, receipted), (all, 0), "after {polls} polls");
        partly += usize::from(there > 0 && noted > 0);
        if let Some(done) = done {
            done.unwrap();
            assert_eq!(there, 0);
            break;
        }
        ends += 1;
    }
    assert!(ends > 5 && partly > 0, "{ends} {partly}");
    // And its receipts.
    for polls in 1.. {
        let done = ended_after(polls, ground.engine.receipt_expired(true)).await;
        let (_, noted, receipted) = counts(&ground).await;
        assert_eq!(noted + receipted, all, "after {polls} polls");
        if let Some(done) = done {
            done.unwrap();
            assert_eq!(noted, 0);
            break;
        }
    }
    assert_eq!(receipts(&ground.engine.store()).await.len(), 2);
}

#[tokio::test]
async fn a_kill_between_a_removal_and_its_note_undoes_both() {
    let ground = ground(MODEL).await;
    visits(&ground, 10).await;
    // Nobody can leave a note, so that it waits with its rows deleted.
    let keeper = ground.db.client().await;
    keeper.batch_execute("begin; lock table freehold.rows_gone in share mode").await.unwrap();
    let (expired, ()) =
        tokio::join!(ground.engine.expire(Some(&ground.a)), ground.kill_who_waits());
    assert!(expired.is_err());
    keeper.batch_execute("commit").await.unwrap();
    assert_eq!(counts(&ground).await, (20, 0, 0));
    ground.engine.expire(None).await.unwrap();
    assert_eq!(counts(&ground).await, (0, 20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_count_each_row_once() {
    let ground = ground(MODEL).await;
    visits(&ground, ROWS).await;
    let (one, other) = (ground.another().await, ground.another().await);
    let receipting = async {
        loop {
            ground.engine.receipt_expired(true).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(one.expire_at_once(None), other.expire_at_once(None)) };
    let (first, second) = tokio::select! {
        both = both => both,
        () = receipting => unreachable!("it goes on for ever"),
    };
    let rows: u64 = [first, second].into_iter().flat_map(Result::unwrap).map(|it| it.rows).sum();
    assert_eq!(rows, 2 * ROWS as u64);
    ground.another().await.receipt_expired(true).await.unwrap();
    assert_eq!(counts(&ground).await, (0, 0, rows));
}

/// A role may or may not write receipts.
async fn may_write(ground: &Ground, may: bool) {
    let words = if may { ("grant", "to") } else { ("revoke", "from") };
    let sql = format!(
        "{} execute on function freehold.rows_receipted(bigint[], uuid, bigint, text, text, text) {} freehold_control",
        words.0, words.1
    );
    ground.db.client().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn removing_goes_on_where_receipts_cannot_be_written() {
    let ground = ground(MODEL).await;
    let (engine, store) = (&ground.engine, ground.engine.store());
    visits(&ground, 10).await;
    engine.expire_due().await.unwrap();
    ago(&ground, "1 day").await;
    may_write(&ground, false).await;
    assert!(engine.receipt_expired(false).await.is_err());
    for owed in [30, 40] {
        visits(&ground, 5).await;
        ground.db.client().await.batch_execute("delete from freehold.expiry").await.unwrap();
        let done = engine.expire_due().await.unwrap();
        assert_eq!(done.iter().map(|one| one.rows).sum::<u64>(), 10);
        assert_eq!(store.rows_without_receipt(true).await.unwrap(), owed);
    }
    assert_eq!(
        store.rows_without_receipt(false).await.unwrap(),
        20,
        "those of the day that is over"
    );
    may_write(&ground, true).await;
    engine.expire_due().await.unwrap();
    assert_eq!(counts(&ground).await, (0, 20, 20));
    assert_eq!(store.rows_without_receipt(false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_hold_keeps_rows_and_not_the_receipts_of_what_went_before_it() {
    let ground = ground(MODEL).await;
    visits(&ground, 10).await;
    ground.engine.expire(Some(&ground.a)).await.unwrap();
    ground.engine.store().place_hold(&ground.a, None, "a case", None).await.unwrap();
    visits(&ground, 5).await;
    ground.engine.expire(None).await.unwrap();
    assert_eq!(counts(&ground).await, (5, 25, 0), "those of a that are held");
    assert_eq!(ground.engine.receipt_expired(true).await.unwrap(), 2);
    assert_eq!(counts(&ground).await, (5, 0, 25));
}

const ALL_WAYS: &str = r#"
[model]
name = "ways"

[entity.visit.field]
n = { type = "integer" }
at = { type = "timestamptz" }
born = { type = "date", optional = true }
note = { type = "text", optional = true }

[[entity.visit.expire]]
generalise = ["born to year"]
after = "10 days after at"

[[entity.visit.expire]]
blank = ["note"]
after = "1 month after at"

[[entity.visit.expire]]
delete = "1 year after at"
"#;

#[tokio::test]
async fn what_is_emptied_or_says_less_is_counted_as_what_is_deleted() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let ground = ground_in(ALL_WAYS, mode).await;
        for (tenant, rows) in [(&ground.a, 2), (&ground.b, 1)] {
            let row = |n: i32| json!({ "n": n, "at": "2999-01-01T00:00:00Z", "born": "1990-05-17", "note": "x" });
            ground.insert(tenant, "visit", (0..3 * rows).map(row).collect()).await;
        }
        // A third each is over by the first, by two, by all; and one has nothing that could go.
        let older = "update app.visit set at = now() - case n % 3 when 0 then interval '20 days' when 1 then interval '60 days' else interval '2 years' end; \
                     insert into app.visit (tenant_id, n, at) select id, 9, now() - interval '60 days' from freehold.tenant";
        ground.db.client().await.batch_execute(older).await.unwrap();
        ground.engine.expire(None).await.unwrap();
        // Nothing is left to do, so nothing is counted.
        ground.engine.expire(None).await.unwrap();
        ground.engine.receipt_expired(true).await.unwrap();
        let mut told: Vec<(String, u64)> = receipts(&ground.engine.store())
            .await
            .iter()
            .filter(|one| one["tenant"] == ground.a.id().to_string())
            .map(|one| {
                let of = &one["expired"];
                (of["rule"].as_str().unwrap().to_owned(), of["rows"].as_u64().unwrap())
            })
            .collect();
        told.sort();
        let wanted = [
            ("delete 1 year after at", 2),
            ("empty note 1 month after at", 4),
            ("generalise born to year 10 days after at", 6),
        ];
        let wanted = wanted.map(|(rule, rows)| (rule.to_owned(), rows));
        assert_eq!(told, wanted, "{mode:?}");
        assert_eq!(receipts(&ground.engine.store()).await.len(), 6);
    }
}
