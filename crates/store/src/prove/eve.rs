//! A session of somebody who types SQL, and what it is told.

use futures_util::TryStreamExt as _;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    arena::{Arena, Canary},
    forge::Forge,
};
use crate::{connect::Address, error::Error, store::Config};

/// How PostgreSQL says that somebody may not, or that there is no tenant.
const REFUSALS: [&str; 6] = ["42501", "28000", "0A000", "22P02", "55000", "25006"];

/// What a statement was answered.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Yes { text: String, count: u64 },
    No { state: String, message: String },
}

impl Said {
    /// Everything that can be read in the answer.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Yes { text, .. } => text,
            Self::No { message, .. } => message,
        }
    }

    /// Rows returned or touched by the last statement; 0 for an error.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Yes { count, .. } => *count,
            Self::No { .. } => 0,
        }
    }

    pub(super) fn is_yes(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::No { state, .. } if REFUSALS.contains(&state.as_str()))
    }

    /// The SQL state; empty for an answer.
    pub(super) fn state(&self) -> &str {
        match self {
            Self::Yes { .. } => "",
            Self::No { state, .. } => state,
        }
    }
}

/// A connection, logged in as `freehold_app` or, to look on, as the operator.
pub(super) struct Eve<'a> {
    client: Client,
    wire: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
    pub(super) pid: i32,
    arena: Option<&'a Arena>,
}

impl<'a> Eve<'a> {
    pub(super) async fn connect(
        address: &Address,
        arena: Option<&'a Arena>,
    ) -> Result<Self, Error> {
        // Attacks end backends; one that is just being made may be among them.
        let mut tries = 0;
        let (client, wire) = loop {
            match address.connect(Config::CONNECT).await {
                Err(Error::Failed(fault)) if fault.is_unavailable() && tries < 3 => tries += 1,
                connected => break connected?,
            }
        };
        let wire = tokio::spawn(wire);
        let mut eve = Self { client, wire, pid: 0, arena };
        eve.pid = eve.say("select pg_backend_pid()").await.text().trim().parse().unwrap_or(0);
        Ok(eve)
    }

    /// One or several statements as they are typed.
    pub(super) async fn say(&self, sql: &str) -> Said {
        match self.client.simple_query(sql).await {
            Ok(messages) => answer(&messages),
            Err(error) => refusal(&error),
        }
    }

    /// A statement as drivers send it, with a name that stays for the session.
    pub(super) async fn prepare(
        &self,
        sql: &str,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        self.client.prepare(sql).await
    }

    /// How many rows a prepared statement returns.
    pub(super) async fn execute(&self, statement: &tokio_postgres::Statement) -> Option<usize> {
        self.client.query(statement, &[]).await.ok().map(|rows| rows.len())
    }

    /// `copy … to stdout`.
    pub(super) async fn copy(&self, sql: &str) -> Said {
        let copied = async {
            let parts: Vec<bytes::Bytes> = self.client.copy_out(sql).await?.try_collect().await?;
            Ok(parts.concat())
        };
        match copied.await {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Said::Yes { count: text.lines().count() as u64, text }
            }
            Err(error) => refusal(&error),
        }
    }

    /// Begins a transaction of the tenant by a genuine token.
    pub(super) async fn open(&self, canary: &Canary) -> Said {
        let Some(arena) = self.arena else { return void("no arena") };
        let token = arena.token(&Forge::none(canary.tenant.id(), self.pid));
        self.say(&format!("begin; {}", token.call())).await
    }

    /// The statement in a transaction of the tenant that is rolled back.
    pub(super) async fn within(&self, canary: &Canary, sql: &str) -> Said {
        let opened = self.open(canary).await;
        let said = match opened {
            Said::Yes { .. } => self.say(sql).await,
            Said::No { state, message } => {
                return void(&format!("the tenant was not opened: {state} {message}"));
            }
        };
        self.end().await;
        said
    }

    /// The statement in a transaction of the tenant that is ended so.
    pub(super) async fn within_committed(&self, canary: &Canary, sql: &str, end: &str) {
        self.open(canary).await;
        self.say(sql).await;
        self.say(end).await;
    }

    pub(super) async fn end(&self) {
        self.say("rollback").await;
    }
}

// A connection in the middle of a copy would wait for its end forever.
impl Drop for Eve<'_> {
    fn drop(&mut self) {
        self.wire.abort();
    }
}

/// Neither an answer nor a refusal: the attack could not be tried.
fn void(why: &str) -> Said {
    Said::No { state: "void".to_owned(), message: why.to_owned() }
}

fn answer(messages: &[SimpleQueryMessage]) -> Said {
    let (mut text, mut count) = (String::new(), 0);
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                for field in 0..row.len() {
                    text.push_str(row.get(field).unwrap_or_default());
                    text.push(if field + 1 == row.len() { '\n' } else { '|' });
                }
            }
            SimpleQueryMessage::CommandComplete(rows) => count = *rows,
            _ => {}
        }
    }
    Said::Yes { text, count }
}

fn refusal(error: &tokio_postgres::Error) -> Said {
    match error.as_db_error() {
        Some(report) => Said::No {
            state: report.code().code().to_owned(),
            message: [
                report.message(),
                report.detail().unwrap_or_default(),
                report.hint().unwrap_or_default(),
            ]
            .join(" ")
            .trim()
            .to_owned(),
        },
        None => Said::No { state: "wire".to_owned(), message: error.to_string() },
    }
}
