//! What becomes of rows by age.

use std::fmt;

use super::Scalar;
use crate::names::Name;

/// A rule of expiry of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The time or date of a row from which it counts; a row that has none does not expire by this rule.
    pub since: Name,
    /// How long.
    pub span: Span,
    /// What remains of the row.
    pub remains: Remains,
    /// For how long after that a row may lie, shown to nobody, until all of its slice is over and goes at once; at most as
    /// long as it takes a worker if not said.
    pub within: Option<Span>,
}

/// What remains of an expired row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// All but these fields.
    Without(Vec<Name>),
    /// All of it, but these fields say less.
    Coarser(Vec<Coarser>),
}

/// A field that says less once it is old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coarser {
    /// Which.
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

impl Grain {
    /// Reads `year`, `100`, `2 characters`, for a value of type `kind`.
    ///
    /// # Errors
    /// What it takes.
    pub(crate) fn read(text: &str, kind: Scalar) -> Result<Self, &'static str> {
        let count = |text: &str| text.trim().parse::<u32>().ok().filter(|count| *count > 0);
        match kind {
            Scalar::Date | Scalar::TimestampTz => match (text, kind) {
                ("year", _) => Ok(Self::Year),
                ("month", _) => Ok(Self::Month),
                ("day", Scalar::TimestampTz) => Ok(Self::Day),
                (_, Scalar::Date) => Err("of a date, `year` or `month` is left"),
                _ => Err("of a time, `year`, `month` or `day` is left"),
            },
            Scalar::Text => text
                .strip_suffix("characters")
                .or_else(|| text.strip_suffix("character"))
                .and_then(count)
                .map(Self::Characters)
                .ok_or("of a text, `2 characters` are left"),
            Scalar::SmallInt | Scalar::Integer | Scalar::BigInt | Scalar::Numeric(_) => {
                let most = if kind == Scalar::SmallInt { 10_000 } else { 1_000_000_000 };
                count(text)
                    .filter(|step| *step > 1 && *step <= most)
                    .map(Self::Multiple)
                    .ok_or("of a number, the multiple of another from 2 on is left, such as `100`")
            }
            _ => Err("only dates, times, texts and exact numbers can be made coarser"),
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

/// A length of time by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How many, at least 1.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

/// What a span counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 3,600 seconds.
    Hour,
    /// Days of 24 hours, by UTC.
    Day,
    /// Seven days.
    Week,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
}

impl Expiry {
    pub(crate) fn names_mut(&mut self) -> impl Iterator<Item = &mut Name> {
        let (fields, coarser): (&mut [Name], &mut [Coarser]) = match &mut self.remains {
            Remains::Nothing => (&mut [], &mut []),
            Remains::Without(fields) => (fields, &mut []),
            Remains::Coarser(fields) => (&mut [], fields),
        };
        let coarser = coarser.iter_mut().map(|coarser| &mut coarser.field);
        std::iter::once(&mut self.since).chain(fields).chain(coarser)
    }
}

impl Span {
    /// Reads `7 years`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a span has the form `30 days`, in hours, days, weeks, months or years";
        let (count, unit) = text.trim().split_once(' ').ok_or(FORM)?;
        let count: u32 = count.parse().map_err(|_| FORM)?;
        let unit = match unit.trim() {
            "hour" | "hours" => Unit::Hour,
            "day" | "days" => Unit::Day,
            "week" | "weeks" => Unit::Week,
            "month" | "months" => Unit::Month,
            "year" | "years" => Unit::Year,
            _ => return Err(FORM),
        };
        match count {
            1..=10_000 => Ok(Self { count, unit }),
            _ => Err("a span is between 1 and 10000"),
        }
    }
}

/// As PostgreSQL reads an interval, and people too.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        };
        write!(f, "{} {unit}{}", self.count, if self.count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_shown() {
        for text in ["1 day", "7 years", "12 hours", "2 weeks", "6 months"] {
            assert_eq!(Span::read(text).unwrap().to_string(), text);
        }
        for text in ["", "7", "0 days", "-1 days", "7 fortnights", "20000 days", "a day"] {
            assert!(Span::read(text).is_err(), "{text}");
        }
    }
}
