//! The approximate indexes of tenants' own partitions: built beside running writes, with the memory a graph takes.

use std::time::Duration;

use freehold_model::ddl::own::{EF_CONSTRUCTION, Graph, M, Own};

use super::{DOING, Operator, as_owner, in_turn};
use crate::{error::Error, refusal::explain};

/// Most memory that a build asks for, in KiB. A graph that does not fit is built all the same, many times slower.
const MEMORY_MAX: u64 = 2 << 20;

/// How often the progress of a build is looked at.
const LOOK: Duration = Duration::from_millis(300);

impl Operator {
    /// Gives every partition of a tenant's own the approximate indexes that the model asks for, and takes away what it asks
    /// for no more. Part of every apply; can be repeated.
    ///
    /// # Errors
    /// Faults only; what is built stays.
    pub async fn tend_graphs(
        &mut self,
        helper: &mut Self,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        // All in one look: there may be thousands, and nearly always nothing is to be done.
        let text = "select p.tenant_id::text, p.entity, p.suffix, coalesce(p.rows, 0), p.indexes, coalesce(g.there, '') from freehold.placement p \
                    left join (select c.relname, string_agg(concat_ws(' ', i.relname, a.attname, o.opcname, x.indisvalid), e'\\n') as there \
                      from pg_class c join pg_index x on x.indrelid = c.oid join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam \
                      join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0] join pg_opclass o on o.oid = x.indclass[0] \
                      where c.relnamespace = 'freehold_shelf'::regnamespace and m.amname = 'hnsw' group by c.oid, c.relname) g \
                    on g.relname = p.entity || '~' || p.suffix where p.state = 'own' order by 2, 3";
        let rows = self.as_gate(text, &[]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (_, model) = self.read_model().await?;
        self.let_workers_name_tenants(&model).await?;
        for row in &rows {
            let Some(entity) = row.text(1).and_then(|entity| model.entity(entity)) else {
                continue;
            };
            let (tenant, suffix) =
                (row.text(0).unwrap_or_default(), row.text(2).unwrap_or_default());
            let own = Own::new(entity, suffix, tenant);
            let (noted, there) = (row.text(4).unwrap_or_default(), row.text(5).unwrap_or_default());
            if is_tended(&own.graphs(), noted, there) {
                continue;
            }
            let count = row.int(3).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
            self.tend_graphs_of(helper, &own, count, &mut progress).await?;
        }
        Ok(())
    }

    pub(super) async fn tend_graphs_of(
        &mut self,
        helper: &mut Self,
        own: &Own<'_>,
        rows: u64,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let text = "select i.relname::text, a.attname::text, o.opcname::text, x.indisvalid from pg_index x \
                    join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam \
                    join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[0] \
                    join pg_opclass o on o.oid = x.indclass[0] \
                    where x.indrelid = $1::text::regclass and m.amname = 'hnsw'";
        let there = self.session.select(DOING, text, &[Some(&own.name())]).await?;
        let wanted = own.graphs();
        let mut built = vec![false; wanted.len()];
        for row in &there {
            let name = row.text(0).unwrap_or_default();
            let fits = |graph: &Graph| {
                row.text(1) == Some(&*graph.field)
                    && row.text(2) == Some(graph.opclass)
                    && row.bool(3) == Some(true)
            };
            let quoted = format!("freehold_shelf.\"{name}\"");
            match wanted.iter().position(fits).filter(|at| !built[*at]) {
                Some(at) => {
                    built[at] = true;
                    if wanted[at].name != name {
                        let rename =
                            format!("alter index {quoted} rename to \"{}\"", wanted[at].name);
                        in_turn(&mut self.session, &as_owner(vec![rename])).await?;
                    }
                }
                None => {
                    let drop = format!("set role freehold_owner; drop index {quoted}; reset role");
                    let dropped = self.session.batch(&drop).await;
                    dropped.map_err(|error| explain(DOING, error))?;
                }
            }
        }
        for (graph, built) in wanted.iter().zip(&built) {
            if !built {
                self.build(helper, graph, rows, &mut progress).await?;
            }
        }
        let note = note(&wanted);
        let text = "with noted as (update freehold.placement set indexes = $2 where suffix = $1 and indexes <> $2 returning 1) \
                    select case when exists (select from noted) then nextval('freehold.placement_change') end";
        self.as_gate(text, &[Some(own.suffix()), Some(&note)]).await.map(drop)
    }

    // The helper builds, and this connection looks how far it is.
    async fn build(
        &mut self,
        helper: &mut Self,
        graph: &Graph,
        rows: u64,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let kib = (rows * graph.row_bytes * 5 / 4 / 1024).clamp(64 << 10, MEMORY_MAX);
        let pid = helper.session.backend().to_string();
        for workers in ["4", "0"] {
            let begin = format!(
                "set role freehold_owner; set maintenance_work_mem = '{kib}kB'; set max_parallel_maintenance_workers = {workers}"
            );
            let session = &mut helper.session;
            session.batch(&begin).await.map_err(|error| explain(DOING, error))?;
            let building = async {
                for statement in graph.build() {
                    session.batch(&statement).await?;
                }
                Ok::<_, tokio_postgres::Error>(())
            };
            let looking = async {
                loop {
                    tokio::time::sleep(LOOK).await;
                    let text = "select coalesce(tuples_done, 0), coalesce(tuples_total, 0) from pg_stat_progress_create_index where pid = $1::text::integer";
                    if let Ok(seen) = self.session.select(DOING, text, &[Some(&pid)]).await
                        && let Some(row) = seen.first()
                    {
                        let count = |at| {
                            row.int(at).and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
                        };
                        progress(count(0), count(1).max(rows));
                    }
                }
            };
            let built = tokio::select! {
                biased;
                built = building => built,
                () = looking => Ok(()),
            };
            let reset =
                "reset role; reset maintenance_work_mem; reset max_parallel_maintenance_workers";
            helper.session.batch(reset).await.map_err(|error| explain(DOING, error))?;
            match built {
                Ok(()) => return Ok(()),
                // Several workers share a graph in memory of a kind that a container may have little of.
                Err(error)
                    if workers != "0"
                        && error.code().is_some_and(|s| matches!(s.code(), "53100" | "53200")) => {}
                Err(error) => return Err(explain(DOING, error)),
            }
        }
        Ok(())
    }
}

/// What servers are told of these indexes.
fn note(graphs: &[Graph]) -> String {
    let line = |graph: &Graph| format!("{} {M} {EF_CONSTRUCTION}", graph.field);
    graphs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a partition has just the indexes it should have, by these names, and servers are told so. `there` has a line for
/// each: its name, the field, the operator class and whether it is valid.
fn is_tended(wanted: &[Graph], noted: &str, there: &str) -> bool {
    let mut there: Vec<&str> = there.lines().collect();
    let line = |graph: &Graph| format!("{} {} {} t", graph.name, graph.field, graph.opclass);
    let mut should: Vec<String> = wanted.iter().map(line).collect();
    there.sort_unstable();
    should.sort_unstable();
    there == should && noted == note(wanted)
}
