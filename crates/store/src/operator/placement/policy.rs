//! When workers move a tenant, and where that is said.

use super::Operator;
use crate::error::Error;

/// Of what makes a tenant move, the share below which it moves back: marks so far apart that neither a tenant that grows and
/// shrinks a little, nor a machine that is measured a little faster, moves anybody to and fro.
const BACK: f64 = 0.4;

/// What makes workers give a tenant a partition of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Measuring all its rows takes longer than so many milliseconds; it goes back where that takes less than 0.4 of it.
    Millis(f64),
    /// It has so many rows of the entity; it goes back with fewer than `demote`.
    Rows {
        /// From so many rows on.
        promote: u64,
        /// Below so many, which are fewer.
        demote: u64,
    },
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A benchmark on this machine.
    Measured,
    /// An operator.
    Hand,
}

/// When workers move a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// What makes them.
    pub limit: Limit,
    /// Most partitions of tenants' own that one entity has.
    pub own_max: u64,
    /// Where the limit comes from.
    pub origin: Origin,
    /// Since when it is so, if anybody said it; RFC 3339 in UTC.
    pub set_at: Option<String>,
}

impl Limit {
    /// What holds until somebody says something else: milliseconds.
    pub const DEFAULT: Self = Self::Millis(10.0);

    /// So many rows, and back below the usual share of them.
    #[must_use]
    pub fn rows(promote: u64) -> Self {
        Self::Rows { promote, demote: share(promote as f64) }
    }
}

impl Origin {
    /// `default`, `measured` or `hand`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Measured => "measured",
            Self::Hand => "hand",
        }
    }
}

impl Policy {
    /// From how many rows of an entity on tenants are promoted, and below how many demoted, where a row takes `row_ns`
    /// nanoseconds to be measured.
    #[must_use]
    pub fn marks(&self, row_ns: f64) -> (u64, u64) {
        match self.limit {
            Limit::Rows { promote, demote } => (promote, demote),
            Limit::Millis(millis) => {
                let rows = millis * 1e6 / row_ns;
                ((rows.ceil() as u64).max(1), share(rows))
            }
        }
    }
}

impl Operator {
    /// When workers move a tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn placement_policy(&mut self) -> Result<Policy, Error> {
        let text = "select promote_rows, demote_rows, own_max::bigint, exact_ms::text, origin, \
                    to_char(set_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from freehold.placement_policy";
        let rows = self.as_gate(text, &[]).await?;
        let row = rows.first();
        let number = |at| row.and_then(|row| u64::try_from(row.int(at)?).ok());
        let word = |at| row.and_then(|row| row.text(at));
        let limit = match (number(0), number(1), word(3).and_then(|ms| ms.parse().ok())) {
            (Some(promote), Some(demote), _) => Limit::Rows { promote, demote },
            (_, _, Some(millis)) => Limit::Millis(millis),
            _ => Limit::DEFAULT,
        };
        let origin = match word(4) {
            Some("measured") => Origin::Measured,
            Some("hand") => Origin::Hand,
            _ => Origin::Default,
        };
        let own_max = number(2).unwrap_or_default();
        Ok(Policy { limit, own_max, origin, set_at: word(5).map(str::to_owned) })
    }

    /// Sets what makes workers move a tenant, and by whom it is said.
    ///
    /// # Errors
    /// Faults; the database refuses a lower mark that is not below the upper one.
    pub async fn set_placement_limit(&mut self, limit: Limit, origin: Origin) -> Result<(), Error> {
        let (millis, rows) = match limit {
            Limit::Millis(millis) => (Some(millis.to_string()), None),
            Limit::Rows { promote, demote } => {
                (None, Some((promote.to_string(), demote.to_string())))
            }
        };
        let text = "update freehold.placement_policy set exact_ms = coalesce($1::text::double precision, exact_ms), \
                    promote_rows = $2::text::bigint, demote_rows = $3::text::bigint, origin = $4, \
                    set_at = case when $4 = 'default' then null else now() end";
        let (promote, demote) =
            rows.as_ref().map_or((None, None), |(p, d)| (Some(p.as_str()), Some(d.as_str())));
        let params = [millis.as_deref(), promote, demote, Some(origin.as_str())];
        self.as_gate(text, &params).await.map(drop)
    }

    /// Sets the most partitions of tenants' own that one entity has.
    ///
    /// # Errors
    /// Faults only.
    pub async fn set_placement_most(&mut self, most: u64) -> Result<(), Error> {
        let text = "update freehold.placement_policy set own_max = $1::text::integer";
        self.as_gate(text, &[Some(&most.to_string())]).await.map(drop)
    }
}

fn share(rows: f64) -> u64 {
    (rows * BACK) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_apart_and_go_with_what_a_row_takes() {
        let policy = |limit| Policy { limit, own_max: 1, origin: Origin::Default, set_at: None };
        assert_eq!(policy(Limit::DEFAULT).marks(600.0), (16_667, 6_666));
        assert_eq!(policy(Limit::DEFAULT).marks(2_400.0), (4_167, 1_666), "four times the numbers");
        assert_eq!(policy(Limit::rows(20_000)).marks(600.0), (20_000, 8_000));
    }
}
