//! The services a command works with: the database that was named, or the one of its own on this machine.

use freehold_local::{Event, Options, Server};
use indicatif::ProgressBar;

use crate::{
    config::Config,
    output::{self, Failure},
};

/// Name of the database inside the local server.
const LOCAL_DATABASE: &str = "freehold";

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

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local { .. })
    }

    /// Folder of the local server's programs, such as pgbench.
    pub(crate) fn bin_dir(&self) -> Option<std::path::PathBuf> {
        match self {
            Self::Named(_) => None,
            Self::Local { server, .. } => Some(server.bin_dir().to_owned()),
        }
    }
}

/// The database the configuration names, or the local one, started if it does not run.
pub(crate) async fn database(config: &Config) -> Result<Database, Failure> {
    if let Some(url) = &config.database_url {
        return Ok(Database::Named(url.clone()));
    }
    let options = Options::new(config.state_dir.join("postgres"));
    let started = tokio::task::spawn_blocking(move || {
        let mut shown = Shown::default();
        let server = Server::start(&options, &mut |event| shown.show(event))?;
        server.ensure_database(LOCAL_DATABASE)?;
        Ok::<_, freehold_local::Error>(server)
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
        match event {
            Event::Fetching { bytes, total } => {
                let bar = self.0.get_or_insert_with(|| output::bar(total.unwrap_or(0), "fetching", true));
                bar.set_position(bytes);
            }
            Event::Ready => {
                if let Some(bar) = self.0.take() {
                    bar.finish_and_clear();
                }
            }
            other => {
                let bar = self.0.get_or_insert_with(|| output::spinner("PostgreSQL"));
                bar.set_message(other.to_string());
            }
        }
    }
}
