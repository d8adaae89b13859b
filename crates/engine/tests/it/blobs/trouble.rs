//! Storage that fails, hangs, lies or stops, and processes that die between any two steps: afterwards rows, blobs and
//! objects agree.

use std::{task::Context, time::Duration};

use freehold_engine::{Code, Error};

use super::{
    Yard,
    flaky::{ALL, Trouble},
    pattern, store,
};
use crate::ground::code;

/// One part, and several.
const SIZES: [usize; 2] = [1000, 20_000_000];

#[tokio::test]
async fn whatever_the_storage_does_to_an_upload_nothing_is_left_of_it() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    yard.store(a, "there", 1000).await.unwrap();
    for size in SIZES {
        for trouble in [Trouble::Fails, Trouble::Hangs, Trouble::Lies] {
            yard.flaky.fail_after(0, trouble);
            assert_eq!(code(yard.store(a, "there", size).await), Code::Storage, "{trouble:?}");
            yard.agrees(1).await;
            assert_eq!(yard.get(a, "there").await.unwrap(), pattern(1000), "{trouble:?}");
        }
    }
}

#[tokio::test]
async fn a_download_is_whole_or_says_that_it_is_not() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    yard.store(a, "there", 1_000_000).await.unwrap();
    for trouble in ALL {
        yard.flaky.fail_after(0, trouble);
        assert_eq!(code(yard.get(a, "there").await), Code::Storage, "{trouble:?}");
        yard.flaky.work();
        assert_eq!(yard.get(a, "there").await.unwrap(), pattern(1_000_000));
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_deleted_later() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    for trouble in [Trouble::Fails, Trouble::Hangs, Trouble::Lies] {
        yard.store(a, "there", 1000).await.unwrap();
        yard.engine.raw_sql(a, "delete from app.file").await.unwrap();
        yard.flaky.fail_after(0, trouble);
        assert_eq!(yard.engine.delete_doomed().await.unwrap(), 0, "{trouble:?}");
        let totals = yard.engine.blob_totals().await.unwrap();
        assert_eq!((totals.live, totals.doomed), (0, 1));
        yard.agrees(0).await;
    }
}

/// A process that dies runs no destructor, and its connections end: the work is polled up to a point, then forgotten.
#[tokio::test]
async fn a_death_between_any_two_steps_leaves_rows_blobs_and_objects_in_agreement() {
    let yard = Yard::new().await;
    yard.store(&yard.ground.a, "there", 1000).await.unwrap();
    let mut died = 0;
    for (size, step) in [(1001, 1), (20_000_000, 9)] {
        for polls in (1..).step_by(step) {
            let engine = yard.ground.another().await.with_blobs(yard.blobs());
            if dies(&yard, engine, size, polls).await {
                died += 1;
            } else {
                break;
            }
            // The old bytes or the new ones, whole.
            yard.agrees(1).await;
            let now = yard.get(&yard.ground.a, "there").await.unwrap().len();
            assert!([1000, 1001, size].contains(&now), "{size} after {polls}: {now}");
        }
        yard.agrees(1).await;
        assert_eq!(yard.get(&yard.ground.a, "there").await.unwrap(), pattern(size));
    }
    assert!(died > 5, "{died}");
}

/// Whether the upload was not done after so many polls.
async fn dies(yard: &Yard, engine: freehold_engine::Engine, size: usize, polls: usize) -> bool {
    let (engine, tenant) =
        (Box::leak(Box::new(engine)), Box::leak(Box::new(yard.ground.a.clone())));
    let mut work = Box::pin(store(engine, tenant, "there", size));
    for _ in 0..polls {
        let step = std::future::poll_fn(|cx: &mut Context<'_>| {
            std::task::Poll::Ready(work.as_mut().poll(cx))
        });
        if let std::task::Poll::Ready(done) = step.await {
            done.unwrap();
            return false;
        }
        // Polls: nobody says that an answer has arrived at a socket that is not read.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    std::mem::forget(work);
    let ends = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity \
                where datname = current_database() and usename like 'freehold%'";
    yard.ground.db.client().await.query(ends, &[]).await.unwrap();
    true
}

#[tokio::test]
async fn rot_and_loss_are_found_and_strays_are_swept() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    for path in ["sound", "rotten", "cut", "lost"] {
        yard.store(a, path, 200_000).await.unwrap();
    }
    yard.store(b, "sound", 10).await.unwrap();
    let place = async |path: &str| {
        let bucket = yard.engine.bucket("file").unwrap();
        yard.engine.blob_at(a, &bucket, path).await.unwrap().object
    };
    let (rotten, cut, lost) = (place("rotten").await, place("cut").await, place("lost").await);
    yard.flaky.rot(&rotten.as_str().into(), 150_000).await;
    yard.flaky.cut(&cut.as_str().into()).await;
    yard.flaky.lose(&lost.as_str().into()).await;
    let fault = yard.get(a, "rotten").await.unwrap_err();
    assert!(matches!(fault, Error::Failed(_)), "{fault:?}");
    for path in ["cut", "lost"] {
        assert_eq!(code(yard.get(a, path).await), Code::BlobLost, "{path}");
    }
    assert_eq!(yard.engine.unsound_blobs(), 3);
    let verified = yard.engine.verify_blobs(a, |_| {}).await.unwrap();
    assert_eq!(verified.sound, 1);
    let mut what: Vec<&str> = verified.rotten.iter().map(|rot| rot.what.as_str()).collect();
    what.sort_unstable();
    let expected = [
        "a chunk of the object does not open",
        "the object is shorter than it was stored",
        "the storage has no such object",
    ];
    assert_eq!(what, expected);
    assert!(verified.unread.is_empty() && verified.away.is_none(), "{verified:?}");
    // An object that nobody noted, a blob that no row has.
    use object_store::{ObjectStoreExt as _, path::Path};
    let folder = rotten.split('/').next().unwrap();
    let stray = Path::from(format!("{folder}/stray"));
    yard.flaky.put(&stray, "x".into()).await.unwrap();
    let loose = "alter table app.file disable trigger user; delete from app.file where path = 'sound'; \
                 alter table app.file enable trigger user";
    yard.ground.db.client().await.batch_execute(loose).await.unwrap();
    let swept = yard.engine.sweep_blobs(a, Duration::from_secs(60), false).await.unwrap();
    assert_eq!((swept.kept, swept.young, swept.stray.len()), (3, 1, 0));
    let swept = yard.engine.sweep_blobs(a, Duration::ZERO, true).await.unwrap();
    assert_eq!(swept.stray, [stray.as_ref()]);
    let swept = yard.engine.sweep_blobs(a, Duration::ZERO, false).await.unwrap();
    assert_eq!((swept.stray.len(), swept.missing.len()), (1, 1));
    while yard.engine.delete_doomed().await.unwrap() > 0 {}
    // Left are the rotten one, the one that was cut, the other tenant's, and no stray.
    assert_eq!(yard.flaky.objects().await.len(), 3);
}

/// A storage that does not answer says nothing of what is in it, nor does a place where nothing is at all.
#[tokio::test]
async fn a_storage_that_is_away_is_not_taken_for_rot() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    for path in ["1", "2", "3", "4", "5"] {
        yard.store(a, path, 200_000).await.unwrap();
    }
    for trouble in ALL {
        yard.flaky.fail_after(0, trouble);
        let verified = yard.engine.verify_blobs(a, |_| {}).await.unwrap();
        assert_eq!((verified.sound, verified.rotten.len()), (0, 0), "{trouble:?}");
        assert_eq!(verified.unread.len(), 3, "{trouble:?}");
        assert_eq!(code(Err::<(), _>(verified.away.unwrap())), Code::Storage, "{trouble:?}");
    }
    yard.flaky.work();
    for object in yard.flaky.objects().await {
        yard.flaky.lose(&object).await;
    }
    assert_eq!(code(yard.get(a, "1").await), Code::Storage);
    let verified = yard.engine.verify_blobs(a, |_| {}).await.unwrap();
    assert!(verified.rotten.is_empty() && verified.away.is_some(), "{verified:?}");
    assert_eq!(code(yard.engine.sweep_blobs(a, Duration::ZERO, true).await), Code::Storage);
    assert_eq!(yard.engine.unsound_blobs(), 0);
}
