//! What becomes of rows by age.

use std::fmt;

use super::Coarser;
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

impl fmt::Display for Expiry {
    /// What it does and when, as receipts say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remains {
            Remains::Nothing => f.write_str("delete")?,
            Remains::Without(fields) => write!(f, "empty {}", fields.join(", "))?,
            Remains::Coarser(fields) => {
                let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                write!(f, "generalise {}", fields.join(", "))?;
            }
        }
        write!(f, " {} after {}", self.span, self.since)
    }
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
