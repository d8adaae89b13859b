//! The door for tenants: every transaction opens one tenant, and only one.

mod answers;
mod begin;
mod call;
mod copies;
mod due;
mod issue;
mod keys;
mod keystore;
mod load;
mod placement;
mod stamps;
mod tenant;
mod typed;
mod watch;
mod yardstick;
mod zone;

pub(crate) use call::failed;
pub use copies::{CopyDue, CopyNotes};
pub use due::{Due, DueNotes};
pub use keystore::KeystoreState;
pub use load::{Load, Size, Target, Writer};
pub(crate) use placement::Wording;
pub use placement::{Graph, Placement};
pub use stamps::{Current, Moment, Question, Stamp, digest_of};
use tenant::Recognised;
pub(crate) use tenant::hash_of;
pub(crate) use tenant::tenant_in;
pub use tenant::{Bounds, Tenant};
pub use typed::{Complaint, Done, Transaction, Typed, TypedError};
pub use watch::{Broken, Ended, Pulse, Watch};
pub use yardstick::{PlainSearcher, Scan, Way, Work, Yardstick};
pub use zone::TimeZone;

use std::{path::PathBuf, sync::Arc, time::Duration};

use freehold_model::{Code, Refusal, Sql};
use tokio_postgres::SimpleQueryMessage;

use crate::{
    blobs::{KeyRing, Names},
    changes::{self, Feed},
    connect::{Address, chain},
    error::{Error, Fault},
    key::RootKey,
    personal::People,
    platform,
    pool::{Lease, Pool},
    refusal::explain,
    role::Role,
    row::Row,
    session::{Session, Stumble, is_stale},
    token::Minter,
};

/// Most connections of `freehold_control` at once: its questions are short.
const CONTROL_POOL: usize = 4;

/// How to reach PostgreSQL, and how long to wait for it.
#[derive(Debug)]
pub struct Config {
    /// Where the database is: `postgresql://…` or `key=value …`. Its user and password are not used.
    pub url: String,
    /// The key the server was set up with.
    pub root_key: RootKey,
    /// The folder of the keystore, if there is one.
    pub keystore: Option<PathBuf>,
    /// Whether the database may be one that does not know all erasures, as after a restore: for whoever makes them again.
    pub behind: bool,
    /// Most connections at once.
    pub pool_size: usize,
    /// Most connections of this process's workers at once.
    pub workers: usize,
    /// Longest wait for PostgreSQL to take a connection.
    pub connect_timeout: Duration,
    /// Longest wait for one of the pool's connections.
    pub wait_timeout: Duration,
    /// Longest run of one statement.
    pub statement_timeout: Duration,
}

impl Config {
    /// Longest wait for a connection of this crate's own.
    pub(crate) const CONNECT: Duration = Duration::from_secs(10);

    /// The usual: 16 connections, 6 for workers, 10 s to connect, 10 s to wait, 30 s for a statement.
    #[must_use]
    pub fn new(url: impl Into<String>, root_key: RootKey) -> Self {
        Self {
            url: url.into(),
            root_key,
            keystore: None,
            behind: false,
            pool_size: 16,
            workers: 6,
            connect_timeout: Duration::from_secs(10),
            wait_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// Four pools: one logged in as `freehold_app`, for tenants' statements alone, a smaller one as `freehold_anonymous`, for
/// those of nobody's key, a small one as `freehold_control`, for what servers ask in their own name, and one as
/// `freehold_project`, for workers. Clones share them.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pool: Arc<Pool>,
    anonymous: Arc<Pool>,
    control: Arc<Pool>,
    pub(crate) minter: Minter,
    anonymous_minter: Minter,
    pub(crate) patience: Duration,
    statement_timeout: Duration,
    state: watch::State,
    zones: zone::Zones,
    pub(crate) feed: Feed,
    recognised: Recognised,
    placements: placement::State,
    pub(crate) ring: KeyRing,
    pub(crate) names: Names,
    pub(crate) people: People,
    answers: answers::Answers,
}

/// What one statement of [`Store::raw`] answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of its columns; empty for a statement that returns no rows.
    pub columns: Vec<String>,
    /// The rows, each value in text form.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows returned or touched.
    pub count: u64,
}

impl Store {
    /// Logs in and checks that the server is one on which the wall stands.
    ///
    /// # Errors
    /// `Server` with everything that is wrong and what to do about it; a fault if the server cannot be reached.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let address = Address::parse(&config.url)?;
        let database = address.database().to_owned();
        let timeout = format!("{}ms", config.statement_timeout.as_millis());
        let settings = [
            ("search_path", "pg_catalog,app,freehold_ext,pg_temp"),
            ("statement_timeout", &timeout),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_read_only", "off"),
            ("synchronous_commit", "on"),
            ("row_security", "on"),
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO,MDY"),
            ("IntervalStyle", "postgres"),
            ("bytea_output", "hex"),
            ("extra_float_digits", "1"),
            ("standard_conforming_strings", "on"),
            ("transform_null_equals", "off"),
            // Without statistics on tenants' columns PostgreSQL guesses, and would compile small queries for long.
            ("jit", "off"),
            // Planning over all partitions costs more than most statements, and what it could learn from a value nobody
            // has counted.
            ("plan_cache_mode", "force_generic_plan"),
        ];
        let pool = |login: &str, settings: &[(&str, &str)], size| {
            let password = config.root_key.password(login);
            let address = address.clone().settings(settings).login(login, &password);
            Pool::new(address, size, config.connect_timeout, config.wait_timeout)
        };
        let minter = |login| Minter::new(&config.root_key, &database, login);
        let workers = pool(platform::PROJECT, &changes::settings(&settings), config.workers);
        let control = pool(platform::CONTROL, &settings, CONTROL_POOL);
        let mut lease = control.lease().await?;
        platform::check(&mut lease).await?;
        let ring = keystore::ring(&mut lease, &config).await?;
        lease.give_back();
        let store = Self(Arc::new(Inner {
            pool: pool(platform::APP, &settings, config.pool_size),
            anonymous: pool(platform::ANONYMOUS, &settings, config.pool_size.div_ceil(2)),
            control,
            minter: minter(platform::APP),
            anonymous_minter: minter(platform::ANONYMOUS),
            patience: config.statement_timeout + Duration::from_secs(5),
            statement_timeout: config.statement_timeout,
            state: watch::State::default(),
            zones: zone::Zones::default(),
            feed: Feed::new(workers, minter(platform::PROJECT), &config.root_key),
            recognised: Recognised::default(),
            placements: placement::State::default(),
            ring,
            names: Names::default(),
            people: People::default(),
            answers: answers::Answers::default(),
        }));
        store.demand_wall().await?;
        if !config.behind {
            store.demand_ledger().await?;
        }
        store.refresh_placements().await?;
        store.lease().await?.give_back();
        Ok(store)
    }

    /// The applied model: its version and its text.
    ///
    /// # Errors
    /// Faults only.
    pub async fn current_model(&self) -> Result<Option<(i64, String)>, Error> {
        let doing = "reading the model";
        let rows =
            self.ask(doing, "select version, text from freehold.current_model()", &[]).await?;
        Ok(rows.first().and_then(|row| row.int(0).zip(row.text(1).map(str::to_owned))))
    }

    /// One statement as a whole transaction, in one round trip once the statement is prepared. It answers with one row.
    ///
    /// # Errors
    /// What the statement breaks; `TenantSuspended`; a fault if it answers with no row or several.
    pub async fn run(&self, tenant: &Tenant, sql: &Sql) -> Result<Row, Error> {
        self.run_in(tenant, sql, None).await
    }

    /// The same with times told in a time zone.
    ///
    /// # Errors
    /// As [`Self::run`]; `Preference` if there is no such zone.
    pub async fn run_in(
        &self,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
    ) -> Result<Row, Error> {
        let mut lease = self.lease_for(tenant).await?;
        let done = self.in_time(self.whole(&mut lease, tenant, sql, zone)).await?;
        lease.give_back();
        let mut rows = done?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(Fault::new("running a statement", "not one row").into()),
        }
    }

    /// The same for a statement that answers with any number of rows.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_all(&self, tenant: &Tenant, sql: &Sql) -> Result<Vec<Row>, Error> {
        let mut lease = self.lease_for(tenant).await?;
        let done = self.in_time(self.whole(&mut lease, tenant, sql, None)).await?;
        lease.give_back();
        done
    }

    /// Whatever an operator types, inside the tenant's wall and in a backend that is used for nothing else. Committed if all
    /// of it succeeds.
    ///
    /// # Errors
    /// `Syntax` with PostgreSQL's own words, because they are about what was typed.
    pub async fn raw(&self, tenant: &Tenant, text: &str) -> Result<Vec<Table>, Error> {
        let mut session = self.apart().await?;
        let opening = self.opening(&session, tenant);
        session.batch(&opening).await.map_err(|error| self.not_opened(tenant, error))?;
        let messages = session.simple(text).await.map_err(in_its_own_words)?;
        session.batch("commit").await.map_err(in_its_own_words)?;
        Ok(tables(messages))
    }

    async fn whole(
        &self,
        lease: &mut Lease,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
    ) -> Result<Vec<Row>, Error> {
        let doing = "running a statement";
        let wording = self.wording(tenant);
        let text = wording.of(sql);
        let mut may_be_stale = lease.knows(&text);
        loop {
            let statement = lease.statement(&text).await.map_err(|error| explain(doing, error))?;
            let opening =
                self.opening(lease, tenant) + &TimeZone::setting(zone) + &wording.settings(sql);
            match lease.transact(&opening, &statement, sql.params()).await {
                Ok(rows) => return Ok(rows),
                Err(Stumble::Statement(error)) if is_stale(&error) => {
                    lease.forget(&text);
                    // Nothing was done, so it can be done again.
                    if !std::mem::take(&mut may_be_stale) {
                        return Err(explain(doing, error));
                    }
                }
                Err(Stumble::Opening(error)) => return Err(self.not_opened(tenant, error)),
                Err(Stumble::Statement(error)) => return Err(explain(doing, error)),
                Err(Stumble::Commit(error)) => return Err(explain("committing", error)),
            }
        }
    }

    // A simple query: it leaves no named statement behind that somebody could put another in the place of.
    pub(crate) fn opening(&self, session: &Session, tenant: &Tenant) -> String {
        self.opening_by("begin", session, tenant)
    }

    fn opening_by(&self, begin: &str, session: &Session, tenant: &Tenant) -> String {
        let call = self.minter(tenant).opening(
            tenant.role(),
            tenant.id(),
            tenant.key(),
            session.backend(),
        );
        match tenant.bounds().statement.filter(|most| *most < self.0.statement_timeout) {
            Some(most) => {
                let most = most.as_millis().max(1);
                format!("{begin}; {call}; set local statement_timeout = '{most}ms'")
            }
            None => format!("{begin}; {call}"),
        }
    }

    /// Signs for the login that the tenant's statements run as; PostgreSQL takes the token from no other.
    pub(crate) fn minter(&self, tenant: &Tenant) -> &Minter {
        match tenant.role() {
            Role::Anonymous => &self.0.anonymous_minter,
            _ => &self.0.minter,
        }
    }

    pub(crate) async fn ask(
        &self,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        let mut lease = self.0.control.lease().await?;
        let rows = self.in_time(lease.select(doing, text, params)).await?;
        lease.give_back();
        rows
    }

    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let timeout = tokio::time::timeout(self.0.patience, work).await;
        timeout.map_err(|elapsed| Fault::unavailable("waiting for PostgreSQL", elapsed).into())
    }
}

fn in_its_own_words(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(report) => {
            let refusal = Refusal::new(Code::Syntax, report.message());
            let refusal = report.detail().map_or(refusal.clone(), |detail| refusal.detail(detail));
            report.hint().map_or(refusal.clone(), |hint| refusal.hint(hint)).into()
        }
        None => {
            tracing::debug!(error = chain(&error), "a typed statement failed");
            explain("running what was typed", error)
        }
    }
}

fn tables(messages: Vec<SimpleQueryMessage>) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut table = Table::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                table.columns = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                table.rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                table.count = count;
                tables.push(std::mem::take(&mut table));
            }
            _ => {}
        }
    }
    tables
}
