//! `bench api`: uncached reads per second over HTTP, against pgbench running the same statement as fast as it can.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_engine::Yardstick;
use freehold_model::query;
use tokio::process::Command;

use super::{
    Ground,
    client::Client,
    report::{Goal, Report, Row},
};
use crate::{http::Server, output::Failure};

const CLIENTS: usize = 8;
const ROWS: u32 = 5000;
/// What is asked, up to the id.
const SELECT: &str = "select=id,label,amount&id=eq.";

pub(super) async fn run(ground: &mut Ground<'_>) -> Result<Report, Failure> {
    ground.bar.set_message("filling the tables");
    let tenant = super::tenant(ground, "acme").await?;
    let key = ground
        .operator
        .create_key("acme", "bench", freehold_engine::Role::Writer, Some(86_400))
        .await?
        .secret;
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), tenant).await?;
    yardstick.fill(ROWS).await?;
    let ids = yardstick.ids(1000).await?;
    let server = Server::bind("127.0.0.1:0", ground.engine.clone()).await?;
    let address = server.address()?;
    let serving = async { server.run(std::future::pending()).await };
    let pgbench = Pgbench::new(ground, &yardstick, &ids)?;
    let seconds = if ground.quick { 2 } else { 5 };
    let rounds = if ground.quick { 3 } else { 7 };
    let measuring = async {
        let (mut ours, mut other) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            ground.bar.set_message(format!("round {round} of {rounds}"));
            let http = http_rate(address, &key, &ids, Duration::from_secs(seconds)).await?;
            let plain = pgbench.rate(seconds).await?;
            if round > 0 {
                ours.push(http);
                other.push(plain);
            }
        }
        Ok::<_, Failure>((ours, other))
    };
    let (ours, other) = tokio::select! {
        measured = measuring => measured?,
        served = serving => return Err(served.err().map_or_else(|| Failure::Machine("the server stopped".into()), Into::into)),
    };
    let row = Row {
        case: "point read as JSON".into(),
        ours,
        other,
        unit: "requests/s",
        goal: Goal::AtLeast(0.5),
    };
    Ok(Report {
        bench: "api",
        about: format!(
            "HTTP requests per second against pgbench with the same statement, {CLIENTS} clients each; server, client and \
             PostgreSQL share this machine"
        ),
        rows: vec![row],
    })
}

async fn http_rate(
    address: std::net::SocketAddr,
    key: &str,
    ids: &[String],
    time: Duration,
) -> Result<f64, Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (key, ids, done) = (key.to_owned(), ids.to_vec(), done.clone());
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut at = number * 37;
            while begun.elapsed() < time {
                let path = format!("/rest/v1/item?{SELECT}{}", ids[at % ids.len()]);
                client.get(&path, &key).await?;
                done.fetch_add(1, Ordering::Relaxed);
                at += 1;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client.map_err(|error| Failure::Machine(error.to_string()))??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

struct Pgbench {
    program: PathBuf,
    url: String,
    script: tempfile::NamedTempFile,
}

impl Pgbench {
    fn new(ground: &Ground<'_>, yardstick: &Yardstick, ids: &[String]) -> Result<Self, Failure> {
        let script = tempfile::NamedTempFile::new()?;
        // The very statement the API runs for such a request.
        let snapshot = ground.engine.snapshot();
        let query = format!("{SELECT}{}", ids.first().map_or("", String::as_str));
        let query = query::parse(&snapshot.model, "item", &query, ground.engine.limits())?;
        std::fs::write(script.path(), yardstick.pgbench_script(&query.render(), ids))?;
        let program = ground.site.database.program("pgbench");
        Ok(Self { program, url: ground.url.clone(), script })
    }

    /// Transactions per second.
    async fn rate(&self, seconds: u64) -> Result<f64, Failure> {
        let output = Command::new(&self.program)
            .args([
                "-n",
                "-M",
                "prepared",
                "-c",
                &CLIENTS.to_string(),
                "-j",
                "2",
                "-T",
                &seconds.to_string(),
                "-f",
            ])
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
            Failure::Machine(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))
        })
    }
}
