//! Where the bytes of blobs are kept: a local folder, or somebody's object storage.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    memory::InMemory,
    multipart::MultipartStore,
    path::Path,
};

use crate::error::{Code, Error, Refusal};

/// How long one request to the storage may take, or its next bytes, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a request is tried again that fails at once: for about five seconds.
const TRIES: usize = 6;

/// A place for objects; clones share it.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    // The same store, if it knows uploads in parts by name.
    named: Option<Arc<dyn MultipartStore>>,
    // The folder, if it is one on this machine.
    local: Option<Arc<std::path::Path>>,
    prefix: String,
    patience: Duration,
    // How often what is stored was found not to be what was noted.
    unsound: Arc<AtomicU64>,
}

impl Blobs {
    /// The place that `url` names: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or
    /// `memory:` for trying things out. Keys, regions and endpoints come from the environment, by the names that the
    /// services' own tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, …).
    ///
    /// `patience` is how long one request may take, or its next bytes; one that hears nothing for half of it is tried again.
    ///
    /// # Errors
    /// `Usage` if the URL cannot be read, or what it needs is not there.
    pub fn open(url: &str, patience: Duration) -> Result<Self, Refusal> {
        let refuse = |error: &dyn std::error::Error| {
            Refusal::new(Code::Usage, "the place for blobs cannot be used")
                .detail(format!("{url}: {error}"))
                .hint("keys, region and endpoint come from the environment, by the names that the service's own tools use")
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| unknown(url))?;
        let prefix = match rest.trim_start_matches('/').split_once('/') {
            Some((_, prefix)) => prefix.trim_matches('/').to_owned(),
            None => String::new(),
        };
        // Not the library's limit for a whole request, which ends downloads that are merely slow.
        let silence = format!("{} ms", patience.as_millis() / 2);
        let [whole, silent] =
            [(ClientConfigKey::Timeout, "7 days"), (ClientConfigKey::ReadTimeout, &silence)];
        let place = match scheme {
            "file" => Self::folder(PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)))?,
            "memory" => Self::service(InMemory::new(), String::new()),
            "s3" | "s3a" => {
                let store = AmazonS3Builder::from_env().with_url(url).with_retry(retry());
                let store = store
                    .with_config(AmazonS3ConfigKey::Client(whole.0), whole.1)
                    .with_config(AmazonS3ConfigKey::Client(silent.0), silent.1);
                Self::service(store.build().map_err(|error| refuse(&error))?, prefix)
            }
            "gs" => {
                let store = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry());
                let store = store
                    .with_config(GoogleConfigKey::Client(whole.0), whole.1)
                    .with_config(GoogleConfigKey::Client(silent.0), silent.1);
                Self::service(store.build().map_err(|error| refuse(&error))?, prefix)
            }
            "az" | "azure" | "abfs" | "abfss" => {
                let store = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry());
                let store = store
                    .with_config(AzureConfigKey::Client(whole.0), whole.1)
                    .with_config(AzureConfigKey::Client(silent.0), silent.1);
                Self::service(store.build().map_err(|error| refuse(&error))?, prefix)
            }
            _ => return Err(unknown(url)),
        };
        Ok(place.with_patience(patience))
    }

    fn service(store: impl ObjectStore + MultipartStore, prefix: String) -> Self {
        let store = Arc::new(store);
        Self { named: Some(store.clone()), prefix, ..Self::over(store) }
    }

    /// A folder on this machine, made if it is not there. What is said to be stored is on the disk.
    ///
    /// # Errors
    /// `Usage` if it cannot be made.
    pub fn folder(path: PathBuf) -> Result<Self, Refusal> {
        let made =
            std::fs::create_dir_all(&path).map_err(|error| error.to_string()).and_then(|()| {
                LocalFileSystem::new_with_prefix(&path).map_err(|error| error.to_string())
            });
        let store = made.map_err(|error| {
            Refusal::new(Code::Usage, "the folder for blobs cannot be used")
                .detail(format!("{}: {error}", path.display()))
                .hint("name a folder in which this user may write")
        })?;
        let local = Some(Arc::from(path));
        Ok(Self { local, ..Self::over(Arc::new(store.with_fsync(true))) })
    }

    /// Any store there is.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            named: None,
            local: None,
            prefix: String::new(),
            patience: PATIENCE,
            unsound: Arc::default(),
        }
    }

    /// The same with another wait for the storage.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(super) fn named(&self) -> Option<&Arc<dyn MultipartStore>> {
        self.named.as_ref()
    }

    /// The file of an object, if it is in a folder of this machine.
    pub(super) fn file(&self, object: &str) -> Option<PathBuf> {
        self.local.as_ref().map(|folder| folder.join(object))
    }

    pub(super) fn at(&self, object: &str) -> Path {
        let parts = self.prefix.split('/').chain(object.split('/'));
        Path::from_iter(parts.filter(|part| !part.is_empty()))
    }

    /// The name of an object as the database has it.
    pub(super) fn name_of(&self, path: &Path) -> String {
        let path = path.as_ref();
        path.strip_prefix(self.prefix.as_str()).unwrap_or(path).trim_start_matches('/').to_owned()
    }

    /// How often a read found an object missing, cut or changed.
    pub(crate) fn unsound(&self) -> u64 {
        self.unsound.load(Ordering::Relaxed)
    }

    pub(super) fn found_unsound(&self, object: &str, what: impl fmt::Display) {
        self.unsound.fetch_add(1, Ordering::Relaxed);
        tracing::error!(object, %what, "an object is not what was stored: `freehold blobs verify` says which are");
    }

    /// Bytes of an object; none if the storage does not have it, but others. A place without any object is not the one that
    /// was written to: a disk that is not mounted, a bucket of another name.
    ///
    /// # Errors
    /// `Storage`.
    pub(super) async fn size_of(&self, object: &str) -> Result<Option<u64>, Error> {
        let doing = "looking for a blob";
        let path = self.at(object);
        let head = async {
            match self.store.head(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                other => other.map(|meta| Some(meta.size)),
            }
        };
        let size = self.in_time(doing, head).await?;
        if size.is_none() {
            let mut listed = self.store.list(Some(&self.at("")));
            let any = self.in_time(doing, async { listed.next().await.transpose() }).await?;
            if any.is_none() {
                return Err(failed(doing, &EmptyPlace));
            }
        }
        Ok(size)
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// `work`, if it ends in time.
    pub(super) async fn in_time<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.patience, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(failed(doing, &error)),
            Err(elapsed) => Err(failed(doing, &elapsed)),
        }
    }

    /// The same for a folder of this machine.
    pub(super) async fn io_in_time<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Error> {
        let work = async {
            work.await.map_err(|error| object_store::Error::Generic {
                store: "folder",
                source: Box::new(error),
            })
        };
        self.in_time(doing, work).await
    }
}

#[derive(Debug)]
struct EmptyPlace;

impl fmt::Display for EmptyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "nothing at all is stored in the place for blobs: is it mounted, is it the right one?",
        )
    }
}

impl std::error::Error for EmptyPlace {}

/// The storage's failure is told to the caller as one that may pass, and its words stay in the log.
pub(super) fn failed(doing: &'static str, error: &dyn std::error::Error) -> Error {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    tracing::warn!(doing, error = chain, "object storage failed");
    Refusal::new(Code::Storage, "the object storage cannot be reached at the moment, or fails")
        .hint("try again; the log says more")
        .into()
}

// By number, not by time: a download may break after hours. The patience ends whatever takes too long.
fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: TRIES, retry_timeout: Duration::from_secs(7 * 24 * 3600) }
}

fn unknown(url: &str) -> Refusal {
    Refusal::new(Code::Usage, "this is no place for blobs")
        .detail(url)
        .hint("file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; memory:/// to try things out")
}
