//! A database with a model applied and two tenants.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use freehold_engine::{
    Code, Engine, Error, Mode, Operator, RootKey, Store, StoreConfig, Tenant,
    apply::{self, Progress},
    read::Read,
    write::{Operation, Resolution, Verb, Written},
};
use freehold_testkit::TestDb;
use serde_json::Value;

/// All tests share the server and so the role, whose password comes from the root key.
pub(crate) const ROOT: [u8; 32] = [7; 32];

pub(crate) struct Ground {
    pub(crate) engine: Engine,
    pub(crate) a: Tenant,
    pub(crate) b: Tenant,
    pub(crate) db: TestDb,
}

/// The template is made once for each model.
pub(crate) async fn ground(model: &str) -> Ground {
    ground_in(model, Mode::Seal).await
}

/// The same, where the tenant of a transaction is kept in this way.
pub(crate) async fn ground_in(model: &str, mode: Mode) -> Ground {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap();
        operator.create_tenant("a").await.unwrap();
        operator.create_tenant("b").await.unwrap();
        change(&mut operator, &store(url).await, model, &[]).await.unwrap();
    };
    let db = TestDb::from_template(&format!("engine {} {model}", mode.as_str()), build).await;
    let engine = Engine::open(store(db.url()).await, "/".into()).await.unwrap();
    let (a, b) = (engine.tenant("a").await.unwrap(), engine.tenant("b").await.unwrap());
    Ground { engine, a, b, db }
}

pub(crate) async fn store(url: &str) -> Store {
    Store::connect(StoreConfig::new(url, RootKey::new(ROOT))).await.unwrap()
}

/// Applies a model and gives its version.
pub(crate) async fn change(
    operator: &mut Operator,
    store: &Store,
    model: &str,
    allow: &[&str],
) -> Result<i64, Error> {
    let proposal = apply::propose(operator, model.to_owned()).await?;
    let allow: Vec<String> = allow.iter().map(|flag| (*flag).to_owned()).collect();
    let mut heard = |_: Progress| {};
    apply::apply(operator, store, Path::new("/"), &proposal, &allow, &mut heard).await
}

impl Ground {
    pub(crate) async fn operator(&self) -> Operator {
        Operator::open(self.db.url(), "test").await.unwrap()
    }

    pub(crate) async fn change(&self, model: &str, allow: &[&str]) -> Result<i64, Error> {
        change(&mut self.operator().await, &self.engine.store(), model, allow).await
    }

    /// Another server process over the same database.
    pub(crate) async fn another(&self) -> Engine {
        Engine::open(store(self.db.url()).await, "/".into()).await.unwrap()
    }

    pub(crate) async fn write(
        &self,
        tenant: &Tenant,
        target: &str,
        verb: Verb,
    ) -> Result<Written, Error> {
        self.engine.write(tenant, operation(target, verb)).await
    }

    pub(crate) async fn insert(&self, tenant: &Tenant, target: &str, body: Value) -> Written {
        self.write(tenant, target, Verb::Insert(body, None)).await.unwrap()
    }

    pub(crate) async fn merge(&self, tenant: &Tenant, target: &str, body: Value) -> Written {
        self.write(tenant, target, Verb::Insert(body, Some(Resolution::Merge))).await.unwrap()
    }

    pub(crate) async fn update(&self, tenant: &Tenant, target: &str, patch: Value) -> Written {
        self.write(tenant, target, Verb::Update(patch)).await.unwrap()
    }

    pub(crate) async fn read(&self, tenant: &Tenant, target: &str) -> Value {
        read(&self.engine, tenant, target).await.unwrap()
    }

    /// Kills the backend that waits for a lock, once one does.
    pub(crate) async fn kill_who_waits(&self) {
        let killer = self.db.client().await;
        let waits = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(30);
        while killer.query(waits, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "it never waited");
            tokio::task::yield_now().await;
        }
    }

    /// What a superuser sees, as one value of JSON.
    pub(crate) async fn truth(&self, sql: &str) -> Value {
        let text = format!("select coalesce(json_agg(r), '[]')::text from ({sql}) r");
        let row = self.db.client().await.query_one(&text, &[]).await.unwrap();
        serde_json::from_str(row.get(0)).unwrap()
    }
}

/// What receipts say, in order; each is whole, signed, and names the one before.
pub(crate) async fn receipts(store: &Store) -> Vec<Value> {
    let key = store.sign_receipt("").public_key;
    let mut before = String::new();
    let mut all = Vec::new();
    for receipt in store.receipts(0, 1000).await.unwrap() {
        assert!(receipt.holds(&key, &before), "{receipt:?}");
        all.push(serde_json::from_str(&receipt.body).unwrap());
        before = receipt.hash;
    }
    all
}

pub(crate) async fn read(engine: &Engine, tenant: &Tenant, target: &str) -> Result<Value, Error> {
    let (entity, query) = target.split_once('?').unwrap_or((target, ""));
    let answer = engine.read(tenant, Read { entity, query, count: false }).await?;
    Ok(serde_json::from_str(&answer.body).unwrap())
}

/// `entity?query`; the rows come back.
pub(crate) fn operation(target: &str, verb: Verb) -> Operation {
    let (entity, query) = target.split_once('?').unwrap_or((target, ""));
    Operation { entity: entity.into(), verb, query: query.into(), returning: true }
}

pub(crate) fn body(written: &Written) -> Value {
    serde_json::from_str(&written.body).unwrap()
}

pub(crate) fn code<T>(result: Result<T, Error>) -> Code {
    match result.err().expect("it is refused") {
        Error::Refused(refusal) => refusal.code,
        Error::Violated(violation) => violation.code,
        Error::Failed(fault) => panic!("a fault: {fault}: {:?}", std::error::Error::source(&fault)),
    }
}
