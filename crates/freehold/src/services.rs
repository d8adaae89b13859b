//! The services a command works with: the database that was named, or the one of its own on this machine.

use std::path::PathBuf;

use freehold_local::{Event, Major, Options, Server};
use indicatif::ProgressBar;

use crate::{
    config::Config,
    output::{self, Failure},
};

/// Name of the database inside the local server.
const LOCAL_DATABASE: &str = "postgres";

/// A PostgreSQL to work with.
pub(crate) enum Database {
    /// Somebody's server.
    Named(String),
    /// Our own, in the state folder; stops when this value goes, if this process started it.
    Local { server: Server, url: String },
}

impl Database {
    /// How the operator connects.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Named(url) | Self::Local { url, .. } => url,
        }
    }

    /// A program of the local server, such as pgbench, or the machine's of that name.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        match self {
            Self::Named(_) => name.into(),
            Self::Local { server, .. } => server.program(name),
        }
    }
}

/// The database the configuration names, or the local one, started if it does not run.
pub(crate) async fn database(config: &Config) -> Result<Database, Failure> {
    if let Some(url) = &config.database_url {
        return Ok(Database::Named(url.clone()));
    }
    let options = Options {
        data_dir: config.claim_data_dir()?,
        cache_dir: config.cache_dir.clone(),
        major: Major::V18,
        durable: true,
        settings: Vec::new(),
    };
    let started = tokio::task::spawn_blocking(move || {
        let mut shown = Shown::default();
        Server::start(&options, &mut |event| shown.show(event))
    });
    let server = started.await.map_err(|error| Failure::Machine(error.to_string()))??;
    let url = server.admin_url(LOCAL_DATABASE);
    Ok(Database::Local { server, url })
}

/// Shows what the local server's start is doing.
#[derive(Default)]
struct Shown(Option<ProgressBar>);

impl Shown {
    fn show(&mut self, event: Event) {
        let spin = |shown: &mut Self, text: String| {
            shown.0.get_or_insert_with(|| output::spinner("PostgreSQL")).set_message(text);
        };
        match event {
            Event::Fetching { bytes, total } => {
                self.0
                    .get_or_insert_with(|| output::bar(total, "fetching", true))
                    .set_position(bytes);
            }
            Event::Unpacking { files, total } => {
                self.clear();
                spin(self, format!("unpacking {files} of {total} files"));
            }
            Event::Waiting { lock } => {
                spin(self, format!("waiting for another process ({})", lock.display()))
            }
            Event::InitDb => spin(self, "filling a new data folder".into()),
            Event::Starting => spin(self, "starting".into()),
            _ => self.clear(),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
