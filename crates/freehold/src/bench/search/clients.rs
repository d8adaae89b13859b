//! Searches per second, with one client and with several at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_engine::{Engine, Scan, Tenant, Yardstick, search::Recall};
use tokio::task::JoinSet;

use super::{
    super::{
        Ground,
        report::{Goal, Row},
    },
    nearest,
    vectors::Vectors,
};
use crate::output::Failure;

const CLIENTS: [usize; 2] = [1, 8];

/// What ours is compared with: the settings whose recall comes nearest to ours.
const SCAN: Scan = Scan { iterative: "relaxed_order", ef_search: 100 };

/// So many different questions are asked in turns.
const QUESTIONS: usize = 64;

/// Searches per second of a tenant, the two ways in turns.
pub(super) async fn rates(
    ground: &Ground<'_>,
    yardstick: &Yardstick,
    tenant: &Tenant,
    size: &str,
    vectors: &Vectors,
) -> Result<Vec<Row>, Failure> {
    let questions: Arc<[String]> = (0..QUESTIONS).map(|number| vectors.question(number)).collect();
    let (rounds, time) =
        if ground.quick { (1, Duration::from_millis(250)) } else { (3, Duration::from_secs(1)) };
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let (mut ours, mut other) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(walled(ground, tenant, clients, &questions, time).await?);
            other.push(plain(yardstick, tenant, clients, &questions, time).await?);
        }
        let case = format!("{size}, iterative relaxed, ef 100: {}", with(clients));
        rows.push(Row { case, ours, other, unit: "searches/s", goal: Goal::Open });
    }
    Ok(rows)
}

fn with(clients: usize) -> String {
    match clients {
        1 => "1 client".into(),
        _ => format!("{clients} clients"),
    }
}

async fn walled(
    ground: &Ground<'_>,
    tenant: &Tenant,
    clients: usize,
    questions: &Arc<[String]>,
    time: Duration,
) -> Result<f64, Failure> {
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for number in 0..clients {
        let (engine, tenant, questions): (Engine, Tenant, _) =
            (ground.engine.clone(), tenant.clone(), questions.clone());
        running.spawn(async move {
            let mut done = 0;
            while begun.elapsed() < time {
                let question = &questions[(number * 7 + done) % QUESTIONS];
                nearest(&engine, &tenant, question, Recall::Usual).await?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(running, begun).await
}

async fn plain(
    yardstick: &Yardstick,
    tenant: &Tenant,
    clients: usize,
    questions: &Arc<[String]>,
    time: Duration,
) -> Result<f64, Failure> {
    let mut searchers = Vec::new();
    for _ in 0..clients {
        let mut searcher = yardstick.plain_searcher(tenant, SCAN).await?;
        // Its statement is prepared, as those of our pool are.
        searcher.nearest(&questions[0]).await?;
        searchers.push(searcher);
    }
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for (number, mut searcher) in searchers.into_iter().enumerate() {
        let questions = questions.clone();
        running.spawn(async move {
            let mut done = 0;
            while begun.elapsed() < time {
                searcher.nearest(&questions[(number * 7 + done) % QUESTIONS]).await?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(running, begun).await
}

/// Searches per second until the last client has ended.
async fn rate(
    mut running: JoinSet<Result<usize, Failure>>,
    begun: Instant,
) -> Result<f64, Failure> {
    let mut done = 0;
    while let Some(client) = running.join_next().await {
        done += client.map_err(|error| Failure::Machine(error.to_string()))??;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
