//! Workers of several processes, and processes that die in the middle: whose blobs are is dealt with once, and in the end.

use std::{
    io::Cursor,
    task::{Context, Poll},
    time::Duration,
};

use freehold_engine::{
    import::{Format, Import, OnBad},
    write::Verb,
};
use serde_json::json;
use uuid::Uuid;

use super::{Yard, pattern, privacy::yard};
use crate::ground::operation;

/// All of a tenant's blobs are due.
const DUE: &str = "update freehold.blob set own_at = now() where state = 'live'";

#[tokio::test]
async fn what_one_worker_has_taken_no_other_takes() {
    let yard = yard().await;
    let a = &yard.ground.a;
    let [ada, bob] = yard.people(a).await;
    let store = yard.engine.store();
    yard.sql(DUE).await;
    let first = store.unowned_blobs(a, None, 3).await.unwrap();
    let second = store.unowned_blobs(a, None, 10).await.unwrap();
    assert_eq!((first.len(), second.len()), (3, 5));
    assert!(first.iter().all(|one| second.iter().all(|other| one.id() != other.id())));
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 0, "all are taken");
    // An erasure asks for whatever may be the person's, also what was taken; not for what is others'.
    let hers = store.unowned_blobs_by(a, ada, None, 10).await.unwrap();
    assert_eq!(hers.len(), 2 + 4, "her face and scan, and what is nobody's");
    // A worker that died has them for a minute.
    yard.sql("update freehold.blob set own_at = own_at - interval '1 minute'").await;
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 8);
    yard.is_of(&yard.blob_of(a, "person?handle=eq.bob", "face").await, bob).await;
    yard.settle().await;
    for (path, person) in [("ada", ada), ("bob", bob)] {
        let scan = yard.blob_of(a, &format!("letter?path=eq.{path}"), "scan").await;
        yard.is_of(&scan, person).await;
    }
}

#[tokio::test]
async fn keys_that_are_wrapped_as_they_should_be_stay_as_they_are() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    yard.people(a).await;
    yard.people(b).await;
    let keys = async || {
        yard.ground
            .truth("select id, key::text, key_gen, key_subject from freehold.blob order by id")
            .await
    };
    let before = keys().await;
    yard.sql(DUE).await;
    assert_eq!(yard.engine.own_blobs().await.unwrap(), 16);
    assert_eq!(keys().await, before);
    yard.is_sound(8).await;
}

#[tokio::test]
async fn people_who_are_imported_with_a_face_have_it_under_their_key_soon() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    for tenant in [a, b] {
        let face = yard.upload(tenant, "person.face").await;
        let lines = json!({ "handle": "eve", "face": face }).to_string();
        let import = Import {
            entity: "person".into(),
            input: Box::new(Cursor::new(lines)),
            format: Format::JsonLines,
            vectors: None,
            upsert: None,
            source: None,
            restart: false,
            on_bad: OnBad::Stop,
        };
        yard.engine.import(tenant, import, &mut |_| {}).await.unwrap();
        let people = yard.ground.read(tenant, "person?handle=eq.eve").await;
        let eve: Uuid = people[0]["id"].as_str().unwrap().parse().unwrap();
        // Nobody could name her before there was a row.
        let waits = json!({ "by": null, "gen": null, "subject": eve.to_string(), "due": true });
        assert_eq!(yard.wrapped(&face).await, waits);
        assert_eq!(
            yard.bytes(tenant, "person.face", &eve.to_string()).await.unwrap(),
            pattern(1000)
        );
        assert_eq!(yard.engine.own_blobs().await.unwrap(), 1);
        yard.is_of(&face, eve).await;
        assert_eq!(
            yard.bytes(tenant, "person.face", &eve.to_string()).await.unwrap(),
            pattern(1000)
        );
    }
}

/// A process that dies runs no destructor: the write is polled up to a point, then forgotten.
#[tokio::test]
async fn a_death_between_offer_and_row_leaves_nothing_that_opens_too_much() {
    let yard = yard().await;
    let a = &yard.ground.a;
    let [ada, bob] = yard.people(a).await;
    yard.people(&yard.ground.b).await;
    let scan = yard.blob_of(a, "letter?path=eq.ada", "scan").await;
    let mut died = 0;
    for polls in 1.. {
        let to = if polls % 2 == 0 { ada } else { bob };
        let done = passes_on(&yard, to, polls).await;
        let noted = yard.wrapped(&scan).await;
        assert!(noted["by"] == noted["subject"] && noted["due"] == json!(false), "{noted}");
        assert!([json!(ada.to_string()), json!(bob.to_string())].contains(&noted["by"]), "{noted}");
        if done {
            break;
        }
        died += 1;
    }
    assert!(died > 2, "{died}");
    // The row cannot be had: the death comes when the offer is there and the row's transaction has not ended.
    let noted = yard.wrapped(&scan).await;
    let to = if noted["by"] == json!(ada.to_string()) { bob } else { ada };
    let admin = yard.ground.db.client().await;
    let lock = "begin; select from app.letter where path = 'ada' for update";
    admin.batch_execute(lock).await.unwrap();
    assert!(!passes_on(&yard, to, 200).await);
    admin.batch_execute("rollback").await.unwrap();
    let offers = async || yard.ground.truth("select subject from freehold.blob_offer").await;
    assert_eq!(offers().await, json!([{ "subject": to.to_string() }]));
    assert_eq!(yard.wrapped(&scan).await, noted);
    // What was offered in vain is gone after ten minutes.
    yard.sql("update freehold.blob_offer set made_at = now() - interval '11 minutes'").await;
    yard.engine.expire_blobs(Duration::from_secs(24 * 3600)).await.unwrap();
    assert_eq!(offers().await, json!([]));
    yard.is_sound(8).await;
}

/// Whether ada's letter was passed on within so many polls; else whoever did it died.
async fn passes_on(yard: &Yard, to: Uuid, polls: usize) -> bool {
    let engine = Box::leak(Box::new(yard.ground.another().await));
    let tenant = Box::leak(Box::new(yard.ground.a.clone()));
    let write = Verb::Update(json!({ "from": to.to_string() }));
    let mut work = Box::pin(engine.write(tenant, operation("letter?path=eq.ada", write)));
    for _ in 0..polls {
        let step = std::future::poll_fn(|cx: &mut Context<'_>| Poll::Ready(work.as_mut().poll(cx)));
        if let Poll::Ready(done) = step.await {
            done.unwrap();
            return true;
        }
        // Polls: nobody says that an answer has arrived at a socket that is not read.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    std::mem::forget(work);
    let ends = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity \
                where datname = current_database() and usename like 'freehold%'";
    yard.ground.db.client().await.query(ends, &[]).await.unwrap();
    false
}
