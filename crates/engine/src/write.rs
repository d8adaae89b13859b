//! Writing: one or several changes in one transaction, each row's embeddings made with it.
//!
//! check → embed what is known beforehand → begin → change → embed what only the database knows → commit.
//! Embedding before the transaction begins keeps row locks short; what an update leaves of the old text is known
//! only inside, so those vectors are made there. Either way row and vector commit together.

pub use freehold_model::mutate::Resolution;
use freehold_model::{
    Model, Name, Sql,
    entity::{Kind, Vector, When},
    mutate::{self, Delete, Filling, Insert, Update},
};
use freehold_store::{Row, Tenant, TenantTx};
use serde_json::{Map, Value};

use crate::{
    Engine, Snapshot,
    embed::EmbedError,
    error::{Code, Error, Refusal},
    read::count,
};

/// Most changes in one transaction.
pub const OPERATIONS_MAX: usize = 100;

/// Most rows whose vectors are made inside one transaction.
const ROWS_MAX: u32 = 10_000;

/// One change, as the caller wrote it.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Which entity.
    pub entity: String,
    /// What to do.
    pub verb: Verb,
    /// PostgREST's query string: filters, `select`, `columns`, `on_conflict`.
    pub query: String,
    /// Whether the rows come back.
    pub returning: bool,
}

/// What to do with rows.
#[derive(Debug, Clone)]
pub enum Verb {
    /// New rows: an object or an array of them; what to do with a row whose key is taken.
    Insert(Value, Option<Resolution>),
    /// New values for the rows that match.
    Update(Value),
    /// Away with the rows that match.
    Delete,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The rows asked for, a JSON array; `[]` if none were.
    pub body: String,
    /// Rows changed.
    pub rows: u64,
    /// Of an upsert, rows that are new.
    pub inserted: Option<u64>,
}

enum Mutation {
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

impl Engine {
    /// Makes one change in a transaction of its own.
    ///
    /// # Errors
    /// Refusals for what the change gets wrong; faults. Nothing is changed then.
    pub async fn write(&self, tenant: &Tenant, operation: Operation) -> Result<Written, Error> {
        let snapshot = self.snapshot();
        let mut mutation = self.check(&snapshot.model, operation)?;
        embed_new_rows(&snapshot, &mut mutation).await?;
        let written = if mutation.is_one_statement() {
            self.store.run(tenant, &mutation.render()).await.map(|row| Written::of(&row))
        } else {
            let mut tx = self.store.begin(tenant).await?;
            let written = change(&snapshot, &mut tx, &mutation).await;
            finish(tx, written).await
        };
        written.map_err(|error| snapshot.refine(error))
    }

    /// Makes several changes in one transaction: all of them or none.
    ///
    /// # Errors
    /// As [`Engine::write`]; the refusal's detail names the change by its number, counted from 1.
    pub async fn write_all(
        &self,
        tenant: &Tenant,
        operations: Vec<Operation>,
    ) -> Result<Vec<Written>, Error> {
        if operations.len() > OPERATIONS_MAX {
            return Err(Refusal::new(
                Code::Limit,
                format!("a transaction has at most {OPERATIONS_MAX} changes"),
            )
            .into());
        }
        let snapshot = self.snapshot();
        let mut mutations = Vec::with_capacity(operations.len());
        for (number, operation) in (1..).zip(operations) {
            let mut mutation =
                self.check(&snapshot.model, operation).map_err(|error| numbered(number, error))?;
            embed_new_rows(&snapshot, &mut mutation)
                .await
                .map_err(|error| numbered(number, error))?;
            mutations.push(mutation);
        }
        let mut tx = self.store.begin(tenant).await?;
        let mut written = Vec::with_capacity(mutations.len());
        for (number, mutation) in (1..).zip(&mutations) {
            match change(&snapshot, &mut tx, mutation).await {
                Ok(one) => written.push(one),
                Err(error) => {
                    return finish(tx, Err(numbered(number, snapshot.refine(error)))).await;
                }
            }
        }
        finish(tx, Ok(written)).await
    }

    fn check(&self, model: &Model, operation: Operation) -> Result<Mutation, Error> {
        let Operation { entity, verb, query, returning } = operation;
        let limits = &self.limits;
        Ok(match verb {
            Verb::Insert(body, resolution) => Mutation::Insert(mutate::insert(
                model, &entity, &body, &query, resolution, returning, limits,
            )?),
            Verb::Update(patch) => {
                Mutation::Update(mutate::update(model, &entity, &patch, &query, returning, limits)?)
            }
            Verb::Delete => {
                Mutation::Delete(mutate::delete(model, &entity, &query, returning, limits)?)
            }
        })
    }
}

impl Mutation {
    /// Whether no vector has to be made from texts that only the database knows in full.
    fn is_one_statement(&self) -> bool {
        match self {
            Self::Insert(insert) => insert.left_empty().is_empty(),
            Self::Update(update) => update.due().is_empty(),
            Self::Delete(_) => true,
        }
    }

    fn render(&self) -> Sql {
        match self {
            Self::Insert(insert) => insert.render(),
            Self::Update(update) => update.render(),
            Self::Delete(delete) => delete.render(),
        }
    }
}

impl Written {
    fn of(row: &Row) -> Self {
        Self {
            body: row.text(0).unwrap_or("[]").to_owned(),
            rows: count(row.int(1)),
            inserted: row.int(2).map(|inserted| count(Some(inserted))),
        }
    }
}

/// Puts vectors into rows that are inserted, except where the caller brought them.
async fn embed_new_rows(snapshot: &Snapshot, mutation: &mut Mutation) -> Result<(), Error> {
    let Mutation::Insert(insert) = mutation else { return Ok(()) };
    let due: Vec<Name> = insert.due().into_iter().cloned().collect();
    for field in due {
        let Some(vector) = vector(&snapshot.model, insert.entity(), &field) else { continue };
        let (places, texts): (Vec<usize>, Vec<String>) = insert
            .rows()
            .iter()
            .enumerate()
            .filter_map(|(place, row)| Some((place, source_text(vector, row)?)))
            .unzip();
        let Some(vectors) = embed(snapshot, vector, &texts).await? else { continue };
        for (place, vector) in places.into_iter().zip(vectors) {
            insert.rows_mut()[place].insert(field.to_string(), Value::String(vector_text(&vector)));
        }
    }
    Ok(())
}

/// Makes one change inside an open transaction: first the change, giving ids and texts, then the vectors.
async fn change(
    snapshot: &Snapshot,
    tx: &mut TenantTx,
    mutation: &Mutation,
) -> Result<Written, Error> {
    match mutation {
        Mutation::Update(update) if !update.due().is_empty() => {
            let row = tx.query_one(&update.render_touched()).await?;
            let rows = objects(row.text(0));
            for field in update.due() {
                fill_rows(snapshot, tx, (update.entity(), field), &rows).await?;
            }
            Ok(Written { body: row.text(3).unwrap_or("[]").to_owned(), ..Written::of(&row) })
        }
        Mutation::Insert(insert) => {
            let written = Written::of(&tx.query_one(&mutation.render()).await?);
            for field in insert.left_empty() {
                let unfilled = mutate::unfilled(
                    &snapshot.model,
                    insert.entity(),
                    field,
                    false,
                    None,
                    ROWS_MAX,
                )?;
                let rows = objects(tx.query_one(&unfilled).await?.text(0));
                fill_rows(snapshot, tx, (insert.entity(), field), &rows).await?;
            }
            Ok(written)
        }
        _ => Ok(Written::of(&tx.query_one(&mutation.render()).await?)),
    }
}

async fn fill_rows(
    snapshot: &Snapshot,
    tx: &mut TenantTx,
    (entity, field): (&str, &str),
    rows: &[Map<String, Value>],
) -> Result<(), Error> {
    let Some(vector) = vector(&snapshot.model, entity, field) else { return Ok(()) };
    let (ids, texts): (Vec<&str>, Vec<String>) = rows
        .iter()
        .filter_map(|row| Some((row.get("id")?.as_str()?, source_text(vector, row)?)))
        .unzip();
    let Some(vectors) = embed(snapshot, vector, &texts).await? else { return Ok(()) };
    if vectors.is_empty() {
        return Ok(());
    }
    let filling = |(id, vector)| Filling { id, vector, stamp: None };
    let rows: Vec<Filling<'_>> =
        ids.into_iter().zip(vectors.iter().map(Vec::as_slice)).map(filling).collect();
    tx.query_one(&mutate::fill_vectors(&snapshot.model, entity, field, false, &rows)?)
        .await
        .map(drop)
}

/// `None` if the embedder is away and the field may be filled later.
async fn embed(
    snapshot: &Snapshot,
    vector: &Vector,
    texts: &[String],
) -> Result<Option<Vec<Vec<f32>>>, Error> {
    if texts.is_empty() {
        return Ok(Some(Vec::new()));
    }
    match snapshot.embedders.embed(&vector.embedder, vector.dimensions, texts).await {
        Ok(vectors) => Ok(Some(vectors)),
        Err(EmbedError::Unavailable { refusal, .. }) if vector.when == When::Later => {
            tracing::warn!(embedder = %vector.embedder, error = %refusal, "rows stored without vector, to be filled");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The text a vector stands for: its fields' texts, one a line, missing ones left out. `None` if there is none, and
/// then there is no vector either.
pub(crate) fn source_text(vector: &Vector, row: &Map<String, Value>) -> Option<String> {
    let lines = vector.of.iter().filter_map(|field| match row.get(field.as_str())? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Array(items) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

pub(crate) fn vector<'m>(model: &'m Model, entity: &str, field: &str) -> Option<&'m Vector> {
    match &model.entity(entity)?.field(field)?.kind {
        Kind::Vector(vector) if !vector.of.is_empty() => Some(vector),
        _ => None,
    }
}

pub(crate) fn objects(body: Option<&str>) -> Vec<Map<String, Value>> {
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

pub(crate) fn objects_of_lines(lines: &str) -> Vec<Map<String, Value>> {
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// pgvector's text form, each number as short as it can be without losing any of it.
fn vector_text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// Commits what went well; what did not is rolled back by dropping the transaction.
async fn finish<T>(tx: TenantTx, outcome: Result<T, Error>) -> Result<T, Error> {
    let value = outcome?;
    tx.commit().await.map(|()| value)
}

fn numbered(number: usize, error: Error) -> Error {
    match error {
        Error::Refused(mut refusal) => {
            let place = format!("change {number}");
            refusal.detail =
                Some(refusal.detail.map_or(place.clone(), |detail| format!("{place}: {detail}")));
            Error::Refused(refusal)
        }
        fault => fault,
    }
}
