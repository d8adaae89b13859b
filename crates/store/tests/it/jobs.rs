//! Jobs: taken once, given back by a crash, fenced, tried again, parked, replayed; out of tenants' reach.

use std::time::Duration;

use freehold_model::Code;
use freehold_store::{Job, Store, Wanted};

use crate::fixture::{code, house};

const LONG: Duration = Duration::from_secs(60);

async fn take(store: &Store) -> Option<Job> {
    store.take_job(&["test"], LONG).await.unwrap()
}

fn wanted(key: Option<&str>) -> Wanted<'_> {
    Wanted { kind: "test", key, payload: r#"{"n": 1}"#, most: Some(2), ..Wanted::default() }
}

#[tokio::test]
async fn one_worker_has_it_and_a_crash_gives_it_back() {
    let house = house().await;
    let store = &house.store;
    for _ in 0..2 {
        store.enqueue(&wanted(Some("one"))).await.unwrap();
    }
    store.enqueue(&Wanted { kind: "other", ..Wanted::default() }).await.unwrap();
    let first = take(store).await.unwrap();
    assert_eq!((first.payload.as_str(), first.attempt), (r#"{"n": 1}"#, 1));
    assert_eq!(take(store).await, None, "of one key there is one, and it is taken");
    assert!(store.hold_job(&first, LONG).await.unwrap());
    // Its worker is gone: the deadline passes.
    let client = house.db.client().await;
    let lapse = "update freehold.job set held_until = now() - interval '1 s' where kind = 'test'";
    client.batch_execute(lapse).await.unwrap();
    let second = take(store).await.unwrap();
    assert_eq!(second.attempt, 2);
    for overtaken in [
        store.hold_job(&first, LONG).await.unwrap(),
        store.job_done(&first, None).await.unwrap(),
        store.job_failed(&first, "late").await.unwrap(),
    ] {
        assert!(!overtaken);
    }
    // While a transaction has asked for the fence nobody takes it, deadline or not.
    let fence =
        |held: &Job| format!("begin; select freehold.job_fence({}, {})", held.id, held.attempt);
    assert!(client.batch_execute(&fence(&first)).await.is_err());
    client.batch_execute("rollback").await.unwrap();
    client.batch_execute(&fence(&second)).await.unwrap();
    let other = house.db.client().await;
    other.batch_execute(&lapse.replace("'test'", "'test' and false")).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    // Asked for again while it is done, it is done once more.
    store.enqueue(&wanted(Some("one"))).await.unwrap();
    assert!(store.job_done(&second, None).await.unwrap());
    let third = take(store).await.unwrap();
    assert!(store.job_done(&third, None).await.unwrap());
    assert_eq!(take(store).await, None);
}

#[tokio::test]
async fn what_fails_too_often_is_parked_and_replayed() {
    let house = house().await;
    let store = &house.store;
    store.enqueue(&Wanted { tenant: Some(house.a.id()), ..wanted(None) }).await.unwrap();
    let client = house.db.client().await;
    for attempt in 1..=2 {
        let job = take(store).await.unwrap();
        assert_eq!((job.attempt, job.tenant.clone()), (attempt, Some(house.a.id().to_string())));
        assert!(store.job_failed(&job, "it cannot be done").await.unwrap());
        assert_eq!(take(store).await, None, "it waits");
        client.batch_execute("update freehold.job set run_after = now()").await.unwrap();
    }
    assert_eq!(take(store).await, None, "it is parked");
    let status = store.job_status().await.unwrap();
    assert_eq!((status[0].parked, status[0].error.as_deref()), (1, Some("it cannot be done")));
    assert_eq!(store.replay_jobs(Some("none")).await.unwrap(), 0);
    assert_eq!(store.replay_jobs(Some("test")).await.unwrap(), 1);
    let job = take(store).await.unwrap();
    assert!(store.job_done(&job, Some(LONG)).await.unwrap());
    assert_eq!(store.job_status().await.unwrap()[0].waiting, 1, "it comes again");
    // With its tenant it goes.
    house.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    assert!(store.job_status().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_tenant_neither_sees_jobs_nor_makes_them() {
    let house = house().await;
    house.store.enqueue(&wanted(None)).await.unwrap();
    for text in [
        "select * from freehold.job",
        "delete from freehold.job",
        "select freehold.enqueue('test', null, null, '{}', '0', null)",
        "select * from freehold.job_take('{test}', '1 h')",
        "select freehold.job_fence(1, 1)",
        "select * from freehold.job_status()",
    ] {
        assert_eq!(code(house.store.raw(&house.a, text).await), Code::Syntax, "{text}");
    }
}
