//! A database with a model of people and commits, and one tenant.

use std::{io::Cursor, path::PathBuf};

use freehold_engine::{
    Engine, Error, Operator, RootKey, Store, StoreConfig, Tenant, apply,
    import::{Format, Heard, Import, Imported, OnBad},
    read::Read,
};
use freehold_testkit::TestDb;

/// All tests share the server and so the role, whose password comes from the root key.
const ROOT: [u8; 32] = [7; 32];

const MODEL: &str = r#"
[model]
name = "history"

[entity.person.field]
handle = { type = "text", unique = true }
age    = { type = "integer", optional = true, min = 0 }

[entity.commit.field]
sha       = { type = "text", unique = true }
author    = { ref = "person" }
files     = { type = "text[]" }
embedding = { vector = 2, metric = "cosine" }
"#;

pub(crate) struct House {
    _db: TestDb,
    pub(crate) engine: Engine,
    pub(crate) tenant: Tenant,
}

pub(crate) async fn house() -> House {
    let db = TestDb::empty().await;
    let mut operator = Operator::open(db.url(), "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    let store = Store::connect(StoreConfig::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let proposal = apply::propose(&mut operator, MODEL.into()).await.unwrap();
    let base = PathBuf::from(".");
    apply::apply(&mut operator, &store, &base, &proposal, &[], &mut |_| {}).await.unwrap();
    operator.create_tenant("acme").await.unwrap();
    let engine = Engine::open(store, base).await.unwrap();
    let tenant = engine.tenant("acme").await.unwrap();
    House { _db: db, engine, tenant }
}

pub(crate) fn import(entity: &str, text: impl Into<Vec<u8>>) -> Import {
    Import {
        entity: entity.into(),
        input: Box::new(Cursor::new(text.into())),
        format: Format::JsonLines,
        vectors: None,
        on_bad: OnBad::Stop,
        upsert: None,
        source: Some("file".into()),
        restart: false,
    }
}

impl House {
    pub(crate) async fn run(&self, import: Import) -> Result<Imported, Error> {
        self.engine.import(&self.tenant, import, &mut |_| {}).await
    }

    /// Runs an import and forgets it once so many parts are in, as if the process had died then.
    pub(crate) async fn die_after(&self, import: Import, parts: usize) {
        let (died, dead) = tokio::sync::oneshot::channel();
        let mut died = Some(died);
        let mut seen = 0;
        let mut heard = |heard: Heard| {
            if matches!(heard, Heard::Loaded(..)) {
                seen += 1;
            }
            if seen == parts
                && let Some(died) = died.take()
            {
                died.send(()).unwrap();
            }
        };
        tokio::select! {
            biased;
            _ = dead => {}
            _ = self.engine.import(&self.tenant, import, &mut heard) => panic!("it was done before"),
        }
    }

    pub(crate) async fn count(&self, entity: &str) -> u64 {
        let read = Read { entity, query: "select=id&limit=0", count: true };
        self.engine.read(&self.tenant, read).await.unwrap().total.unwrap()
    }
}

pub(crate) fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Refused(refusal) => {
            format!("{} | {}", refusal.message, refusal.detail.unwrap_or_default())
        }
        other => panic!("not a refusal: {other:?}"),
    }
}
