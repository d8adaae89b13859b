//! Notes that PostgreSQL forgets in a crash, because nobody waited until they were on the disk: nothing is stored for ever by that,
//! and whoever uploads hears of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_engine::{
    Code,
    blob::{Mode, Object, Put},
};
use futures_util::stream;

use super::{Yard, pattern, put};
use crate::ground::code;

impl Yard {
    async fn number(&self, sql: &str) -> i64 {
        self.ground.db.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Uploads until there are names that were noted beforehand.
    async fn given_names(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        for number in 0.. {
            assert!(Instant::now() < deadline, "no names were noted");
            self.store(&self.ground.a, "there", 1000 + number).await.unwrap();
            if self.number("select count(*) from freehold.blob_name").await > 0 {
                break;
            }
        }
    }

    /// As PostgreSQL is after a crash in which it lost what nobody waited for: all of the newest upload but its name.
    async fn forget_newest(&self) {
        let sql = "with lost as (delete from freehold.blob b where (b.tenant_id, b.id) = (select n.tenant_id, n.id from freehold.blob n \
                     where n.state in ('uploading', 'pending') order by n.created_at desc limit 1) returning *), \
                   free as (update freehold.blob_usage u set bytes = u.bytes - l.size, objects = u.objects - 1 from lost l \
                     where u.tenant_id = l.tenant_id) \
                   insert into freehold.blob_name (object, tenant_id) select object, tenant_id from lost";
        assert_eq!(self.ground.db.client().await.execute(sql, &[]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_upload_that_was_forgotten_is_refused_and_its_bytes_go() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    yard.given_names().await;
    let given = yard.number("select count(*) from freehold.blob_name").await;
    let objects = yard.flaky.objects().await.len();
    // Between its end and its row.
    let stored = yard.put(a, 2000).await.unwrap();
    assert_eq!(yard.number("select count(*) from freehold.blob_name").await, given - 1);
    yard.forget_newest().await;
    let bucket = yard.engine.bucket("file").unwrap();
    let object = Object { bucket: &bucket, path: "new" };
    let taken = yard.engine.take_blob(a, object, Mode::Upsert, &stored).await;
    assert_eq!(code(taken), Code::Reference);
    // Nobody knows of its object but by its name.
    assert_eq!(yard.flaky.objects().await.len(), objects + 1);
    yard.agrees(1).await;
    assert_eq!(yard.number("select count(*) from freehold.blob_name").await, 0);

    // While it is under way, of a process that goes on.
    yard.given_names().await;
    let bytes = pattern(20_000_000);
    let (first, rest) = bytes.split_at(18_000_000);
    let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
    let forgetting = async {
        yard.forget_newest().await;
        Ok::<_, std::io::Error>(rest)
    };
    let pieces = stream::StreamExt::chain(
        stream::once(async { Ok::<_, std::io::Error>(first) }),
        stream::once(forgetting),
    );
    let wanted = Put {
        entity: "file",
        field: "file",
        name: None,
        content_type: "text/plain",
        length: Some(20_000_000),
    };
    let cut = Box::pin(yard.engine.put_blob(a, wanted, Box::pin(pieces))).await;
    assert_eq!(code(cut), Code::NoSuchBlob);
    yard.agrees(1).await;
}

#[tokio::test]
async fn names_that_were_given_up_are_used_no_more() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    yard.given_names().await;
    assert_eq!(yard.number("select count(distinct tenant_id) from freehold.blob_name").await, 1);
    // The worker's day is over; the server still has them in mind.
    yard.agrees(1).await;
    assert_eq!(yard.number("select count(*) from freehold.blob_name").await, 0);
    yard.store(a, "there", 5).await.unwrap();
    assert_eq!(yard.get(a, "there").await.unwrap(), pattern(5));
    yard.agrees(1).await;
    // Whoever uploads once has none.
    put(&yard.engine, b, "file.file", "text/plain", pattern(10)).await.unwrap();
    let of_b = format!("select count(*) from freehold.blob_name where tenant_id = '{}'", b.id());
    assert_eq!(yard.number(&of_b).await, 0);
    yard.agrees(1).await;
}

#[tokio::test]
async fn what_was_hashed_before_is_still_compared() {
    let yard = Yard::new().await;
    let a = &yard.ground.a;
    yard.store(a, "there", 3).await.unwrap();
    assert_eq!(yard.number("select hash_kind::bigint from freehold.blob").await, 1);
    let verified = async || yard.engine.verify_blobs(a, |_| {}).await.unwrap();
    let digest = "sha256('\\x001f3e')";
    let set = async |kind: i32| {
        let sql = format!("update freehold.blob set hash_kind = {kind}, hash = {digest}");
        yard.ground.db.client().await.batch_execute(&sql).await.unwrap();
    };
    set(0).await;
    assert_eq!((verified().await.sound, verified().await.rotten.len()), (1, 0));
    set(1).await;
    assert_eq!((verified().await.sound, verified().await.rotten.len()), (0, 1));
}
