//! Bodies that are not JSON: every value is a text, in the form PostgreSQL reads its type from.

use serde_json::{Map, Value};

use super::first_rounded;
use crate::{
    Code, Model, Refusal,
    entity::{Entity, Kind, Scalar},
    query::{check, lexer},
};

/// The fields of a form, as the one row they are.
///
/// # Errors
/// `Body` if it cannot be read or has a field twice.
pub fn form_row(form: &str) -> Result<Map<String, Value>, Refusal> {
    let fields = lexer::params(form).map_err(|refusal| Refusal { code: Code::Body, ..refusal })?;
    let mut row = Map::new();
    for field in fields {
        if let Some(again) = row.insert(field.key.clone(), Value::String(field.value)) {
            return Err(Refusal::new(Code::Body, "a field of the form is given twice")
                .detail(lexer::shorten(&format!("{}, first {again}", field.key))));
        }
    }
    Ok(row)
}

/// Rows of texts as a JSON body has them: what a `jsonb` field is given is JSON, not a text in JSON.
///
/// # Errors
/// `NoSuchEntity`; `InvalidValue` for a text that is not JSON.
pub fn of_texts(
    model: &Model,
    entity: &str,
    mut rows: Vec<Map<String, Value>>,
) -> Result<Vec<Map<String, Value>>, Refusal> {
    let entity = check::written(model, entity)?;
    for (at, row) in rows.iter_mut().enumerate() {
        of_text(entity, row).map_err(|refusal| {
            let detail = refusal.detail.clone().unwrap_or_default();
            refusal.detail(format!("row {}: {detail}", at + 1))
        })?;
    }
    Ok(rows)
}

/// The same of one row.
///
/// # Errors
/// `InvalidValue` for a text that is not JSON, or has a number in it that would be stored as another one.
pub fn of_text(entity: &Entity, row: &mut Map<String, Value>) -> Result<(), Refusal> {
    let of_json = |name: &str| {
        entity.field(name).is_some_and(|field| matches!(field.kind, Kind::Scalar(Scalar::Jsonb)))
    };
    for (name, value) in row.iter_mut().filter(|(name, _)| of_json(name)) {
        let Value::String(text) = value else { continue };
        let wrong = |what: &str, of: &str| {
            Refusal::new(Code::InvalidValue, format!("{what} of {name} {of}"))
        };
        if let Some(number) = first_rounded(text) {
            return Err(wrong("a number", "has more digits than are kept")
                .detail(lexer::shorten(number))
                .hint("write it as a text, or give it a field of type numeric"));
        }
        *value = serde_json::from_str(text)
            .map_err(|_| wrong("a value", "is not JSON").detail(lexer::shorten(text)))?;
    }
    Ok(())
}
