//! Very many small tenants, and partitions of tenants' own as promotions leave them, without the hours that these would take.

use std::fs;

use freehold_model::Sql;

use super::{DOING, Tenant, Yardstick};
use crate::error::Error;

/// Ids of tenants that are given partitions; the shelves say by a check that they hold none of theirs, or each new partition
/// would have them read from end to end.
const APART: &str = "ffff0000-0000-4000-8000-";

/// Rows of a tenant that is given a partition.
const ROWS: u32 = 50;

impl Yardstick {
    /// Makes `small` tenants `small-1` …, each with a writer, three passages and two items.
    ///
    /// # Errors
    /// Faults only.
    pub async fn populate(&mut self, small: u32) -> Result<(), Error> {
        self.operate(&format!(
            "do $$ begin for n in 0..7 loop execute format('alter table freehold_shelf.\"passage~%s\" add constraint apart check (tenant_id < ''{APART}000000000000'')', n); end loop; end $$; \
             create table public.pool as select i, array_agg(random()::real)::freehold_ext.vector(384) as v from generate_series(1, 1000) i, generate_series(1, 384) j group by i; \
             insert into freehold.tenant (id, name) select freehold.uuidv7(), 'small-' || i from generate_series(1, {small}) i; \
             insert into app.writer (tenant_id, name) select id, 'somebody' from freehold.tenant; \
             insert into app.item (tenant_id, label, amount) select t.id, 'label ' || i, i from freehold.tenant t, generate_series(1, 2) i; \
             insert into app.passage (tenant_id, title, writer, kind, embedding) select w.tenant_id, 'passage ' || p.i % 3, w.id, p.i % 3, p.v \
               from (select row_number() over () as n, w.* from app.writer w) w cross join generate_series(0, 2) k join public.pool p on p.i = (w.n * 3 + k) % 1000 + 1"
        ))
        .await?;
        self.operate("vacuum (analyze) app.passage").await
    }

    /// Gives further new tenants partitions of `passage` with fifty rows and an index, until there are `count`: `apart-1` ….
    ///
    /// # Errors
    /// Faults only.
    pub async fn set_apart(&mut self, count: u32) -> Result<(), Error> {
        for n in self.dedicated + 1..=count {
            let (id, name) =
                (format!("{APART}{n:012}"), format!("freehold_shelf.\"passage~b{n}\""));
            self.operate(&format!(
                "insert into freehold.tenant (id, name) values ('{id}', 'apart-{n}'); \
                 insert into app.writer (tenant_id, name) values ('{id}', 'somebody'); \
                 create table {name} partition of app.passage for values in ('{id}'); \
                 alter table {name} owner to freehold_owner, enable row level security, force row level security; \
                 insert into app.passage (tenant_id, title, writer, kind, embedding) select w.tenant_id, 'passage ' || p.i, w.id, p.i % 3, p.v \
                   from app.writer w join public.pool p on p.i <= {ROWS} where w.tenant_id = '{id}'; \
                 create index \"passage~embedding~hnsw~b{n}\" on {name} using hnsw (embedding freehold_ext.vector_cosine_ops) with (m = 16, ef_construction = 100); \
                 insert into freehold.placement (tenant_id, entity, state, suffix, rows, bytes, indexes, pinned) \
                   values ('{id}', 'passage', 'own', 'b{n}', {ROWS}, 0, 'embedding 16 100', 'own')"
            ))
            .await?;
        }
        self.dedicated = self.dedicated.max(count);
        self.operate("select nextval('freehold.placement_change')").await
    }

    /// Gives a tenant more passages.
    ///
    /// # Errors
    /// Faults only.
    pub async fn grow(&mut self, tenant: &Tenant, rows: u32) -> Result<(), Error> {
        let id = tenant.id();
        self.operate(&format!(
            "insert into app.writer (tenant_id, name) values ('{id}', 'somebody') on conflict do nothing; \
             insert into app.passage (tenant_id, title, writer, kind, embedding) select w.tenant_id, 'passage ' || n, w.id, n % 3, p.v \
               from generate_series(1, {rows}) n join public.pool p on p.i = n % 1000 + 1 \
               cross join (select * from app.writer where tenant_id = '{id}' limit 1) w"
        ))
        .await
    }

    /// How many relations one transaction with this statement has locked when it is done; nothing of it stays.
    ///
    /// # Errors
    /// Those of the statement.
    pub async fn locked(&mut self, tenant: &Tenant, sql: &Sql) -> Result<u64, Error> {
        let text = "select count(distinct l.relation) from pg_locks l join pg_stat_activity a on a.pid = l.pid \
            where a.usename = 'freehold_app' and a.datname = current_database() and l.locktype = 'relation'";
        let mut locked = 0;
        // The first plans, which locks more than there is to do.
        for _ in 0..2 {
            let mut tx = self.store.begin(tenant).await?;
            tx.query(sql).await?;
            let rows = self.plain.select(DOING, text, &[]).await?;
            tx.roll_back().await?;
            let count = rows.first().and_then(|row| u64::try_from(row.int(0)?).ok());
            locked = count.unwrap_or_default();
        }
        Ok(locked)
    }

    /// Mebibytes that the largest of the application's backends has for itself; nothing if PostgreSQL runs elsewhere.
    ///
    /// # Errors
    /// Faults only.
    pub async fn largest_backend(&mut self) -> Result<Option<f64>, Error> {
        let text = "select pid::bigint from pg_stat_activity where usename = 'freehold_app' and datname = current_database()";
        let rows = self.plain.select(DOING, text, &[]).await?;
        let of = |pid: i64| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
            line.trim().strip_suffix(" kB")?.parse::<f64>().ok()
        };
        let sizes = rows.iter().filter_map(|row| of(row.int(0)?));
        Ok(sizes
            .fold(None, |most: Option<f64>, kib| Some(most.unwrap_or_default().max(kib / 1024.0))))
    }
}
