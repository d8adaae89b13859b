//! Values of sealed fields, before they are sealed and after they were opened: in one form, because PostgreSQL is not there
//! to judge them, and as they are looked up.

mod list;
mod number;

use serde_json::{Number, Value};

use crate::{
    Code, Refusal,
    declare::{date, instant},
    entity::{Bounds, Entity, Field, Kind, Lookup, Scalar, VectorForm},
    query::value::{check_json, check_text},
};

/// A value of a sealed field in the form in which it is sealed; of `numeric` and `double` the text of the number, because
/// a number of JSON does not hold all of its digits here: [`json`] writes it.
///
/// # Errors
/// What a write of a field that is not sealed would be refused for.
pub fn plain(entity: &Entity, field: &Field, value: &Value) -> Result<Value, Refusal> {
    let name = &*field.name;
    check_json(name, &field.kind, value)?;
    let plain = match (&field.kind, value) {
        (Kind::Scalar(scalar), value) => one(name, *scalar, value)?,
        (Kind::Array(scalar), Value::Array(elements)) => {
            let elements = elements.iter().map(|element| one(name, *scalar, element));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        (Kind::Array(scalar), Value::String(text)) => {
            let elements = list::read(name, text)?.into_iter().map(|element| match element {
                None => Ok(Value::Null),
                Some(text) => of_element(name, *scalar, &text),
            });
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        (Kind::Vector(vector), value) => self::vector(name, vector.form, value)?,
        (_, value) => value.clone(),
    };
    within(entity, field, &plain)?;
    Ok(plain)
}

/// The JSON that is sealed of a plain value.
#[must_use]
pub fn json(field: &Field, plain: &Value) -> String {
    let raw = |value: &Value| match value {
        Value::String(text) if text.ends_with(|c: char| c.is_ascii_digit()) => text.clone(),
        other => other.to_string(),
    };
    match (&field.kind, plain) {
        (Kind::Scalar(Scalar::Numeric(_) | Scalar::Double), value) => raw(value),
        (Kind::Array(Scalar::Numeric(_) | Scalar::Double), Value::Array(elements)) => {
            format!("[{}]", elements.iter().map(raw).collect::<Vec<_>>().join(","))
        }
        (Kind::Vector(_), Value::Array(elements)) => {
            let one = |number: &Value| number.as_f64().unwrap_or_default() as f32;
            numbers(&elements.iter().map(one).collect::<Vec<_>>())
        }
        (_, value) => value.to_string(),
    }
}

/// The JSON that is sealed of a vector.
#[must_use]
pub fn numbers(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// The text of an opened value as a cell of CSV, before quotes; none for null.
#[must_use]
pub fn cell(kind: Option<&Kind>, json: &str) -> Option<String> {
    match kind {
        Some(Kind::Array(scalar)) if json.starts_with('[') => Some(cells(*scalar, json)),
        Some(Kind::Scalar(Scalar::Boolean)) => {
            json.get(..1).filter(|_| json != "null").map(str::to_owned)
        }
        _ => match serde_json::from_str(json) {
            Ok(Value::Null) | Err(_) => None,
            Ok(Value::String(text)) => Some(text),
            // As it was sealed: parsed, a number would lose digits.
            Ok(_) => Some(json.to_owned()),
        },
    }
}

fn cells(scalar: Scalar, json: &str) -> String {
    if matches!(scalar, Scalar::Numeric(_) | Scalar::Double) {
        let inside = json.trim_matches(['[', ']']).split(',').filter(|text| !text.is_empty());
        let one = |text: &str| (text != "null").then(|| text.trim_matches('"').to_owned());
        return list::write(inside.map(one));
    }
    let elements: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    list::write(elements.into_iter().map(|element| match element {
        Value::Null => None,
        Value::String(text) if scalar != Scalar::Jsonb => Some(text),
        Value::Bool(flag) if scalar == Scalar::Boolean => Some(if flag { "t" } else { "f" }.into()),
        other => Some(other.to_string()),
    }))
}

/// A value as it is looked up, from its text form in a query.
///
/// # Errors
/// If it can be no value of the field.
pub fn sought(field: &Field, lookup: Lookup, text: &str) -> Result<String, Refusal> {
    check_text(&field.name, &field.kind, text)?;
    let value = match &field.kind {
        Kind::Scalar(scalar) => of_text(&field.name, *scalar, text)?,
        _ => Value::String(text.to_owned()),
    };
    key(field, lookup, &value)
}

/// A plain value as it is looked up.
///
/// # Errors
/// If it is not what the field is looked up as, such as an e-mail address.
pub fn key(field: &Field, lookup: Lookup, plain: &Value) -> Result<String, Refusal> {
    let text = match (&field.kind, plain) {
        (Kind::Scalar(Scalar::Numeric(_)), Value::String(text)) => number::alike(text).to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    lookup.normalise(&text).map_err(|what| {
        Refusal::new(Code::InvalidValue, format!("a value of {} {what}", field.name))
    })
}

/// A value of a type, or of an array of it, that was checked.
fn one(name: &str, scalar: Scalar, value: &Value) -> Result<Value, Refusal> {
    match (scalar, value) {
        (_, Value::Null) | (Scalar::Jsonb, _) => Ok(value.clone()),
        (_, Value::String(text)) => of_text(name, scalar, text),
        (Scalar::Boolean, _) => Ok(value.clone()),
        (_, Value::Number(number)) => of_text(name, scalar, &number.to_string()),
        _ => Ok(value.clone()),
    }
}

/// A vector: numbers as PostgreSQL would have kept them, or the text of other forms.
fn vector(name: &str, form: VectorForm, value: &Value) -> Result<Value, Refusal> {
    let wrong = || Refusal::new(Code::Vector, format!("a value of {name} is not a vector"));
    let parsed;
    let numbers = match value {
        Value::String(_) if matches!(form, VectorForm::Sparsevec | VectorForm::Bit) => {
            return Ok(value.clone());
        }
        Value::String(text) => {
            parsed = serde_json::from_str::<Vec<Value>>(text).map_err(|_| wrong())?;
            &parsed
        }
        Value::Array(numbers) => numbers,
        _ => return Ok(value.clone()),
    };
    // The shortest digits that are still the number of four bytes.
    let one = |number: &Value| {
        let number = (number.as_f64()? as f32).to_string().parse::<f64>().ok()?;
        Number::from_f64(number).map(Value::Number)
    };
    numbers.iter().map(one).collect::<Option<_>>().map(Value::Array).ok_or_else(wrong)
}

/// An element in the text form of its type, which nobody has checked.
fn of_element(name: &str, scalar: Scalar, text: &str) -> Result<Value, Refusal> {
    if scalar == Scalar::Jsonb {
        return serde_json::from_str(text).map_err(|_| {
            Refusal::new(Code::InvalidValue, format!("an element of {name} is not JSON"))
        });
    }
    check_text(name, &Kind::Scalar(scalar), text)?;
    of_text(name, scalar, text)
}

fn of_text(name: &str, scalar: Scalar, text: &str) -> Result<Value, Refusal> {
    let trimmed = text.trim();
    let time = |what: &str| {
        Refusal::new(Code::InvalidTime, format!("a value of {name} cannot be read: {what}"))
            .hint("write it as 2024-02-29 or 2024-02-29T12:00:00Z")
    };
    Ok(match scalar {
        Scalar::Boolean => {
            let lower = trimmed.to_ascii_lowercase();
            Value::Bool(matches!(lower.chars().next(), Some('t' | 'y' | '1')) || lower == "on")
        }
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => whole(name, trimmed)?,
        Scalar::Numeric(digits) => Value::String(number::numeric(name, trimmed, digits)?),
        Scalar::Double => Value::String(number::double(name, trimmed)?),
        Scalar::Bytea => Value::String(list::bytes(name, text)?),
        Scalar::Date => Value::String(date(trimmed).map_err(time)?.0),
        Scalar::TimestampTz => Value::String(instant(trimmed).map_err(time)?.0),
        Scalar::Uuid => {
            let digits: String = trimmed.chars().filter(char::is_ascii_hexdigit).collect();
            let digits = digits.to_ascii_lowercase();
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits[part].to_owned());
            Value::String(parts.join("-"))
        }
        Scalar::Text | Scalar::Jsonb => Value::String(text.to_owned()),
    })
}

fn whole(name: &str, text: &str) -> Result<Value, Refusal> {
    let number = text.parse::<i64>().map_err(|_| {
        Refusal::new(
            Code::InvalidValue,
            format!("a value of {name} is not a whole number in digits"),
        )
    })?;
    Ok(Value::Number(Number::from(number)))
}

fn within(entity: &Entity, field: &Field, plain: &Value) -> Result<(), Refusal> {
    let Bounds { min_length, max_length, .. } = field.bounds;
    let length = match (&field.kind, plain) {
        (_, Value::Array(elements)) => elements.len(),
        (Kind::Scalar(Scalar::Bytea), Value::String(text)) => text.len() / 2 - 1,
        (_, Value::String(text)) => text.chars().count(),
        _ => return Ok(()),
    };
    let broken = match (min_length, max_length) {
        (Some(least), _) if length < least as usize => "min_length",
        (_, Some(most)) if length > most as usize => "max_length",
        _ => return Ok(()),
    };
    Err(Refusal::new(Code::Check, format!("{} of {} breaks its {broken}", field.name, entity.name)))
}

#[cfg(test)]
mod tests;
