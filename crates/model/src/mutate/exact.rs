//! Rows of JSON with all digits of their numbers.
//!
//! A number that was read is a double or an integer of 64 bits. What `numeric` and `text` keep and those cannot is
//! therefore taken from the text itself.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value, value::RawValue};

use crate::{
    Code, Model, Refusal,
    entity::{Entity, Kind, Scalar},
    query::{check, lexer::shorten},
};

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A row, or a list of rows, for a write of `entity`.
///
/// # Errors
/// `Body` for what is not JSON, with its place; `NoSuchEntity`; `InvalidValue` for a number inside a `jsonb` field that
/// would be stored as another one.
pub fn of_json(model: &Model, entity: &str, text: &str) -> Result<Value, Refusal> {
    let mut body = json_body(text)?;
    if has_long_number(text) {
        let entity = check::written(model, entity)?;
        match &mut body {
            Value::Object(row) => keep_digits(entity, text, row)?,
            Value::Array(rows) => {
                let texts: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                for (row, text) in rows.iter_mut().zip(texts) {
                    if let Value::Object(row) = row {
                        keep_digits(entity, text.get(), row)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(body)
}

/// What a body of JSON says.
///
/// # Errors
/// `Body` for what is not JSON, with its place.
pub fn json_body(text: &str) -> Result<Value, Refusal> {
    serde_json::from_str(text).map_err(|error| {
        Refusal::new(Code::Body, "the body is not JSON").detail(format!(
            "line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    })
}

/// Gives `row`, which was read from the JSON object `text`, the numbers as they stand there: as texts, which their fields
/// take as well.
///
/// # Errors
/// `InvalidValue` as [`of_json`].
pub fn keep_digits(
    entity: &Entity,
    text: &str,
    row: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    if !has_long_number(text) {
        return Ok(());
    }
    let members: Members = serde_json::from_str(text).unwrap_or_default();
    for (name, text) in members {
        let (Some(field), Some(value)) = (entity.field(&name), row.get_mut(&*name)) else {
            continue;
        };
        match field.kind {
            Kind::Scalar(Scalar::Numeric(_) | Scalar::Text)
            | Kind::Array(Scalar::Numeric(_) | Scalar::Text) => keep(text.get(), value),
            Kind::Scalar(Scalar::Jsonb) | Kind::Array(Scalar::Jsonb) => {
                if let Some(number) = rounded(text) {
                    return Err(Refusal::new(
                        Code::InvalidValue,
                        format!("a number of {name} has more digits than are kept"),
                    )
                    .detail(shorten(number))
                    .hint("write it as a text, or give it a field of type numeric"));
                }
            }
            // They round by their own types, or take no such number.
            _ => {}
        }
    }
    Ok(())
}

/// The first number inside `text`, which is JSON, that is another one once it is read.
#[must_use]
pub fn first_rounded(text: &str) -> Option<&str> {
    has_long_number(text).then(|| serde_json::from_str(text).ok().and_then(rounded)).flatten()
}

/// Whether there is a number that could be rounded: up to 15 digits a double keeps.
fn has_long_number(text: &str) -> bool {
    let mut digits = 0;
    text.bytes().any(|byte| {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' => {}
            _ => digits = 0,
        }
        digits > 15
    })
}

/// Gives a number, or those of a list, as texts where they would be other numbers.
pub(super) fn keep(json: &str, value: &mut Value) {
    match value {
        Value::Number(_) if is_rounded(json) => *value = Value::String(json.to_owned()),
        Value::Array(elements) => {
            let texts: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            elements.iter_mut().zip(texts).for_each(|(element, text)| keep(text.get(), element));
        }
        _ => {}
    }
}

fn rounded(text: &RawValue) -> Option<&str> {
    let json = text.get();
    match json.as_bytes().first()? {
        b'{' => serde_json::from_str::<Members>(json).ok()?.into_values().find_map(rounded),
        b'[' => serde_json::from_str::<Vec<&RawValue>>(json).ok()?.into_iter().find_map(rounded),
        b'-' | b'0'..=b'9' => is_rounded(json).then_some(json),
        _ => None,
    }
}

fn is_rounded(number: &str) -> bool {
    match serde_json::from_str::<Value>(number) {
        Ok(Value::Number(read)) => decimal(&read.to_string()) != decimal(number),
        _ => false,
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last one.
fn decimal(number: &str) -> (bool, String, i64) {
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = (digits.len() - significant.len()) as i64 - fraction.len() as i64;
    let power = exponent.parse::<i64>().unwrap_or_default() + zeros;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    (negative, significant.to_owned(), power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_double_keeps_is_not_rounded() {
        for number in ["0", "-0.0", "1.10", "1e2", "100", "0.1", "9007199254740993", "1E-7"] {
            assert!(!is_rounded(number), "{number}");
        }
        for number in ["0.1234567890123456789", "123456789012345678901", "-1.00000000000000000001"]
        {
            assert!(is_rounded(number), "{number}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_printed_by_a_double_is_kept(number: f64) {
            prop_assume!(number.is_finite());
            let text = serde_json::to_string(&number).unwrap();
            prop_assert!(!is_rounded(&text), "{}", text);
            prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), number.to_bits());
        }

        #[test]
        fn two_ways_to_write_a_number_are_one_number(digits in "[1-9][0-9]{0,30}", zeros in 0_usize..5, power in -40_i64..40) {
            let plain = format!("{digits}{}e{power}", "0".repeat(zeros));
            let point = format!("{}.{}e{}", &digits[..1], &digits[1..], power + (digits.len() + zeros - 1) as i64);
            let point = point.replace(".e", ".0e");
            prop_assert_eq!(decimal(&plain), decimal(&point));
        }
    }
}
