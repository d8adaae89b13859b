//! `bench write`: durable transactions per second with change capture, against the same writes to a table whose changes
//! nobody notes, and beside a trigger that adds up in the writer's own transaction. No worker runs meanwhile.

use std::time::{Duration, Instant};

use freehold_engine::{Load, Target, Tenant, Writer};

use super::{
    Ground,
    report::{Goal, Report, Row},
    wall::server_cpu,
};
use crate::output::Failure;

const TARGETS: [Target; 3] = [Target::Bare, Target::Captured, Target::Summed];

struct Case {
    name: &'static str,
    rows: u32,
    clients: usize,
    goal: f64,
}

const CASES: [Case; 4] = [
    Case { name: "1 row, 1 client", rows: 1, clients: 1, goal: 0.85 },
    Case { name: "1 row, 8 clients", rows: 1, clients: 8, goal: 0.85 },
    Case { name: "1,000 rows, 1 client", rows: 1000, clients: 1, goal: 0.75 },
    Case { name: "1,000 rows, 8 clients", rows: 1000, clients: 8, goal: 0.75 },
];

pub(super) async fn run(ground: &mut Ground<'_>) -> Result<Report, Failure> {
    let tenant = super::tenant(ground, "acme").await?;
    let mut load = Load::open(&ground.url).await?;
    load.prepare_rivals().await?;
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(measure(ground, &mut load, &tenant, case).await?);
    }
    Ok(Report {
        bench: "write",
        about: "durable transactions of one insert as the application behind the wall, each opening its tenant; with their \
                changes noted for a read model, against a table that none reads (or, where it says so, against a \
                statement trigger that adds up in the writer's transaction), in turns. Server CPU: of PostgreSQL's \
                process, where it runs on this machine"
            .into(),
        rows,
    })
}

/// Transactions per second, and the server's microseconds for one, of each target.
type Samples = [(Vec<f64>, Vec<f64>); 3];

async fn measure(
    ground: &Ground<'_>,
    load: &mut Load,
    tenant: &Tenant,
    case: &Case,
) -> Result<Vec<Row>, Failure> {
    let store = ground.engine.store();
    let mut writers = Vec::new();
    for _ in 0..case.clients {
        writers.push(Writer::open(&store).await?);
    }
    let window = Duration::from_millis(if ground.quick { 250 } else { 500 });
    let rounds = ground.rounds();
    let mut samples = Samples::default();
    load.checkpoint().await?;
    for round in 0..=rounds {
        ground.bar.set_message(format!("{}: round {round} of {rounds}", case.name));
        // Each begins a round as often as the others.
        for turn in 0..TARGETS.len() {
            let at = (turn + round) % TARGETS.len();
            let (rate, cpu) = rate(&mut writers, tenant, TARGETS[at], case.rows, window).await?;
            if round > 0 {
                samples[at].0.push(rate);
                samples[at].1.push(cpu);
            }
        }
    }
    let [bare, captured, summed] = samples;
    let row = |what: &str, ours: &Vec<f64>, other: Vec<f64>, unit, goal| Row {
        case: format!("{}{what}", case.name),
        ours: ours.clone(),
        other,
        unit,
        goal,
    };
    let mut rows = vec![
        row("", &captured.0, bare.0, "tx/s", Goal::AtLeast(case.goal)),
        row(", a trigger adds up", &captured.0, summed.0, "tx/s", Goal::Open),
    ];
    if captured.1.iter().all(|cpu| cpu.is_finite()) {
        rows.push(row(", server CPU", &captured.1, bare.1, "µs", Goal::Open));
    }
    Ok(rows)
}

/// As many transactions as fit into the time, of all writers together.
async fn rate(
    writers: &mut [Writer],
    tenant: &Tenant,
    target: Target,
    rows: u32,
    time: Duration,
) -> Result<(f64, f64), Failure> {
    let cpu = |writers: &[Writer]| writers.iter().map(|w| server_cpu(w.backend())).sum::<f64>();
    let (begun, before) = (Instant::now(), cpu(writers));
    let each = writers.iter_mut().enumerate().map(|(number, writer)| async move {
        let mut done = 0_u64;
        while begun.elapsed() < time {
            writer.insert(tenant, target, rows, number as u64 * 37 + done).await?;
            done += 1;
        }
        Ok::<_, Failure>(done)
    });
    let done: u64 = futures_util::future::try_join_all(each).await?.into_iter().sum();
    let elapsed = begun.elapsed().as_secs_f64();
    Ok((done as f64 / elapsed, (cpu(writers) - before) / done as f64))
}
