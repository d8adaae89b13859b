//! What the register of processing counts, over all tenants together.

use crate::{
    error::Error,
    row::Row,
    store::{Store, Tenant, tenant_in},
};

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

/// How far expiry is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpiryLag {
    /// Tenants that are to be asked for rows that are over.
    pub tenants: u64,
    /// For how long the first of them waits, in milliseconds: no row that is over has been kept for longer, but for those
    /// that came with a time already past, which are found within the hour.
    pub lag_ms: u64,
}

impl Store {
    /// Tenants that may have rows that are over by this version of the model, those that wait longest first.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expiry_due(&self, model: i64) -> Result<Vec<Tenant>, Error> {
        let text = "select id, name from freehold.expiry_due($1::text::bigint)";
        let rows = self.ask("looking for what expires", text, &[Some(&model.to_string())]).await?;
        Ok(rows.iter().filter_map(tenant_in).collect())
    }

    /// Nothing of a tenant is over any more, but what is held; the next row will be in so many seconds.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expiry_done(&self, tenant: &Tenant, model: i64, next_s: u64) -> Result<(), Error> {
        let text =
            "select freehold.expiry_done($1::text::uuid, $2::text::bigint, $3::text::bigint)";
        let (id, model) = (tenant.id().to_string(), model.to_string());
        let next_s = next_s.min(86_400).to_string();
        let params = [Some(&*id), Some(&*model), Some(&*next_s)];
        self.ask("noting what expires", text, &params).await.map(drop)
    }

    /// How far expiry is behind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expiry_lag(&self) -> Result<ExpiryLag, Error> {
        let text = "select tenants, lag_ms from freehold.expiry_lag()";
        let rows = self.ask("looking for what expires", text, &[]).await?;
        let one = |row: &Row| ExpiryLag { tenants: number(row, 0), lag_ms: number(row, 1) };
        Ok(rows.first().map(one).unwrap_or_default())
    }

    /// For how many seconds from now on there are slices, without a gap; of each entity that is kept in slices.
    ///
    /// # Errors
    /// Faults only.
    pub async fn slices_ahead(&self) -> Result<Vec<(String, u64)>, Error> {
        let text = "select entity, ahead_ms from freehold.slices_ahead()";
        let rows = self.ask("looking at slices", text, &[]).await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((row.text(0)?.to_owned(), number(row, 1) / 1000)))
            .collect())
    }

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
