//! Functions of the operator's: what there is beside the model, and calls.

use freehold_model::{Code, Refusal, Sql};

use super::{Store, Tenant, TimeZone};
use crate::{
    changes::Position,
    error::{Error, Fault},
    pool::Lease,
    refusal::explain,
    row::Row,
    session::{Stumble, is_stale},
};

impl Store {
    /// The views and functions beside the model, as `freehold_model::Catalogue` reads them.
    ///
    /// # Errors
    /// Faults only.
    pub async fn exposed(&self) -> Result<String, Error> {
        let doing = "reading the catalogue";
        let rows = self.ask(doing, "select freehold.exposed()", &[]).await?;
        let text = rows.first().and_then(|row| row.text(0).map(str::to_owned));
        text.ok_or_else(|| Fault::new(doing, "no row").into())
    }

    /// One statement that calls a function, as a whole transaction; `read_only` ones change nothing. What the function
    /// raises on purpose is told to the caller in its own words. It answers with one row, and with the position of what
    /// was written, if anything was.
    ///
    /// # Errors
    /// As [`Store::run_in`]; `Raised`; `ReadOnly`.
    pub async fn call(
        &self,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
        read_only: bool,
    ) -> Result<(Row, Option<Position>), Error> {
        let cluster = self.cluster().await?;
        let mut lease = self.lease_for(tenant).await?;
        let called = self.in_time(self.calling(&mut lease, tenant, sql, zone, read_only)).await?;
        lease.give_back();
        let (mut rows, transaction) = called?;
        match rows.pop() {
            Some(row) => Ok((row, self.placed(cluster, transaction))),
            None => Err(Fault::new("calling a function", "no row").into()),
        }
    }

    /// The same for a function that may write, where it is seen only afterwards whether that is to stand: `judge` says so
    /// of the row, or refuses it, and then nothing is changed.
    ///
    /// # Errors
    /// As [`Store::call`]; what `judge` refuses.
    pub async fn call_if(
        &self,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
        judge: impl FnOnce(&Row) -> Result<bool, Refusal>,
    ) -> Result<(Row, Option<Position>), Error> {
        let mut tx = self.begin_in(tenant, zone).await?;
        let row = tx.call(sql).await?;
        match judge(&row) {
            Ok(true) => Ok((row, tx.commit_placed(self).await?)),
            Ok(false) => tx.roll_back().await.map(|()| (row, None)),
            Err(refusal) => {
                tx.roll_back().await?;
                Err(refusal.into())
            }
        }
    }

    async fn calling(
        &self,
        lease: &mut Lease,
        tenant: &Tenant,
        sql: &Sql,
        zone: Option<&TimeZone>,
        read_only: bool,
    ) -> Result<(Vec<Row>, Option<String>), Error> {
        let mut may_be_stale = lease.knows(sql.text());
        loop {
            let statement = lease.statement(sql.text()).await.map_err(failed)?;
            let begin = if read_only { "begin read only" } else { "begin" };
            let opening = self.opening_by(begin, lease, tenant) + &TimeZone::setting(zone);
            let done = if read_only {
                let rows = lease.transact(&opening, &statement, sql.params()).await;
                rows.map(|rows| (rows, None))
            } else {
                lease.transact_placed(&opening, &statement, sql.params()).await
            };
            match done {
                Ok(done) => return Ok(done),
                Err(Stumble::Statement(error)) if is_stale(&error) => {
                    lease.forget(sql.text());
                    if !std::mem::take(&mut may_be_stale) {
                        return Err(failed(error));
                    }
                }
                Err(Stumble::Opening(error)) => return Err(self.not_opened(tenant, error)),
                Err(Stumble::Statement(error) | Stumble::Commit(error)) => {
                    return Err(failed(error));
                }
            }
        }
    }
}

/// What went wrong in a function: what it raises is for its caller, and so is what it says by the states of PL/pgSQL, as of a
/// query that had no row.
pub(crate) fn failed(error: tokio_postgres::Error) -> Error {
    let doing = "calling a function";
    let Some(report) = error.as_db_error() else { return explain(doing, error) };
    match report.code().code() {
        state if is_raised(state) => {
            let mut refusal = Refusal::new(Code::Raised, report.message());
            refusal.detail = report.detail().map(str::to_owned);
            refusal.hint = report.hint().map(str::to_owned);
            refusal.into()
        }
        // The latter of one that says that it does not.
        state
            if state == "25006"
                || state == "0A000" && report.message().contains("non-volatile") =>
        {
            Refusal::new(Code::ReadOnly, "the function changes something, and was called to read")
                .hint("call it with POST, and let it be VOLATILE")
                .into()
        }
        _ => explain(doing, error),
    }
}

/// Whether the state is one that a function has chosen. The standard leaves classes that begin with I to Z to whoever
/// implements it; of those PostgreSQL uses XX itself.
fn is_raised(state: &str) -> bool {
    state.starts_with(|first| matches!(first, 'I'..='Z')) && !state.starts_with("XX")
}
