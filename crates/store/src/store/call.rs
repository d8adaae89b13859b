//! Functions of the operator's: what there is beside the model, and calls.

use freehold_model::{Code, Refusal, Sql};

use super::{Store, Tenant};
use crate::{
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
    /// raises on purpose is told to the caller in its own words. It answers with one row.
    ///
    /// # Errors
    /// As [`Store::run`]; `Raised`; `ReadOnly`.
    pub async fn call(&self, tenant: &Tenant, sql: &Sql, read_only: bool) -> Result<Row, Error> {
        let mut lease = self.lease_for(tenant).await?;
        let called = self.in_time(self.calling(&mut lease, tenant, sql, read_only)).await?;
        lease.give_back();
        match called?.pop() {
            Some(row) => Ok(row),
            None => Err(Fault::new("calling a function", "no row").into()),
        }
    }

    async fn calling(
        &self,
        lease: &mut Lease,
        tenant: &Tenant,
        sql: &Sql,
        read_only: bool,
    ) -> Result<Vec<Row>, Error> {
        let mut may_be_stale = lease.knows(sql.text());
        loop {
            let statement = lease.statement(sql.text()).await.map_err(failed)?;
            let begin = if read_only { "begin read only" } else { "begin" };
            let opening = self.opening_by(begin, lease, tenant);
            match lease.transact(&opening, &statement, sql.params()).await {
                Ok(rows) => return Ok(rows),
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

fn failed(error: tokio_postgres::Error) -> Error {
    let doing = "calling a function";
    let Some(report) = error.as_db_error() else { return explain(doing, error) };
    match report.code().code() {
        "P0001" => {
            let mut refusal = Refusal::new(Code::Raised, report.message());
            refusal.detail = report.detail().map(str::to_owned);
            refusal.hint = report.hint().map(str::to_owned);
            refusal.into()
        }
        "25006" => {
            Refusal::new(Code::ReadOnly, "the function changes something, and was called to read")
                .hint("call it with POST, and let it be VOLATILE")
                .into()
        }
        _ => explain(doing, error),
    }
}
