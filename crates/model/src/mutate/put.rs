//! Putting one row where its URL says: new, or over the one that is there.

use serde_json::Value;

use super::{Insert, OnConflict, Resolution, body, directions};
use crate::{
    Code, Model, Refusal,
    entity::Entity,
    query::{
        Limits,
        level::{Cond, Level, Operand, Test},
        written,
    },
};

/// Checks a row to put. The filters of `query` are `eq` on `id` or on all fields of a unique key, and nothing else; the
/// row has the same values there, or leaves them out.
///
/// # Errors
/// `PutFilters`, `PutRange`, `PutMismatch`; what an insert refuses.
pub fn put(
    model: &Model,
    entity: &str,
    body: &Value,
    query: &str,
    returning: bool,
    limits: &Limits,
) -> Result<Insert, Refusal> {
    let asked = written(query, limits)?;
    if !asked.limits.is_empty() || !asked.offsets.is_empty() {
        return Err(Refusal::new(Code::PutRange, "limit and offset mean nothing to a PUT"));
    }
    let directions = directions(model, entity, query, limits)?;
    let entity = crate::query::check::written(model, entity)?;
    let key = key(entity, &directions.query.level)?;
    let columns = directions.columns;
    let mut rows = body::rows(entity, body, columns.as_deref(), limits)?;
    let [row] = &mut rows[..] else {
        return Err(Refusal::new(Code::PutMismatch, "a PUT takes one row")
            .detail(format!("{} given", rows.len())));
    };
    for (name, value) in &key {
        let given = row.entry(name.clone()).or_insert_with(|| Value::String(value.clone()));
        let same = match given {
            Value::String(text) => {
                text == value || name == "id" && text.eq_ignore_ascii_case(value)
            }
            other => value == &*other.to_string(),
        };
        if !same {
            return Err(Refusal::new(
                Code::PutMismatch,
                format!("the row's {name} is not the one of the URL"),
            ));
        }
    }
    body::check_required(entity, &rows)?;
    let fields = key.into_iter().map(|(name, _)| name).collect();
    let conflict = Some(OnConflict { fields, resolution: Resolution::Merge });
    let returning = returning.then_some(directions.query);
    let mut insert = Insert::checked(entity, rows, columns, conflict, returning)?;
    if let Some(query) = &mut insert.returning {
        query.level.conds.clear();
    }
    Ok(insert)
}

/// The fields that say which row is meant, and their values.
fn key(entity: &Entity, level: &Level) -> Result<Vec<(String, String)>, Refusal> {
    let equal = |cond: &Cond| match cond {
        Cond::Test {
            operand: Operand::Column(name),
            not: false,
            test: Test::Binary { op: "=", value },
        } => Some((name.clone(), value.clone())),
        Cond::Test {
            operand: Operand::Column(name),
            not: false,
            test: Test::Lookup { not: false, values, .. },
        } => Some((name.clone(), values.first().filter(|_| values.len() == 1)?.clone())),
        _ => None,
    };
    let key: Option<Vec<(String, String)>> = level.conds.iter().map(equal).collect();
    let names = |key: &Vec<(String, String)>| {
        let same = |unique: &crate::entity::Key| {
            unique.fields.len() == key.len()
                && unique.fields.iter().all(|name| key.iter().any(|(other, _)| *other == **name))
        };
        matches!(&key[..], [(name, _)] if name == "id") || entity.uniques.iter().any(same)
    };
    match key.filter(names) {
        Some(key) if level.embeds.iter().all(|embed| !embed.inner) => Ok(key),
        _ => Err(Refusal::new(Code::PutFilters, "a PUT names one row by its id or a unique key")
            .hint(format!("write PUT {}?id=eq.… and no other filter", entity.name))),
    }
}
