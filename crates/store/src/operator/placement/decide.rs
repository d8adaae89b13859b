//! Who should be moved: by rows or what they take to be measured, between two marks that lie apart, so that nobody goes to
//! and fro.

use freehold_model::{ddl::own, entity::Entity};

use super::{Limit, Operator, Policy, demote};
use crate::{error::Error, param, row::Row};

/// Tenants with fewer rows than this tell nothing of what a row takes, and wait for nothing.
const LEAST: u64 = 500;

/// A tenant that should be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its name.
    pub tenant: String,
    /// Its rows of which entity.
    pub entity: String,
    /// Whether to a partition of its own; else back to the shelf.
    pub promote: bool,
    /// How many rows there are.
    pub rows: u64,
}

impl Operator {
    /// Counts every tenant's rows of every entity with vectors, and says who should be moved: first those that go back, then
    /// the largest. What somebody decided comes before what is counted; moves that were interrupted come first of all.
    ///
    /// # Errors
    /// Faults only.
    pub async fn decide_placements(&mut self) -> Result<Vec<Decision>, Error> {
        let policy = self.placement_policy().await?;
        let (_, model) = self.read_model().await?;
        let mut decisions = Vec::new();
        for entity in model.entities().iter().filter(|entity| own::searched(entity)) {
            let (promote_rows, demote_rows) = self.count_rows(entity, &policy).await?;
            let text = "select t.name, p.state, coalesce(p.pinned, ''), coalesce(p.rows, 0) from freehold.placement p \
                        join freehold.tenant t on t.id = p.tenant_id and t.state = 'active' where p.entity = $1 order by 4 desc, 1";
            let rows = self.as_gate(text, &[Some(&entity.name)]).await?;
            let mut own = rows.iter().filter(|row| row.text(1) != Some("shelf")).count() as u64;
            let mut later = Vec::new();
            for row in &rows {
                let count = row.int(3).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                let decision = |promote| Decision {
                    tenant: row.text(0).unwrap_or_default().to_owned(),
                    entity: entity.name.to_string(),
                    promote,
                    rows: count,
                };
                match (row.text(1).unwrap_or_default(), row.text(2).unwrap_or_default()) {
                    ("moving", pinned) => decisions.insert(0, decision(pinned != "shelf")),
                    ("own", "own") | ("shelf", "shelf") => {}
                    ("own", pinned)
                        if (pinned == "shelf" || count < demote_rows)
                            && count <= demote::ROWS_MAX =>
                    {
                        own -= 1;
                        decisions.push(decision(false));
                    }
                    ("shelf", pinned) if pinned == "own" || count >= promote_rows => {
                        later.push(decision(true));
                    }
                    _ => {}
                }
            }
            later.truncate(
                usize::try_from(policy.own_max.saturating_sub(own)).unwrap_or(usize::MAX),
            );
            decisions.extend(later);
        }
        Ok(decisions)
    }

    // Notes the rows of those that may have to be moved, and says the marks in rows. By an index of the tenant, leaf by leaf.
    async fn count_rows(&mut self, entity: &Entity, policy: &Policy) -> Result<(u64, u64), Error> {
        let known = self.row_cost(entity).await?;
        // Where it is to be timed anew, whoever is large enough for that may be who it is timed on.
        let least = match known {
            Some((row_ns, true)) => policy.marks(row_ns).1,
            Some((row_ns, false)) => policy.marks(row_ns).1.min(LEAST),
            None => LEAST,
        };
        let text = format!(
            "select r.tenant_id::text, r.n from (select tenant_id, count(*) as n from app.\"{}\" group by tenant_id having count(*) >= {}) r \
             join freehold.tenant t on t.id = r.tenant_id order by 2 desc",
            entity.name,
            least.max(1)
        );
        let counted = self.session.select("counting tenants' rows", &text, &[]).await?;
        let number = |row: &Row| row.int(1).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let mut row_ns = known.map(|(row_ns, _)| row_ns);
        if let Some(largest) = counted.first().filter(|_| !known.is_some_and(|(_, fresh)| fresh)) {
            let measured = self.measure_row(entity, largest.text(0).unwrap_or_default()).await?;
            row_ns = measured.or(row_ns);
        }
        let marks = match (row_ns, policy.limit) {
            (Some(row_ns), _) => policy.marks(row_ns),
            // By rows nothing has to be known.
            (None, Limit::Rows { promote, demote }) => (promote, demote),
            // Nobody is promoted before it is known what that is for.
            (None, Limit::Millis(_)) => (u64::MAX, LEAST),
        };
        let kept: Vec<_> = counted.iter().filter(|row| number(row) >= marks.1.max(1)).collect();
        let ids = param::list(kept.iter().filter_map(|row| row.text(0)));
        let counts: Vec<String> = kept.iter().map(|row| number(row).to_string()).collect();
        let counts = param::list(counts.iter().map(String::as_str));
        let text = "with counted as (select * from unnest($2::text::uuid[], $3::text::bigint[]) as c (id, n)), \
                    fewer as (update freehold.placement p set rows = 0, counted_at = now() where entity = $1 and rows is distinct from 0 \
                      and not exists (select from counted c where c.id = p.tenant_id)) \
                    insert into freehold.placement as p (tenant_id, entity, rows, counted_at) select id, $1, n, now() from counted \
                    on conflict (tenant_id, entity) do update set rows = excluded.rows, counted_at = excluded.counted_at \
                      where p.rows is distinct from excluded.rows";
        self.as_gate(text, &[Some(&entity.name), Some(&ids), Some(&counts)]).await?;
        Ok(marks)
    }
}
