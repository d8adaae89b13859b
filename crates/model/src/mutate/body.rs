//! Bodies of writes: JSON rows whose keys are fields and whose values can be of their types.

use serde_json::{Map, Value};

use super::generalised;
use crate::{
    Code, Refusal,
    entity::{Entity, Kind, Scalar, lookup_column},
    query::{Limits, check, lexer::shorten, value},
};

/// Columns and their types of PostgreSQL, `id` first and then the model's order.
pub(super) fn columns(entity: &Entity, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let fields = entity.fields.iter().flat_map(|field| {
        let lookup = field.lookup().map(|_| (lookup_column(&field.name), Scalar::Bytea.sql_type()));
        [(field.name.to_string(), field.sql_type())].into_iter().chain(lookup)
    });
    let id = ("id".to_owned(), Scalar::Uuid.sql_type());
    [id].into_iter().chain(fields).filter(|(name, _)| wanted(name)).collect()
}

/// ` as r("a" text, …)`: how `json_to_recordset` is to read rows.
pub(super) fn record(columns: &[(String, String)]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, sql_type)| format!("{} {sql_type}", crate::sql::ident(name)))
        .collect();
    format!(" as r({})", columns.join(", "))
}

/// The same, where no column at all is to be read.
pub(super) fn record_or_one(columns: &[(String, String)]) -> String {
    if columns.is_empty() { " as r(\"~none\" text)".into() } else { record(columns) }
}

/// The rows of a body: an object, or an array of objects with the same keys. With `columns` other keys are dropped
/// and keys may be missing.
pub(super) fn rows(
    entity: &Entity,
    body: &Value,
    columns: Option<&[String]>,
    limits: &Limits,
) -> Result<Vec<Map<String, Value>>, Refusal> {
    let mut rows = objects(body, limits)?;
    if let Some(columns) = columns {
        columns.iter().try_for_each(|name| known(entity, name))?;
        for row in &mut rows {
            row.retain(|key, _| columns.contains(key));
        }
    } else if let Some(first) = rows.first() {
        first.keys().try_for_each(|name| known(entity, name))?;
        for (at, row) in rows.iter().enumerate() {
            if row.len() != first.len() || !row.keys().all(|key| first.contains_key(key)) {
                return Err(Refusal::new(Code::Body, "All object keys must match")
                    .detail(format!("row {} has other keys than row 1", at + 1))
                    .hint("give every row the same keys, or say them with columns="));
            }
        }
    }
    let many = rows.len() > 1;
    for (at, row) in rows.iter().enumerate() {
        check_row(entity, row)
            .map_err(|refusal| if many { in_row(refusal, at) } else { refusal })?;
    }
    Ok(rows)
}

fn objects(body: &Value, limits: &Limits) -> Result<Vec<Map<String, Value>>, Refusal> {
    let elements = match body {
        Value::Object(row) => return Ok(vec![row.clone()]),
        Value::Array(elements) => elements,
        _ => {
            return Err(Refusal::new(
                Code::Body,
                "the body is neither an object nor an array of objects",
            ));
        }
    };
    if elements.len() > limits.body_rows_max {
        return Err(Refusal::new(Code::Limit, "the body has too many rows")
            .detail(format!("{}, at most {}", elements.len(), limits.body_rows_max))
            .hint("send them in several requests, or import them"));
    }
    let object = |(at, element): (usize, &Value)| match element {
        Value::Object(row) => Ok(row.clone()),
        _ => Err(Refusal::new(Code::Body, "the body is not an array of objects")
            .detail(format!("row {}", at + 1))),
    };
    elements.iter().enumerate().map(object).collect()
}

fn known(entity: &Entity, name: &str) -> Result<(), Refusal> {
    check::kind(entity, name).map(|_| ())
}

fn in_row(mut refusal: Refusal, at: usize) -> Refusal {
    let row = format!("row {}", at + 1);
    refusal.detail = Some(match refusal.detail {
        Some(detail) => format!("{row}: {detail}"),
        None => row,
    });
    refusal
}

/// Checks the values of one row.
pub(super) fn check_row(entity: &Entity, row: &Map<String, Value>) -> Result<(), Refusal> {
    for (key, value) in row {
        let kind = check::kind(entity, key)?;
        value::check_json(key, &kind, value)?;
        if value.is_null() && !may_be_null(entity, key) {
            return Err(Refusal::new(
                Code::Required,
                format!("{key} of {} cannot be null", entity.name),
            ));
        }
    }
    generalised::check(entity, row)
}

fn may_be_null(entity: &Entity, name: &str) -> bool {
    entity.field(name).is_some_and(|field| field.optional || is_made(&field.kind))
}

/// Whether a field is a vector made from text.
pub(super) fn is_made(kind: &Kind) -> bool {
    matches!(kind, Kind::Vector(vector) if !vector.of.is_empty())
}

/// Refuses rows that lack fields they must have, naming all of them.
pub(super) fn check_required(entity: &Entity, rows: &[Map<String, Value>]) -> Result<(), Refusal> {
    let required: Vec<&str> = entity
        .fields
        .iter()
        .filter(|field| !field.optional && field.default.is_none() && !is_made(&field.kind))
        .map(|field| &*field.name)
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let missing: Vec<&str> =
            required.iter().copied().filter(|name| !row.contains_key(*name)).collect();
        if !missing.is_empty() {
            let what = if missing.len() == 1 { "is required" } else { "are required" };
            let refusal = Refusal::new(
                Code::Required,
                format!("{} of {} {what}", shorten(&missing.join(", ")), entity.name),
            );
            return Err(if rows.len() > 1 { in_row(refusal, at) } else { refusal });
        }
    }
    Ok(())
}
