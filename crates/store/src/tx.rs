//! A transaction of several statements for one tenant.

use std::{borrow::Cow, time::Duration};

use freehold_model::{Code, Refusal, Sql};
use tokio_postgres::types::ToSql;

use crate::{
    changes::Position,
    error::{Error, Fault},
    param::{Column, Text},
    pool::Lease,
    refusal::explain,
    row::Row,
    session::{COMMIT, ROLLBACK, Stumble, is_stale},
    store::{Store, Wording, failed},
};

/// A transaction with its tenant opened. Dropped, it is rolled back; after an error nothing but dropping it is of use.
pub struct TenantTx {
    lease: Option<Lease>,
    patience: Duration,
    wording: Wording,
    // PostgreSQL answers COMMIT of a failed transaction with success, having rolled it back.
    failed: bool,
    state: Option<String>,
}

impl TenantTx {
    pub(crate) fn new(lease: Lease, patience: Duration, wording: Wording) -> Self {
        Self { lease: Some(lease), patience, wording, failed: false, state: None }
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// What the statement breaks; `TryAgain` if the tables changed underneath.
    pub async fn query(&mut self, sql: &Sql) -> Result<Vec<Row>, Error> {
        let mut answers = self.batch(std::slice::from_ref(sql)).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Runs one statement that answers with one row.
    ///
    /// # Errors
    /// As [`Self::query`]; a fault if it answers with no row.
    pub async fn query_one(&mut self, sql: &Sql) -> Result<Row, Error> {
        let row = self.query(sql).await?.pop();
        row.ok_or_else(|| Fault::new("running a statement", "no row").into())
    }

    /// Sends all statements together, and gives their rows in order.
    ///
    /// # Errors
    /// That of the first that fails.
    pub async fn batch(&mut self, batch: &[Sql]) -> Result<Vec<Vec<Row>>, Error> {
        self.batch_or(batch, |error| explain("running a statement", error)).await
    }

    /// A statement that calls a function, which answers with one row.
    pub(crate) async fn call(&mut self, sql: &Sql) -> Result<Row, Error> {
        let answers = self.batch_or(std::slice::from_ref(sql), failed).await?;
        let row = answers.into_iter().flatten().next();
        row.ok_or_else(|| Fault::new("calling a function", "no row").into())
    }

    async fn batch_or(
        &mut self,
        batch: &[Sql],
        explain: impl FnOnce(tokio_postgres::Error) -> Error,
    ) -> Result<Vec<Vec<Row>>, Error> {
        let was_failed = std::mem::replace(&mut self.failed, true);
        let wording = self.wording.clone();
        // In the same round trip.
        let before = batch.iter().find_map(|sql| wording.setting(sql)).map(Cow::Borrowed);
        let settings = usize::from(before.is_some());
        let texts: Vec<_> =
            before.into_iter().chain(batch.iter().map(|sql| wording.of(sql))).collect();
        let known = texts.iter().all(|text| self.session().knows(text));
        let patience = self.patience;
        let session = self.session();
        let work = async {
            let mut statements = Vec::with_capacity(batch.len());
            let params = std::iter::repeat_n(&[][..], settings);
            let params = params.chain(batch.iter().map(Sql::params));
            for (params, text) in params.zip(&texts) {
                statements.push((session.statement(text).await?, params));
            }
            let mut answers = session.pipeline(&statements).await?;
            answers.drain(..settings);
            Ok::<_, tokio_postgres::Error>(answers)
        };
        let error = match in_time(patience, work).await? {
            Ok(answers) => {
                self.failed = was_failed;
                return Ok(answers);
            }
            Err(error) => error,
        };
        self.state = error.code().map(|state| state.code().to_owned());
        if is_stale(&error) {
            texts.iter().for_each(|text| self.session().forget(text));
            if known {
                return Err(try_again());
            }
        }
        if wants_rights(&error) && batch.iter().any(|sql| self.wording.was_refused(sql)) {
            return Err(try_again());
        }
        Err(explain(error))
    }

    /// Runs a statement over many rows: its own parameters come first, then one array for each column. Says how many rows
    /// it touched.
    ///
    /// # Errors
    /// What the rows break.
    pub async fn load(&mut self, sql: &Sql, columns: &[Column]) -> Result<u64, Error> {
        let was_failed = std::mem::replace(&mut self.failed, true);
        let singles: Vec<Text<'_>> =
            sql.params().iter().map(|param| Text(param.as_deref())).collect();
        let params: Vec<&(dyn ToSql + Sync)> = singles
            .iter()
            .map(|text| text as _)
            .chain(columns.iter().map(|column| column as _))
            .collect();
        let patience = self.patience;
        let (setting, text) = (self.wording.setting(sql), self.wording.of(sql).into_owned());
        let session = self.session();
        let work = async {
            if let Some(setting) = setting {
                session.batch(setting).await?;
            }
            let statement = session.statement(&text).await?;
            if statement.params().len() != params.len() {
                return Ok(Err(Fault::new(
                    "loading rows",
                    "the statement has another number of parameters",
                )));
            }
            session.execute(&statement, params).await.map(Ok)
        };
        let loaded = in_time(patience, work).await?;
        let count = loaded.map_err(|error| explain("loading rows", error))??;
        self.failed = was_failed;
        Ok(count)
    }

    /// Makes it all true.
    ///
    /// # Errors
    /// What is checked only now; a fault that is unavailable if it is not known whether it happened.
    pub async fn commit(mut self) -> Result<(), Error> {
        if self.failed {
            return Err(
                Fault::new("committing", "a statement of the transaction has failed").into()
            );
        }
        let mut lease = self.lease.take().expect("there until the transaction ends");
        in_time(self.patience, lease.batch(COMMIT))
            .await?
            .map_err(|error| explain("committing", error))?;
        lease.give_back();
        Ok(())
    }

    /// Commits together with one of this crate's own statements, which is the last; gives its rows.
    pub(crate) async fn commit_with(
        mut self,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        if self.failed {
            return Err(
                Fault::new("committing", "a statement of the transaction has failed").into()
            );
        }
        let mut lease = self.lease.take().expect("there until the transaction ends");
        let statement = in_time(self.patience, lease.statement(text)).await?;
        let statement = statement.map_err(|error| explain(doing, error))?;
        let ended = in_time(self.patience, lease.end(&statement, params)).await?;
        // Also after a statement that failed: then it is rolled back.
        lease.give_back();
        ended.map_err(|stumble| match stumble {
            Stumble::Commit(error) => explain("committing", error),
            Stumble::Opening(error) | Stumble::Statement(error) => explain(doing, error),
        })
    }

    /// [`Self::commit_with`] and a statement before it, all sent together. If it fails, the transaction is rolled back when
    /// this returns.
    pub(crate) async fn commit_after(
        mut self,
        sql: &Sql,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<(), Error> {
        if self.failed {
            return Err(
                Fault::new("committing", "a statement of the transaction has failed").into()
            );
        }
        let (patience, first) = (self.patience, self.wording.of(sql).into_owned());
        let known = self.session().knows(&first);
        let prepared = in_time(patience, self.session().statement(&first)).await?;
        let refused =
            |error: &tokio_postgres::Error| wants_rights(error) && self.wording.was_refused(sql);
        let prepared = match prepared {
            Err(error) if refused(&error) => return Err(try_again()),
            prepared => prepared.map_err(|error| explain("running a statement", error))?,
        };
        let last = in_time(patience, self.session().statement(text)).await?;
        let last = last.map_err(|error| explain(doing, error))?;
        let mut lease = self.lease.take().expect("there until the transaction ends");
        let work = lease.end_after((&prepared, sql.params()), &last, params);
        let ended = in_time(patience, work).await?;
        let stale = matches!(&ended, Err(Stumble::Opening(error)) if is_stale(error));
        let refused = matches!(&ended, Err(Stumble::Opening(error)) if wants_rights(error) && self.wording.was_refused(sql));
        if stale {
            lease.forget(&first);
        }
        lease.give_back();
        ended.map_err(|stumble| match stumble {
            Stumble::Opening(_) if refused || stale && known => try_again(),
            Stumble::Opening(error) => explain("running a statement", error),
            Stumble::Statement(error) => explain(doing, error),
            Stumble::Commit(error) => explain("committing", error),
        })
    }

    /// Commits, and says the position of what was written, if anything was. Wakes the workers.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_placed(mut self, store: &Store) -> Result<Option<Position>, Error> {
        if self.failed {
            return Err(
                Fault::new("committing", "a statement of the transaction has failed").into()
            );
        }
        let cluster = store.cluster().await?;
        let mut lease = self.lease.take().expect("there until the transaction ends");
        let transaction = in_time(self.patience, lease.commit_placed())
            .await?
            .map_err(|error| explain("committing", error))?;
        lease.give_back();
        Ok(store.placed(cluster, transaction))
    }

    /// Rolls it back, and waits until that is done: dropping it does not wait.
    ///
    /// # Errors
    /// A fault if the connection is lost, which rolls back as well.
    pub async fn roll_back(mut self) -> Result<(), Error> {
        let mut lease = self.lease.take().expect("there until the transaction ends");
        in_time(self.patience, lease.batch(ROLLBACK))
            .await?
            .map_err(|error| explain("rolling back", error))?;
        lease.give_back();
        Ok(())
    }

    /// From here on [`Self::go_back`] leads.
    pub(crate) async fn mark(&mut self) -> Result<(), Error> {
        self.control("setting a mark", "savepoint mark").await
    }

    /// Takes back what was done since the mark, also a statement that failed.
    pub(crate) async fn go_back(&mut self) -> Result<(), Error> {
        self.control("going back", "rollback to mark; release mark").await?;
        self.failed = false;
        Ok(())
    }

    async fn control(&mut self, doing: &'static str, text: &str) -> Result<(), Error> {
        let patience = self.patience;
        let done = in_time(patience, self.session().batch(text)).await?;
        done.map_err(|error| explain(doing, error))
    }

    /// PostgreSQL's own state of the statement that failed.
    pub(crate) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// One of this crate's own statements.
    pub(crate) async fn ask(
        &mut self,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        let patience = self.patience;
        in_time(patience, self.session().select(doing, text, params)).await?
    }

    fn session(&mut self) -> &mut crate::session::Session {
        self.lease.as_mut().expect("there until the transaction ends")
    }
}

impl Drop for TenantTx {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        // Without a runtime the lease is dropped here, and the connection with it.
        if !lease.is_usable() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Ok(())) =
                    tokio::time::timeout(Duration::from_secs(5), lease.batch(ROLLBACK)).await
                {
                    lease.give_back();
                }
            });
        }
    }
}

fn try_again() -> Error {
    Refusal::new(Code::TryAgain, "the tables changed underneath").hint("try again").into()
}

/// Whether PostgreSQL refuses because a right is missing.
fn wants_rights(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| state.code() == "42501")
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
    let timeout = tokio::time::timeout(patience, work).await;
    timeout.map_err(|elapsed| Fault::unavailable("waiting for PostgreSQL", elapsed).into())
}
