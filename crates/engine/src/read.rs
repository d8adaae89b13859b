//! Reading: filters, joins and similarity in one statement, under the tenant's wall.
//!
//! parse → embed the question, if it is text → render → one transaction, one round trip → answer.

use std::time::Duration;

use freehold_model::query::{self, Limits, Query};
use freehold_store::Tenant;
use tokio::time::Instant;

use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
};

/// What a read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// A JSON array of objects, as PostgreSQL built it.
    pub body: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many rows match without limit and offset; only if asked for.
    pub total: Option<u64>,
    /// The first row's position in the whole result.
    pub offset: u64,
}

/// What to read, as the caller wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// Which entity.
    pub entity: &'a str,
    /// PostgREST's query string, percent-encoded.
    pub query: &'a str,
    /// Whether the total is wanted.
    pub count: bool,
}

/// What a read has to show, and how long it may wait for that.
#[derive(Debug, Clone, Copy)]
pub struct After<'a> {
    /// What the write returned.
    pub token: &'a str,
    /// At most so long.
    pub patience: Duration,
}

impl Engine {
    /// Reads rows of one tenant.
    ///
    /// # Errors
    /// Refusals for what the query gets wrong, with the place; faults of the database.
    pub async fn read(&self, tenant: &Tenant, read: Read<'_>) -> Result<Answer, Error> {
        let snapshot = self.snapshot();
        let query = self.understand(&snapshot, read).await?;
        self.answer(&snapshot, tenant, &query).await
    }

    /// The same, of read models that show what a write did. Entities show it always.
    ///
    /// # Errors
    /// `Preference` for a token that is none of this database's; `Stale` if it takes longer than allowed; as
    /// [`Engine::read`].
    pub async fn read_after(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        after: After<'_>,
    ) -> Result<Answer, Error> {
        let position = self.store.read_position(after.token).await?;
        let until = Instant::now() + after.patience;
        let snapshot = self.snapshot();
        let query = self.understand(&snapshot, read).await?;
        let reads = query.reads();
        let models: Vec<&str> = reads
            .iter()
            .filter(|name| snapshot.model.read(name).is_some())
            .map(|name| &***name)
            .collect();
        loop {
            let before = self.store.wait_fresh(tenant, &models, position, until).await?;
            if !before.is_fresh {
                return Err(stale(&models, after.patience).into());
            }
            let answer = self.answer(&snapshot, tenant, &query).await?;
            // Another table may have taken the place of the one that was asked about before this one was read.
            if models.is_empty() || self.store.freshness(tenant, &models, position).await? == before
            {
                return Ok(answer);
            }
        }
    }

    async fn understand(&self, snapshot: &Snapshot, read: Read<'_>) -> Result<Query, Error> {
        let mut query = query::parse(&snapshot.model, read.entity, read.query, &self.limits)?;
        if read.count {
            query.count_exact();
        }
        embed_questions(snapshot, &mut query).await?;
        Ok(query)
    }

    async fn answer(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        query: &Query,
    ) -> Result<Answer, Error> {
        let row = self
            .store
            .run(tenant, &query.render())
            .await
            .map_err(|error| snapshot.refine(error))?;
        if row.bool(3) == Some(false) {
            return Err(missing_anchor().into());
        }
        Ok(Answer {
            body: row.text(0).unwrap_or("[]").to_owned(),
            rows: count(row.int(1)),
            total: row.int(2).map(|total| count(Some(total))),
            offset: query.offset(),
        })
    }

    /// The limits every read is held to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

async fn embed_questions(snapshot: &Snapshot, query: &mut Query) -> Result<(), Error> {
    let questions: Vec<_> = query
        .texts()
        .into_iter()
        .map(|operand| {
            (operand.slot, operand.embedder.clone(), operand.dimensions, operand.text.to_owned())
        })
        .collect();
    for (slot, embedder, dimensions, text) in questions {
        let vectors = snapshot.embedders.embed(&embedder, dimensions, &[text]).await?;
        query.bind(slot, &vectors[0]);
    }
    Ok(())
}

fn stale(models: &[&str], patience: Duration) -> Refusal {
    Refusal::new(Code::Stale, "a read model does not show yet what it was to wait for")
        .detail(format!("{}, waited {} ms", models.join(", "), patience.as_millis()))
        .hint("wait longer, or read without the token; if it lasts, `freehold status` shows how far the workers are")
}

fn missing_anchor() -> Refusal {
    Refusal::new(Code::Vector, "the row to compare with does not exist or has no vector yet")
        .hint("check the id after `row:`; a row whose text was just written may still be waiting for its embedding")
}

pub(crate) fn count(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
