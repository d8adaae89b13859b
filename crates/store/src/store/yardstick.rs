//! The plain way of doing it, written by hand, to measure ours against. Used by benchmarks only.
//!
//! It logs in as the operator, so it needs a role that bypasses row-level security, and works on the tables of the
//! benchmark's own model, `item` and `document`, and on plain ones beside them in the schema `public`.

use freehold_model::{Code, Refusal};
use futures_util::SinkExt as _;
use tokio_postgres::Statement;
use uuid::Uuid;

use super::{Store, Tenant};
use crate::{
    connect::Address,
    error::{Error, Fault},
    key::RootKey,
    operator::Operator,
    platform::Mode,
    pool::Lease,
    refusal::explain,
    row::Row,
    session::{COMMIT, Session, Stumble},
};

mod expire;
mod peer;
mod place;
mod script;
mod search;

pub use search::{PlainSearcher, Scan};

const DOING: &str = "measuring";

/// Partitioned as ours is, without a wall.
const PLAIN: &str = "create table if not exists public.item (like app.item including defaults, primary key (tenant_id, id)) partition by list (tenant_id); \
    create table if not exists public.item_d partition of public.item default partition by hash (tenant_id); \
    do $$ begin for i in 0..7 loop execute format('create table if not exists public.item_%s partition of public.item_d for values with (modulus 8, remainder %s)', i, i); end loop; end $$";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// One row by its id.
    Point,
    /// A thousand rows in the order of their ids.
    Scan,
    /// One new row, durable.
    Insert,
}

impl Work {
    // `item.id` and not `id`, which would be the text of the output and sort without the index.
    fn walled(self) -> &'static str {
        match self {
            Self::Point => {
                "select id::text, label, amount::bigint from app.item where id = $1::text::uuid"
            }
            Self::Scan => {
                "select id::text, label, amount::bigint from app.item order by item.id limit $1::text::bigint"
            }
            Self::Insert => "insert into app.item (label, amount) values ($1, 1)",
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Self::Point => {
                "select id::text, label, amount::bigint from public.item where tenant_id = $2::text::uuid and id = $1::text::uuid"
            }
            Self::Scan => {
                "select id::text, label, amount::bigint from public.item where tenant_id = $2::text::uuid order by item.id limit $1::text::bigint"
            }
            Self::Insert => {
                "insert into public.item (tenant_id, label, amount) values ($2::text::uuid, $1, 1)"
            }
        }
    }

    fn check(self, rows: &[Row]) -> Result<(), Fault> {
        let wanted = match self {
            Self::Point => 1,
            Self::Scan => 1000,
            Self::Insert => 0,
        };
        if rows.len() == wanted {
            return Ok(());
        }
        Err(Fault::new(DOING, "another number of rows than expected"))
    }
}

/// Which of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Ours: a connection of the pool, as the application, behind the wall.
    Walled,
    /// By hand: a table partitioned alike, as the operator, past every wall.
    Plain,
}

/// Both ways, on the same tables of one tenant, each on one connection.
pub struct Yardstick {
    store: Store,
    tenant: Tenant,
    walled: Lease,
    plain: Session,
    url: String,
    point: String,
    dedicated: u32,
}

impl Yardstick {
    /// Makes a database on the URL's server; gives the URL with it in place.
    ///
    /// # Errors
    /// `Server` if the user may not.
    pub async fn create_database(url: &str, name: &str) -> Result<String, Error> {
        let address = Address::parse(url)?;
        let mut session = Session::open(&address, super::Config::CONNECT).await?;
        session.batch(&format!("create database \"{name}\"")).await.map_err(|error| {
            tracing::debug!(error = %error, "no database for a benchmark");
            Refusal::new(
                Code::Server,
                "a benchmark needs a database of its own, and this user may not make one",
            )
            .hint("alter role … createdb, as a superuser")
        })?;
        Ok(with_database(url, address.database(), name))
    }

    /// Drops it again.
    ///
    /// # Errors
    /// Faults only.
    pub async fn drop_database(url: &str, name: &str) -> Result<(), Error> {
        let mut session = Session::open(&Address::parse(url)?, super::Config::CONNECT).await?;
        let text = format!("drop database if exists \"{name}\" with (force)");
        session.batch(&text).await.map_err(|error| explain(DOING, error))
    }

    /// Both ways for this tenant of the operator's database.
    ///
    /// # Errors
    /// `Server` if the operator does not bypass row-level security.
    pub async fn open(url: &str, store: Store, tenant: Tenant) -> Result<Self, Error> {
        let mut plain = Self::by_hand(url).await?;
        let bypasses = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user";
        let rows = plain.select(DOING, bypasses, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) != Some(true) {
            return Err(Refusal::new(
                Code::Server,
                "the plain way needs an operator that bypasses row-level security",
            )
            .hint("use a superuser's URL for this benchmark")
            .into());
        }
        let walled = store.lease().await?;
        let (url, point) = (url.to_owned(), String::new());
        Ok(Self { store, tenant, walled, plain, url, point, dedicated: 0 })
    }

    /// Sets the platform up in mode `ticket`, whatever the server would allow.
    ///
    /// # Errors
    /// As [`Operator::set_up`].
    pub async fn choose_tickets(operator: &mut Operator, key: &RootKey) -> Result<(), Error> {
        operator.set_up_in(key, Some(Mode::Ticket)).await.map(|_| ())
    }

    /// Fills `item` with so many rows for every tenant, and a plain table with the same rows, key and statistics.
    ///
    /// # Errors
    /// Faults only.
    pub async fn fill(&mut self, rows: u32) -> Result<(), Error> {
        self.fill_where(rows, "true").await
    }

    /// Gives `tenant` a partition of `item` of its own, with so many rows, and measures it from now on; and makes
    /// further empty partitions for tenants that are not there, until there are `count` of such partitions.
    ///
    /// # Errors
    /// Faults only.
    pub async fn dedicate(&mut self, tenant: Tenant, count: u32, rows: u32) -> Result<(), Error> {
        let first = self.dedicated == 0;
        for number in self.dedicated..count {
            let owner = if number == 0 { tenant.id() } else { Uuid::new_v4() };
            let name = format!("freehold_shelf.\"{}\"", Uuid::new_v4().simple());
            let text = format!(
                "create table {name} partition of app.item for values in ('{owner}'); \
                 alter table {name} owner to freehold_owner, enable row level security, force row level security"
            );
            self.plain.batch(&text).await.map_err(|error| explain(DOING, error))?;
        }
        self.dedicated = self.dedicated.max(count);
        self.tenant = tenant;
        if first {
            self.fill_where(rows, &format!("t.id = '{}'", self.tenant.id())).await?;
        }
        self.plain.batch("analyze app.item").await.map_err(|error| explain(DOING, error))
    }

    async fn fill_where(&mut self, rows: u32, condition: &str) -> Result<(), Error> {
        let text = format!(
            "insert into app.item (tenant_id, id, label, amount) select t.id, gen_random_uuid(), md5(i::text), i \
             from freehold.tenant t, generate_series(1, {rows}) i where {condition}; \
             {PLAIN}; insert into public.item select i.* from app.item i join freehold.tenant t on t.id = i.tenant_id \
             where {condition}; vacuum analyze app.item; vacuum analyze public.item"
        );
        // VACUUM runs in no transaction with others.
        let (fill, vacuum) = text.split_once("; vacuum ").unwrap_or((&text, ""));
        self.plain.batch(fill).await.map_err(|error| explain(DOING, error))?;
        for table in vacuum.split("; vacuum ") {
            let vacuum = format!("vacuum {table}");
            self.plain.batch(&vacuum).await.map_err(|error| explain(DOING, error))?;
        }
        self.point = self.ids(1).await?.pop().unwrap_or_default();
        Ok(())
    }

    /// Ids of so many rows of the tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn ids(&mut self, count: u32) -> Result<Vec<String>, Error> {
        let text = "select id::text from app.item where tenant_id = $1::text::uuid order by id limit $2::text::bigint";
        let (tenant, count) = (self.tenant.id().to_string(), count.to_string());
        let rows = self.plain.select(DOING, text, &[Some(&tenant), Some(&count)]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect())
    }

    /// Transactions that PostgreSQL has counted in the database, and how many others are connected. A backend tells what
    /// it did once a second, and when it ends.
    ///
    /// # Errors
    /// Faults only.
    pub async fn activity(&mut self) -> Result<(u64, u64), Error> {
        let text = "select xact_commit + xact_rollback, (select count(*) from pg_stat_activity a \
                    where a.datid = d.datid and a.pid <> pg_backend_pid() and a.backend_type = 'client backend') \
                    from pg_stat_database d where datname = current_database()";
        let rows = self.plain.select(DOING, text, &[]).await?;
        let number = |at| rows.first().and_then(|row| u64::try_from(row.int(at)?).ok());
        Ok((number(0).unwrap_or_default(), number(1).unwrap_or_default()))
    }

    /// The server's process behind a way.
    #[must_use]
    pub fn backend(&self, way: Way) -> i32 {
        match way {
            Way::Walled => self.walled.backend(),
            Way::Plain => self.plain.backend(),
        }
    }

    /// A whole transaction in one round trip: ours opens the tenant; by hand BEGIN, the statement and COMMIT, prepared.
    ///
    /// # Errors
    /// Faults, and the wall's refusals.
    pub async fn request(&mut self, way: Way, work: Work) -> Result<(), Error> {
        let params = self.params(work);
        let statement = self.statement(way, work).await?;
        let rows = if way == Way::Walled {
            let opening = self.store.opening(&self.walled, &self.tenant);
            let done = self.walled.transact(&opening, &statement, &params[..1]).await;
            done.map_err(|stumble| match stumble {
                Stumble::Opening(error) | Stumble::Statement(error) | Stumble::Commit(error) => {
                    explain(DOING, error)
                }
            })?
        } else {
            let session = &mut self.plain;
            let begin = session.statement("begin").await.map_err(|error| explain(DOING, error))?;
            let commit =
                session.statement("commit").await.map_err(|error| explain(DOING, error))?;
            let batch = [(begin, &[][..]), (statement, &params[..]), (commit, &[][..])];
            let answers = session.pipeline(&batch).await;
            answers.map_err(|error| explain(DOING, error))?.into_iter().flatten().collect()
        };
        Ok(work.check(&rows)?)
    }

    /// Begins a transaction for [`Self::again`].
    ///
    /// # Errors
    /// Faults, and the wall's refusals.
    pub async fn begin(&mut self, way: Way) -> Result<(), Error> {
        let opening = match way {
            Way::Walled => self.store.opening(&self.walled, &self.tenant),
            Way::Plain => "begin".to_owned(),
        };
        self.session(way).batch(&opening).await.map_err(|error| explain(DOING, error))
    }

    /// One more statement in the transaction, a round trip.
    ///
    /// # Errors
    /// Faults only.
    pub async fn again(&mut self, way: Way, work: Work) -> Result<(), Error> {
        let params = self.params(work);
        let statement = self.statement(way, work).await?;
        let params = if way == Way::Walled { &params[..1] } else { &params[..] };
        let answers = self.session(way).pipeline(&[(statement, params)]).await;
        let rows: Vec<Row> =
            answers.map_err(|error| explain(DOING, error))?.into_iter().flatten().collect();
        Ok(work.check(&rows)?)
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// Faults only.
    pub async fn commit(&mut self, way: Way) -> Result<(), Error> {
        let text = if way == Way::Walled { COMMIT } else { "commit" };
        self.session(way).batch(text).await.map_err(|error| explain(DOING, error))
    }

    fn session(&mut self, way: Way) -> &mut Session {
        match way {
            Way::Walled => &mut self.walled,
            Way::Plain => &mut self.plain,
        }
    }

    async fn statement(&mut self, way: Way, work: Work) -> Result<Statement, Error> {
        let text = if way == Way::Walled { work.walled() } else { work.plain() };
        self.session(way).statement(text).await.map_err(|error| explain(DOING, error))
    }

    /// Empties both tables of documents.
    ///
    /// # Errors
    /// Faults only.
    pub async fn empty_documents(&mut self) -> Result<(), Error> {
        let text = "create table if not exists public.document (id uuid primary key default gen_random_uuid(), sha text not null unique, \
                    author text not null, at timestamptz not null, subject text not null, body text, files text[] not null, \
                    embedding freehold_ext.vector(384)); \
                    create index if not exists document_author on public.document (author); \
                    truncate public.document, app.document cascade; checkpoint";
        self.plain.batch(text).await.map_err(|error| explain(DOING, error))
    }

    /// Copies rows (sha, author, at, subject, body, files, embedding) into a plain table with the same keys.
    ///
    /// # Errors
    /// Faults only.
    pub async fn copy_in(&self, rows: &[u8]) -> Result<u64, Error> {
        let (client, wire) = Address::parse(&self.url)?.connect(super::Config::CONNECT).await?;
        let copy = async {
            let sink = client.copy_in("copy public.document (sha, author, at, subject, body, files, embedding) from stdin").await?;
            let mut sink = std::pin::pin!(sink);
            for part in rows.chunks(1 << 16) {
                sink.send(bytes::Bytes::copy_from_slice(part)).await?;
            }
            sink.finish().await
        };
        tokio::select! {
            biased;
            copied = copy => copied.map_err(|error| explain(DOING, error)),
            _ = wire => Err(Fault::new(DOING, "the connection ended").into()),
        }
    }

    fn params(&self, work: Work) -> [Option<String>; 2] {
        let first = match work {
            Work::Point => self.point.clone(),
            Work::Scan => "1000".to_owned(),
            Work::Insert => "a label of usual length".to_owned(),
        };
        [Some(first), Some(self.tenant.id().to_string())]
    }
}

/// The same URL with another database: its last path segment, for a user may be called like the database.
fn with_database(url: &str, old: &str, new: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.replacen(&format!("dbname={old}"), &format!("dbname={new}"), 1);
    };
    let (place, options) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let host = place.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}/{new}{options}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_a_url_changes() {
        let url =
            with_database("postgresql://postgres:x@/postgres?host=/postgres", "postgres", "b");
        assert_eq!(url, "postgresql://postgres:x@/b?host=/postgres");
        assert_eq!(with_database("host=h dbname=a", "a", "b"), "host=h dbname=b");
    }
}
