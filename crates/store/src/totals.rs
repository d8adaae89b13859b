//! What the register of processing counts, over all tenants together.

use crate::{error::Error, row::Row, store::Store};

/// How often a field was opened for a purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The entity.
    pub entity: String,
    /// The field.
    pub field: String,
    /// What for.
    pub purpose: String,
    /// How often.
    pub opens: u64,
}

/// Duties that were done and that stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivacyTotals {
    /// Numbers of erasures by their states: a JSON object.
    pub erasures: String,
    /// Holds in force.
    pub holds: u64,
    /// People who have keys.
    pub people: u64,
    /// The day on which the oldest key was made.
    pub oldest_key: Option<String>,
}

impl Store {
    /// What was opened in the last `days`.
    ///
    /// # Errors
    /// Faults only.
    pub async fn opened_since(&self, days: u32) -> Result<Vec<Opened>, Error> {
        let text =
            "select entity, field, purpose, opens from freehold.opened_since($1::text::integer)";
        let rows = self.ask("counting what was opened", text, &[Some(&days.to_string())]).await?;
        let one = |row: &Row| {
            Some(Opened {
                entity: row.text(0)?.to_owned(),
                field: row.text(1)?.to_owned(),
                purpose: row.text(2)?.to_owned(),
                opens: number(row, 3),
            })
        };
        Ok(rows.iter().filter_map(one).collect())
    }

    /// Erasures, holds and keys.
    ///
    /// # Errors
    /// Faults only.
    pub async fn privacy_totals(&self) -> Result<PrivacyTotals, Error> {
        let text = "select erasures, holds, people, oldest from freehold.privacy_totals()";
        let rows = self.ask("counting erasures", text, &[]).await?;
        let one = |row: &Row| PrivacyTotals {
            erasures: row.text(0).unwrap_or("{}").to_owned(),
            holds: number(row, 1),
            people: number(row, 2),
            oldest_key: row.text(3).map(str::to_owned),
        };
        Ok(rows.first().map(one).unwrap_or_default())
    }
}

fn number(row: &Row, at: usize) -> u64 {
    row.int(at).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}
