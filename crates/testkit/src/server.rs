//! The shared server.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use freehold_local::{Event, Major, Options, Server, default_cache_dir};
use tokio_postgres::{Client, NoTls};

use crate::{sweep, url};

static URL: OnceLock<String> = OnceLock::new();

/// The superuser's URL of the shared server, which is started if need be.
pub async fn admin_url() -> String {
    if let Some(url) = URL.get() {
        return url.clone();
    }
    let begun = tokio::task::spawn_blocking(|| URL.get_or_init(begin).clone());
    begun.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A connection to a database of the shared server as the superuser.
pub(crate) async fn connect(database: &str) -> Client {
    open(&url::with_database(&admin_url().await, database)).await
}

/// A connection that lives as long as the client.
pub(crate) async fn open(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
    tokio::spawn(connection);
    client
}

/// Runs work on a database from where one cannot wait for it: on a thread and a runtime of its own.
pub(crate) fn aside<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(work())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn begin() -> String {
    let given = variable("FREEHOLD_TEST_DATABASE_URL");
    let ours = given.is_none();
    let url = given.unwrap_or_else(start);
    aside(async || {
        sweep::leftovers(&open(&url::with_database(&url, "postgres")).await, ours).await;
    });
    url
}

/// A server for one test alone, which may do to its roles what it likes. Ended and removed when it is dropped.
pub struct OwnServer {
    server: Option<Server>,
    options: Options,
}

impl OwnServer {
    /// Starts it; about two seconds.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let started = tokio::task::spawn_blocking(move || {
            let mut options = options();
            options.data_dir =
                options.cache_dir.join(format!("own-{}-{number}", std::process::id()));
            let server = Server::start(&options, &mut |_| {});
            let server = server.unwrap_or_else(|error| panic!("{}", error.report()));
            Self { server: Some(server), options }
        });
        started.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Ends it as a crash would, with whoever is connected, and starts it again. Its URL stays the same.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn crash(&mut self) {
        let (server, options) = (self.server.take(), self.options.clone());
        let started = tokio::task::spawn_blocking(move || {
            server.map_or(Ok(()), Server::crash)?;
            Server::start(&options, &mut |_| {})
        });
        let started = started.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        self.server = Some(started.unwrap_or_else(|error| panic!("{}", error.report())));
    }

    /// The superuser's URL of its database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.as_ref().map(|server| server.admin_url("postgres")).unwrap_or_default()
    }

    /// The same of another role.
    #[must_use]
    pub fn url_as(&self, role: &str, password: &str) -> String {
        url::with_user(&self.url(), role, password)
    }

    /// The folder of its files, logs included.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.options.data_dir
    }

    /// Takes a base backup into a folder that is not there yet, WAL included, as `pg_basebackup` does.
    ///
    /// # Panics
    /// If it cannot be taken.
    pub async fn base_backup(&self, folder: &std::path::Path) {
        let server = self.server.as_ref().expect("it runs");
        let mut command = tokio::process::Command::new(server.program("pg_basebackup"));
        command.args(["--wal-method=stream", "--checkpoint=fast", "--dbname"]).arg(self.url());
        let taken = command.arg("--pgdata").arg(folder).output().await.expect("it can be run");
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    }

    /// Writes a dump of its database `postgres` into a file, as `pg_dump` does with these options.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn dump(&self, file: &std::path::Path, options: &[&str]) {
        let server = self.server.as_ref().expect("it runs");
        let mut command = tokio::process::Command::new(server.program("pg_dump"));
        command.args(options).arg("--dbname").arg(self.url()).arg("--file").arg(file);
        let made = command.output().await.expect("it can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Puts a base backup in the place of what it has, as it was then, and starts it again.
    ///
    /// # Panics
    /// If it does not start from it.
    pub async fn restore(&mut self, backup: &std::path::Path) {
        let cluster = self.options.data_dir.join("pg");
        let (server, from) = (self.server.take(), backup.join("."));
        let moved = tokio::task::spawn_blocking(move || {
            server.map_or(Ok(()), Server::crash).expect("it ends");
            let old = cluster.with_extension("before");
            std::fs::rename(&cluster, &old).expect("moved aside");
            let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
                let mut command = std::process::Command::new(program);
                assert!(command.args(arguments).status().is_ok_and(|it| it.success()), "{program}");
            };
            run("cp", &["-a".as_ref(), from.as_os_str(), cluster.as_os_str()]);
            let mut like = std::ffi::OsString::from("--reference=");
            like.push(&old);
            run("chown", &["-R".as_ref(), &like, cluster.as_os_str()]);
            run("chmod", &["700".as_ref(), cluster.as_os_str()]);
            std::fs::remove_dir_all(&old).expect("removed");
        });
        moved.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.crash().await;
    }

    /// A connection as the superuser.
    pub async fn client(&self) -> Client {
        open(&self.url()).await
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let stopped = self.server.take().map(Server::stop);
        if !matches!(stopped, Some(Ok(_)))
            || std::fs::remove_dir_all(&self.options.data_dir).is_err()
        {
            say(&format!("{} is left behind", self.options.data_dir.display()));
        }
    }
}

fn start() -> String {
    let mut fetching = false;
    let server = Server::start(&options(), &mut |event| {
        if matches!(event, Event::Fetching { .. }) && !std::mem::replace(&mut fetching, true) {
            say("fetching PostgreSQL for the tests, once (25 MB)");
        }
    });
    let server = server.unwrap_or_else(|error| panic!("{}", error.report()));
    let url = server.admin_url("postgres");
    server.detach();
    url
}

fn options() -> Options {
    let major = variable("FREEHOLD_TEST_PG").map_or(Major::default(), |text| {
        let carried = text.parse().ok().and_then(Major::from_number);
        carried.unwrap_or_else(|| panic!("FREEHOLD_TEST_PG is {text:?}; there are 16 and 18"))
    });
    let cache_dir = variable("FREEHOLD_CACHE").map_or_else(default_cache_dir, Into::into);
    Options {
        data_dir: cache_dir.join(format!("test-{major}")),
        cache_dir,
        major,
        durable: false,
        settings: vec![("max_connections".into(), "300".into())],
    }
}

#[allow(clippy::disallowed_methods, reason = "test programs have no command line of ours")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[allow(clippy::print_stderr, reason = "the output of tests is the terminal")]
pub(crate) fn say(text: &str) {
    eprintln!("testkit: {text}");
}
