//! Writing: one or several changes in one transaction, each row's embeddings made with it.
//!
//! check → embed what is known beforehand → begin → change → embed what only the database knows → commit.
//! Embedding before the transaction begins keeps row locks short; what an update leaves of the old text is known
//! only inside, so those vectors are made there. Either way row and vector commit together.

mod making;
mod mutation;
mod only_if;
mod several;
mod terms;
mod text;

pub use freehold_model::mutate::Resolution;
use freehold_model::{
    Model, Name,
    entity::{Kind, Vector, When},
    mutate::{self, Copied},
};
use freehold_store::{Access, Position, Row, Tenant, TenantTx};
use serde_json::{Map, Value};

pub use self::several::OPERATIONS_MAX;
pub use self::terms::{OnlyIf, Terms};
pub(crate) use self::{making::filling, mutation::Mutation};

pub(crate) use crate::text::{known_text, source_text};
use crate::{
    Engine, Snapshot,
    embed::EmbedError,
    error::{Code, Error, Refusal, naming},
    personal::{self, Tag},
    read::{Shape, count, shaped},
};

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
    /// The one row the query names, new or over the one that is there.
    Put(Value),
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
    /// With which a later read can wait until read models show the transaction; none if it wrote nothing.
    pub token: Option<String>,
}

impl Engine {
    /// Makes one change in a transaction of its own.
    ///
    /// # Errors
    /// Refusals for what the change gets wrong; faults. Nothing is changed then.
    pub async fn write(&self, tenant: &Tenant, operation: Operation) -> Result<Written, Error> {
        self.write_on(tenant, operation, &Terms::default()).await
    }

    /// The same on terms of the caller's.
    ///
    /// # Errors
    /// As [`Self::write`]; `NotSingular`, `TooManyAffected`, and `Preference` for a time zone that is none.
    pub async fn write_on(
        &self,
        tenant: &Tenant,
        operation: Operation,
        terms: &Terms,
    ) -> Result<Written, Error> {
        let snapshot = self.snapshot();
        let zone = terms.zone.as_ref();
        let matched = self.matched(&snapshot.model, &operation, terms)?;
        let mut mutation = self.check(&snapshot, tenant, operation)?;
        mutation.agree(terms);
        let counted = mutation.count();
        if let Some(rows) = counted {
            terms.check(rows)?;
        }
        embed_new_rows(&snapshot, &mut mutation).await?;
        let copied = personal::prepare(self, tenant, &mut mutation).await?;
        let tag = personal::tag_change(&mut mutation);
        let at_once = !terms.roll_back
            && matched.is_none()
            && mutation.is_one_statement()
            && copied.is_empty()
            && (counted.is_some() || !terms.are_about_rows());
        let mut written = if at_once {
            let done = self.store.run_one_placed(tenant, &mutation.render(), zone).await;
            done.map(|(row, position)| Written { token: self.token(position), ..Written::of(&row) })
        } else {
            let mut tx = match &matched {
                Some(_) => self.store.begin_fixed(tenant, zone).await?,
                None => self.store.begin_in(tenant, zone).await?,
            };
            let is_matched = self.demand(&snapshot, tenant, &mut tx, matched, terms).await;
            let written = match is_matched {
                Ok(()) => {
                    let what = (&mut mutation, tag.as_ref(), copied);
                    self.settled(&snapshot, tenant, &mut tx, what).await
                }
                Err(error) => Err(error),
            };
            let written = written.and_then(|written| {
                terms.check(written.rows).map(|()| written).map_err(Error::from)
            });
            match (written, terms.roll_back) {
                (Ok(written), true) => tx.roll_back().await.map(|()| written),
                (written, _) => {
                    let done = self.finish(tx, written).await;
                    done.map(|(written, token)| Written { token, ..written })
                }
            }
        }
        .map_err(|error| {
            let error = only_if::said(snapshot.refine(error), terms);
            naming(error, |code| mutation.suspects(&snapshot.model, code))
        })?;
        if let Some(tag) = tag {
            let purpose = terms.purpose.as_ref().into();
            written.body = self.open_body(&snapshot, tenant, &written.body, &tag, purpose).await?;
        }
        if let Some(query) = mutation.returning_mut().filter(|_| terms.shape == Shape::Csv) {
            written.body = shaped(query, terms.shape, Some(&written.body));
        }
        Ok(written)
    }

    /// Seals what the change brings for the rows it is for, and makes it.
    async fn settled(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        tx: &mut TenantTx,
        (mutation, tag, mut copied): (&mut Mutation, Option<&Tag>, Vec<Copied>),
    ) -> Result<Written, Error> {
        copied.extend(personal::settle(self, tenant, tx, mutation).await?);
        let written = making::change((self, tenant), snapshot, tx, mutation, tag).await?;
        if let Some(entity) = snapshot.model.entity(mutation.entity()) {
            personal::put_copies(tx, entity, &copied).await?;
        }
        match mutation.must_write() {
            Some(rows) if rows != written.rows => {
                Err(Refusal::new(Code::TryAgain, "another transaction was in the way")
                    .hint("try again")
                    .into())
            }
            _ => Ok(written),
        }
    }

    /// Commits what went well; what did not is rolled back by dropping the transaction.
    async fn finish<T>(
        &self,
        tx: TenantTx,
        outcome: Result<T, Error>,
    ) -> Result<(T, Option<String>), Error> {
        let value = outcome?;
        let position = tx.commit_placed(&self.store).await?;
        Ok((value, self.token(position)))
    }

    fn token(&self, position: Option<Position>) -> Option<String> {
        position.map(|position| self.store.position_text(position))
    }

    fn check(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        operation: Operation,
    ) -> Result<Mutation, Error> {
        let Operation { entity, verb, query, returning } = operation;
        snapshot.permit(tenant, &entity, Access::Write)?;
        let (model, limits) = (&snapshot.model, &self.limits_of(tenant));
        let checked = match verb {
            Verb::Insert(body, resolution) => {
                mutate::insert(model, &entity, &body, &query, resolution, returning, limits)
                    .map(Mutation::Insert)
            }
            Verb::Put(row) => {
                mutate::put(model, &entity, &row, &query, returning, limits).map(Mutation::Insert)
            }
            Verb::Update(patch) => {
                mutate::update(model, &entity, &patch, &query, returning, limits)
                    .map(Mutation::Update)
            }
            Verb::Delete => {
                mutate::delete(model, &entity, &query, returning, limits).map(Mutation::Delete)
            }
        };
        let mut mutation = checked.map_err(|refusal| snapshot.veiled(tenant, refusal))?;
        if let Some(query) = mutation.returning_mut() {
            snapshot.permit_embeds(tenant, query)?;
        }
        Ok(mutation)
    }
}

impl Written {
    fn of(row: &Row) -> Self {
        Self {
            body: row.text(0).unwrap_or("[]").to_owned(),
            rows: count(row.int(1)),
            inserted: row.int(2).map(|inserted| count(Some(inserted))),
            token: None,
        }
    }
}

/// Puts vectors into rows that are inserted, except where the caller brought them.
async fn embed_new_rows(snapshot: &Snapshot, mutation: &mut Mutation) -> Result<(), Error> {
    let Mutation::Insert(insert) = mutation else { return Ok(()) };
    let due: Vec<Name> = insert.due().into_iter().cloned().collect();
    for field in due {
        let Some(vector) = vector(&snapshot.model, insert.entity(), &field) else { continue };
        let rows = insert.rows().iter().enumerate();
        let lacking = rows.filter(|(_, row)| row.get(field.as_str()).is_none_or(Value::is_null));
        let (places, texts): (Vec<usize>, Vec<String>) =
            lacking.filter_map(|(place, row)| Some((place, source_text(vector, row)?))).unzip();
        let Some(vectors) = embed(snapshot, vector, &texts).await? else { continue };
        for (place, vector) in places.into_iter().zip(vectors) {
            insert.rows_mut()[place].insert(field.to_string(), Value::String(vector_text(&vector)));
        }
    }
    Ok(())
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

pub(crate) fn vector<'m>(model: &'m Model, entity: &str, field: &str) -> Option<&'m Vector> {
    match &model.entity(entity)?.field(field)?.kind {
        Kind::Vector(vector) if !vector.of.is_empty() => Some(vector),
        _ => None,
    }
}

pub(crate) fn objects(body: Option<&str>) -> Vec<Map<String, Value>> {
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

/// pgvector's text form, each number as short as it can be without losing any of it.
fn vector_text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}
