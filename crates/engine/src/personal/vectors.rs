//! Vectors that were made from sealed texts, and are sealed themselves.

use std::collections::BTreeSet;

use freehold_model::entity::{Entity, Field};
use freehold_store::{
    Tenant,
    seal::{Class, Personal, Place},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::seal::{class, owner};
use crate::{Engine, error::Error};

/// The vectors of these rows, each sealed for its row; none for those of people who are erased meanwhile. A row has its `id`
/// and the reference that says whose it is.
pub(crate) async fn sealed_vectors(
    (engine, tenant): (&Engine, &Tenant),
    entity: &Entity,
    field: &Field,
    rows: &[&Map<String, Value>],
    vectors: &[Vec<f32>],
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let Some(personal) = field.sealed() else { return Ok(vec![None; rows.len()]) };
    let numbers = engine.store.sealed_numbers(&[(&entity.name, &field.name)]).await?;
    let name = (entity.name.to_string(), field.name.to_string());
    let number = numbers.get(&name).copied().unwrap_or_default();
    let class = class(personal);
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.get("id").and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let id = id.unwrap_or_default();
        let subject = owner(personal, id, row, None)?;
        places.push(Place { tenant: tenant.id(), field: number, row: id, subject });
    }
    let wanted: BTreeSet<(Uuid, Class)> =
        places.iter().map(|place| (place.subject, class)).collect();
    let keys = engine.store.keys_to_seal(tenant, &wanted).await?;
    let sealed = places.into_iter().zip(vectors).map(|(place, vector)| {
        let json = freehold_model::sealed::numbers(vector).into_bytes();
        keys.seal(place, class, &Personal::new(json)).ok()
    });
    Ok(sealed.collect())
}
