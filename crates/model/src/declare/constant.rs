//! Constants of a field's type: from TOML to the text PostgreSQL reads, or why not.

use std::{cmp::Ordering, fmt::Write as _};

use super::{
    decimal::Decimal,
    report::{Span, alternatives},
    time,
    tree::{Data, Value},
};
use crate::entity::{Kind, Scalar};

/// Digits of a numeric without precision, by PostgreSQL's limits, before the point and after.
const NUMERIC_DIGITS: (i64, i64) = (131_072, 16_383);

/// Why a value is no constant of its type.
pub(super) struct Wrong {
    pub(super) at: Span,
    /// "… is no `integer`", as a clause.
    pub(super) message: String,
    pub(super) help: String,
}

/// The text form of `value` as a constant of `kind`.
pub(super) fn constant(kind: &Kind, value: &Value) -> Result<String, Wrong> {
    match kind {
        Kind::Scalar(Scalar::Jsonb) => json(value),
        Kind::Scalar(scalar) => plain(*scalar, value),
        Kind::Array(scalar) => array(*scalar, value),
        Kind::Enum(values) => match &value.data {
            Data::Text(text) if values.contains(text) => Ok(text.clone()),
            Data::Text(text) => Err(wrong(
                value,
                format!("`{text}` is none of its values"),
                alternatives(text, values.iter().map(String::as_str)),
            )),
            other => Err(wrong(
                value,
                format!("{} is none of its values", other.noun()),
                "write one of its values in quotes",
            )),
        },
        Kind::Vector(_) | Kind::Ref(_) | Kind::Blob(_) => {
            Err(wrong(value, "there are no constants of it", "remove it"))
        }
    }
}

/// Which of two constants of the type is greater; `None` for types without an order.
pub(super) fn compare(scalar: Scalar, a: &str, b: &str) -> Option<Ordering> {
    match scalar {
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_) => {
            Some(Decimal::parse(a)?.cmp(&Decimal::parse(b)?))
        }
        Scalar::Double => a.parse::<f64>().ok()?.partial_cmp(&b.parse().ok()?),
        Scalar::TimestampTz => Some(time::instant(a).ok()?.1.cmp(&time::instant(b).ok()?.1)),
        Scalar::Date => Some(time::date(a).ok()?.1.cmp(&time::date(b).ok()?.1)),
        Scalar::Text | Scalar::Boolean | Scalar::Uuid | Scalar::Jsonb | Scalar::Bytea => None,
    }
}

/// The length that `min_length` and `max_length` bound, of a constant in text form.
pub(super) fn length(kind: &Kind, value: &Value, text: &str) -> usize {
    match (kind, &value.data) {
        (Kind::Array(_), Data::Array { items, .. }) => items.len(),
        (Kind::Scalar(Scalar::Bytea), _) => (text.len() - 2) / 2,
        _ => text.chars().count(),
    }
}

fn wrong(value: &Value, message: impl Into<String>, help: impl Into<String>) -> Wrong {
    Wrong { at: value.at.clone(), message: message.into(), help: help.into() }
}

fn plain(scalar: Scalar, value: &Value) -> Result<String, Wrong> {
    match scalar {
        Scalar::Text => match &value.data {
            Data::Text(text) if text.contains('\0') => {
                Err(wrong(value, "a text cannot contain the character zero", "remove `\\u0000`"))
            }
            Data::Text(text) => Ok(text.clone()),
            other => Err(wrong(value, format!("{} is no text", other.noun()), "put it in quotes")),
        },
        Scalar::SmallInt => integer(value, "smallint", i64::from(i16::MIN), i64::from(i16::MAX)),
        Scalar::Integer => integer(value, "integer", i64::from(i32::MIN), i64::from(i32::MAX)),
        Scalar::BigInt => integer(value, "bigint", i64::MIN, i64::MAX),
        Scalar::Numeric(digits) => numeric(value, digits),
        Scalar::Double => double(value),
        Scalar::Boolean => match &value.data {
            Data::Boolean(value) => Ok(value.to_string()),
            other => Err(wrong(
                value,
                format!("{} is no boolean", other.noun()),
                "write `true` or `false`, without quotes",
            )),
        },
        Scalar::Uuid => uuid(value),
        Scalar::TimestampTz => timed(value, time::instant, "`2024-02-29T12:00:00Z`"),
        Scalar::Date => timed(value, time::date, "`2024-02-29`"),
        Scalar::Jsonb => json(value),
        Scalar::Bytea => bytea(value),
    }
}

fn integer(value: &Value, name: &str, min: i64, max: i64) -> Result<String, Wrong> {
    match &value.data {
        Data::Integer(digits) => match digits.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number.to_string()),
            _ => {
                let help = if name == "bigint" {
                    "use `numeric` for numbers of any size"
                } else {
                    "use `bigint` for larger numbers"
                };
                let article = if name == "integer" { "an" } else { "a" };
                let message = format!("{digits} is outside {article} {name}, {min} to {max}");
                Err(wrong(value, message, help))
            }
        },
        Data::Text(text) if text.parse::<i64>().is_ok() => Err(wrong(
            value,
            format!("a text is no {name}"),
            format!("write `{text}` without quotes"),
        )),
        other => Err(wrong(
            value,
            format!("{} is no {name}", other.noun()),
            "write a whole number, without quotes or a point",
        )),
    }
}

/// Also takes the number as text, for those who want to be sure that no float comes near it.
fn numeric(value: &Value, digits: Option<(u16, u16)>) -> Result<String, Wrong> {
    let (Data::Integer(text) | Data::Float(text) | Data::Text(text)) = &value.data else {
        return Err(wrong(
            value,
            format!("{} is no numeric", value.data.noun()),
            "write a number, such as 9.99",
        ));
    };
    let Some(number) = Decimal::parse(text) else {
        return Err(wrong(
            value,
            format!("`{text}` is no numeric"),
            "write a number, such as 9.99",
        ));
    };
    let (whole, fraction) = digits.map_or(NUMERIC_DIGITS, |(precision, scale)| {
        (i64::from(precision) - i64::from(scale), i64::from(scale))
    });
    if number.whole_digits() > whole {
        return Err(wrong(
            value,
            format!("it has more than {whole} digits before the point"),
            "raise the type's precision or lower the number",
        ));
    }
    if number.fraction_digits() > fraction {
        return Err(wrong(
            value,
            format!("it has more than {fraction} digits after the point"),
            "raise the type's scale or round the number",
        ));
    }
    Ok(text.clone())
}

fn double(value: &Value) -> Result<String, Wrong> {
    match &value.data {
        Data::Integer(text) | Data::Float(text) => match text.parse::<f64>() {
            Ok(number)
                if number.is_finite()
                    && (number != 0.0 || Decimal::parse(text).is_some_and(|it| it.is_zero())) =>
            {
                Ok(text.clone())
            }
            _ => Err(wrong(
                value,
                format!("`{text}` is no number that a double can hold"),
                "write a finite number of smaller magnitude or precision",
            )),
        },
        other => Err(wrong(
            value,
            format!("{} is no double", other.noun()),
            "write a number, without quotes",
        )),
    }
}

fn uuid(value: &Value) -> Result<String, Wrong> {
    let form = |text: &str| {
        let groups: Vec<&str> = text.split('-').collect();
        groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    };
    match &value.data {
        Data::Text(text) if form(text) => Ok(text.to_lowercase()),
        _ => Err(wrong(
            value,
            "it is no uuid",
            "write one like \"01890a5d-ac96-774b-bcce-b302099a8057\", or \"new()\" for a new one in each row",
        )),
    }
}

type Timed = fn(&str) -> Result<(String, i64), &'static str>;

fn timed(value: &Value, read: Timed, example: &str) -> Result<String, Wrong> {
    match &value.data {
        Data::Text(text) | Data::Time(text) => match read(text) {
            Ok((text, _)) => Ok(text),
            Err(why) => Err(wrong(
                value,
                why,
                format!(
                    "write it like {example}, or \"now()\" as a default for the time of the write"
                ),
            )),
        },
        other => Err(wrong(
            value,
            format!("{} is no point in time", other.noun()),
            format!("write it like {example}"),
        )),
    }
}

fn bytea(value: &Value) -> Result<String, Wrong> {
    match &value.data {
        Data::Text(text)
            if text.strip_prefix("\\x").is_some_and(|hex| {
                hex.len() % 2 == 0 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
            }) =>
        {
            Ok(text.to_lowercase())
        }
        _ => Err(wrong(
            value,
            "it is no bytea",
            "write its bytes in hexadecimal after `\\x`, in single quotes: '\\x00ff'",
        )),
    }
}

/// PostgreSQL's text form of an array; every element in quotes, which its input takes for all types.
fn array(scalar: Scalar, value: &Value) -> Result<String, Wrong> {
    let Data::Array { items, .. } = &value.data else {
        return Err(wrong(
            value,
            format!("{} is no array", value.data.noun()),
            "write its elements in brackets; `[]` for none",
        ));
    };
    let mut text = String::from("{");
    for item in items {
        let element = plain(scalar, item)?;
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text.push('}');
    Ok(text)
}

fn json(value: &Value) -> Result<String, Wrong> {
    let mut text = String::new();
    write_json(value, &mut text)?;
    Ok(text)
}

fn write_json(value: &Value, out: &mut String) -> Result<(), Wrong> {
    match &value.data {
        Data::Text(text) | Data::Time(text) => write_json_text(value, text, out)?,
        Data::Boolean(flag) => {
            let _ = write!(out, "{flag}");
        }
        Data::Integer(text) | Data::Float(text) => {
            let holds = |number: &Decimal| {
                number.whole_digits() <= NUMERIC_DIGITS.0
                    && number.fraction_digits() <= NUMERIC_DIGITS.1
            };
            if !Decimal::parse(text).is_some_and(|number| holds(&number)) {
                return Err(wrong(
                    value,
                    format!("JSON has no number `{text}`"),
                    "write a finite number, or a text",
                ));
            }
            out.push_str(text);
        }
        Data::Array { items, .. } => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_json(item, out)?;
            }
            out.push(']');
        }
        Data::Table(table) => {
            out.push('{');
            for (i, pair) in table.pairs().iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_json_text(value, &pair.key.text, out)?;
                out.push(':');
                write_json(&pair.value, out)?;
            }
            out.push('}');
        }
        Data::Broken => {}
    }
    Ok(())
}

fn write_json_text(value: &Value, text: &str, out: &mut String) -> Result<(), Wrong> {
    if text.contains('\0') {
        return Err(wrong(value, "a text cannot contain the character zero", "remove `\\u0000`"));
    }
    let _ = write!(out, "{}", serde_json::Value::from(text));
    Ok(())
}
