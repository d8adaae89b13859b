//! Search the plain way: one table for all tenants, one HNSW index, row-level security, pgvector's settings.

use bytes::Bytes;
use freehold_model::ddl::own::{EF_CONSTRUCTION, M};
use futures_util::SinkExt as _;

use super::{DOING, Tenant, Yardstick};
use crate::{
    connect::Address,
    error::{Error, Fault},
    refusal::explain,
    row::Row,
    session::{Session, Stumble},
};

const TABLES: &str = "create table public.writer (tenant_id uuid not null, id uuid not null, name text not null, primary key (tenant_id, id)); \
    create table public.passage (tenant_id uuid not null, id uuid not null, title text not null, writer uuid not null, kind integer not null, \
      embedding freehold_ext.vector(384) not null, primary key (tenant_id, id)); \
    insert into public.writer select tenant_id, id, name from app.writer; \
    insert into public.passage select tenant_id, id, title, writer, kind, embedding from app.passage; \
    alter table public.passage enable row level security; alter table public.writer enable row level security; \
    create policy wall on public.passage using (tenant_id = (select current_setting('app.tenant')::uuid)); \
    create policy wall on public.writer using (tenant_id = (select current_setting('app.tenant')::uuid)); \
    do $$ begin if to_regrole('freehold_bench') is null then create role freehold_bench nologin; end if; end $$; \
    grant usage on schema public, freehold_ext to freehold_bench; grant select on public.passage, public.writer to freehold_bench; \
    analyze public.passage; analyze public.writer";

const PLAIN: &str = "select (p.embedding <=> $1)::text, p.title, w.name from public.passage p \
    join public.writer w on w.tenant_id = p.tenant_id and w.id = p.writer where p.kind >= 2 \
    order by p.embedding <=> $1 limit 10";

const TRUTH: &str = "select (embedding <=> $1)::text from public.passage \
    where tenant_id = $2::text::uuid and kind >= 2 order by embedding <=> $1 limit 10";

/// A further connection that searches the plain way.
pub struct PlainSearcher {
    session: Session,
    opening: String,
}

impl PlainSearcher {
    /// The ten nearest, as distances: one round trip.
    ///
    /// # Errors
    /// Faults only.
    pub async fn nearest(&mut self, vector: &str) -> Result<Vec<f64>, Error> {
        distances(&mut self.session, &self.opening, PLAIN, &[Some(vector.to_owned())]).await
    }
}

/// Settings of pgvector.
#[derive(Debug, Clone, Copy)]
pub struct Scan {
    /// `hnsw.iterative_scan`.
    pub iterative: &'static str,
    /// `hnsw.ef_search`.
    pub ef_search: u32,
}

impl Yardstick {
    pub(super) async fn by_hand(url: &str) -> Result<Session, Error> {
        let settings = [
            ("search_path", "pg_catalog,freehold_ext"),
            ("jit", "off"),
            ("synchronous_commit", "on"),
        ];
        let address = Address::parse(url)?.settings(&settings);
        Session::open(&address, super::super::Config::CONNECT).await
    }

    /// Copies rows in COPY's text format into a table of ours, whose name and columns are given, past the wall.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copy_into(&self, target: &str, rows: Vec<u8>) -> Result<u64, Error> {
        let (client, wire) =
            Address::parse(&self.url)?.connect(super::super::Config::CONNECT).await?;
        let copy = async {
            let sink = client.copy_in(&format!("copy {target} from stdin")).await?;
            let mut sink = std::pin::pin!(sink);
            sink.send(Bytes::from(rows)).await?;
            sink.finish().await
        };
        tokio::select! {
            biased;
            copied = copy => copied.map_err(|error| explain(DOING, error)),
            _ = wire => Err(Fault::new(DOING, "the connection ended").into()),
        }
    }

    /// Makes a partition of `passage` for the tenant alone, as a promotion does; it has no rows yet.
    ///
    /// # Errors
    /// Faults only.
    pub async fn apart(&mut self, tenant: &Tenant, number: usize) -> Result<(), Error> {
        let name = format!("freehold_shelf.\"passage~b{number}\"");
        self.operate(&format!(
            "create table {name} partition of app.passage for values in ('{}'); \
             alter table {name} owner to freehold_owner, enable row level security, force row level security",
            tenant.id()
        ))
        .await
    }

    /// Gives that partition its index, and tells all servers of it.
    ///
    /// # Errors
    /// Faults only.
    pub async fn index_apart(
        &mut self,
        tenant: &Tenant,
        number: usize,
        rows: usize,
    ) -> Result<(), Error> {
        let tenant = tenant.id();
        self.operate(&format!(
            "set maintenance_work_mem = '{} MB'; \
             create index \"passage~embedding~b{number}\" on freehold_shelf.\"passage~b{number}\" \
               using hnsw (embedding freehold_ext.vector_cosine_ops) with (m = {M}, ef_construction = {EF_CONSTRUCTION}); \
             insert into freehold.placement (tenant_id, entity, state, suffix, rows, indexes) \
               values ('{tenant}', 'passage', 'own', 'b{number}', {rows}, 'embedding {M} {EF_CONSTRUCTION}'); \
             select nextval('freehold.placement_change'), nextval('freehold.placement_change')",
            memory(rows)
        ))
        .await
    }

    /// The plain tables with the rows of ours, and their index.
    ///
    /// # Errors
    /// Faults only.
    pub async fn plain_passages(&mut self) -> Result<(), Error> {
        self.operate(TABLES).await
    }

    /// The one index of the plain table, which has so many rows.
    ///
    /// # Errors
    /// Faults only.
    pub async fn plain_index(&mut self, rows: usize) -> Result<(), Error> {
        self.operate(&format!(
            "set maintenance_work_mem = '{} MB'; \
             create index passage_embedding on public.passage using hnsw (embedding freehold_ext.vector_cosine_ops)",
            memory(rows)
        ))
        .await
    }

    /// Bytes of the plain table with its indexes, and of ours.
    ///
    /// # Errors
    /// Faults only.
    pub async fn passage_bytes(&mut self) -> Result<(i64, i64), Error> {
        let text = "select pg_total_relation_size('public.passage'), \
            (select sum(pg_total_relation_size(relid))::bigint from pg_partition_tree('app.passage') where isleaf)";
        let rows = self.plain.select(DOING, text, &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::new(DOING, "no sizes"))?;
        Ok((row.int(0).unwrap_or_default(), row.int(1).unwrap_or_default()))
    }

    /// The ten nearest the plain way, as distances: one round trip, as ours.
    ///
    /// # Errors
    /// Faults only.
    pub async fn plain_nearest(
        &mut self,
        tenant: &Tenant,
        scan: Scan,
        vector: &str,
    ) -> Result<Vec<f64>, Error> {
        let opening = opening(tenant, scan);
        distances(&mut self.plain, &opening, PLAIN, &[Some(vector.to_owned())]).await
    }

    /// One more connection for the same searches of this tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn plain_searcher(
        &self,
        tenant: &Tenant,
        scan: Scan,
    ) -> Result<PlainSearcher, Error> {
        let session = Self::by_hand(&self.url).await?;
        Ok(PlainSearcher { session, opening: opening(tenant, scan) })
    }

    /// The ten that are truly nearest.
    ///
    /// # Errors
    /// Faults only.
    pub async fn true_nearest(&mut self, tenant: &Tenant, vector: &str) -> Result<Vec<f64>, Error> {
        let params = [Some(vector.to_owned()), Some(tenant.id().to_string())];
        // No index but that of the tenant's rows, whose distances are then sorted.
        let opening = "begin; set local enable_indexscan = off; set local plan_cache_mode = force_custom_plan";
        distances(&mut self.plain, opening, TRUTH, &params).await
    }

    pub(super) async fn operate(&mut self, text: &str) -> Result<(), Error> {
        self.plain.batch(text).await.map_err(|error| explain(DOING, error))
    }
}

/// Mebibytes in which pgvector can build the graph of so many rows of 384 numbers: from where it cannot, it builds much slower.
fn memory(rows: usize) -> usize {
    (rows / 350).clamp(64, 4_096)
}

fn opening(tenant: &Tenant, scan: Scan) -> String {
    format!(
        "begin; set local role freehold_bench; set local app.tenant = '{}'; \
         set local hnsw.iterative_scan = {}; set local hnsw.ef_search = {}",
        tenant.id(),
        scan.iterative,
        scan.ef_search
    )
}

async fn distances(
    session: &mut Session,
    opening: &str,
    text: &str,
    params: &[Option<String>],
) -> Result<Vec<f64>, Error> {
    let statement = session.statement(text).await.map_err(|error| explain(DOING, error))?;
    let done = session.transact(opening, &statement, params).await;
    let rows: Vec<Row> = done.map_err(|stumble| match stumble {
        Stumble::Opening(error) | Stumble::Statement(error) | Stumble::Commit(error) => {
            explain(DOING, error)
        }
    })?;
    Ok(rows.iter().filter_map(|row| row.text(0)?.parse().ok()).collect())
}
