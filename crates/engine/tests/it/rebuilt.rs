//! Read models filled anew while the old table is read: interrupted anywhere, given up, with writes going on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use freehold_engine::{
    Code, Engine, Error,
    project::{BuildProgress, Throttle, Watch},
    rebuild::Progress,
};
use serde_json::{Value, json};

use crate::ground::{Ground, code, ground};

const MODEL: &str = r#"
[model]
name = "rebuilt"

[entity.shelf.field]
name = { type = "text", unique = true }

[entity.book.field]
shelf = { ref = "shelf", on_delete = "cascade" }
title = { type = "text", unique = true }
pages = { type = "integer" }

[read.by_title]
key = ["title"]
sql = """
select b.title, s.name, b.pages from book b join shelf s on s.id = b.shelf
"""
"#;

const BOOKS: usize = 1_200;

async fn filled() -> Ground {
    let ground = ground(MODEL).await;
    for (tenant, mark) in [(&ground.a, "a"), (&ground.b, "b")] {
        ground.insert(tenant, "shelf", json!([{"name": mark}])).await;
        let shelf = &ground.read(tenant, "shelf").await[0]["id"];
        let books: Vec<Value> = (0..BOOKS)
            .map(|i| json!({"shelf": shelf, "title": format!("{mark}{i}"), "pages": i}))
            .collect();
        ground.insert(tenant, "book", json!(books)).await;
    }
    catch_up(&ground.engine).await;
    ground
}

async fn catch_up(engine: &Engine) {
    let mut seen = Watch::default();
    while engine.project_round(&mut seen).await.unwrap() > 0 {}
}

async fn rebuild(ground: &Ground) -> Result<BuildProgress, Error> {
    let mut operator = ground.operator().await;
    ground.engine.rebuild(&mut operator, "by_title", Throttle::None, &mut |_| {}).await
}

async fn holds(ground: &Ground) {
    for tenant in [&ground.a, &ground.b] {
        let found = ground.engine.check_read(tenant, "by_title").await.unwrap();
        assert!(found.is_right(), "{}: {found:?}", tenant.name());
    }
}

/// Spoils the served table, so that a table that was filled anew can be told from it.
async fn spoil(ground: &Ground) {
    let client = ground.db.client().await;
    client.batch_execute("update app.by_title set pages = -1").await.unwrap();
}

async fn left(ground: &Ground) -> Value {
    ground
        .truth(
            "select relname from pg_class where relname like 'by\\_title~v%' \
             union all select 'projector ' || version from freehold.projector where not served",
        )
        .await
}

#[tokio::test]
async fn it_is_filled_anew_and_takes_its_place_at_once() {
    let ground = filled().await;
    spoil(&ground).await;
    let built = rebuild(&ground).await.unwrap();
    assert_eq!((built.tenants, built.of_tenants, built.units), (2, 2, 2 * BOOKS as u64));
    holds(&ground).await;
    assert_eq!(left(&ground).await, json!([]));
    let versions = ground.truth("select version, served from freehold.projector").await;
    assert_eq!(versions, json!([{"version": 2, "served": true}]));
    // Workers go on with the new one, and the audit finds nothing to say.
    ground.update(&ground.a, "book?title=eq.a7", json!({"pages": 70})).await;
    catch_up(&ground.engine).await;
    holds(&ground).await;
    assert!(ground.engine.store().examine().await.unwrap().is_empty());
    assert_eq!(
        code(
            ground
                .engine
                .rebuild(&mut ground.operator().await, "none", Throttle::None, &mut |_| {})
                .await
        ),
        Code::NoSuchEntity
    );
}

// Stopped when it is heard for the `nth` time: before the table is there, in the fill of each tenant, before the swap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_anywhere_it_goes_on() {
    let ground = filled().await;
    spoil(&ground).await;
    let mut interrupted = 0;
    for nth in 1.. {
        let (heard, stop) = (AtomicU32::new(0), tokio::sync::Notify::new());
        let resumed = AtomicBool::new(false);
        let mut listen = |progress| {
            resumed.fetch_or(progress == Progress::Begun(true), Ordering::Relaxed);
            if heard.fetch_add(1, Ordering::Relaxed) + 1 == nth {
                stop.notify_one();
            }
        };
        let mut operator = ground.operator().await;
        let work =
            ground.engine.rebuild(&mut operator, "by_title", Throttle::Share(0.9), &mut listen);
        let done = tokio::select! {
            biased;
            () = stop.notified() => false,
            done = work => { done.unwrap(); true },
        };
        drop(operator);
        assert!(done || resumed.into_inner() == (nth > 1));
        if done {
            break;
        }
        interrupted += 1;
        // The old one serves, and follows.
        let title = format!("a{nth}");
        ground.update(&ground.a, &format!("book?title=eq.{title}"), json!({"pages": 9_000})).await;
        catch_up(&ground.engine).await;
        let row = ground.read(&ground.a, &format!("by_title?title=eq.{title}&select=pages")).await;
        assert_eq!(row, json!([{"pages": 9_000}]));
        // An apply says what stands in its way.
        let other = MODEL.replace("by_title]", "by_name]");
        assert_eq!(code(ground.change(&other, &[]).await), Code::ApplyConflict);
    }
    assert!(interrupted > 4, "{interrupted}");
    holds(&ground).await;
    assert_eq!(left(&ground).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_meanwhile() {
    let ground = filled().await;
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU32::new(0));
    let writing = tokio::spawn({
        let (engine, stop, count) = (ground.engine.clone(), stop.clone(), count.clone());
        let tenants = [ground.a.clone(), ground.b.clone()];
        async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let (tenant, i) = (&tenants[written % 2], written % BOOKS);
                let target = format!("book?title=like.*{i}");
                let verb = match written % 7 {
                    6 => freehold_engine::write::Verb::Delete,
                    _ => freehold_engine::write::Verb::Update(json!({"pages": written})),
                };
                engine.write(tenant, crate::ground::operation(&target, verb)).await.unwrap();
                written += 1;
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let working = tokio::spawn({
        let engine = ground.engine.clone();
        async move { engine.project_forever().await }
    });
    // Three times, and as often as it takes where writes are slow, so that some fall into each part of it.
    let mut rebuilt = 0;
    while rebuilt < 3 || count.load(Ordering::Relaxed) <= 10 && !writing.is_finished() {
        rebuild(&ground).await.unwrap();
        rebuilt += 1;
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert!(count.load(Ordering::Relaxed) > 10);
    working.abort();
    let _ = working.await;
    // What the worker had begun is its own for ten seconds; then it has to be done on a machine that may be busy.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        catch_up(&ground.engine).await;
        let behind: u64 = ground.engine.lag(0).await.unwrap().iter().map(|lag| lag.behind).sum();
        if behind == 0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{behind} behind");
        // Polls: a worker that was aborted is rolled back soon.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    holds(&ground).await;
    assert_eq!(left(&ground).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_up_it_leaves_no_trace() {
    let ground = filled().await;
    let (begun, stop) = (AtomicU32::new(0), tokio::sync::Notify::new());
    let mut listen = |_| {
        if begun.fetch_add(1, Ordering::Relaxed) == 2 {
            stop.notify_one();
        }
    };
    let mut operator = ground.operator().await;
    let slow = Throttle::Rate(100.0);
    let mut work = Box::pin(ground.engine.rebuild(&mut operator, "by_title", slow, &mut listen));
    tokio::select! {
        biased;
        () = stop.notified() => {}
        done = &mut work => panic!("{done:?}"),
    }
    // By another process, while the one that is at it rests.
    let mut other = ground.operator().await;
    assert_eq!(
        code(ground.engine.rebuild(&mut other, "by_title", slow, &mut |_| {}).await),
        Code::ApplyConflict
    );
    assert!(ground.engine.cancel_rebuild(&mut other, "by_title").await.unwrap());
    assert!(!ground.engine.cancel_rebuild(&mut other, "by_title").await.unwrap());
    assert_eq!(left(&ground).await, json!([]));
    assert_eq!(code(work.await), Code::ApplyConflict);
    holds(&ground).await;
    let kept =
        ground.truth("select count(*) as n from freehold.projection where version <> 1").await;
    assert_eq!(kept, json!([{"n": 0}]));
    drop((operator, other));
    rebuild(&ground).await.unwrap();
    holds(&ground).await;
}

#[tokio::test]
async fn an_apply_that_has_only_been_building_can_be_given_up() {
    let ground = filled().await;
    let changed = MODEL.replace("b.pages from", "b.pages + s.floor as pages from").replace(
        "[entity.book.field]",
        "floor = { type = \"integer\", default = 0 }\n\n[entity.book.field]",
    );
    let longer = MODEL.replace("b.pages from", "b.pages * 2 as pages, s.id as shelf from");
    let before = ground.truth("select count(*) from pg_trigger").await;
    for (text, may) in [(&longer, true), (&changed, false)] {
        let mut operator = ground.operator().await;
        let proposal = freehold_engine::apply::propose(&mut operator, text.clone()).await.unwrap();
        let stop = tokio::sync::Notify::new();
        let mut listen = |progress| {
            if matches!(progress, freehold_engine::apply::Progress::Built(_)) {
                stop.notify_one();
            }
        };
        let store = ground.engine.store();
        let slow = Throttle::Rate(10.0);
        let base = std::path::Path::new("/");
        let work = freehold_engine::apply::apply_throttled(
            &mut operator,
            &store,
            base,
            &proposal,
            &[],
            slow,
            &mut listen,
        );
        tokio::select! {
            biased;
            () = stop.notified() => {}
            done = work => panic!("{done:?}"),
        }
        drop(operator);
        let mut operator = ground.operator().await;
        assert_eq!(code(rebuild(&ground).await), Code::ApplyConflict);
        let cancelled = freehold_engine::apply::cancel(&mut operator).await;
        if may {
            assert!(cancelled.unwrap() > Some(0));
            assert_eq!(left(&ground).await, json!([]));
            assert_eq!(ground.truth("select count(*) from pg_trigger").await, before);
            assert_eq!(freehold_engine::apply::cancel(&mut operator).await.unwrap(), None);
            ground.update(&ground.a, "book?title=eq.a3", json!({"pages": 4})).await;
            catch_up(&ground.engine).await;
            holds(&ground).await;
        } else {
            assert_eq!(code(cancelled), Code::ApplyConflict);
            drop(operator);
            ground.change(text, &[]).await.unwrap();
        }
    }
    ground.engine.refresh().await.unwrap();
    catch_up(&ground.engine).await;
    holds(&ground).await;
}
