//! What a server keeps an eye on while it runs: its wall, its login, and backends that take too much.

use std::{
    fmt, fs,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use freehold_model::{Code, Refusal};

use super::{Store, Tenant};
use crate::{
    error::{Error, Fault},
    pool::{Lease, NoLease},
    role::Role,
    session::Session,
};

/// The login is not set right more often than this, so that a server that cannot log in for another reason does not try
/// all the time.
const REPAIR_PAUSE: Duration = Duration::from_secs(5);

/// What changed since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Version of the applied model; 0 before the first.
    pub model: i64,
    /// Another text after every change of the schema.
    pub ddl: String,
}

/// Something that breaks the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The id of the check in `freehold audit`.
    pub check: String,
    /// The table, role or function.
    pub object: String,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.check, self.object, self.detail)
    }
}

/// What one backend of `freehold_app` may take. No role can lift it.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Longest run of one statement.
    pub statement_max: Duration,
    /// Longest transaction.
    pub transaction_max: Duration,
    /// Most memory of its own in bytes; only seen where PostgreSQL runs on this machine.
    pub memory_max: u64,
}

impl Default for Watch {
    /// A minute, five minutes, 1 GiB.
    fn default() -> Self {
        Self {
            statement_max: Duration::from_secs(60),
            transaction_max: Duration::from_secs(300),
            memory_max: 1 << 30,
        }
    }
}

/// A backend that the watchdog ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its process id.
    pub backend: i64,
    /// `statement`, `transaction`, `lock` or `memory`.
    pub why: String,
}

#[derive(Default)]
pub(super) struct State {
    broken: RwLock<Arc<[Broken]>>,
    overgrown: Mutex<Vec<i64>>,
    repaired: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Store {
    /// What there is of models and changes of the schema.
    ///
    /// # Errors
    /// Faults only.
    pub async fn pulse(&self) -> Result<Pulse, Error> {
        let doing = "looking for changes";
        let rows = self.ask(doing, "select model, ddl from freehold.pulse()", &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::new(doing, "no row"))?;
        Ok(Pulse {
            model: row.int(0).unwrap_or_default(),
            ddl: row.text(1).unwrap_or_default().to_owned(),
        })
    }

    /// Whether the database answers and the wall stood when it was last examined.
    ///
    /// # Errors
    /// A fault if not.
    pub async fn ready(&self) -> Result<(), Error> {
        self.demand_whole_wall()?;
        self.pulse().await.map(drop)
    }

    /// Examines the wall. While something is broken no tenant is opened; once it is mended and examined again, they are.
    ///
    /// # Errors
    /// Faults only; then what was found before stays.
    pub async fn examine(&self) -> Result<Arc<[Broken]>, Error> {
        let mut broken = self.faults().await?;
        if !broken.is_empty() {
            // A table that goes while it is examined looks as if its wall were gone: what is broken is so twice.
            let again = self.faults().await?;
            broken.retain(|fault| again.contains(fault));
        }
        let broken: Arc<[Broken]> = broken.into();
        *self.0.state.broken.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&broken);
        Ok(broken)
    }

    async fn faults(&self) -> Result<Vec<Broken>, Error> {
        let text = "select id, object, detail from freehold.wall_faults()";
        let rows = self.ask("examining the wall", text, &[]).await?;
        let word = |row: &crate::row::Row, at| row.text(at).unwrap_or_default().to_owned();
        let broken = rows.iter().map(|row| Broken {
            check: word(row, 0),
            object: word(row, 1),
            detail: word(row, 2),
        });
        Ok(broken.collect())
    }

    /// Ends backends that take too much, and sets the login right if a tenant's SQL has changed it.
    ///
    /// # Errors
    /// Faults only.
    pub async fn watch(&self, limits: &Watch) -> Result<Vec<Ended>, Error> {
        let text = "select backend::bigint, ended from freehold.watch($1::text::interval, $2::text::interval, $3::text::integer[])";
        let overgrown: Vec<String> = {
            let mut noted = self.0.state.overgrown.lock().unwrap_or_else(PoisonError::into_inner);
            noted.drain(..).map(|backend| backend.to_string()).collect()
        };
        let seconds = |time: Duration| format!("{} ms", time.as_millis());
        let params = [
            seconds(limits.statement_max),
            seconds(limits.transaction_max),
            format!("{{{}}}", overgrown.join(",")),
        ];
        let params: Vec<Option<&str>> = params.iter().map(|param| Some(param.as_str())).collect();
        let rows = self.ask("watching backends", text, &params).await?;
        let mut ended = Vec::new();
        for row in &rows {
            match (row.int(0), row.text(1)) {
                (Some(backend), Some(why)) => ended.push(Ended { backend, why: why.to_owned() }),
                (Some(backend), None) if self.grew(backend, limits.memory_max) => {
                    let mut noted = self.0.state.overgrown.lock();
                    noted.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()).push(backend);
                }
                _ => {}
            }
        }
        Ok(ended)
    }

    /// A connection for tenants, if the wall stands.
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        self.demand_whole_wall()?;
        match self.0.pool.lease().await {
            Err(NoLease::NotLoggedIn(error)) if !self.repair().await => Err(error),
            Err(NoLease::NotLoggedIn(_)) => Ok(self.0.pool.lease().await?),
            leased => Ok(leased?),
        }
    }

    /// A connection for this tenant's statements: as another login for whoever has no key.
    pub(crate) async fn lease_for(&self, tenant: &Tenant) -> Result<Lease, Error> {
        if tenant.role() != Role::Anonymous {
            return self.lease().await;
        }
        self.demand_whole_wall()?;
        Ok(self.0.anonymous.lease().await?)
    }

    /// A connection that never comes into the pool, if the wall stands.
    pub(super) async fn apart(&self) -> Result<Session, Error> {
        self.demand_whole_wall()?;
        match self.0.pool.apart().await {
            Err(_) if self.repair().await => self.0.pool.apart().await,
            session => session,
        }
    }

    /// Refuses with everything that is wrong with the wall.
    pub(super) async fn demand_wall(&self) -> Result<(), Error> {
        let broken = self.examine().await?;
        if broken.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = broken.iter().map(ToString::to_string).collect();
        Err(Refusal::new(Code::Server, "the wall between tenants is broken; nothing is served")
            .detail(list.join("\n"))
            .hint("`freehold audit` says of each how to mend it")
            .into())
    }

    /// Asks what the last examination has found.
    ///
    /// # Errors
    /// A fault that [is closed](Fault::is_closed) if the wall is broken.
    pub fn demand_whole_wall(&self) -> Result<(), Error> {
        let broken = self.0.state.broken.read().unwrap_or_else(PoisonError::into_inner);
        match broken.first() {
            None => Ok(()),
            Some(first) => Err(Fault::closed(
                "opening a tenant",
                format!("the wall between tenants is broken: {first}"),
            )
            .into()),
        }
    }

    // Any role may change its own password and settings, so that nobody can log in with it. Whoever comes while it is set
    // right waits, and then tries once more as well.
    async fn repair(&self) -> bool {
        let mut repaired = self.0.state.repaired.lock().await;
        if let Some((at, done)) = *repaired
            && at.elapsed() < REPAIR_PAUSE
        {
            return done;
        }
        let asked =
            self.ask("repairing the login", "select freehold.repair_login()::text", &[]).await;
        match &asked {
            Ok(_) => tracing::warn!("the login freehold_app was refused, and was set right"),
            Err(error) => tracing::debug!(error = %error, "the login could not be set right"),
        }
        *repaired = Some((Instant::now(), asked.is_ok()));
        asked.is_ok()
    }

    // PostgreSQL tells nobody what a backend holds; the system does, to processes beside it.
    fn grew(&self, backend: i64, memory_max: u64) -> bool {
        if !self.0.pool.address.is_local() {
            return false;
        }
        let Ok(status) = fs::read_to_string(format!("/proc/{backend}/status")) else {
            return false;
        };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        field("Name:").is_some_and(|name| name.trim() == "postgres")
            && field("RssAnon:")
                .and_then(|size| size.trim().strip_suffix(" kB")?.parse::<u64>().ok())
                .is_some_and(|kib| kib * 1024 > memory_max)
    }
}
