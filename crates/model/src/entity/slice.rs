//! Slices: an entity whose rows are kept by the time of their making, so that a whole stretch of it can be dropped.

use super::{Entity, Expiry, Remains, Span, Unit};

/// How long a slice is; all begin at midnight by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slice {
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month of the calendar.
    Month,
}

impl Slice {
    /// Slices of one entity, at most: each is a table with indexes of its own, and a plan for all tenants locks every one.
    pub const MOST: u32 = 128;

    /// Seconds by which a row's time may be later than that at which its id was made.
    pub const LATE_S: u32 = 3_600;

    /// Seconds by which an id may be made ahead of the server's clock; slices are there for longer.
    pub const AHEAD_S: u32 = 86_400;

    /// All there are.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// `day`, `week` or `month`, as a model and PostgreSQL's `date_trunc` say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slice| slice.as_str() == word)
    }

    /// How many are made ahead of the one under way.
    #[must_use]
    pub fn ahead(self) -> u32 {
        match self {
            Self::Day => 10,
            Self::Week => 3,
            Self::Month => 2,
        }
    }

    /// How many there are for rows that are kept so long: those with rows that are not over, the one that is just ending, and
    /// those ahead.
    #[must_use]
    pub fn needed(self, span: Span) -> u32 {
        let hours = |span: Span| {
            u64::from(span.count)
                * match span.unit {
                    Unit::Hour => 1,
                    Unit::Day => 24,
                    Unit::Week => 7 * 24,
                    // A twelfth of a year, and a year, of the calendar.
                    Unit::Month => 730,
                    Unit::Year => 8_766,
                }
        };
        let unit = match self {
            Self::Day => Unit::Day,
            Self::Week => Unit::Week,
            Self::Month => Unit::Month,
        };
        let kept = hours(span).div_ceil(hours(Span { count: 1, unit }));
        u32::try_from(kept).unwrap_or(u32::MAX).saturating_add(2 + self.ahead())
    }

    /// Whether rows that may lie for `within` after they are over are still there when all of their slice is.
    pub(crate) fn outlasted_by(self, within: Option<Span>) -> bool {
        let hours = within.map_or(0, |span| {
            let unit = match span.unit {
                Unit::Hour => 1,
                Unit::Day => 24,
                Unit::Week => 7 * 24,
                Unit::Month => 28 * 24,
                Unit::Year => 365 * 24,
            };
            u64::from(span.count) * unit
        });
        let slice = match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 31 * 24,
        };
        // A month is as long as any other where both are counted by the calendar.
        let by_calendar = self == Self::Month
            && within.is_some_and(|within| {
                within.unit == Unit::Year || within.unit == Unit::Month && within.count > 1
            });
        by_calendar || hours > slice
    }
}

impl Entity {
    /// How long its slices are and the rule by which they go, if its rows are kept so.
    #[must_use]
    pub fn sliced(&self) -> Option<(Slice, &Expiry)> {
        let rule = self.expires.iter().find(|rule| rule.remains == Remains::Nothing)?;
        Some((self.slices?, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        Span::read(text).unwrap()
    }

    #[test]
    fn slices_are_counted_for_what_is_kept() {
        assert_eq!(Slice::Day.needed(span("30 days")), 42);
        assert_eq!(Slice::Month.needed(span("7 years")), 89);
        assert_eq!(Slice::Week.needed(span("1 hour")), 6);
        assert!(Slice::Day.needed(span("10000 years")) > Slice::MOST);
    }

    #[test]
    fn what_may_lie_for_longer_than_a_slice_is_dropped_with_it() {
        for (slice, within, holds) in [
            (Slice::Day, "1 day", false),
            (Slice::Day, "25 hours", true),
            (Slice::Week, "7 days", false),
            (Slice::Week, "8 days", true),
            (Slice::Month, "1 month", false),
            (Slice::Month, "32 days", true),
            (Slice::Month, "2 months", true),
        ] {
            assert_eq!(slice.outlasted_by(Some(span(within))), holds, "{within}");
        }
        assert!(!Slice::Day.outlasted_by(None));
    }
}
