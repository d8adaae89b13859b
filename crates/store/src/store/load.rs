//! What benchmarks of writing and of read models do to the database, and what somebody would do without read models. Used
//! by benchmarks only, on the tables of their own model, as [`Yardstick`](super::Yardstick) is.

use super::{Store, Tenant};
use crate::{
    connect::Address,
    error::{Error, Fault},
    pool::Lease,
    refusal::explain,
    row::Row,
    session::{Session, Stumble},
};

const DOING: &str = "measuring";

/// A trigger that adds up in the transaction of whoever writes, in the order of its keys, so that no two wait for one
/// another for ever.
const SYNCHRONOUS: &str = "
create table public.balance (tenant_id uuid, account integer, entries bigint not null, amount bigint not null,
  primary key (tenant_id, account)) with (fillfactor = 50);
create function public.add_up() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into public.balance as b
    select tenant_id, account, count(*), sum(amount) from new_rows group by 1, 2 order by 1, 2
    on conflict (tenant_id, account) do update set entries = b.entries + excluded.entries, amount = b.amount + excluded.amount;
  return null;
end $$;
create trigger add_up after insert on app.summed referencing new table as new_rows for each statement execute function public.add_up()";

/// The read model `bill` as what everybody has: a materialised view, with the unique key that lets it be read meanwhile.
const MATERIALIZED: &str = "
create materialized view public.bill as
  select l.tenant_id, i.id as invoice, c.name as customer, i.status, count(*) as lines, sum(l.amount * p.price) as total
  from app.line l join app.invoice i on i.tenant_id = l.tenant_id and i.id = l.invoice
    join app.customer c on c.tenant_id = i.tenant_id and c.id = i.customer
    join app.product p on p.tenant_id = l.tenant_id and p.id = l.product
  group by l.tenant_id, i.id, c.name, i.status;
create unique index on public.bill (tenant_id, invoice)";

/// A table that benchmarks of writing write to. All three have the same columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// No read model reads it, so its changes are not noted.
    Bare,
    /// A read model reads it.
    Captured,
    /// A trigger adds it up in the transaction of the change.
    Summed,
}

/// What a tenant has: so many of each, with ids made of their numbers, from 0.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Invoices, a tenth as many customers, and ten products.
    pub invoices: u32,
    /// Lines of each invoice.
    pub lines: u32,
}

/// The operator's side.
pub struct Load {
    session: Session,
}

impl Load {
    /// Logs in as the operator.
    ///
    /// # Errors
    /// Faults only.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let settings = [("jit", "off"), ("synchronous_commit", "on")];
        let address = Address::parse(url)?.settings(&settings);
        Ok(Self { session: Session::open(&address, super::Config::CONNECT).await? })
    }

    /// Makes the trigger that adds up, and the materialised view.
    ///
    /// # Errors
    /// Faults only.
    pub async fn prepare_rivals(&mut self) -> Result<(), Error> {
        self.batch(SYNCHRONOUS).await?;
        self.batch(MATERIALIZED).await
    }

    /// Makes so many tenants, `t1` and on.
    ///
    /// # Errors
    /// Faults only.
    pub async fn make_tenants(&mut self, count: u32) -> Result<(), Error> {
        let text = format!(
            "insert into freehold.tenant (id, name) select gen_random_uuid(), 't' || n from generate_series(1, {count}) n"
        );
        self.batch(&text).await
    }

    /// Fills the tables of tenants whose names are like `pattern`, as one transaction for each table.
    ///
    /// # Errors
    /// Faults only.
    pub async fn fill(&mut self, pattern: &str, size: Size) -> Result<(), Error> {
        let Size { invoices, lines } = size;
        let customers = invoices.div_ceil(10);
        let of =
            |from: &str| format!("from freehold.tenant t, {from} where t.name like '{pattern}'");
        for text in [
            format!(
                "insert into app.product (tenant_id, id, price) select t.id, md5('p' || n)::uuid, n + 1 {}",
                of("generate_series(0, 9) n")
            ),
            format!(
                "insert into app.customer (tenant_id, id, name) select t.id, md5('c' || n)::uuid, 'customer ' || n {}",
                of(&format!("generate_series(0, {}) n", customers.saturating_sub(1)))
            ),
            format!(
                "insert into app.invoice (tenant_id, id, customer, status) \
                 select t.id, md5('i' || n)::uuid, md5('c' || n % {customers})::uuid, 'open' {}",
                of(&format!("generate_series(0, {}) n", invoices.saturating_sub(1)))
            ),
            format!(
                "insert into app.line (tenant_id, id, invoice, product, amount) \
                 select t.id, md5('l' || n || '/' || m)::uuid, md5('i' || n)::uuid, md5('p' || m % 10)::uuid, 1 {}",
                of(&format!(
                    "generate_series(0, {}) n, generate_series(0, {}) m",
                    invoices.saturating_sub(1),
                    lines.saturating_sub(1)
                ))
            ),
        ] {
            self.batch(&text).await?;
        }
        self.batch("vacuum analyze").await
    }

    /// Changes so many lines of a tenant in one transaction.
    ///
    /// # Errors
    /// Faults only.
    pub async fn change_lines(&mut self, tenant: &str, count: u32) -> Result<(), Error> {
        let text = format!(
            "update app.line set amount = amount + 1 where (tenant_id, id) in \
             (select l.tenant_id, l.id from app.line l join freehold.tenant t on t.id = l.tenant_id where t.name = '{tenant}' limit {count})"
        );
        self.batch(&text).await
    }

    /// Refreshes the materialised view.
    ///
    /// # Errors
    /// Faults only.
    pub async fn refresh(&mut self) -> Result<(), Error> {
        self.batch("refresh materialized view concurrently public.bill").await
    }

    /// Writes everything out, so that it does not happen in the middle.
    ///
    /// # Errors
    /// Faults only.
    pub async fn checkpoint(&mut self) -> Result<(), Error> {
        self.batch("checkpoint").await
    }

    async fn batch(&mut self, text: &str) -> Result<(), Error> {
        self.session.batch(text).await.map_err(|error| explain(DOING, error))
    }
}

/// A client: one of the pool's connections, as the application, each statement a durable transaction of its own that opens
/// its tenant.
pub struct Writer {
    store: Store,
    lease: Lease,
}

impl Writer {
    /// Takes a connection.
    ///
    /// # Errors
    /// Faults only.
    pub async fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self { store: store.clone(), lease: store.lease().await? })
    }

    /// The server's process behind it.
    #[must_use]
    pub fn backend(&self) -> i32 {
        self.lease.backend()
    }

    /// Inserts so many rows whose accounts follow on `first`, a hundred of them.
    ///
    /// # Errors
    /// Faults only.
    pub async fn insert(
        &mut self,
        tenant: &Tenant,
        target: Target,
        rows: u32,
        first: u64,
    ) -> Result<(), Error> {
        let text = match (target, rows) {
            (Target::Bare, 1) => {
                "insert into app.bare (account, amount, note) values ($1::text::bigint % 100, 1, $2)"
            }
            (Target::Captured, 1) => {
                "insert into app.captured (account, amount, note) values ($1::text::bigint % 100, 1, $2)"
            }
            (Target::Summed, 1) => {
                "insert into app.summed (account, amount, note) values ($1::text::bigint % 100, 1, $2)"
            }
            (Target::Bare, _) => {
                "insert into app.bare (account, amount, note) select ($1::text::bigint + n) % 100, 1, $2 from generate_series(1, $3::text::bigint) n"
            }
            (Target::Captured, _) => {
                "insert into app.captured (account, amount, note) select ($1::text::bigint + n) % 100, 1, $2 from generate_series(1, $3::text::bigint) n"
            }
            (Target::Summed, _) => {
                "insert into app.summed (account, amount, note) select ($1::text::bigint + n) % 100, 1, $2 from generate_series(1, $3::text::bigint) n"
            }
        };
        let params =
            [Some(first.to_string()), Some("a note of a few words".into()), Some(rows.to_string())];
        self.transact(tenant, text, &params[..if rows == 1 { 2 } else { 3 }]).await.map(drop)
    }

    /// Inserts a line for each of the invoices, and tells this process's workers.
    ///
    /// # Errors
    /// Faults only.
    pub async fn add_lines(&mut self, tenant: &Tenant, invoices: &[u32]) -> Result<(), Error> {
        let text = "insert into app.line (invoice, product, amount) \
                    select md5('i' || n)::uuid, md5('p' || n % 10)::uuid, 1 from unnest($1::text::integer[]) n";
        let list: Vec<String> = invoices.iter().map(u32::to_string).collect();
        self.transact(tenant, text, &[Some(format!("{{{}}}", list.join(",")))]).await?;
        self.store.wake();
        Ok(())
    }

    /// Sets the amount of the first line of an invoice, and tells this process's workers.
    ///
    /// # Errors
    /// Faults only.
    pub async fn set_amount(
        &mut self,
        tenant: &Tenant,
        invoice: u32,
        amount: u64,
    ) -> Result<(), Error> {
        let text = "update app.line set amount = $2::text::integer where id = md5('l' || $1 || '/0')::uuid returning 1";
        let params = [invoice.to_string(), amount.to_string()].map(Some);
        let rows = self.transact(tenant, text, &params).await?;
        self.store.wake();
        if rows.len() == 1 { Ok(()) } else { Err(Fault::new(DOING, "no such line").into()) }
    }

    /// The total of an invoice as the read model shows it.
    ///
    /// # Errors
    /// Faults only.
    pub async fn total(&mut self, tenant: &Tenant, invoice: u32) -> Result<Option<i64>, Error> {
        let text = "select total::bigint from app.bill where invoice = md5('i' || $1)::uuid";
        let rows = self.transact(tenant, text, &[Some(invoice.to_string())]).await?;
        Ok(rows.first().and_then(|row| row.int(0)))
    }

    async fn transact(
        &mut self,
        tenant: &Tenant,
        text: &str,
        params: &[Option<String>],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.lease.statement(text).await.map_err(|error| explain(DOING, error))?;
        let opening = self.store.opening(&self.lease, tenant);
        self.lease.transact(&opening, &statement, params).await.map_err(|stumble| match stumble {
            Stumble::Opening(error) | Stumble::Statement(error) | Stumble::Commit(error) => {
                explain(DOING, error)
            }
        })
    }
}
