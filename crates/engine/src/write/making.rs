//! A change inside its transaction, and the vectors of texts that only the database knows.

use std::collections::HashSet;

use freehold_model::{
    Model, Name, Sql,
    mutate::{self, Filling, Made},
};
use freehold_store::{Tenant, TenantTx};
use serde_json::{Map, Value};

use super::{Mutation, Written, embed, objects, source_text, vector};
use crate::{
    Engine, Snapshot,
    error::Error,
    personal::{EMBEDDING, Tag, sealed_vectors},
};

/// Most vectors stored by one statement.
const FILL_ROWS: usize = 1_000;

/// Makes one change inside an open transaction: first the change, which says what it left empty, then those vectors.
/// The rows that come back have them.
pub(super) async fn change(
    (engine, tenant): (&Engine, &Tenant),
    snapshot: &Snapshot,
    tx: &mut TenantTx,
    mutation: &Mutation,
    tag: Option<&Tag>,
) -> Result<Written, Error> {
    let watched = mutation.watched();
    if watched.is_empty() {
        return Ok(Written::of(&tx.query_one(&mutation.render()).await?));
    }
    let row = tx.query_one(&mutation.render_watched()).await?;
    let mut written = Written::of(&row);
    let left = row.text(3).unwrap_or("[]");
    let left = match tag.filter(|_| mutation.opens_texts()) {
        Some(tag) => {
            objects(Some(&engine.open_body(snapshot, tenant, left, tag, EMBEDDING).await?))
        }
        None => objects(Some(left)),
    };
    let mut made = false;
    for (at, field) in watched.into_iter().enumerate() {
        let is_empty = |row: &&Map<String, Value>| row["~empty"][at] == Value::Bool(true);
        let rows: Vec<&Map<String, Value>> = left.iter().filter(is_empty).collect();
        if !rows.is_empty() {
            made |= make_up((engine, tenant), snapshot, tx, (mutation, field), rows).await?;
        }
    }
    if made {
        let ids = strings(row.text(4));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        if let Some(returned) = mutation.render_returned(&ids) {
            written.body = Written::of(&tx.query_one(&returned).await?).body;
        }
    }
    Ok(written)
}

/// Gives these rows their vectors: those that were brought, and of the texts where none was. Says whether any row has
/// one now.
async fn make_up(
    of: (&Engine, &Tenant),
    snapshot: &Snapshot,
    tx: &mut TenantTx,
    (mutation, field): (&Mutation, &Name),
    mut rows: Vec<&Map<String, Value>>,
) -> Result<bool, Error> {
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    let mut made = false;
    if let Some(again) = mutation.render_again(field, &ids) {
        let set: HashSet<String> =
            strings(tx.query_one(&again).await?.text(0)).into_iter().collect();
        rows.retain(|row| row["id"].as_str().is_none_or(|id| !set.contains(id)));
        made = !set.is_empty();
    }
    let Some(vector) = vector(&snapshot.model, mutation.entity(), field) else { return Ok(made) };
    let (rows, texts): (Vec<&Map<String, Value>>, Vec<String>) =
        rows.iter().filter_map(|row| Some((*row, source_text(vector, row)?))).unzip();
    for (rows, texts) in rows.chunks(FILL_ROWS).zip(texts.chunks(FILL_ROWS)) {
        let Some(vectors) = embed(snapshot, vector, texts).await? else { return Ok(made) };
        let model = &snapshot.model;
        let fill = filling(of, model, (mutation.entity(), field, false), rows, &vectors).await?;
        tx.query_one(&fill).await?;
        made = true;
    }
    Ok(made)
}

/// The statement that stores the vectors of these rows, sealed if the field is. A row has its `id`; its `~stamp`, if it is not
/// locked; and whose it is, if that matters.
pub(crate) async fn filling(
    of: (&Engine, &Tenant),
    model: &Model,
    (entity, field, next): (&str, &str, bool),
    rows: &[&Map<String, Value>],
    vectors: &[Vec<f32>],
) -> Result<Sql, Error> {
    let found = model.entity(entity).and_then(|entity| Some((entity, entity.field(field)?)));
    let sealed = match found.filter(|(_, field)| field.sealed().is_some()) {
        Some((entity, field)) => sealed_vectors(of, entity, field, rows, vectors).await?,
        None => Vec::new(),
    };
    let one = |at: usize| {
        let vector = match sealed.get(at) {
            Some(bytes) => Made::Sealed(bytes.as_deref()?, &vectors[at]),
            None => Made::Open(&vectors[at]),
        };
        let text = |name: &str| rows[at].get(name).and_then(Value::as_str);
        Some(Filling { id: text("id")?, vector, stamp: text("~stamp") })
    };
    let filled: Vec<Filling<'_>> = (0..rows.len().min(vectors.len())).filter_map(one).collect();
    Ok(mutate::fill_vectors(model, entity, field, next, &filled)?)
}

fn strings(body: Option<&str>) -> Vec<String> {
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}
