//! Clients that each send one request after the other on a connection that stays.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet};

use super::{super::client::Client, plain::Getter};
use crate::output::Failure;

/// What is asked, and where.
#[derive(Clone)]
pub(super) enum Wire {
    /// A whole request, to a server at this address.
    Http(SocketAddr, String),
    /// The one key of this Redis.
    Redis(SocketAddr),
}

enum Line {
    Http(Client, String),
    Redis(Getter),
}

/// How it went.
pub(super) struct Seen {
    /// Answers per second of all connections together.
    pub(super) rate: f64,
    /// How long each took, in milliseconds.
    pub(super) took: Vec<f64>,
}

impl Line {
    async fn connect(wire: Wire) -> Result<Self, Failure> {
        Ok(match wire {
            Wire::Http(address, request) => Self::Http(Client::connect(address).await?, request),
            Wire::Redis(address) => Self::Redis(Getter::connect(address).await?),
        })
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        match self {
            Self::Http(client, request) => client.send(request).await,
            Self::Redis(getter) => getter.get().await.map(drop),
        }
    }
}

/// As many answers as fit into the time, which begins when all are connected.
pub(super) async fn measure(
    wire: &Wire,
    connections: usize,
    time: Duration,
) -> Result<Seen, Failure> {
    let ready = Arc::new(Barrier::new(connections + 1));
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let (wire, ready) = (wire.clone(), ready.clone());
        running.spawn(async move {
            let line = Line::connect(wire).await;
            // Also who is not connected is waited for.
            ready.wait().await;
            let mut line = line?;
            let (begun, mut took) = (Instant::now(), Vec::new());
            while begun.elapsed() < time {
                let sent = Instant::now();
                line.ask().await?;
                took.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, Failure>(took)
        });
    }
    ready.wait().await;
    let begun = Instant::now();
    let took = joined(running).await?.concat();
    Ok(Seen { rate: took.len() as f64 / begun.elapsed().as_secs_f64(), took })
}

/// What all of them come to.
pub(super) async fn joined<T: 'static>(
    mut running: JoinSet<Result<T, Failure>>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    while let Some(one) = running.join_next().await {
        all.push(one.map_err(|error| Failure::Machine(error.to_string()))??);
    }
    Ok(all)
}
