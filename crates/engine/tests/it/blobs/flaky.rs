//! An object store in memory that can be made to fail, hang, do it and say it did not, or stop in the middle.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, memory::InMemory, path::Path,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It fails, and nothing was done.
    Fails,
    /// It never ends.
    Hangs,
    /// It is done, and said to have failed.
    Lies,
    /// A download stops in the middle.
    Stops,
}

pub(super) const ALL: [Trouble; 4] =
    [Trouble::Fails, Trouble::Hangs, Trouble::Lies, Trouble::Stops];

#[derive(Debug, Default)]
pub(crate) struct Flaky {
    store: InMemory,
    // After how many more requests, and what then happens to all.
    trouble: Mutex<Option<(usize, Trouble)>>,
    requests: AtomicUsize,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

impl Flaky {
    /// Works for `requests`, then does not.
    pub(super) fn fail_after(&self, requests: usize, trouble: Trouble) {
        self.requests.store(0, Ordering::SeqCst);
        *self.trouble.lock().unwrap() = Some((requests, trouble));
    }

    pub(super) fn work(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    pub(super) async fn objects(&self) -> Vec<Path> {
        self.store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap()
    }

    /// Changes one bit of an object.
    pub(super) async fn rot(&self, path: &Path, at: usize) {
        use object_store::ObjectStoreExt as _;
        let mut bytes = self.store.get(path).await.unwrap().bytes().await.unwrap().to_vec();
        bytes[at] ^= 1;
        self.store.put(path, bytes.into()).await.unwrap();
    }

    /// Leaves nothing of an object but its name.
    pub(super) async fn cut(&self, path: &Path) {
        use object_store::ObjectStoreExt as _;
        self.store.put(path, PutPayload::new()).await.unwrap();
    }

    pub(super) async fn lose(&self, path: &Path) {
        use object_store::ObjectStoreExt as _;
        self.store.delete(path).await.unwrap();
    }

    fn now(&self) -> Option<Trouble> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        self.trouble.lock().unwrap().filter(|(after, _)| number >= *after).map(|(_, what)| what)
    }
}

fn failure() -> Error {
    Error::Generic { store: "flaky", source: "it was to fail".into() }
}

/// Before the work: fails, or never ends. After it: lies.
async fn before(trouble: Option<Trouble>) -> Result<()> {
    match trouble {
        Some(Trouble::Fails) => Err(failure()),
        Some(Trouble::Hangs) => std::future::pending().await,
        _ => Ok(()),
    }
}

fn after<T>(trouble: Option<Trouble>, done: T) -> Result<T> {
    if trouble == Some(Trouble::Lies) { Err(failure()) } else { Ok(done) }
}

#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    trouble: Option<Trouble>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (sent, trouble) = (self.upload.put_part(data), self.trouble);
        Box::pin(async move {
            before(trouble).await?;
            after(trouble, sent.await?)
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        before(self.trouble).await?;
        after(self.trouble, self.upload.complete().await?)
    }

    async fn abort(&mut self) -> Result<()> {
        before(self.trouble).await?;
        self.upload.abort().await
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let trouble = self.now();
        before(trouble).await?;
        after(trouble, self.store.put_opts(location, payload, options).await?)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { upload, trouble: self.now() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let trouble = self.now();
        before(trouble).await?;
        let mut got = after(trouble, self.store.get_opts(location, options).await?)?;
        if trouble == Some(Trouble::Stops)
            && let GetResultPayload::Stream(bytes) = got.payload
        {
            let all: Vec<Bytes> = bytes.try_collect().await?;
            let first = all.first().map_or_else(Bytes::new, |all| all.slice(..all.len() / 2));
            got.payload =
                GetResultPayload::Stream(stream::iter([Ok(first), Err(failure())]).boxed());
        }
        Ok(got)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let trouble = self.now();
        match trouble {
            Some(Trouble::Fails) => stream::once(async { Err(failure()) }).boxed(),
            Some(Trouble::Hangs) => stream::pending().boxed(),
            Some(Trouble::Lies) => {
                self.store.delete_stream(locations).map(|_| Err(failure())).boxed()
            }
            _ => self.store.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
