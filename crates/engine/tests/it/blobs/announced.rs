//! Uploads that say beforehand how large they are.

use bytes::Bytes;
use freehold_engine::{
    Code, Error, Tenant,
    blob::{Mode, Object, Put, Stored},
};
use futures_util::stream;

use super::{Yard, pattern};
use crate::ground::code;

impl Yard {
    /// Uploads so many bytes of the number that was announced, and gives the blob to a row.
    async fn announced(
        &self,
        tenant: &Tenant,
        (path, mode): (&str, Mode),
        (announced, size): (usize, usize),
    ) -> Result<Stored, Error> {
        let put = Put {
            entity: "file",
            field: "file",
            name: None,
            content_type: "text/plain",
            length: Some(announced as u64),
        };
        let pieces: Vec<_> = pattern(size)
            .chunks(100_000)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let stored = self.engine.put_blob(tenant, put, stream::iter(pieces)).await?;
        let bucket = self.engine.bucket("file")?;
        self.engine.take_blob(tenant, Object { bucket: &bucket, path }, mode, &stored).await?;
        Ok(stored)
    }
}

#[tokio::test]
async fn as_many_bytes_come_as_were_announced_or_nothing_is_left() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    for size in [0, 1000, 20_000_000] {
        let stored = yard.announced(a, ("there", Mode::Upsert), (size, size)).await.unwrap();
        assert_eq!(stored.size, size as u64);
        assert_eq!(yard.get(a, "there").await.unwrap(), pattern(size));
        yard.agrees(1).await;
    }
    let taken = yard.announced(a, ("there", Mode::Create), (10, 10)).await;
    assert_eq!(code(taken), Code::Conflict);
    let missing = yard.announced(b, ("there", Mode::Replace), (10, 10)).await;
    assert_eq!(code(missing), Code::NoSuchBlob);
    for (announced, size) in [(1000, 999), (999, 1000), (0, 1), (20_000_000, 19_000_000)] {
        let other = yard.announced(a, ("there", Mode::Upsert), (announced, size)).await;
        assert_eq!(code(other), Code::Body, "{size} of {announced}");
        yard.agrees(1).await;
    }
    assert_eq!(yard.get(a, "there").await.unwrap(), pattern(20_000_000));
}

#[tokio::test]
async fn quotas_are_exact_for_sizes_that_were_announced() {
    let yard = Yard::new().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let mut operator = yard.ground.operator().await;
    operator.set_blob_quota("a", Some(Some(1050)), Some(Some(20))).await.unwrap();
    let paths: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let uploads = paths.iter().map(|path| yard.announced(a, (path, Mode::Create), (100, 100)));
    let done = futures_util::future::join_all(uploads).await;
    let (fine, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    assert_eq!(fine.len(), 10);
    assert!(refused.into_iter().all(|refused| code(refused) == Code::Quota));
    yard.announced(b, ("one", Mode::Create), (100, 100)).await.unwrap();
    yard.agrees(11).await;
    let usage = operator.blob_usage("a").await.unwrap();
    assert_eq!((usage.bytes, usage.objects), (1000, 10));
}
