//! The plain way of doing it, written by hand, to measure ours against. Used by benchmarks only.
//!
//! It logs in as the operator, so it needs a role that bypasses row-level security, and works on the tables of the
//! benchmark's own model: `item` and `document`.

use freehold_model::{Code, Refusal, Sql};
use futures_util::SinkExt as _;
use tokio_postgres::Statement;

use super::{Store, Tenant};
use crate::{
    connect::Address,
    error::{Error, Fault},
    refusal::explain,
    row::Row,
    session::{Session, Stumble},
};

const DOING: &str = "measuring";

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
    fn walled(self) -> &'static str {
        match self {
            Self::Point => {
                "select id::text, label, amount::bigint from app.item where id = $1::text::uuid"
            }
            Self::Scan => {
                "select id::text, label, amount::bigint from app.item order by id limit $1::text::bigint"
            }
            Self::Insert => "insert into app.item (label, amount) values ($1, 1)",
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Self::Point => {
                "select id::text, label, amount::bigint from app.item where tenant_id = $2::text::uuid and id = $1::text::uuid"
            }
            Self::Scan => {
                "select id::text, label, amount::bigint from app.item where tenant_id = $2::text::uuid order by id limit $1::text::bigint"
            }
            Self::Insert => {
                "insert into app.item (tenant_id, label, amount) values ($2::text::uuid, $1, 1)"
            }
        }
    }
}

/// Both ways, on the same tables of one tenant.
pub struct Yardstick {
    store: Store,
    tenant: Tenant,
    plain: Session,
    url: String,
    point: String,
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
        let settings = [
            ("search_path", "pg_catalog,freehold_ext"),
            ("jit", "off"),
            ("synchronous_commit", "on"),
        ];
        let address = Address::parse(url)?.settings(&settings);
        let mut plain = Session::open(&address, super::Config::CONNECT).await?;
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
        Ok(Self { store, tenant, plain, url: url.to_owned(), point: String::new() })
    }

    /// Fills `item` with so many rows for every tenant.
    ///
    /// # Errors
    /// Faults only.
    pub async fn fill(&mut self, rows: u32) -> Result<(), Error> {
        let text = format!(
            "insert into app.item (tenant_id, id, label, amount) select t.id, gen_random_uuid(), md5(i::text), i \
             from freehold.tenant t, generate_series(1, {rows}) i; vacuum analyze app.item"
        );
        for statement in text.split("; ") {
            self.plain.batch(statement).await.map_err(|error| explain(DOING, error))?;
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

    /// A transaction of `statements` behind the wall, on one of the pool's connections. One statement is one round
    /// trip; several are one each, and one for begin and commit.
    ///
    /// # Errors
    /// Faults, and the wall's refusals.
    pub async fn walled(&mut self, work: Work, statements: u32) -> Result<(), Error> {
        let params = self.params(work);
        let mut lease = self.store.lease().await?;
        let statement =
            lease.statement(work.walled()).await.map_err(|error| explain(DOING, error))?;
        let opening = self.store.opening(&lease, &self.tenant);
        transaction(&mut lease, &opening, &statement, &params[..1], statements, work).await?;
        lease.give_back();
        Ok(())
    }

    /// The same by hand: BEGIN, the statement with its `where tenant_id = …`, COMMIT.
    ///
    /// # Errors
    /// Faults only.
    pub async fn plain(&mut self, work: Work, statements: u32) -> Result<(), Error> {
        let params = self.params(work);
        let statement =
            self.plain.statement(work.plain()).await.map_err(|error| explain(DOING, error))?;
        transaction(&mut self.plain, "begin", &statement, &params, statements, work).await
    }

    /// A script for pgbench: the statement a point read runs, with its `where tenant_id = …` by hand and one of these
    /// ids at random in the place of the first.
    #[must_use]
    pub fn pgbench_script(&self, sql: &Sql, ids: &[String]) -> String {
        let tenant = self.tenant.id();
        let all = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        let mut text =
            sql.text().replacen(" where ", &format!(" where t0.tenant_id = '{tenant}' and "), 1);
        // From the last on, so that $1 is not found in $10.
        for (at, param) in sql.params().iter().enumerate().rev() {
            let value = match param {
                Some(param) if ids.first() == Some(param) => format!("(array[{all}]::uuid[])[:n]"),
                Some(param) => format!("'{}'", param.replace('\'', "''")),
                None => "null".to_owned(),
            };
            text = text.replace(&format!("${}", at + 1), &value);
        }
        format!("\\set n random(1, {})\n{text};\n", ids.len())
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

    /// `COPY … FROM STDIN` into a plain table with the same keys, of rows in COPY's text format (sha, author, at,
    /// subject, body, files, embedding); gives their number.
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

async fn transaction(
    session: &mut Session,
    opening: &str,
    statement: &Statement,
    params: &[Option<String>],
    statements: u32,
    work: Work,
) -> Result<(), Error> {
    let check = |rows: &[Row]| {
        let wanted = match work {
            Work::Point => 1,
            Work::Scan => 1000,
            Work::Insert => 0,
        };
        if rows.len() == wanted {
            Ok(())
        } else {
            Err(Fault::new(DOING, "another number of rows than expected"))
        }
    };
    if statements == 1 {
        let rows =
            session.transact(opening, statement, params).await.map_err(
                |stumble| match stumble {
                    Stumble::Opening(error)
                    | Stumble::Statement(error)
                    | Stumble::Commit(error) => explain(DOING, error),
                },
            )?;
        return Ok(check(&rows)?);
    }
    session.batch(opening).await.map_err(|error| explain(DOING, error))?;
    for _ in 0..statements {
        let rows = session
            .pipeline(&[(statement.clone(), params)])
            .await
            .map_err(|error| explain(DOING, error))?;
        rows.iter().try_for_each(|rows| check(rows))?;
    }
    session.batch("commit").await.map_err(|error| explain(DOING, error))
}

/// The same URL with another database. Only the last path segment may be touched: a user may be called like the database.
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
