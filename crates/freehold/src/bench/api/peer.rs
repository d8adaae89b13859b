//! Another server that speaks PostgREST's language, run beside ours on the same rows.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use super::{super::client::Client, load::Load};
use crate::output::Failure;

/// Longest wait for it to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where such servers have their tables.
const PREFIXES: [&str; 3] = ["", "/api", "/rest/v1"];

/// A running server; it ends with the value.
pub(super) struct Peer {
    name: String,
    address: SocketAddr,
    prefix: &'static str,
    _process: Child,
}

impl Peer {
    /// Starts the program on the schema `peer` of the database at `url`, which it reads and writes as `user`.
    pub(super) async fn start(program: &Path, url: &str, user: &str) -> Result<Self, Failure> {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        // Not every server takes a URL without a host, though it names a socket's folder.
        let url = url.replacen("@/", "@localhost/", 1);
        let process = Command::new(program)
            .env("PGRST_DB_URI", url)
            .env("PGRST_DB_SCHEMAS", "peer")
            .env("PGRST_DB_ANON_ROLE", user)
            // As many connections as ours.
            .env("PGRST_DB_POOL", "16")
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", port.to_string())
            .env("PGRST_LOG_LEVEL", "crit")
            .env("RUST_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Failure::Machine(format!("{} cannot be run: {error}", program.display()))
            })?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = served(address, &name).await?;
        Ok(Self { name, address, prefix, _process: process })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The same requests for it, which it has to answer as we do unless each answer is another one.
    pub(super) async fn load(&self, ours: &Load, changes: bool) -> Result<Load, Failure> {
        let theirs = ours.at(self.address, |request| {
            let head = request.replacen(" /rest/v1/", &format!(" {}/", self.prefix), 1);
            // There are no tenants, and so no keys.
            let lines = head.split_inclusive("\r\n").filter(|line| !line.starts_with("apikey:"));
            lines.collect()
        });
        let (mine, other) = (ours.first().await?, theirs.first().await?);
        let read = |answer: &[u8]| serde_json::from_slice::<Value>(answer).ok();
        if !changes && read(&mine) != read(&other) {
            return Err(Failure::Machine(format!(
                "{} answers otherwise: {} instead of {}",
                self.name,
                String::from_utf8_lossy(&other),
                String::from_utf8_lossy(&mine)
            )));
        }
        Ok(theirs)
    }
}

/// Where it has its tables, once it answers.
async fn served(address: SocketAddr, name: &str) -> Result<&'static str, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        for prefix in PREFIXES {
            let request = format!("GET {prefix}/item?limit=1 HTTP/1.1\r\nhost: bench\r\n\r\n");
            if let Ok(mut client) = Client::connect(address).await
                && client.send(&request).await.is_ok()
            {
                return Ok(prefix);
            }
        }
        // It does not announce that it is there.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::Machine(format!("{name} does not answer")))
}
