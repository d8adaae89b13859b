//! What one task of the soak does, over and over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_model::Sql;
use freehold_store::{Done, Error, Row, Tenant, Typed, TypedError};

use super::{Chance, Fate, Site};
use crate::fixture::sql;

/// One kind of work.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Write,
    Transaction,
    GivenUp,
    Wrong,
    Locks,
    Slow,
    Typed,
}

/// How often each comes.
const KINDS: [Kind; 14] = [
    Kind::Read,
    Kind::Read,
    Kind::Read,
    Kind::Write,
    Kind::Write,
    Kind::Write,
    Kind::Transaction,
    Kind::Transaction,
    Kind::GivenUp,
    Kind::Wrong,
    Kind::Locks,
    Kind::Locks,
    Kind::Slow,
    Kind::Typed,
];

struct Worker {
    site: Arc<Site>,
    chance: Chance,
    task: usize,
    rows: u64,
}

/// Works until the time is over.
pub(super) async fn work(site: Arc<Site>, chance: Chance, task: usize) {
    let mut worker = Worker { site, chance, task, rows: 0 };
    while Instant::now() < worker.site.until {
        worker.once().await;
    }
}

/// Fails if a row is not the tenant's.
pub(super) fn own<'a>(tenant: &Tenant, handles: impl Iterator<Item = Option<&'a str>>) {
    for handle in handles {
        let handle = handle.expect("every row has a handle");
        let mark = handle.split('/').next();
        assert_eq!(mark, Some(tenant.name()), "{} was shown {handle}", tenant.name());
    }
}

impl Worker {
    async fn once(&mut self) {
        let site = Arc::clone(&self.site);
        let tenant = self.chance.of(&site.tenants).clone();
        let kind = *self.chance.of(&KINDS);
        // Many requests are given up, mostly in the middle; each costs a connection, which is slow to make in a debug build.
        let patience = match self.chance.below(6) {
            0 => Duration::from_micros(self.chance.below(6000)),
            _ => Duration::from_secs(60),
        };
        let rows: Vec<String> = (0..3).map(|_| self.handle(&tenant)).collect();
        site.note(&rows, Fate::Refused);
        let work = async {
            match kind {
                Kind::Read => self.read(&tenant).await,
                Kind::Write => self.write(&tenant, &rows).await,
                Kind::Transaction => self.transaction(&tenant, &rows).await,
                Kind::GivenUp => self.given_up(&tenant, &rows).await,
                Kind::Wrong => self.wrong(&tenant, &rows).await,
                Kind::Locks => self.locks(&tenant).await,
                Kind::Slow => self.slow(&tenant).await,
                Kind::Typed => self.typed(&tenant, &rows).await,
            }
        };
        match tokio::time::timeout(patience, work).await {
            Ok(Ok(())) => site.count("done"),
            Ok(Err(error)) => site.count(&kind_of(&error)),
            Err(_) => site.count("given up"),
        }
    }

    fn handle(&mut self, tenant: &Tenant) -> String {
        self.rows += 1;
        format!("{}/{}-{}", tenant.name(), self.task, self.rows)
    }

    async fn read(&mut self, tenant: &Tenant) -> Result<(), Error> {
        let texts = [
            "select handle, tenant_id::text from app.person order by handle limit 40",
            "select handle, tenant_id::text from app.person where handle like '%/seed%'",
            "select p.handle, q.tenant_id::text from app.person p join app.person q on q.age = p.age limit 40",
            "select handle, tenant_id::text from app.person order by embedding operator(freehold_ext.<->) '[1,2,4]' limit 5",
            "select 't' || '/x' from app.person where tenant_id <> freehold.tenant()",
        ];
        let text = *self.chance.of(&texts);
        let rows = self.site.store.run_all(tenant, &sql(text, &[])).await?;
        own_rows(tenant, &rows);
        Ok(())
    }

    async fn write(&mut self, tenant: &Tenant, rows: &[String]) -> Result<(), Error> {
        self.site.note(&rows[..1], Fate::InDoubt);
        let done = self.site.store.run_all(tenant, &insert(&rows[0])).await;
        self.settle(&rows[..1], done.as_ref().map(|_| ()));
        own_rows(tenant, &done?);
        Ok(())
    }

    async fn transaction(&mut self, tenant: &Tenant, rows: &[String]) -> Result<(), Error> {
        let mut tx = self.site.store.begin(tenant).await?;
        let mut batch: Vec<Sql> = rows.iter().map(|row| insert(row)).collect();
        batch.push(sql(
            "select handle, tenant_id::text from app.person order by handle limit 10",
            &[],
        ));
        for rows in tx.batch(&batch).await? {
            own_rows(tenant, &rows);
        }
        self.site.note(rows, Fate::InDoubt);
        let done = tx.commit().await;
        self.settle(rows, done.as_ref().map(|_| ()));
        done
    }

    /// Everything in it must be gone, however far it came.
    async fn given_up(&mut self, tenant: &Tenant, rows: &[String]) -> Result<(), Error> {
        let mut tx = self.site.store.begin(tenant).await?;
        for row in rows {
            own_rows(tenant, &tx.query(&insert(row)).await?);
        }
        Ok(())
    }

    async fn wrong(&mut self, tenant: &Tenant, rows: &[String]) -> Result<(), Error> {
        let twice = format!("{}/seed1", tenant.name());
        let texts = [
            format!("insert into app.person (handle) values ('{twice}')"),
            format!("insert into app.person (handle, age) values ('{}', -1)", rows[0]),
            format!("insert into app.person (handle, age) values ('{}', 1/(select 0))", rows[0]),
            format!("insert into app.person (handle, embedding) values ('{}', '[1]')", rows[0]),
            format!(
                "insert into app.person (handle, tenant_id) values ('{}', '{}')",
                rows[0],
                tenant.name()
            ),
            "update app.person set id = freehold.uuidv7()".into(),
            "selekt".into(),
            "select * from freehold.mac_key".into(),
        ];
        let text = self.chance.of(&texts).clone();
        if self.chance.below(2) == 0 {
            let done = self.site.store.run_all(tenant, &sql(&text, &[])).await;
            assert!(done.is_err(), "{text}");
            return done.map(drop);
        }
        let mut tx = self.site.store.begin(tenant).await?;
        own_rows(tenant, &tx.query(&insert(&rows[1])).await?);
        let done = tx.query(&sql(&text, &[])).await;
        assert!(done.is_err(), "{text}");
        let committed = tx.commit().await;
        assert!(committed.is_err(), "a failed transaction was committed");
        done.map(drop)
    }

    /// Two rows that everybody wants, in either order.
    async fn locks(&mut self, tenant: &Tenant) -> Result<(), Error> {
        let mut tx = self.site.store.begin(tenant).await?;
        tx.query(&sql("set local lock_timeout = '20ms'", &[])).await?;
        let (first, second) = if self.chance.below(2) == 0 { (1, 2) } else { (2, 1) };
        for seed in [first, second] {
            let seed = format!("{}/seed{seed}", tenant.name());
            let text = "update app.person set age = age + 1 where handle = $1 returning handle, tenant_id::text";
            let rows = tx.query(&sql(text, &[&seed])).await?;
            assert_eq!(rows.len(), 1);
            own_rows(tenant, &rows);
        }
        tx.commit().await
    }

    async fn slow(&mut self, tenant: &Tenant) -> Result<(), Error> {
        let mut tx = self.site.store.begin(tenant).await?;
        tx.query(&sql("set local statement_timeout = '15ms'", &[])).await?;
        let text = "select count(*) from generate_series(1, 100000000)";
        let done = tx.query(&sql(text, &[])).await;
        assert!(done.is_err(), "it takes longer than that");
        done.map(drop)
    }

    /// SQL as somebody types it, who leaves the worst behind.
    async fn typed(&mut self, tenant: &Tenant, rows: &[String]) -> Result<(), Error> {
        let site = Arc::clone(&self.site);
        let mut typed = site.store.typed(tenant).await?;
        site.note(&rows[..1], Fate::InDoubt);
        match run(&mut typed, &typed_insert(&rows[0])).await? {
            Outcome::Done(_) => site.note(&rows[..1], Fate::Acknowledged),
            Outcome::Refused => site.note(&rows[..1], Fate::Refused),
            Outcome::Unknown => return Ok(()),
        }
        let left_behind =
            ["prepare mine as table person", "set search_path = app,freehold_ext", "listen x"];
        let transaction = [
            "begin".to_owned(),
            typed_insert(&rows[1]),
            "savepoint s".into(),
            typed_insert(&rows[2]),
            "rollback to s".into(),
        ];
        for text in left_behind.map(str::to_owned).into_iter().chain(transaction) {
            let Outcome::Done(_) = run(&mut typed, &text).await? else { return Ok(()) };
        }
        site.note(&rows[1..2], Fate::InDoubt);
        let Outcome::Done(_) = run(&mut typed, "commit").await? else { return Ok(()) };
        site.note(&rows[1..2], Fate::Acknowledged);
        let found = run(&mut typed, "select handle from person order by handle limit 20").await?;
        if let Outcome::Done(done) = found {
            own(tenant, done.tables[0].rows.iter().map(|row| row[0].as_deref()));
        }
        Ok(())
    }

    fn settle(&self, rows: &[String], done: Result<(), &Error>) {
        match done {
            Ok(()) => self.site.note(rows, Fate::Acknowledged),
            Err(Error::Refused(_) | Error::Violated(_)) => self.site.note(rows, Fate::Refused),
            Err(Error::Failed(_)) => {}
        }
    }
}

fn insert(handle: &str) -> Sql {
    let text = "insert into app.person (handle, age, embedding) values ($1, 1, '[1,2,3]') returning handle, tenant_id::text";
    sql(text, &[handle])
}

fn own_rows(tenant: &Tenant, rows: &[Row]) {
    own(tenant, rows.iter().map(|row| row.text(0)));
    for row in rows {
        assert_eq!(row.text(1).and_then(|id| id.parse().ok()), Some(tenant.id()));
    }
}

/// What became of something typed.
enum Outcome {
    Done(Done),
    Refused,
    /// The backend was ended while it worked.
    Unknown,
}

async fn run(typed: &mut Typed, text: &str) -> Result<Outcome, Error> {
    match typed.run(text, std::future::pending()).await {
        Ok(done) => Ok(Outcome::Done(done)),
        Err(TypedError::Said(said)) if said.state.starts_with("57P") => Ok(Outcome::Unknown),
        Err(TypedError::Said(_)) => Ok(Outcome::Refused),
        Err(TypedError::Stopped) => panic!("nobody stopped it"),
        Err(TypedError::Other(error)) => Err(error),
    }
}

fn typed_insert(handle: &str) -> String {
    format!("insert into person (handle, embedding) values ('{handle}', '[1,2,3]')")
}

/// A word for what went wrong. A pool that hands on a backend the database takes no tenant in is broken.
fn kind_of(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => refusal.code.as_str().to_owned(),
        Error::Violated(violation) => violation.code.as_str().to_owned(),
        Error::Failed(fault) => {
            let chain = format!("{fault:?}");
            assert!(!chain.contains("tenant context refused"), "{chain}");
            let away = if fault.is_unavailable() { ", away" } else { "" };
            format!("{fault}{away}")
        }
    }
}
