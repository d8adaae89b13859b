//! What measuring a row takes: timed here, on rows that are there, so that it goes with the machine, the number of
//! dimensions and whatever else a row carries.

use std::time::{Duration, Instant};

use freehold_model::{ddl::own, entity::Entity};

use super::Operator;
use crate::{error::Error, refusal::explain};

const DOING: &str = "timing an exact search";

/// Most rows that are measured for it.
const ROWS: u64 = 20_000;

/// Fewer that have a vector tell nothing.
const FEWEST: i64 = 500;

/// How often; the fastest counts, for whatever else runs only makes it slower.
const TIMES: usize = 4;

impl Operator {
    /// Nanoseconds that measuring a row of the entity takes, if that was ever timed; and whether it was within the hour.
    pub(super) async fn row_cost(&mut self, entity: &Entity) -> Result<Option<(f64, bool)>, Error> {
        let Some((_, what, _)) = own::costliest(entity) else { return Ok(None) };
        let text = "select row_ns::text, measured_at > now() - interval '1 hour' from freehold.placement_cost \
                    where entity = $1 and field = $2";
        let rows = self.as_gate(text, &[Some(&entity.name), Some(&what)]).await?;
        Ok(rows.first().and_then(|row| row.text(0)?.parse().ok().zip(row.bool(1))))
    }

    /// Times it on rows of this tenant (by id), keeps it, and says what counts from now on. Nothing if too few of them have a
    /// vector. What is faster than before counts at once; what is slower, as all is on a busy machine, at most a quarter for
    /// each day that has passed.
    pub(super) async fn measure_row(
        &mut self,
        entity: &Entity,
        tenant: &str,
    ) -> Result<Option<f64>, Error> {
        let Some((field, what, distance)) = own::costliest(entity) else { return Ok(None) };
        // The least of all distances is what a search without an index computes, and no index answers it.
        let text = format!(
            "select count(*), count(d) from (select \"{field}\" {distance} (select \"{field}\" from app.\"{entity}\" \
             where tenant_id = '{tenant}'::uuid and \"{field}\" is not null limit 1) as d from (select \"{field}\" from app.\"{entity}\" \
             where tenant_id = '{tenant}'::uuid limit {ROWS}) r offset 0) r",
            entity = entity.name,
        );
        let mut fastest = Duration::MAX;
        let mut seen = (0, 0);
        let settings = "set max_parallel_workers_per_gather = 0; set jit = off";
        self.session.batch(settings).await.map_err(|error| explain(DOING, error))?;
        for _ in 0..TIMES {
            let begun = Instant::now();
            let rows = self.session.select(DOING, &text, &[]).await?;
            fastest = fastest.min(begun.elapsed());
            let count = |at| rows.first().and_then(|row| row.int(at)).unwrap_or_default();
            seen = (count(0), count(1));
        }
        let reset = "reset max_parallel_workers_per_gather; reset jit";
        self.session.batch(reset).await.map_err(|error| explain(DOING, error))?;
        if seen.1 < FEWEST {
            return Ok(None);
        }
        let row_ns = (fastest.as_nanos() as f64 / seen.0 as f64).max(1.0);
        let text = "insert into freehold.placement_cost as c (entity, field, row_ns, rows) \
                    values ($1, $2, $3::text::double precision, $4::text::bigint) on conflict (entity) do update set \
                    field = excluded.field, rows = excluded.rows, measured_at = now(), \
                    row_ns = case when c.field <> excluded.field then excluded.row_ns else least(excluded.row_ns, \
                      c.row_ns * (1 + extract(epoch from now() - c.measured_at)::double precision / 86400 / 4)) end \
                    returning row_ns::text";
        let (cost, rows) = (row_ns.to_string(), seen.0.to_string());
        let params = [&*entity.name, &what, &*cost, &*rows].map(Some);
        let kept = self.as_gate(text, &params).await?;
        Ok(kept.first().and_then(|row| row.text(0)?.parse().ok()))
    }
}
