//! Values that say less: the year of a date, the beginning of a text, the thousands of a number.

use std::fmt;

use serde_json::Value;

use super::Scalar;
use crate::names::Name;

/// What is left of a field's value: once it is old, or beside the value itself where that is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coarser {
    /// Whose value it is made from.
    pub field: Name,
    /// Its type.
    pub kind: Scalar,
    /// What is left of its value.
    pub grain: Grain,
}

/// What is left of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Of a date or time: the day, by UTC.
    Day,
    /// Of a date or time: the month.
    Month,
    /// Of a date or time: the year.
    Year,
    /// Of a text: so many characters of its beginning.
    Characters(u32),
    /// Of a number: the next multiple of this towards zero.
    Multiple(u32),
}

impl Coarser {
    /// What is left of `value`, SQL of the field's type, in SQL of the same type. Made coarser again, it is the same.
    pub(crate) fn of(&self, value: &str) -> String {
        let unit = match self.grain {
            Grain::Characters(count) => return format!("left({value}, {count})"),
            Grain::Multiple(step) => {
                return format!("({value} - {value} % {step})::{}", self.kind.sql_type());
            }
            Grain::Day => "day",
            Grain::Month => "month",
            Grain::Year => "year",
        };
        match self.kind {
            Scalar::Date => format!("date_trunc('{unit}', {value}::timestamp)::date"),
            _ => format!("(date_trunc('{unit}', {value} at time zone 'UTC') at time zone 'UTC')"),
        }
    }
}

impl Coarser {
    /// What is left of a value in its one form, as it is before it is sealed; none of a number with too many digits.
    ///
    /// The same as expiry makes of it in SQL.
    #[must_use]
    pub fn of_plain(&self, plain: &Value) -> Option<Value> {
        let text = match plain {
            Value::Null => return Some(Value::Null),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self.grain {
            Grain::Characters(count) => {
                Some(Value::String(text.chars().take(count as usize).collect()))
            }
            Grain::Multiple(step) => {
                let whole: i128 = text.split('.').next()?.parse().ok()?;
                let left = whole - whole % i128::from(step);
                Some(match self.kind {
                    Scalar::Numeric(_) => Value::String(left.to_string()),
                    _ => Value::Number(i64::try_from(left).ok()?.into()),
                })
            }
            // Only of dates: times are sealed in the zone that they came in.
            Grain::Day => None,
            Grain::Month => text.get(..7).map(|month| Value::String(format!("{month}-01"))),
            Grain::Year => text.get(..4).map(|year| Value::String(format!("{year}-01-01"))),
        }
    }
}

impl Grain {
    /// Reads `year`, `100`, `2 characters`, for a value of type `kind`.
    ///
    /// # Errors
    /// What it takes; none if nothing less can be said of that type.
    pub(crate) fn read(text: &str, kind: Scalar) -> Result<Self, Option<&'static str>> {
        let count = |text: &str| text.trim().parse::<u32>().ok().filter(|count| *count > 0);
        match kind {
            Scalar::Date | Scalar::TimestampTz => match (text, kind) {
                ("year", _) => Ok(Self::Year),
                ("month", _) => Ok(Self::Month),
                ("day", Scalar::TimestampTz) => Ok(Self::Day),
                (_, Scalar::Date) => Err(Some("of a date, `year` or `month` is left")),
                _ => Err(Some("of a time, `year`, `month` or `day` is left")),
            },
            Scalar::Text => text
                .strip_suffix("characters")
                .or_else(|| text.strip_suffix("character"))
                .and_then(count)
                .map(Self::Characters)
                .ok_or(Some("of a text, `2 characters` are left")),
            Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_) => {
                let most = if kind == Scalar::SmallInt { 10_000 } else { 1_000_000_000 };
                count(text).filter(|step| *step > 1 && *step <= most).map(Self::Multiple).ok_or(
                    Some("of a number, the multiple of another from 2 on is left, such as `100`"),
                )
            }
            Scalar::Double | Scalar::Boolean | Scalar::Uuid | Scalar::Jsonb | Scalar::Bytea => {
                Err(None)
            }
        }
    }
}

impl Grain {
    /// `month`, `beginning of 2 characters`, `multiple of 100`.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Day | Self::Month | Self::Year => self.to_string(),
            Self::Characters(_) => format!("beginning of {self}"),
            Self::Multiple(_) => format!("multiple of {self}"),
        }
    }
}

/// As it is read.
impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
            Self::Year => f.write_str("year"),
            Self::Characters(count) => {
                write!(f, "{count} character{}", if *count == 1 { "" } else { "s" })
            }
            Self::Multiple(step) => step.fmt(f),
        }
    }
}

/// `born to year`.
impl fmt::Display for Coarser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.field, self.grain)
    }
}
