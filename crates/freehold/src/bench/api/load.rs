//! Load from HTTP clients, and from pgbench.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{process::Command, task::JoinSet};

use super::super::{Ground, client::Client};
use crate::output::Failure;

/// Clients that each send one request after the other.
pub(super) struct Load {
    address: SocketAddr,
    requests: Arc<[String]>,
}

impl Load {
    pub(super) fn new(address: SocketAddr, requests: Vec<String>) -> Self {
        Self { address, requests: requests.into() }
    }

    /// The same requests, changed, of another server.
    pub(super) fn at(&self, address: SocketAddr, change: impl Fn(&str) -> String) -> Self {
        Self::new(address, self.requests.iter().map(|request| change(request)).collect())
    }

    /// What the first request is answered.
    pub(super) async fn first(&self) -> Result<Vec<u8>, Failure> {
        let mut client = Client::connect(self.address).await?;
        client.send(&self.requests[0]).await?;
        Ok(client.body().to_vec())
    }

    /// How long each request took, in milliseconds.
    pub(super) async fn run(&self, clients: usize, time: Duration) -> Result<Vec<f64>, Failure> {
        let mut running = JoinSet::new();
        let begun = Instant::now();
        for number in 0..clients {
            let (address, requests) = (self.address, self.requests.clone());
            running.spawn(async move {
                let mut client = Client::connect(address).await?;
                let mut took = Vec::new();
                let mut at = number * 37;
                while begun.elapsed() < time {
                    let sent = Instant::now();
                    client.send(&requests[at % requests.len()]).await?;
                    took.push(sent.elapsed().as_secs_f64() * 1_000.0);
                    at += 1;
                }
                Ok::<_, Failure>(took)
            });
        }
        let mut all = Vec::new();
        while let Some(client) = running.join_next().await {
            all.extend(client.map_err(|error| Failure::Machine(error.to_string()))??);
        }
        Ok(all)
    }
}

pub(super) struct Pgbench {
    program: PathBuf,
    url: String,
    script: tempfile::NamedTempFile,
}

impl Pgbench {
    pub(super) fn new(ground: &Ground<'_>, script: &str) -> Result<Self, Failure> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), script)?;
        let program = ground.site.database.program("pgbench");
        Ok(Self { program, url: ground.url.clone(), script: file })
    }

    /// Transactions per second.
    pub(super) async fn rate(&self, clients: usize, seconds: u64) -> Result<f64, Failure> {
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let threads = if clients == "1" { "1" } else { "2" };
        let output = Command::new(&self.program)
            .args(["-n", "-M", "prepared", "-c", &clients, "-j", threads, "-T", &seconds, "-f"])
            .arg(self.script.path())
            .arg(&self.url)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| {
                Failure::Machine(format!("{} cannot be run: {error}", self.program.display()))
            })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            Failure::Machine(format!("pgbench failed: {errors}{text}"))
        })
    }
}
