//! Reading: filters, joins and similarity in one statement, under the tenant's wall.
//!
//! parse → embed the question, if it is text → render → one transaction, one round trip → answer.

use freehold_model::query::{self, Limits, Query};
use freehold_store::Tenant;

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

impl Engine {
    /// Reads rows of one tenant.
    ///
    /// # Errors
    /// Refusals for what the query gets wrong, with the place; faults of the database.
    pub async fn read(&self, tenant: &Tenant, read: Read<'_>) -> Result<Answer, Error> {
        let snapshot = self.snapshot();
        let mut query = query::parse(&snapshot.model, read.entity, read.query, &self.limits)?;
        if read.count {
            query.count_exact();
        }
        embed_questions(&snapshot, &mut query).await?;
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

pub(crate) async fn embed_questions(snapshot: &Snapshot, query: &mut Query) -> Result<(), Error> {
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

pub(crate) fn missing_anchor() -> Refusal {
    Refusal::new(Code::Vector, "the row to compare with does not exist or has no vector yet")
        .hint("check the id after `row:`; a row whose text was just written may still be waiting for its embedding")
}

pub(crate) fn count(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
