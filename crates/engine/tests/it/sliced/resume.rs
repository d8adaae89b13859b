//! Wherever tending slices ends, the next time leaves the same; and whoever is in the way is waited for, but not for long.

use std::{
    cell::Cell,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use freehold_engine::{Code, apply, slice};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{ALL, filled, rows, shorter, tend, there};
use crate::ground::{Ground, code, ground};

/// All parts of the table with what each holds, and what is on the way.
async fn state(ground: &Ground) -> Value {
    ground
        .truth(
            "select c.relname, pg_get_expr(c.relpartbound, c.oid) as bound, c.relforcerowsecurity as forced, \
             (select count(*) from app.event e where e.tableoid = c.oid) as rows \
             from pg_class c where c.relname like 'event~%' and c.relkind in ('r', 'p', 'i', 'I') order by 1",
        )
        .await
}

#[tokio::test]
async fn whatever_ends_it_the_next_time_leaves_the_same() {
    let twin = filled().await;
    tend(&mut twin.operator().await).await;
    let wanted = state(&twin).await;
    let ground = filled().await;
    // It ends after each step in turn: the connection goes with whoever had it.
    let mut ends = 0;
    loop {
        let mut operator = ground.operator().await;
        let ended = AssertUnwindSafe(slice::tend(&mut operator, |_, _| panic!("ended here")));
        if ended.catch_unwind().await.is_ok() {
            break;
        }
        ends += 1;
        drop(operator);
    }
    assert!(ends > 15, "{ends}");
    assert_eq!(state(&ground).await, wanted);
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_step_undoes_it() {
    let ground = filled().await;
    let before = state(&ground).await;
    // Somebody reads the oldest slice, so that dropping it waits, and is killed there.
    let reader = ground.db.client().await;
    reader.batch_execute("begin; select count(*) from app.event").await.unwrap();
    let mut operator = ground.operator().await;
    let (tended, ()) = tokio::join!(slice::tend(&mut operator, |_, _| ()), ground.kill_who_waits());
    assert!(tended.is_err());
    assert_eq!(state(&ground).await, before);
    reader.batch_execute("commit").await.unwrap();
    tend(&mut ground.operator().await).await;
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
}

#[tokio::test]
async fn who_reads_for_long_is_left_alone_and_writers_go_on() {
    let ground = filled().await;
    let reader = ground.db.client().await;
    reader.batch_execute("begin; select count(*) from app.event").await.unwrap();
    let mut operator = ground.operator().await;
    let (seen, written) = (Cell::new(None), Cell::new(0));
    let tended = slice::tend(&mut operator, |_, done| seen.set(seen.get().or(Some(done))));
    let write = async {
        // Until it has given up on a slice.
        while seen.get().is_none() {
            let begun = Instant::now();
            super::event(&ground, &ground.a, 100 + written.get(), 0, None).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "a writer waited for it");
            written.set(written.get() + 1);
        }
    };
    let mut tended = Box::pin(tended);
    tokio::select! {
        ended = &mut tended => ended.unwrap(),
        () = write => {}
    }
    drop(tended);
    reader.batch_execute("commit").await.unwrap();
    drop(operator);
    assert_eq!(seen.get(), Some(slice::SliceDone::Busy));
    ground.change(&shorter(), &[]).await.unwrap();
    let mut again = ground.operator().await;
    assert!(tend(&mut again).await["dropped"] > 15);
    let left = ground.truth("select count(*) as n from app.event").await;
    assert_eq!(left[0]["n"], 2 + written.get());
}

#[tokio::test]
async fn who_writes_while_slices_are_made_is_never_refused() {
    let ground = ground(&shorter()).await;
    let mut operator = ground.operator().await;
    let write = async |tenant| {
        for n in 0..40 {
            super::event(&ground, tenant, n, i64::from(n % 10) * super::DAY, None).await;
        }
    };
    let (done, (), ()) = tokio::join!(tend(&mut operator), write(&ground.a), write(&ground.b));
    assert!(done.values().sum::<usize>() > 20, "{done:?}");
    assert_eq!(ground.truth("select count(*) as n from app.event").await[0]["n"], 80);
    for tenant in [&ground.a, &ground.b] {
        let seen = ground.read(tenant, "event?select=count()").await;
        assert_eq!(seen, serde_json::json!([{ "count": 40 }]));
    }
}

#[tokio::test]
async fn who_waits_for_a_shelf_while_a_slice_takes_its_place_is_not_refused() {
    let ground = ground(&shorter()).await;
    let (reader, watcher) = (ground.db.client().await, ground.db.client().await);
    reader.batch_execute("begin; select count(*) from app.event").await.unwrap();
    let waiting = async || -> i64 {
        let text = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        watcher.query_one(text, &[]).await.unwrap().get(0)
    };
    // Of the first slice that is made.
    let (id, at) = (
        super::id(&ground, 10 * super::DAY - 10).await,
        super::at(&ground, 10 * super::DAY - 10).await,
    );
    let row = serde_json::json!({ "n": 1, "id": id, "at": at });
    let inserted = std::cell::Cell::new(false);
    let mut operator = ground.operator().await;
    let insert = async {
        while waiting().await == 0 {
            tokio::task::yield_now().await;
        }
        let go_on = async {
            while waiting().await < 2 && !inserted.get() {
                tokio::task::yield_now().await;
            }
            reader.batch_execute("commit").await.unwrap();
        };
        let insert = async {
            ground.insert(&ground.a, "event", row).await;
            inserted.set(true);
        };
        tokio::join!(insert, go_on);
    };
    let deadline = std::time::Duration::from_secs(60);
    let both = Box::pin(async { tokio::join!(tend(&mut operator), insert) });
    let (done, ()) = tokio::time::timeout(deadline, both).await.unwrap();
    assert!(done["made"] > 19, "{done:?}");
    assert_eq!(ground.truth("select count(*) as n from app.event").await[0]["n"], 1);
}

#[tokio::test]
async fn a_plan_from_before_a_slice_came_is_made_again() {
    let ground = ground(super::MODEL).await;
    let (mut planner, mut tender) = (ground.operator().await, ground.operator().await);
    let proposal = apply::propose(&mut planner, shorter()).await.unwrap();
    assert!(tend(&mut tender).await["made"] > 40);
    let applied = apply::apply(
        &mut planner,
        &ground.engine.store(),
        std::path::Path::new("/"),
        &proposal,
        &[],
        &mut |_| {},
    )
    .await;
    assert_eq!(code(applied), Code::ApplyConflict);
    // Nothing of it was begun, and the same file can be applied.
    ground.change(&shorter(), &[]).await.unwrap();
}
