//! A database of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::Client;

use crate::template::{self, run};
use crate::{server, sweep, url};

/// A database that one test has for itself. Dropped with the value; if the test has failed, it is kept for a day instead, and how to look
/// into it is printed.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    url: String,
}

impl TestDb {
    /// A clone of the template for that key. The template is built once per test program by `build`, which gets the superuser's URL of an
    /// empty database and must have closed its connections when it returns. The key names everything else the content depends on.
    pub async fn from_template(key: &str, build: impl AsyncFnOnce(&str)) -> Self {
        let admin = server::connect("postgres").await;
        let template = template::ensure(&admin, key, build).await;
        let name = unique();
        template::clone(&admin, &template, &name).await;
        Self::named(name).await
    }

    /// An empty database.
    pub async fn empty() -> Self {
        let admin = server::connect("postgres").await;
        let name = unique();
        run(&admin, &format!("create database {name} template template0 strategy file_copy")).await;
        Self::named(name).await
    }

    /// A copy of it as it is now, as a backup is. Whoever is connected is cut off.
    pub async fn copy(&self) -> Self {
        let admin = server::connect("postgres").await;
        let name = unique();
        let open = |may: bool| format!("alter database {} with allow_connections {may}", self.name);
        run(&admin, &open(false)).await;
        let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
        admin.execute(end, &[&self.name]).await.expect("nobody is connected");
        template::clone(&admin, &self.name, &name).await;
        run(&admin, &open(true)).await;
        Self::named(name).await
    }

    async fn named(name: String) -> Self {
        let url = url::with_database(&server::admin_url().await, &name);
        Self { name, url }
    }

    /// The database's name: plain ASCII, needs no quotes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The superuser's URL. Superusers pass row-level security.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another role.
    pub fn url_as(&self, role: &str, password: &str) -> String {
        url::with_user(&self.url, role, password)
    }

    /// A connection as the superuser, to look at the truth.
    pub async fn client(&self) -> Client {
        server::open(&self.url).await
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Self { name, url } = self;
        let failed = std::thread::panicking();
        let sql = match failed {
            true => format!("comment on database {name} is 'its test failed'"),
            false => format!("drop database {name} with (force)"),
        };
        // Whoever still waits on this test's runtime cannot hold it up: this runs beside it.
        server::aside(async || run(&server::connect("postgres").await, &sql).await);
        if failed {
            server::say(&format!(
                "the test failed; its database is kept for a day:\n    psql '{url}'"
            ));
        }
    }
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    sweep::name(NEXT.fetch_add(1, Ordering::Relaxed))
}
