//! Values of sealed fields, before they are sealed and after they were opened: in one form, because PostgreSQL is not there
//! to judge them, and as they are looked up.

use serde_json::{Number, Value};

use crate::{
    Code, Refusal,
    declare::{date, instant},
    entity::{Bounds, Entity, Field, Kind, Lookup, Scalar},
    query::value::{check_json, check_text},
};

/// A value of a sealed field in the form in which it is sealed.
///
/// # Errors
/// What a write of a field that is not sealed would be refused for.
pub fn plain(entity: &Entity, field: &Field, value: &Value) -> Result<Value, Refusal> {
    let name = &*field.name;
    check_json(name, &field.kind, value)?;
    let plain = match (&field.kind, value) {
        (_, Value::Null) | (Kind::Scalar(Scalar::Jsonb), _) => value.clone(),
        (Kind::Scalar(scalar), Value::String(text)) => of_text(name, *scalar, text)?,
        (Kind::Scalar(Scalar::Text), Value::Number(number)) => Value::String(number.to_string()),
        (
            Kind::Scalar(Scalar::SmallInt | Scalar::Integer | Scalar::BigInt),
            Value::Number(number),
        ) => whole(name, &number.to_string())?,
        (_, value) => value.clone(),
    };
    within(entity, field, &plain)?;
    Ok(plain)
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
    let text = match plain {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    lookup.normalise(&text).map_err(|what| {
        Refusal::new(Code::InvalidValue, format!("a value of {} {what}", field.name))
    })
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
        Scalar::Date => Value::String(date(trimmed).map_err(time)?.0),
        Scalar::TimestampTz => Value::String(instant(trimmed).map_err(time)?.0),
        Scalar::Uuid => {
            let digits: String = trimmed.chars().filter(char::is_ascii_hexdigit).collect();
            let digits = digits.to_ascii_lowercase();
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits[part].to_owned());
            Value::String(parts.join("-"))
        }
        _ => Value::String(text.to_owned()),
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
    let Value::String(text) = plain else { return Ok(()) };
    let length = text.chars().count();
    let broken = match (min_length, max_length) {
        (Some(least), _) if length < least as usize => "min_length",
        (_, Some(most)) if length > most as usize => "max_length",
        _ => return Ok(()),
    };
    Err(Refusal::new(Code::Check, format!("{} of {} breaks its {broken}", field.name, entity.name)))
}
