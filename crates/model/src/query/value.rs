//! Whether a value can be of its field's type, as far as that is cheap and exact. PostgreSQL remains the judge; what
//! is refused here is refused with the field's name and before anything was sent.

mod vector;

use serde_json::Value;

use super::lexer::shorten;
use crate::{
    Code, Refusal,
    entity::{Kind, Scalar, VectorForm},
};

pub(crate) use vector::check_elements;
use vector::{check_bits, check_numbers, check_sparse};

/// Checks the text form of a value.
///
/// # Errors
/// `InvalidValue`, `OutOfRange`, `InvalidTime`, `InvalidText` or `Vector`, naming `field`.
pub(crate) fn check_text(field: &str, kind: &Kind, text: &str) -> Result<(), Refusal> {
    no_nul(field, text)?;
    match kind {
        Kind::Scalar(scalar) => check_scalar(field, *scalar, text),
        Kind::Ref(_) | Kind::Blob(_) => check_scalar(field, Scalar::Uuid, text),
        Kind::Enum(values) => {
            if values.iter().any(|value| value == text) {
                return Ok(());
            }
            Err(invalid(field, text, "is not one of its values")
                .hint(format!("it is one of {}", values.join(", "))))
        }
        Kind::Array(scalar) => {
            let trimmed = text.trim();
            if !(trimmed.starts_with(['{', '[']) && trimmed.ends_with('}')) {
                return Err(invalid(field, text, "is not an array").hint("write {a,b}"));
            }
            plain_elements(trimmed)
                .filter(|element| !element.eq_ignore_ascii_case("null"))
                .try_for_each(|element| check_scalar(field, *scalar, element))
        }
        Kind::Vector(vector) => match vector.form {
            VectorForm::Vector | VectorForm::Halfvec => {
                check_numbers(field, text, vector.dimensions, vector.form)
            }
            VectorForm::Bit => check_bits(field, text, vector.dimensions),
            VectorForm::Sparsevec => check_sparse(field, text, vector.dimensions),
        },
    }
}

/// Checks a value of a JSON body. JSON's null is SQL's and fits every type.
///
/// # Errors
/// As [`check_text`].
pub(crate) fn check_json(field: &str, kind: &Kind, value: &Value) -> Result<(), Refusal> {
    no_nul_inside(field, value)?;
    let wrong = |what: &str| Err(invalid(field, &value.to_string(), what));
    match (kind, value) {
        (_, Value::Null) | (Kind::Scalar(Scalar::Jsonb), _) => Ok(()),
        (Kind::Vector(vector), Value::Array(elements)) => {
            if matches!(vector.form, VectorForm::Sparsevec | VectorForm::Bit) {
                return wrong("is not in the text form of its type");
            }
            let numbers = elements.iter().map(|element| match element {
                Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
                _ => None,
            });
            check_elements(field, numbers, vector.dimensions, vector.form)
        }
        (
            Kind::Scalar(Scalar::Numeric(Some((precision, scale)))),
            Value::Number(_) | Value::String(_),
        ) if overflows(&plain_text(value), *precision, *scale) => {
            Err(out_of_range(field, &plain_text(value)).hint(format!(
                "it has at most {} digits before its point",
                precision.saturating_sub(*scale)
            )))
        }
        (Kind::Array(scalar), Value::Array(elements)) => elements
            .iter()
            .try_for_each(|element| check_json(field, &Kind::Scalar(*scalar), element)),
        (_, Value::String(text)) => check_text(field, kind, text),
        (Kind::Scalar(Scalar::Boolean), Value::Bool(_)) => Ok(()),
        (Kind::Scalar(scalar), Value::Number(number)) if takes_number(*scalar) => {
            check_scalar(field, *scalar, &number.to_string())
        }
        (Kind::Scalar(scalar), _) => wrong(&format!("is not {}", in_words(*scalar))),
        (Kind::Array(_), _) => wrong("is not an array"),
        (Kind::Ref(_), _) => wrong("is not an id"),
        (Kind::Blob(_), _) => wrong("is not the id of an upload"),
        (Kind::Enum(_), _) => wrong("is not a text"),
        (Kind::Vector(_), _) => wrong("is not a vector"),
    }
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn takes_number(scalar: Scalar) -> bool {
    matches!(
        scalar,
        Scalar::SmallInt
            | Scalar::Integer
            | Scalar::BigInt
            | Scalar::Numeric(_)
            | Scalar::Double
            | Scalar::Text
    )
}

fn in_words(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Text => "a text",
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => "a whole number",
        Scalar::Numeric(_) | Scalar::Double => "a number",
        Scalar::Boolean => "true or false",
        Scalar::Uuid => "an id",
        Scalar::TimestampTz => "a time",
        Scalar::Date => "a date",
        Scalar::Jsonb => "JSON",
        Scalar::Bytea => "bytes",
    }
}

fn invalid(field: &str, text: &str, what: &str) -> Refusal {
    Refusal::new(Code::InvalidValue, format!("a value of {field} {what}")).detail(shorten(text))
}

fn no_nul(field: &str, text: &str) -> Result<(), Refusal> {
    if !text.contains('\0') {
        return Ok(());
    }
    Err(Refusal::new(Code::InvalidText, format!("a value of {field} contains a NUL character")))
}

fn no_nul_inside(field: &str, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::String(text) => no_nul(field, text),
        Value::Array(elements) => {
            elements.iter().try_for_each(|element| no_nul_inside(field, element))
        }
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            no_nul(field, key)?;
            no_nul_inside(field, value)
        }),
        _ => Ok(()),
    }
}

fn check_scalar(field: &str, scalar: Scalar, text: &str) -> Result<(), Refusal> {
    let trimmed = text.trim();
    let fits = match scalar {
        Scalar::Text | Scalar::Jsonb => true,
        Scalar::SmallInt => return whole(field, trimmed, i16::MIN.into(), i16::MAX.into()),
        Scalar::Integer => return whole(field, trimmed, i32::MIN.into(), i32::MAX.into()),
        Scalar::BigInt => return whole(field, trimmed, i64::MIN.into(), i64::MAX.into()),
        Scalar::Double => {
            let number = trimmed.parse::<f64>();
            if number.as_ref().is_ok_and(|number| number.is_infinite())
                && trimmed.contains(|c: char| c.is_ascii_digit())
            {
                return Err(out_of_range(field, trimmed));
            }
            number.is_ok()
        }
        Scalar::Numeric(_) => trimmed.parse::<f64>().is_ok() || modern_number(trimmed),
        Scalar::Boolean => is_boolean(&trimmed.to_ascii_lowercase()),
        Scalar::Uuid => is_uuid(text),
        Scalar::TimestampTz | Scalar::Date => {
            if is_time_like(trimmed) {
                return match day(trimmed) {
                    Some((year, month, day)) if !is_a_day(year, month, day) => {
                        let message = format!("a value of {field} is a day that there is not");
                        Err(Refusal::new(Code::InvalidTime, message).detail(shorten(text)))
                    }
                    _ => Ok(()),
                };
            }
            return Err(Refusal::new(
                Code::InvalidTime,
                format!("a value of {field} is not {}", in_words(scalar)),
            )
            .detail(shorten(text))
            .hint("write it as 2024-02-29 or 2024-02-29T12:00:00Z"));
        }
        Scalar::Bytea => match text.strip_prefix("\\x") {
            Some(digits) => {
                digits.chars().filter(|c| !c.is_whitespace()).all(|c| c.is_ascii_hexdigit())
            }
            None => true,
        },
    };
    if fits { Ok(()) } else { Err(invalid(field, text, &format!("is not {}", in_words(scalar)))) }
}

fn out_of_range(field: &str, text: &str) -> Refusal {
    Refusal::new(Code::OutOfRange, format!("a value of {field} is out of range"))
        .detail(shorten(text))
}

fn whole(field: &str, text: &str, least: i128, greatest: i128) -> Result<(), Refusal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        let known = modern_number(text) && !text.contains(['.', 'e', 'E']);
        return if known { Ok(()) } else { Err(invalid(field, text, "is not a whole number")) };
    }
    match text.parse::<i128>() {
        Ok(number) if (least..=greatest).contains(&number) => Ok(()),
        _ => Err(out_of_range(field, text).hint(format!("it goes from {least} to {greatest}"))),
    }
}

/// `0x1F`, `1_000`: numbers to PostgreSQL since 16.
fn modern_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    let radix = ["0x", "0o", "0b"].iter().any(|prefix| digits.starts_with(prefix));
    (radix || digits.contains('_'))
        && digits.chars().all(|c| c.is_ascii_hexdigit() || "_xo.+-".contains(c))
}

fn is_boolean(text: &str) -> bool {
    let prefix_of = |whole: &str, least: usize| text.len() >= least && whole.starts_with(text);
    prefix_of("true", 1)
        || prefix_of("false", 1)
        || prefix_of("yes", 1)
        || prefix_of("no", 1)
        || prefix_of("on", 2)
        || prefix_of("off", 2)
        || text == "1"
        || text == "0"
}

/// Whether PostgreSQL might read `text` as a UUID: 32 hex digits, with hyphens and in braces if one likes.
pub(crate) fn is_uuid(text: &str) -> bool {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let digits = inside.chars().filter(|c| *c != '-');
    inside.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) && digits.count() == 32
}

fn is_time_like(text: &str) -> bool {
    const WORDS: [&str; 8] =
        ["now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "+infinity"];
    let allowed = |c: char| c.is_ascii_alphanumeric() || " :+-./,_".contains(c);
    text.chars().all(allowed)
        && (text.chars().any(|c| c.is_ascii_digit())
            || WORDS.contains(&text.to_ascii_lowercase().as_str()))
}

/// The day that a text of this form begins with, `2024-02-29`, if nothing else can be meant.
fn day(text: &str) -> Option<(u32, u32, u32)> {
    let rest = text.get(10..)?;
    let shape = |(at, byte): (usize, &u8)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if !text.as_bytes()[..10].iter().enumerate().all(shape)
        || !(rest.is_empty() || rest.starts_with(['T', ' ']))
        || rest.to_ascii_uppercase().contains("BC")
    {
        return None;
    }
    Some((text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..10].parse().ok()?))
}

fn is_a_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// The elements of a list of one dimension without quotes; none of any other.
fn plain_elements(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let plain = inside
        .filter(|inside| !inside.trim().is_empty() && !inside.contains(['"', '\\', '{', '}']));
    plain.into_iter().flat_map(|inside| inside.split(',')).map(str::trim)
}

/// Whether a number in plain digits has more of them before its point than its type holds.
fn overflows(text: &str, precision: u16, scale: u16) -> bool {
    let digits = text.trim().trim_start_matches(['+', '-']);
    let whole = digits.split('.').next().unwrap_or_default();
    digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && whole.trim_start_matches('0').len() > usize::from(precision.saturating_sub(scale))
}

/// An array in PostgreSQL's text form, every element quoted.
pub(crate) fn array_literal<T: AsRef<str>>(elements: impl IntoIterator<Item = T>) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let elements: Vec<String> =
        elements.into_iter().map(|element| quote(element.as_ref())).collect();
    format!("{{{}}}", elements.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        let good = [
            (Scalar::SmallInt, " -32768 "),
            (Scalar::Integer, "0x1F"),
            (Scalar::BigInt, "9223372036854775807"),
            (Scalar::Numeric(None), "-1.5e300"),
            (Scalar::Double, "-Infinity"),
            (Scalar::Boolean, "T"),
            (Scalar::Uuid, "{00000000000000000000000000000000}"),
            (Scalar::TimestampTz, "2024-02-29T12:00:00+01:00"),
            (Scalar::Date, "today"),
            (Scalar::Date, "2024-02-29"),
            (Scalar::Date, "0001-02-29 BC"),
            (Scalar::Date, "2024-02-30.5"),
            (Scalar::Bytea, "\\x00ff"),
        ];
        for (scalar, text) in good {
            check_scalar("f", scalar, text).unwrap();
        }
        let bad = [
            (Scalar::SmallInt, "32768", Code::OutOfRange),
            (Scalar::Integer, "1.5", Code::InvalidValue),
            (Scalar::BigInt, "", Code::InvalidValue),
            (Scalar::BigInt, "9223372036854775808", Code::OutOfRange),
            (Scalar::Numeric(None), "one", Code::InvalidValue),
            (Scalar::Double, "1e999", Code::OutOfRange),
            (Scalar::Boolean, "o", Code::InvalidValue),
            (Scalar::Uuid, "x", Code::InvalidValue),
            (Scalar::TimestampTz, "soon", Code::InvalidTime),
            (Scalar::TimestampTz, "2023-02-29T12:00:00Z", Code::InvalidTime),
            (Scalar::TimestampTz, "2024-04-31 12:00", Code::InvalidTime),
            (Scalar::Date, "2024-13-01", Code::InvalidTime),
            (Scalar::Date, "1900-02-29", Code::InvalidTime),
            (Scalar::Bytea, "\\xg0", Code::InvalidValue),
        ];
        for (scalar, text, code) in bad {
            assert_eq!(check_scalar("f", scalar, text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn elements_of_lists_and_digits_of_numbers() {
        let ints = Kind::Array(Scalar::Integer);
        for good in ["{}", "{ }", "{1, null,NULL}", "{\"1\"}", "{{1},{2}}", "[0:1]={1,2}"] {
            check_text("f", &ints, good).unwrap();
        }
        assert_eq!(check_text("f", &ints, "{1,a}").unwrap_err().code, Code::InvalidValue);
        assert_eq!(check_text("f", &ints, "{1,9999999999}").unwrap_err().code, Code::OutOfRange);
        let price = Kind::Scalar(Scalar::Numeric(Some((5, 2))));
        for good in [serde_json::json!(999.99), "0001.5".into(), "-999".into(), "1e2".into()] {
            check_json("f", &price, &good).unwrap();
        }
        for bad in [serde_json::json!(1000), "-1000.0".into()] {
            assert_eq!(check_json("f", &price, &bad).unwrap_err().code, Code::OutOfRange);
        }
        // A filter may compare with more than the type holds.
        check_text("f", &price, "1000").unwrap();
    }

    #[test]
    fn quotes_arrays() {
        assert_eq!(array_literal(["a\"b\\", "", "null"]), r#"{"a\"b\\","","null"}"#);
        assert_eq!(array_literal::<&str>([]), "{}");
    }
}
