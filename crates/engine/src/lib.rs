//! How it is done: the operations of the product, one file each, to be read from top to bottom.
//!
//! Invariants: no SQL text (statements are [`freehold_model::Sql`] values, which only the compiler makes), no HTTP
//! server, no command line, no environment. Everything that touches rows takes a [`Tenant`], so it cannot be called
//! without one.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use freehold_model::{Catalogue, Model, Name, declare, query::Limits};

pub mod apply;
pub mod audit;
pub mod auth;
pub mod blob;
pub mod cache;
pub mod call;
pub mod embed;
pub mod erase;
pub mod error;
pub mod expire;
pub mod export;
pub mod fill;
pub mod import;
pub mod job;
pub mod keys;
mod permit;
mod personal;
pub mod place;
pub mod project;
pub mod prove;
pub mod read;
pub mod rebuild;
pub mod register;
pub mod search;
pub mod slice;
mod subject;
mod text;
pub mod write;

pub use error::{Code, Error, Fault, Refusal};
pub use freehold_store::seal::SealYardstick;
pub use freehold_store::{
    Access, Bounds, Complaint, Config as StoreConfig, Done, Graph, Limit, Load, Login, Mode,
    Operator, Origin, Placement, PlainSearcher, Policy, Role, RootKey, Scan, Scope, Size, Store,
    Table, Target, Tenant, Transaction, Typed, TypedError, WantedKey, Watch, Way, Work, Writer,
    Yardstick, script,
};
pub use freehold_store::{Swept as DeletedRows, TenantState};
pub use personal::{StatedPurpose, Uncopied};
pub use subject::{Files, Parceled, Recipients};

use embed::Embedders;
use erase::ErasureState;

/// How often a running process looks what changed.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// How often it examines the wall although no change of the schema was noted.
const EXAMINE_PAUSE: Duration = Duration::from_secs(10);

/// Everything an operation needs; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    store: Store,
    blobs: Option<blob::Blobs>,
    cache: Option<cache::Cache>,
    limits: Limits,
    /// Paths in the model file are relative to this folder.
    base_dir: Arc<Path>,
    snapshot: Arc<RwLock<Arc<Snapshot>>>,
    /// What is known of tenants' own approximate indexes.
    indexes: search::Shared,
}

/// The model of one moment. A request takes it once and never looks again.
pub struct Snapshot {
    /// Version of the recorded model, counted from 1; 0 if none was applied yet.
    pub version: i64,
    /// The applied model, with what is served beside it.
    pub model: Model,
    /// What the database said of what is beside it.
    exposed: String,
    /// The embedders it declares.
    pub embedders: Embedders,
}

impl Engine {
    /// An engine over `store`, with the model that is applied there now.
    ///
    /// # Errors
    /// If the database cannot be reached, or holds a model this version cannot read.
    pub async fn open(store: Store, base_dir: PathBuf) -> Result<Self, Error> {
        let snapshot = load(&store, &base_dir).await?;
        store.tend_versions().await?;
        Ok(Self {
            store,
            blobs: None,
            cache: None,
            limits: Limits::default(),
            base_dir: base_dir.into(),
            snapshot: Arc::new(RwLock::new(Arc::new(snapshot))),
            indexes: search::Shared::default(),
        })
    }

    /// An engine whose model is not the recorded one: that of an apply under way.
    pub(crate) fn with_snapshot(store: Store, base_dir: PathBuf, snapshot: Snapshot) -> Self {
        Self {
            store,
            blobs: None,
            cache: None,
            limits: Limits::default(),
            base_dir: base_dir.into(),
            snapshot: Arc::new(RwLock::new(Arc::new(snapshot))),
            indexes: search::Shared::default(),
        }
    }

    /// The store underneath, for benchmarks that measure it.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// The model as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tenant called `name`, if it may be worked in.
    ///
    /// # Errors
    /// `NoSuchTenant`, `TenantSuspended`, or a fault.
    pub async fn tenant(&self, name: &str) -> Result<Tenant, Error> {
        self.store.tenant_named(name).await
    }

    /// The tenant an API key belongs to.
    ///
    /// # Errors
    /// `Unauthenticated` without saying why, `TenantSuspended`, or a fault.
    pub async fn authenticate(&self, key: &str) -> Result<Tenant, Error> {
        self.store.recognise(key).await
    }

    /// Whether tenants can be served: the database answers, and its wall stands.
    ///
    /// # Errors
    /// A fault if it is not so.
    pub async fn ping(&self) -> Result<(), Error> {
        self.store.ready().await
    }

    /// Runs what was typed inside the tenant's wall, for `freehold sql`.
    ///
    /// # Errors
    /// What PostgreSQL says of it: whoever types SQL wants to see that.
    pub async fn raw_sql(
        &self,
        tenant: &Tenant,
        text: &str,
    ) -> Result<Vec<freehold_store::Table>, Error> {
        self.store.raw(tenant, text).await
    }

    /// Does what workers do, until the process ends: keeps read models up to date, fills vectors, deletes the bytes of blobs
    /// that no row has, wraps the keys of those that are somebody's and does jobs. What it is in the middle of when it is dropped is rolled back.
    pub async fn work_forever(&self) {
        tokio::join!(
            self.project_forever(),
            self.fill_forever(),
            self.copy_forever(),
            self.tend_blobs_forever(),
            self.own_blobs_forever(),
            self.job_forever()
        );
    }

    /// A backend for what is typed in the tenant's name, statement by statement.
    ///
    /// # Errors
    /// If it cannot be made, or the wall does not stand.
    pub async fn typed(&self, tenant: &Tenant) -> Result<Typed, Error> {
        self.store.typed(tenant).await
    }

    /// Follows the applied model, examines the wall after every change of the schema and at intervals, and ends backends
    /// that take too much, until the process ends. Run it as a task beside the work.
    pub async fn keep_watch(&self) {
        let (mut ddl, mut examined) = (String::new(), Instant::now());
        loop {
            tokio::time::sleep(WATCH_PAUSE).await;
            if let Err(error) = self.watch_once(&mut ddl, &mut examined).await {
                tracing::warn!(error = %error, "the database could not be watched; what was known of it stays");
            }
        }
    }

    async fn watch_once(&self, ddl: &mut String, examined: &mut Instant) -> Result<(), Error> {
        for ended in self.store.watch(&Watch::default()).await? {
            tracing::warn!(
                backend = ended.backend,
                why = ended.why,
                "the watchdog ended a backend"
            );
        }
        let pulse = self.store.pulse().await?;
        let mut look = pulse.model != self.snapshot().version;
        if pulse.ddl != *ddl || examined.elapsed() > EXAMINE_PAUSE {
            for broken in self.store.examine().await?.iter() {
                tracing::error!(
                    check = broken.check,
                    object = broken.object,
                    detail = broken.detail,
                    "the wall is broken; no tenant is opened"
                );
            }
            (*ddl, *examined, look) = (pulse.ddl, Instant::now(), true);
        }
        if look {
            self.refresh().await?;
        }
        self.store.tend_versions().await?;
        self.store.refresh_placements().await
    }

    /// Where a tenant's rows of an entity are, as this process has known for a second at most.
    #[must_use]
    pub fn placement(&self, tenant: &Tenant, entity: &Name) -> Placement {
        self.store.placement(tenant, entity)
    }

    /// Takes over the model that is applied now, and what is served beside it, if they are others than before.
    ///
    /// # Errors
    /// As [`Engine::open`]; the old model stays.
    pub async fn refresh(&self) -> Result<(), Error> {
        let version = self.store.current_model().await?.map_or(0, |(version, _)| version);
        let before = self.snapshot();
        if version == before.version && self.store.exposed().await? == before.exposed {
            return Ok(());
        }
        let fresh = load(&self.store, &self.base_dir).await?;
        tracing::info!(version = fresh.version, "model and catalogue taken over");
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }
}

impl Snapshot {
    /// Says an error of the database in the words of this model.
    pub(crate) fn refine(&self, error: Error) -> Error {
        error.refine(&self.model)
    }
}

async fn load(store: &Store, base_dir: &Path) -> Result<Snapshot, Error> {
    let (version, model) = match store.current_model().await? {
        Some((version, text)) => (version, recorded(&text)?),
        None => (0, Model::default()),
    };
    let embedders = Embedders::new(&model, base_dir)?;
    let exposed = store.exposed().await?;
    let catalogue = Catalogue::read(&exposed, &model);
    for left_out in catalogue.left_out() {
        tracing::debug!(object = left_out.object, why = left_out.why, "not served");
    }
    Ok(Snapshot { version, model: model.beside(catalogue), exposed, embedders })
}

/// Reads a model that was applied before, so one that this or another version accepted.
pub(crate) fn recorded(text: &str) -> Result<Model, Error> {
    match declare::read(text) {
        Ok(checked) => Ok(checked.model),
        Err(problems) => Err(Refusal::new(
            Code::Model,
            "the applied model cannot be read by this version of Freehold",
        )
        .detail(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
        .hint("use the version that applied it, or a newer one")
        .into()),
    }
}
