//! What an engineer types, inside the wall of one tenant, in a backend that nobody else ever uses.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition, Severity};

use super::{Store, Table, Tenant, tables};
use crate::{
    connect::chain,
    error::{Error, Fault},
    refusal::explain,
    script,
    session::{Session, tells_of_tenant},
};

/// An engineer may think for a while between two statements; the watchdog ends what takes longer.
const PATIENCE: &str = "set idle_in_transaction_session_timeout = '5min'";

/// A backend of its own. Each statement is a transaction of its own, but those between `begin` and `commit`.
pub struct Typed {
    store: Store,
    tenant: Tenant,
    session: Session,
    transaction: Transaction,
}

/// What became of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What it answered; for one statement, one table.
    pub tables: Vec<Table>,
    /// What else there is to say.
    pub note: Option<&'static str>,
}

/// Where the typed transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// None is open.
    None,
    /// `begin` was typed.
    Open,
    /// A statement of it failed; it can be rolled back, or back to a savepoint.
    Failed,
}

/// Why a statement was not done.
#[derive(Debug)]
pub enum TypedError {
    /// PostgreSQL says so, in its own words: they are about what was typed.
    Said(Box<Complaint>),
    /// It was stopped from here.
    Stopped,
    /// It did not come to PostgreSQL's own words.
    Other(Error),
}

/// PostgreSQL's own words about a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its code of five characters.
    pub state: String,
    /// What is wrong.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What might help.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
}

/// What a statement does with transactions.
enum Control {
    Begins,
    /// Whether another begins at once.
    Ends(bool),
    RollsBackTo,
    /// It would wait for bytes that a prompt has no way to send.
    Copies,
    Nothing,
}

impl Store {
    /// A backend for what is typed in the tenant's name.
    ///
    /// # Errors
    /// If it cannot be made, or the wall does not stand.
    pub async fn typed(&self, tenant: &Tenant) -> Result<Typed, Error> {
        let session = fresh(self).await?;
        let (store, tenant) = (self.clone(), tenant.clone());
        Ok(Typed { store, tenant, session, transaction: Transaction::None })
    }
}

impl Typed {
    /// Where its transaction stands.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// Runs one statement, unless `stop` comes first.
    ///
    /// # Errors
    /// PostgreSQL's own words; `TenantSuspended`; a fault.
    pub async fn run(
        &mut self,
        statement: &str,
        stop: impl Future<Output = ()>,
    ) -> Result<Done, TypedError> {
        let alone = self.transaction == Transaction::None;
        match control(statement) {
            Control::Copies => Err(copies()),
            Control::Begins if alone => {
                let note = self.open(statement.trim_end().trim_end_matches(';')).await?;
                self.transaction = Transaction::Open;
                Ok(Done { tables: Vec::new(), note })
            }
            Control::Ends(chain) if !alone => self.end(statement, chain).await,
            kind if alone => {
                let note = self.open("begin").await?;
                let done = self.ask(statement, stop).await;
                let ended = if done.is_ok() { "commit" } else { "rollback" };
                let ended = self.session.batch(ended).await;
                let tables = done?;
                ended.map_err(|error| said("committing", error))?;
                let lone = matches!(kind, Control::Ends(_)).then_some("no transaction was open");
                Ok(Done { tables, note: note.or(lone) })
            }
            kind => {
                let done = self.ask(statement, stop).await;
                match (&done, kind) {
                    (Ok(_), Control::RollsBackTo) => self.transaction = Transaction::Open,
                    (Err(_), _) if self.transaction == Transaction::Open => {
                        self.transaction = Transaction::Failed;
                    }
                    _ => {}
                }
                Ok(Done { tables: done?, note: None })
            }
        }
    }

    // PostgreSQL answers COMMIT of a failed transaction with success, having rolled it back.
    async fn end(&mut self, statement: &str, chain: bool) -> Result<Done, TypedError> {
        let failed = self.transaction == Transaction::Failed;
        let commits = !matches!(script::words(statement)[0].as_str(), "rollback" | "abort");
        self.transaction = Transaction::None;
        self.session.batch(statement).await.map_err(|error| said("ending", error))?;
        if chain {
            let call = self.call();
            if let Err(error) = self.session.batch(&call).await {
                let _ = self.session.batch("rollback").await;
                return Err(self.store.not_opened(&self.tenant, error).into());
            }
            self.transaction = Transaction::Open;
        }
        let note = (failed && commits)
            .then_some("rolled back, because a statement of the transaction had failed");
        Ok(Done { tables: Vec::new(), note })
    }

    /// Begins, and opens the tenant. A backend that is gone, or that has something prepared or a cursor held, which the
    /// database takes no tenant in, gives way to a new one.
    async fn open(&mut self, begin: &str) -> Result<Option<&'static str>, TypedError> {
        let opening = format!("{begin}; {}", self.call());
        let Err(first) = self.session.batch(&opening).await else { return Ok(None) };
        if tells_of_tenant(&first) {
            let _ = self.session.batch("rollback").await;
            return Err(self.store.not_opened(&self.tenant, first).into());
        }
        // What is wrong may stand in what was typed after `begin`.
        let unclean = first.code().is_some_and(|state| state.code() == "28000");
        if !unclean && !is_gone(&first) {
            let _ = self.session.batch("rollback").await;
            return Err(said("beginning", first));
        }
        self.session = fresh(&self.store).await?;
        let opening = format!("{begin}; {}", self.call());
        self.session
            .batch(&opening)
            .await
            .map_err(|error| self.store.not_opened(&self.tenant, error))?;
        Ok(Some(if unclean {
            "a new backend, with settings as at first: the one before had a statement prepared in SQL or a cursor held"
        } else {
            "a new backend, with settings as at first: the connection had ended"
        }))
    }

    async fn ask(
        &mut self,
        statement: &str,
        stop: impl Future<Output = ()>,
    ) -> Result<Vec<Table>, TypedError> {
        let answer = tokio::select! {
            answer = self.session.simple(statement) => Some(answer),
            () = stop => None,
        };
        match answer {
            Some(Ok(messages)) => Ok(tables(messages)),
            Some(Err(error)) => {
                if is_gone(&error) {
                    self.transaction = Transaction::None;
                }
                Err(said("running what was typed", error))
            }
            None => {
                if let Some(token) = self.session.cancellation() {
                    self.store.0.pool.address.cancel(&token).await;
                }
                // Answers only when the statement has ended.
                let _ = self.session.batch("").await;
                Err(TypedError::Stopped)
            }
        }
    }

    fn call(&self) -> String {
        self.store.minter(&self.tenant).opening(
            self.tenant.role(),
            self.tenant.id(),
            self.tenant.key(),
            self.session.backend(),
        )
    }
}

impl fmt::Display for TypedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(complaint) => write!(f, "{} [{}]", complaint.message, complaint.state),
            Self::Stopped => f.write_str("stopped"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl<E: Into<Error>> From<E> for TypedError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

async fn fresh(store: &Store) -> Result<Session, Error> {
    let mut session = store.apart().await?;
    session.batch(PATIENCE).await.map_err(|error| explain("setting up a backend", error))?;
    Ok(session)
}

fn control(statement: &str) -> Control {
    let words = script::words(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["begin", ..] | ["start", "transaction", ..] => Control::Begins,
        ["rollback", "to", ..] | ["rollback", "work" | "transaction", "to", ..] => {
            Control::RollsBackTo
        }
        ["commit" | "rollback", "prepared", ..] | ["prepare", "transaction", ..] => {
            Control::Nothing
        }
        ["commit" | "end" | "rollback" | "abort", rest @ ..] => {
            Control::Ends(rest.ends_with(&["and", "chain"]))
        }
        ["copy", ..] => Control::Copies,
        _ => Control::Nothing,
    }
}

fn copies() -> TypedError {
    use freehold_model::{Code, Refusal};
    Refusal::new(Code::Usage, "COPY is not for the prompt")
        .hint("`freehold import` and `freehold export` carry rows in and out; --csv writes any answer")
        .into()
}

fn said(doing: &'static str, error: tokio_postgres::Error) -> TypedError {
    match error.as_db_error() {
        Some(report) => TypedError::Said(Box::new(report.into())),
        None => {
            tracing::debug!(error = chain(&error), "a typed statement failed");
            TypedError::Other(match error.is_closed() {
                true => Fault::unavailable(doing, error).into(),
                false => explain(doing, error),
            })
        }
    }
}

impl From<&DbError> for Complaint {
    fn from(report: &DbError) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            state: report.code().code().to_owned(),
            message: report.message().to_owned(),
            detail: own(report.detail()),
            hint: own(report.hint()),
            position: match report.position() {
                Some(ErrorPosition::Original(at)) => usize::try_from(*at).ok(),
                _ => None,
            },
        }
    }
}

/// Whether the backend is no more.
fn is_gone(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(report) => {
            matches!(report.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        }
        None => true,
    }
}
