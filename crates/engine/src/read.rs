//! Reading: filters, joins and similarity in one statement, under the tenant's wall.
//!
//! parse → embed the question, if it is text → render → one transaction, one round trip → answer.

use std::time::Duration;

use freehold_model::query::{self, Limits, Query};
pub use freehold_model::query::{Range, Shape};
pub use freehold_store::TimeZone;
use freehold_store::{Access, Moment, Row, Stamp, Tenant};
use tokio::time::Instant;

use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal, naming},
    personal::{self, StatedPurpose},
    search::{Path, Recall, Search},
};

/// What a read answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// A JSON array of objects, as PostgreSQL built it.
    pub body: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many rows match without limit and offset; only if asked for.
    pub total: Option<u64>,
    /// The first row's position in the whole result.
    pub offset: u64,
    /// How the rows were found; only if they were searched for by `nearest` or `rank`.
    pub search: Option<Search>,
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

/// How the answer is to be given.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// As JSON or CSV.
    pub shape: Shape,
    /// Which of the rows.
    pub range: Option<Range>,
    /// Where times are told.
    pub zone: Option<TimeZone>,
    /// How sure a search has to be.
    pub recall: Recall,
    /// What personal data is opened for, if not for what its classes are kept for.
    pub purpose: Option<StatedPurpose>,
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
        self.read_as(tenant, read, &Manner::default()).await
    }

    /// The same, where a search has to be this sure.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn search(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        recall: Recall,
    ) -> Result<Answer, Error> {
        self.read_as(tenant, read, &Manner { recall, ..Manner::default() }).await
    }

    /// The same, given in a manner of the caller's. The body of CSV begins with the line of names.
    ///
    /// # Errors
    /// As [`Self::read`]; `Range`; `Preference` for a time zone that is none.
    pub async fn read_as(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        manner: &Manner,
    ) -> Result<Answer, Error> {
        let snapshot = self.snapshot();
        let query = self.understand(&snapshot, tenant, read, manner).await?;
        self.answer(&snapshot, tenant, query, manner).await
    }

    /// The same, of read models that show what a write did. Entities show it always.
    ///
    /// # Errors
    /// `Preference` for a token that is none of this database's; `Stale` if it takes longer than allowed; as
    /// [`Engine::read_as`].
    pub async fn read_after(
        &self,
        tenant: &Tenant,
        read: Read<'_>,
        manner: &Manner,
        after: After<'_>,
    ) -> Result<Answer, Error> {
        let position = self.store.read_position(after.token).await?;
        let until = Instant::now() + after.patience;
        let snapshot = self.snapshot();
        let query = self.understand(&snapshot, tenant, read, manner).await?;
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
            let answer = self.answer(&snapshot, tenant, query.clone(), manner).await?;
            // Another table may have taken the place of the one that was asked about before this one was read.
            if models.is_empty() || self.store.freshness(tenant, &models, position).await? == before
            {
                return Ok(answer);
            }
        }
    }

    pub(crate) async fn understand(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        read: Read<'_>,
        manner: &Manner,
    ) -> Result<Query, Error> {
        let (model, range) = (&snapshot.model, manner.range);
        snapshot.permit(tenant, read.entity, Access::Read)?;
        let limits = self.limits_of(tenant);
        let mut query = query::parse_within(model, read.entity, read.query, range, &limits)
            .map_err(|refusal| snapshot.veiled(tenant, refusal))?;
        snapshot.permit_embeds(tenant, &query)?;
        query.shaped(manner.shape);
        if read.count {
            query.count_exact();
        }
        embed_questions(snapshot, &mut query).await?;
        self.bind_lookups(tenant, &mut query).await?;
        Ok(query)
    }

    async fn answer(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        query: Query,
        manner: &Manner,
    ) -> Result<Answer, Error> {
        self.answer_stamped(snapshot, tenant, query, manner).await.map(|(answer, _)| answer)
    }

    /// With the stamp of the snapshot, if the query asks for it.
    pub(crate) async fn answer_stamped(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        mut query: Query,
        manner: &Manner,
    ) -> Result<(Answer, Option<(Stamp, Moment)>), Error> {
        let chosen = self.choose(tenant, &mut query, manner.recall).await;
        let index = chosen.map_err(|error| snapshot.refine(error))?;
        let tag = personal::tag(&mut query);
        let named = |error, query: &Query| {
            naming(snapshot.refine(error), |code| query.suspects(&snapshot.model, code))
        };
        let run = async |query: &Query| {
            let run = self.store.run_in(tenant, &query.render(), manner.zone.as_ref()).await;
            run.map_err(|error| named(error, query))
        };
        let mut row = match query.behind() {
            Some(_) => {
                let found = Box::pin(self.run_behind(snapshot, tenant, &mut query, manner)).await;
                found.map_err(|error| named(error, &query))?
            }
            None => run(&query).await?,
        };
        // What an index gives too few of is looked for again in all rows, so that few rows are all there are.
        let corrected = index.is_some() && count(row.int(1)) < query.limit();
        if corrected {
            self.gave_few(tenant, &query);
            query.exactly();
            row = run(&query).await?;
        }
        if row.bool(3) == Some(false) {
            return Err(missing_anchor().into());
        }
        let opened = match (&tag, row.text(0)) {
            (Some(tag), Some(body)) => {
                let purpose = manner.purpose.as_ref().into();
                Some(self.open_body(snapshot, tenant, body, tag, purpose).await?)
            }
            _ => None,
        };
        let stamp = if query.is_stamped() {
            self.store.stamp_in(&row, if query.searches() { 6 } else { 4 })
        } else {
            None
        };
        let answer = Answer {
            body: shaped(&query, manner.shape, opened.as_deref().or(row.text(0))),
            rows: count(row.int(1)),
            total: row.int(2).map(|total| count(Some(total))),
            offset: query.offset(),
            search: describe(&query, &row, index, corrected),
        };
        Ok((answer, stamp))
    }

    /// Searches sealed vectors, and reads what was found as it was when the search began.
    async fn run_behind(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        query: &mut Query,
        manner: &Manner,
    ) -> Result<Row, Error> {
        let mut tx = self.store.begin_fixed(tenant, manner.zone.as_ref()).await?;
        let purpose = manner.purpose.as_ref().into();
        self.measure_sealed((snapshot, tenant), &mut tx, query, purpose).await?;
        let row = tx.query_one(&query.render()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Whether there is such a time zone; one that there is not makes every request refused that names it.
    ///
    /// # Errors
    /// `TenantSuspended` and the like; faults.
    pub async fn knows_zone(&self, tenant: &Tenant, zone: &TimeZone) -> Result<bool, Error> {
        self.store.knows_zone(tenant, zone).await
    }

    /// The same engine, where a search opens at most so many sealed vectors.
    #[must_use]
    pub fn with_sealed_max(mut self, rows: u64) -> Self {
        self.limits.sealed_max = rows;
        self
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

fn describe(
    query: &Query,
    row: &Row,
    index: Option<(u32, f64)>,
    corrected: bool,
) -> Option<Search> {
    let itself = query.searches();
    if !itself && !query.searches_below() {
        return None;
    }
    let scanned = itself.then(|| count(row.int(4)));
    Some(match index.filter(|_| !corrected) {
        Some((ef_search, recall)) => {
            let path = Path::Index { ef_search };
            Search { path, scanned, complete: false, recall, more: Some(true) }
        }
        None => {
            let path = match corrected {
                _ if query.behind().is_some() => Path::Sealed,
                true => Path::Corrected,
                false => Path::Exact,
            };
            let more = itself.then(|| count(row.int(5)) > query.offset() + count(row.int(1)));
            Search { path, scanned, complete: true, recall: 1.0, more }
        }
    })
}

/// The refusal of an answer that is not one row, where one was asked for.
#[must_use]
pub fn not_singular(rows: u64) -> Refusal {
    Refusal::new(Code::NotSingular, "Cannot coerce the result to a single JSON object")
        .detail(format!("The result contains {rows} rows"))
}

/// The body as the caller gets it.
pub(crate) fn shaped(query: &Query, shape: Shape, rows: Option<&str>) -> String {
    match (shape, rows) {
        (Shape::Csv, rows) => csv(&query.names(), rows),
        (_, rows) => rows.unwrap_or("[]").to_owned(),
    }
}

/// Lines of CSV under the names of their columns.
pub(crate) fn csv(names: &[&str], rows: Option<&str>) -> String {
    let cell = |name: &&str| match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => (*name).to_owned(),
    };
    let names = names.iter().map(cell).collect::<Vec<_>>().join(",");
    match rows.filter(|rows| !rows.is_empty()) {
        Some(rows) => format!("{names}\n{rows}"),
        None => names,
    }
}

pub(crate) fn stale(models: &[&str], patience: Duration) -> Refusal {
    Refusal::new(Code::Stale, "a read model does not show yet what it was to wait for")
        .detail(format!("{}, waited {} ms", models.join(", "), patience.as_millis()))
        .hint("wait longer, or read without the token; if it lasts, `freehold status` shows how far the workers are")
}

pub(crate) fn missing_anchor() -> Refusal {
    Refusal::new(Code::Vector, "the row to compare with does not exist or has no vector yet")
        .hint("check the id after `row:`; a row whose text was just written may still be waiting for its embedding")
}

pub(crate) fn count(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
