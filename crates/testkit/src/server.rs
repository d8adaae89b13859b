//! The shared server.

use std::sync::OnceLock;

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

fn start() -> String {
    let major = variable("FREEHOLD_TEST_PG").map_or(Major::default(), |text| {
        let carried = text.parse().ok().and_then(Major::from_number);
        carried.unwrap_or_else(|| panic!("FREEHOLD_TEST_PG is {text:?}; there are 16 and 18"))
    });
    let cache_dir = variable("FREEHOLD_CACHE").map_or_else(default_cache_dir, Into::into);
    let options = Options {
        data_dir: cache_dir.join(format!("test-{major}")),
        cache_dir,
        major,
        durable: false,
        settings: vec![("max_connections".into(), "200".into())],
    };
    let mut fetching = false;
    let server = Server::start(&options, &mut |event| {
        if matches!(event, Event::Fetching { .. }) && !std::mem::replace(&mut fetching, true) {
            say("fetching PostgreSQL for the tests, once (25 MB)");
        }
    });
    let server = server.unwrap_or_else(|error| panic!("{}", error.report()));
    let url = server.admin_url("postgres");
    server.detach();
    url
}

#[allow(clippy::disallowed_methods, reason = "test programs have no command line of ours")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[allow(clippy::print_stderr, reason = "the output of tests is the terminal")]
pub(crate) fn say(text: &str) {
    eprintln!("testkit: {text}");
}
