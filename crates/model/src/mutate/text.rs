//! Bodies that are not JSON: every value is a text, in the form PostgreSQL reads its type from.

use serde_json::{Map, Value};

use crate::{
    Code, Model, Refusal,
    entity::{Kind, Scalar},
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
    let of_json = |name: &str| {
        entity.field(name).is_some_and(|field| matches!(field.kind, Kind::Scalar(Scalar::Jsonb)))
    };
    for (at, row) in rows.iter_mut().enumerate() {
        for (name, value) in row.iter_mut().filter(|(name, _)| of_json(name)) {
            let Value::String(text) = value else { continue };
            *value = serde_json::from_str(text).map_err(|_| {
                Refusal::new(Code::InvalidValue, format!("a value of {name} is not JSON"))
                    .detail(format!("row {}: {}", at + 1, lexer::shorten(text)))
            })?;
        }
    }
    Ok(rows)
}
