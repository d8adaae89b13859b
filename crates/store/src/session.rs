//! One connection, driven by whoever uses it.
//!
//! There is no task behind a connection: the request that holds it moves its bytes. What one request sends therefore leaves
//! in one write, and no other thread has to wake for the answer.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{
    TryStreamExt as _,
    future::{join, join3, join4},
};
use tokio_postgres::{Client, SimpleQueryMessage, Statement, types::ToSql};

use crate::{
    connect::{Address, Wire},
    error::{Error, Fault},
    param::Text,
    refusal::explain,
    row::Row,
};

/// Statements kept prepared in one connection. `freehold.open()` looks at each of them, at about 0.7 µs apiece: more would
/// cost more than they save.
const STATEMENTS_MAX: usize = 64;

/// Ends a tenant's transaction, and what its statements set for the session.
pub(crate) const COMMIT: &str = "commit; reset all";

/// The same for one that fails.
pub(crate) const ROLLBACK: &str = "rollback; reset all";

/// Asks for the number of the transaction.
const POSITION: &str = "select freehold.position()";

/// What PostgreSQL says to a time zone it does not know.
pub(crate) const NO_SUCH_ZONE: &str = "22023";

type Answer<T> = Result<T, tokio_postgres::Error>;

/// A connection with its prepared statements.
pub(crate) struct Session {
    client: Client,
    // None once the connection has ended.
    wire: Option<Wire>,
    // Set while an answer is awaited, so that a session whose user went away in the middle is never used again.
    in_doubt: bool,
    backend: i32,
    // The most recently used last.
    statements: Vec<(String, Statement)>,
}

/// A statement whose cached form no longer fits the tables.
pub(crate) fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| {
        let state = state.code();
        state == "0A000" || state == "26000" || (state.starts_with("42") && state != "42501")
    })
}

impl Session {
    pub(crate) async fn open(address: &Address, deadline: Duration) -> Result<Self, Error> {
        let (client, wire) = address.connect(deadline).await?;
        let mut session =
            Self { client, wire: Some(wire), in_doubt: false, backend: 0, statements: Vec::new() };
        let rows = session.select("greeting PostgreSQL", "select pg_backend_pid()", &[]).await?;
        session.backend = rows
            .first()
            .and_then(|row| row.int(0))
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| Fault::new("greeting PostgreSQL", "no backend id"))?;
        Ok(session)
    }

    /// The backend's process id, to which a token is bound.
    pub(crate) fn backend(&self) -> i32 {
        self.backend
    }

    /// Whether it can be used for another transaction.
    pub(crate) fn is_usable(&mut self) -> bool {
        if let Some(wire) = &mut self.wire {
            // The runtime has noted by now whether the server hung up; this reads the note.
            if wire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                self.wire = None;
            }
        }
        self.wire.is_some() && !self.in_doubt
    }

    /// What stops a statement that nobody waits for any more.
    pub(crate) fn cancellation(&self) -> Option<tokio_postgres::CancelToken> {
        (self.in_doubt && self.wire.is_some()).then(|| self.client.cancel_token())
    }

    /// Whether the statement is prepared already.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.statements.iter().any(|(known, _)| known == text)
    }

    /// The prepared form of the statement.
    pub(crate) async fn statement(&mut self, text: &str) -> Answer<Statement> {
        if let Some(at) = self.statements.iter().rposition(|(known, _)| known == text) {
            let found = self.statements.remove(at);
            let statement = found.1.clone();
            self.statements.push(found);
            return Ok(statement);
        }
        let Self { client, wire, in_doubt, .. } = self;
        let statement = drive(wire, in_doubt, client.prepare(text)).await?;
        if self.statements.len() == STATEMENTS_MAX {
            self.statements.remove(0);
        }
        self.statements.push((text.to_owned(), statement.clone()));
        Ok(statement)
    }

    /// Forgets the statement, so that it is prepared anew.
    pub(crate) fn forget(&mut self, text: &str) {
        self.statements.retain(|(known, _)| known != text);
    }

    /// `opening` and the first statement of the transaction, sent together; then the transaction is open.
    pub(crate) async fn begin(
        &mut self,
        opening: &str,
        statement: &Statement,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Stumble> {
        let Self { client, wire, in_doubt, .. } = self;
        let params = params.iter().copied().map(Text).collect();
        let work = join(client.batch_execute(opening), rows(client, statement, params));
        let (opened, rows) = drive(wire, in_doubt, work).await;
        opened.map_err(Stumble::Opening)?;
        rows.map_err(Stumble::Statement)
    }

    /// The last statement of a transaction and [`COMMIT`], sent together. If the statement fails, all is rolled back.
    pub(crate) async fn end(
        &mut self,
        statement: &Statement,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Stumble> {
        let Self { client, wire, in_doubt, .. } = self;
        let params = params.iter().copied().map(Text).collect();
        let work = join(rows(client, statement, params), client.batch_execute(COMMIT));
        let (rows, committed) = drive(wire, in_doubt, work).await;
        self.in_doubt |= committed.is_err();
        let rows = rows.map_err(Stumble::Statement)?;
        committed.map_err(Stumble::Commit)?;
        Ok(rows)
    }

    /// [`Self::end`] with a statement before the last. If either fails, all is rolled back.
    pub(crate) async fn end_after(
        &mut self,
        (first, values): (&Statement, &[Option<String>]),
        last: &Statement,
        params: &[Option<&str>],
    ) -> Result<(), Stumble> {
        let Self { client, wire, in_doubt, .. } = self;
        let values = values.iter().map(|value| Text(value.as_deref())).collect();
        let params = params.iter().copied().map(Text).collect();
        let work = join3(
            rows(client, first, values),
            rows(client, last, params),
            client.batch_execute(COMMIT),
        );
        let (first, last, committed) = drive(wire, in_doubt, work).await;
        self.in_doubt |= committed.is_err();
        first.map_err(Stumble::Opening)?;
        last.map_err(Stumble::Statement)?;
        committed.map_err(Stumble::Commit)
    }

    /// `opening`, the statement and [`COMMIT`], sent together. The first error is the one that counts: after it PostgreSQL
    /// does nothing but roll back.
    pub(crate) async fn transact(
        &mut self,
        opening: &str,
        statement: &Statement,
        params: &[Option<String>],
    ) -> Result<Vec<Row>, Stumble> {
        let Self { client, wire, in_doubt, .. } = self;
        let params: Vec<Text<'_>> = params.iter().map(|param| Text(param.as_deref())).collect();
        let work = join3(
            client.batch_execute(opening),
            rows(client, statement, params),
            client.batch_execute(COMMIT),
        );
        let (opened, rows, committed) = drive(wire, in_doubt, work).await;
        let refused = opened.as_ref().is_err_and(|error| !tells_of_tenant(error));
        self.in_doubt |= refused || committed.is_err();
        opened.map_err(Stumble::Opening)?;
        let rows = rows.map_err(Stumble::Statement)?;
        committed.map_err(Stumble::Commit)?;
        Ok(rows)
    }

    /// [`Self::transact`] that also asks for the masked number of the transaction; none if it has changed nothing.
    pub(crate) async fn transact_placed(
        &mut self,
        opening: &str,
        statement: &Statement,
        params: &[Option<String>],
    ) -> Result<(Vec<Row>, Option<String>), Stumble> {
        let Self { client, wire, in_doubt, .. } = self;
        let params: Vec<Text<'_>> = params.iter().map(|param| Text(param.as_deref())).collect();
        let work = join4(
            client.batch_execute(opening),
            rows(client, statement, params),
            client.simple_query(POSITION),
            client.batch_execute(COMMIT),
        );
        let (opened, rows, position, committed) = drive(wire, in_doubt, work).await;
        let refused = opened.as_ref().is_err_and(|error| !tells_of_tenant(error));
        self.in_doubt |= refused || committed.is_err();
        opened.map_err(Stumble::Opening)?;
        let rows = rows.map_err(Stumble::Statement)?;
        let position = position.map_err(Stumble::Statement)?;
        committed.map_err(Stumble::Commit)?;
        Ok((rows, number_in(&position)))
    }

    /// Commits, and says the masked number of the transaction; none if it has changed nothing.
    pub(crate) async fn commit_placed(&mut self) -> Answer<Option<String>> {
        let Self { client, wire, in_doubt, .. } = self;
        let work = join(client.simple_query(POSITION), client.batch_execute(COMMIT));
        let (position, committed) = drive(wire, in_doubt, work).await;
        let position = position?;
        committed.map(|()| number_in(&position))
    }

    /// Sends all statements at once and gives their rows in order.
    pub(crate) async fn pipeline(
        &mut self,
        batch: &[(Statement, &[Option<String>])],
    ) -> Answer<Vec<Vec<Row>>> {
        let Self { client, wire, in_doubt, .. } = self;
        let work = batch.iter().map(|(statement, params)| {
            rows(client, statement, params.iter().map(|param| Text(param.as_deref())).collect())
        });
        drive(wire, in_doubt, futures_util::future::join_all(work)).await.into_iter().collect()
    }

    /// Runs a prepared statement and says how many rows it touched.
    pub(crate) async fn execute(
        &mut self,
        statement: &Statement,
        params: Vec<&(dyn ToSql + Sync)>,
    ) -> Answer<u64> {
        let Self { client, wire, in_doubt, .. } = self;
        drive(wire, in_doubt, client.execute_raw(statement, params)).await
    }

    /// Text of this crate's own, or what an operator wrote; possibly several statements.
    pub(crate) async fn batch(&mut self, text: &str) -> Answer<()> {
        let Self { client, wire, in_doubt, .. } = self;
        drive(wire, in_doubt, client.batch_execute(text)).await
    }

    /// The same with what it answers.
    pub(crate) async fn simple(&mut self, text: &str) -> Answer<Vec<SimpleQueryMessage>> {
        let Self { client, wire, in_doubt, .. } = self;
        drive(wire, in_doubt, client.simple_query(text)).await
    }

    /// One of this crate's own questions.
    pub(crate) async fn select(
        &mut self,
        doing: &'static str,
        text: &str,
        params: &[Option<&str>],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.statement(text).await.map_err(|error| explain(doing, error))?;
        let params = params.iter().copied().map(Text).collect();
        let Self { client, wire, in_doubt, .. } = self;
        drive(wire, in_doubt, rows(client, &statement, params))
            .await
            .map_err(|error| explain(doing, error))
    }
}

// The wire ends in order, once the client is gone; unless the server does not answer.
impl Drop for Session {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(Duration::from_secs(5), wire));
        }
    }
}

/// Whether `freehold.open()` took the token and found the tenant missing or not active, or the API key revoked.
pub(crate) fn tells_of_tenant(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|state| matches!(state.code(), "FH001" | "FH002" | "FH003" | NO_SUCH_ZONE))
}

/// Where a whole transaction failed.
pub(crate) enum Stumble {
    Opening(tokio_postgres::Error),
    Statement(tokio_postgres::Error),
    Commit(tokio_postgres::Error),
}

impl Stumble {
    pub(crate) fn into_error(self) -> tokio_postgres::Error {
        match self {
            Self::Opening(error) | Self::Statement(error) | Self::Commit(error) => error,
        }
    }
}

fn number_in(answer: &[SimpleQueryMessage]) -> Option<String> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

async fn rows(client: &Client, statement: &Statement, params: Vec<Text<'_>>) -> Answer<Vec<Row>> {
    client.query_raw(statement, params).await?.map_ok(Row).try_collect().await
}

async fn drive<T>(
    wire: &mut Option<Wire>,
    in_doubt: &mut bool,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let was_in_doubt = std::mem::replace(in_doubt, true);
    let done = poll_fn(|cx| {
        // First all of the work is put in order, then it is sent, then what has come is handed on.
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if wire.as_mut().is_some_and(|wire| wire.as_mut().poll(cx).is_ready()) {
            // Dropped, so that whoever waits for an answer hears that none will come.
            *wire = None;
        }
        work.as_mut().poll(cx)
    })
    .await;
    *in_doubt = was_in_doubt;
    done
}
