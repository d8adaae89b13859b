//! Who should be moved: by rows, between two marks that lie apart, so that nobody goes to and fro.

use freehold_model::ddl::own;

use super::{Operator, demote};
use crate::error::Error;

/// When workers move a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From so many rows of an entity a tenant gets a partition of its own.
    pub promote_rows: u64,
    /// Below so many it goes back to the shelf.
    pub demote_rows: u64,
    /// Most partitions of tenants' own that one entity has.
    pub own_max: u64,
}

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
    /// When workers move a tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn placement_policy(&mut self) -> Result<Policy, Error> {
        let text =
            "select promote_rows, demote_rows, own_max::bigint from freehold.placement_policy";
        let rows = self.as_gate(text, &[]).await?;
        let number = |at| {
            let found = rows.first().and_then(|row| row.int(at));
            found.and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
        };
        Ok(Policy { promote_rows: number(0), demote_rows: number(1), own_max: number(2) })
    }

    /// Sets it.
    ///
    /// # Errors
    /// Faults; the database refuses a lower mark that is not below the upper one.
    pub async fn set_placement_policy(&mut self, policy: Policy) -> Result<(), Error> {
        let text = "update freehold.placement_policy set promote_rows = $1::text::bigint, demote_rows = $2::text::bigint, own_max = $3::text::integer";
        let numbers =
            [policy.promote_rows, policy.demote_rows, policy.own_max].map(|n| n.to_string());
        let params: Vec<Option<&str>> = numbers.iter().map(|n| Some(n.as_str())).collect();
        self.as_gate(text, &params).await.map(drop)
    }

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
            self.count_rows(&entity.name, policy.demote_rows.max(1)).await?;
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
                        if (pinned == "shelf" || count < policy.demote_rows)
                            && count <= demote::ROWS_MAX =>
                    {
                        own -= 1;
                        decisions.push(decision(false));
                    }
                    ("shelf", pinned) if pinned == "own" || count >= policy.promote_rows => {
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

    // By the primary key's index, leaf by leaf. Only those that may have to be moved are kept.
    async fn count_rows(&mut self, entity: &str, least: u64) -> Result<(), Error> {
        let text = format!(
            "select t.id::text, count(*) from app.\"{entity}\" r join freehold.tenant t on t.id = r.tenant_id group by t.id having count(*) >= {least}"
        );
        let counted = self.session.select("counting tenants' rows", &text, &[]).await?;
        let list = |at: usize| {
            let values = counted.iter().map(|row| match at {
                0 => row.text(0).unwrap_or_default().to_owned(),
                _ => row.int(1).unwrap_or_default().to_string(),
            });
            format!("{{{}}}", values.collect::<Vec<_>>().join(","))
        };
        let text = "with counted as (select * from unnest($2::text::uuid[], $3::text::bigint[]) as c (id, n)), \
                    fewer as (update freehold.placement p set rows = 0, counted_at = now() where entity = $1 and tenant_id not in (select id from counted)) \
                    insert into freehold.placement (tenant_id, entity, rows, counted_at) select id, $1, n, now() from counted \
                    on conflict (tenant_id, entity) do update set rows = excluded.rows, counted_at = excluded.counted_at";
        self.as_gate(text, &[Some(entity), Some(&list(0)), Some(&list(1))]).await.map(drop)
    }
}
