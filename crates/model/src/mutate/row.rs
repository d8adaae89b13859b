//! Rows of a file: checked one by one, and taken apart into the columns of a [`super::load`].
//!
//! A reference may be given by a unique field of the row it refers to instead of its id: as the object
//! `{"handle": "ada"}`, or in the column `author.handle`.

use serde_json::{Map, Value, value::RawValue};

use super::{body, exact, generalised};
use crate::{
    Code, Model, Name, Refusal,
    entity::{Entity, Field, Kind, Scalar},
    query::{check, value},
};

/// A column of a file.
pub(super) enum Column<'m> {
    /// A field, or `id` (then `None`).
    Field(Option<&'m Field>),
    /// A reference by the unique field `key` of the row it refers to.
    Lookup { field: &'m Field, target: &'m Entity, key: &'m Field },
    /// A sealed value, or the blind index of one: bytes by now.
    Sealed { column: String },
}

impl Column<'_> {
    /// What its values are.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Field(None) => Kind::Scalar(Scalar::Uuid),
            Self::Sealed { .. } => Kind::Scalar(Scalar::Bytea),
            Self::Field(Some(field)) | Self::Lookup { key: field, .. } => field.kind.clone(),
        }
    }

    /// The field that is written.
    pub(super) fn written(&self) -> &str {
        match self {
            Self::Field(None) => "id",
            Self::Sealed { column } => column,
            Self::Field(Some(field)) | Self::Lookup { field, .. } => &field.name,
        }
    }
}

/// What `name` means as a column of `entity`.
///
/// # Errors
/// `NoSuchField`, or `Syntax` if the row referred to cannot be found by that field.
pub(super) fn column<'m>(
    model: &'m Model,
    entity: &'m Entity,
    name: &str,
) -> Result<Column<'m>, Refusal> {
    if name == "id" {
        return Ok(Column::Field(None));
    }
    if let Some(field) = entity.field(name) {
        return Ok(Column::Field(Some(field)));
    }
    let lookup = name.split_once('.').and_then(|(field, key)| match entity.field(field) {
        Some(field @ Field { kind: Kind::Ref(to), .. }) => {
            Some((field, model.entity(&to.entity)?, key))
        }
        _ => None,
    });
    let Some((field, target, key)) = lookup else { return Err(check::no_such_field(entity, name)) };
    let key = target.field(key).ok_or_else(|| check::no_such_field(target, key))?;
    let unique = target.uniques.iter().any(|unique| *unique.fields == [key.name.clone()]);
    if key.sealed().is_some() {
        return Err(Refusal::new(
            Code::Sealed,
            format!("{} of {} is sealed, so a file cannot refer by it", key.name, target.name),
        )
        .hint(format!("give the id of the {}", target.name)));
    }
    if !unique {
        return Err(Refusal::new(
            Code::Syntax,
            format!("{} of {} is not unique, so it finds no row", key.name, target.name),
        )
        .hint(format!("give the id of the {}, or one of its unique fields", target.name)));
    }
    Ok(Column::Lookup { field, target, key })
}

/// The same where rows are written: what is to be sealed is sealed.
pub(super) fn column_written<'m>(
    model: &'m Model,
    entity: &'m Entity,
    name: &str,
) -> Result<Column<'m>, Refusal> {
    let field = entity.field(name.strip_suffix("~lookup").unwrap_or(name));
    match field.filter(|field| field.sealed().is_some()) {
        Some(_) => Ok(Column::Sealed { column: name.to_owned() }),
        None => column(model, entity, name),
    }
}

/// Checks a row of a file; references given by a key come out as columns `field.key`.
///
/// # Errors
/// A refusal that names the field.
pub fn check_row(
    model: &Model,
    entity: &Entity,
    row: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let row = flattened(entity, row)?;
    for (name, value) in &row {
        let column = column(model, entity, name)?;
        value::check_json(name, &column.kind(), value)?;
        let may_be_null = entity
            .field(column.written())
            .is_some_and(|field| field.optional || body::is_made(&field.kind));
        if value.is_null() && !may_be_null {
            return Err(Refusal::new(
                Code::Required,
                format!("{name} of {} cannot be null", entity.name),
            ));
        }
    }
    generalised::check(entity, &row)?;
    Ok(row)
}

/// Fields that `entity` requires and that are not among `columns`.
#[must_use]
pub fn missing<'m>(entity: &'m Entity, columns: &[&str]) -> Vec<&'m Name> {
    let given = |field: &Field| {
        columns.iter().any(|column| {
            *column == &*field.name
                || column.split_once('.').is_some_and(|(name, _)| name == &*field.name)
        })
    };
    let required =
        |field: &&Field| !field.optional && field.default.is_none() && !body::is_made(&field.kind);
    entity
        .fields
        .iter()
        .filter(required)
        .filter(|field| !given(field))
        .map(|field| &field.name)
        .collect()
}

/// A value in the text form of its column's type; `None` is null.
#[must_use]
pub fn value_text(entity: &Entity, column: &str, value: &Value) -> Option<String> {
    let field = entity.field(column);
    let kind = field.filter(|field| field.sealed().is_none()).map(|field| &field.kind);
    match (kind, value) {
        (_, Value::Null) => None,
        (None, Value::Array(elements)) => match field.map(|field| &field.kind) {
            // Of an opened value; a sealed one is a text.
            Some(Kind::Array(scalar)) => Some(array_text(*scalar, elements)),
            _ => Some(value.to_string()),
        },
        (Some(Kind::Scalar(Scalar::Jsonb)), value) => Some(value.to_string()),
        (_, Value::String(text)) => Some(text.clone()),
        (Some(Kind::Array(scalar)), Value::Array(elements)) => Some(array_text(*scalar, elements)),
        (_, value) => Some(value.to_string()),
    }
}

/// The same of a value as PostgreSQL wrote it in JSON, with all digits of its numbers.
#[must_use]
pub fn cell_text(entity: &Entity, column: &str, json: &str) -> Option<String> {
    match entity.field(column).map(|field| &field.kind) {
        _ if json == "null" => None,
        Some(Kind::Scalar(Scalar::Jsonb)) => Some(json.to_owned()),
        Some(Kind::Array(Scalar::Jsonb)) => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let element = |element: &RawValue| match element.get() {
                "null" => "NULL".to_owned(),
                json => quoted(json),
            };
            let elements: Vec<String> = elements.into_iter().map(element).collect();
            Some(format!("{{{}}}", elements.join(",")))
        }
        Some(Kind::Vector(_)) => value_text(entity, column, &serde_json::from_str(json).ok()?),
        _ => {
            let mut value = serde_json::from_str(json).ok()?;
            exact::keep(json, &mut value);
            value_text(entity, column, &value)
        }
    }
}

fn array_text(scalar: Scalar, elements: &[Value]) -> String {
    let element = |element: &Value| match element {
        Value::Null => "NULL".to_owned(),
        Value::String(text) if scalar != Scalar::Jsonb => quoted(text),
        other => quoted(&other.to_string()),
    };
    let elements: Vec<String> = elements.iter().map(element).collect();
    format!("{{{}}}", elements.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn flattened(entity: &Entity, row: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    if !row.values().any(Value::is_object) {
        return Ok(row);
    }
    row.into_iter()
        .map(|(name, value)| match (entity.field(&name).map(|field| &field.kind), value) {
            (Some(Kind::Ref(_)), Value::Object(key)) => {
                let mut parts = key.into_iter();
                match (parts.next(), parts.next()) {
                    (Some((key, value)), None) => Ok((format!("{name}.{key}"), value)),
                    _ => Err(Refusal::new(
                        Code::InvalidValue,
                        format!("{name} is not given by one unique field"),
                    )
                    .hint(format!("write \"{name}\": {{\"FIELD\": value}}"))),
                }
            }
            (_, value) => Ok((name, value)),
        })
        .collect()
}
