//! What the workers have to do, what they could not do, and how they keep up.

use super::Projection;
use crate::{
    error::{Error, Fault},
    row::Row,
    store::{Store, tenant_in},
};

/// Up to where a process has looked for work. The default has seen nothing: with it everything is looked through, also
/// what is still to be filled and what is to be tried again. Begin with it, and come back to it every minute or so,
/// because what one worker was told may be lost with it.
#[derive(Debug, Clone, Default)]
pub struct Seen(Option<String>);

/// A projection that there is something to do for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Which.
    pub projection: Projection,
    /// Images it has not seen; 0 if it is to be filled, or parked units are to be tried again.
    pub changes: u64,
    /// Whether its table is the one that is read; else it is being built beside it, by whoever asks for it.
    pub served: bool,
    /// Whose rows these are: see [`identity`](super::identity).
    pub identity: String,
}

/// A unit that could not be brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The tenant's name.
    pub tenant: String,
    /// The read model.
    pub model: String,
    /// Which of its definitions.
    pub version: i64,
    /// The unit.
    pub unit: Vec<String>,
    /// PostgreSQL's state, or the code of a refusal.
    pub sqlstate: String,
    /// What it said.
    pub error: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it failed first; RFC 3339 in UTC.
    pub first_at: String,
    /// When it is tried next.
    pub next_at: String,
}

/// How far behind a read model is.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// The read model.
    pub model: String,
    /// Which of its definitions.
    pub version: i64,
    /// The tenant's name; `None` for all of them together.
    pub tenant: Option<String>,
    /// Images that are not seen yet.
    pub behind: u64,
    /// Since when the oldest of them waits, in milliseconds; 0 without any.
    pub lag_ms: u64,
    /// Parked units.
    pub parked: u64,
    /// Since when the oldest of them is parked, in milliseconds; 0 without any.
    pub oldest_parked_ms: u64,
    /// Tenants that are filled.
    pub filled: u64,
    /// Tenants that there are.
    pub tenants: u64,
    /// Images seen so far.
    pub changes: u64,
    /// Images seen each second, of about the last minute.
    pub per_second: f64,
    /// Units done by the last fill, or by the one under way.
    pub units: u64,
    /// How long ago it was begun, in milliseconds, if it is being built beside the one that is read.
    pub building_ms: Option<u64>,
}

impl Store {
    /// What there is to do, the oldest first, each projection once however much it is for; so a tenant that floods has one
    /// place in the list like all others. At most `limit`; what is left over comes with the next call.
    ///
    /// # Errors
    /// Faults only.
    pub async fn projection_due(
        &self,
        seen: &mut Seen,
        limit: usize,
    ) -> Result<Vec<Undone>, Error> {
        let doing = "looking for changes to project";
        let text = "select id, name, model, version, changes, seen, served, identity from freehold.projection_due($1, $2::text::bigint)";
        let most = limit.to_string();
        let rows = self.ask(doing, text, &[seen.0.as_deref(), Some(&most)]).await?;
        let undone = rows.iter().filter(|row| row.text(0).is_some()).map(|row| {
            let projection = Projection {
                tenant: tenant_in(row)?,
                model: row.text(2)?.to_owned(),
                version: i32::try_from(row.int(3)?).ok()?,
            };
            Some(Undone {
                projection,
                changes: count(row, 4),
                served: row.bool(6)?,
                identity: word(row, 7),
            })
        });
        let undone: Option<Vec<Undone>> = undone.collect();
        let undone = undone.ok_or_else(|| Fault::new(doing, "a row without its fields"))?;
        if undone.len() < limit {
            seen.0 = rows.first().and_then(|row| row.text(5)).map(str::to_owned);
        }
        Ok(undone)
    }

    /// Parked units, those that failed first before others.
    ///
    /// # Errors
    /// Faults only.
    pub async fn parked_units(&self, limit: usize) -> Result<Vec<Parked>, Error> {
        let text = "select name, model, version, unit, sqlstate, error, attempts, first_at, next_at \
                    from freehold.parked_units($1::text::bigint)";
        let rows = self.ask("reading parked units", text, &[Some(&limit.to_string())]).await?;
        let parked = rows.iter().map(|row| Parked {
            tenant: word(row, 0),
            model: word(row, 1),
            version: row.int(2).unwrap_or_default(),
            unit: row.texts(3).unwrap_or_default().into_iter().flatten().collect(),
            sqlstate: word(row, 4),
            error: word(row, 5),
            attempts: count(row, 6),
            first_at: word(row, 7),
            next_at: word(row, 8),
        });
        Ok(parked.collect())
    }

    /// Has the parked units of a read model, or of all, tried again at once; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn replay(&self, model: Option<&str>) -> Result<u64, Error> {
        let text = "select freehold.replay($1)";
        let rows = self.ask("replaying parked units", text, &[model]).await?;
        Ok(rows.first().map_or(0, |row| count(row, 0)))
    }

    /// How far behind each read model is, and the `limit` tenants that are furthest behind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn projection_status(&self, limit: usize) -> Result<Vec<Lag>, Error> {
        let text = "select model, version, name, behind, lag_ms, parked, oldest_parked_ms, filled, tenants, changes, per_second, units, built_ms \
                    from freehold.projection_status($1::text::bigint)";
        let limit = limit.to_string();
        let rows = self.ask("asking how projections keep up", text, &[Some(&limit)]).await?;
        let lag = rows.iter().map(|row| Lag {
            model: word(row, 0),
            version: row.int(1).unwrap_or_default(),
            tenant: row.text(2).map(str::to_owned),
            behind: count(row, 3),
            lag_ms: count(row, 4),
            parked: count(row, 5),
            oldest_parked_ms: count(row, 6),
            filled: count(row, 7),
            tenants: count(row, 8),
            changes: count(row, 9),
            per_second: row.text(10).and_then(|rate| rate.parse().ok()).unwrap_or_default(),
            units: count(row, 11),
            building_ms: row.int(12).map(|_| count(row, 12)),
        });
        Ok(lag.collect())
    }
}

fn word(row: &Row, at: usize) -> String {
    row.text(at).unwrap_or_default().to_owned()
}

pub(crate) fn count(row: &Row, at: usize) -> u64 {
    row.int(at).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}
