//! `bench wall`: what the wall costs. The same tables, the same answers: ours as the application behind the wall,
//! the plain way as a role that bypasses it and writes `where tenant_id = …` by hand.

use std::time::Instant;

use freehold_engine::{Work, Yardstick};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::output::Failure;

/// Rows of each of the tenants.
const ROWS: u32 = 5000;
/// Tenants in the tables beside the one that is measured.
const NEIGHBOURS: u32 = 20;
/// Statements in the longer transaction whose slope is the cost of one.
const MANY: u32 = 21;

struct Case {
    name: &'static str,
    work: Work,
    /// Transactions in one sample.
    sample: u32,
    goals: (f64, f64),
}

const CASES: [Case; 3] = [
    Case { name: "point read", work: Work::Point, sample: 300, goals: (1.6, 1.1) },
    Case { name: "durable insert", work: Work::Insert, sample: 60, goals: (1.3, 1.1) },
    Case { name: "1,000-row read", work: Work::Scan, sample: 30, goals: (1.1, 1.1) },
];

pub(super) async fn run(ground: &mut Ground<'_>) -> Result<Report, Failure> {
    ground.bar.set_message("filling the tables");
    let tenant = super::tenant(ground, "acme").await?;
    for number in 0..NEIGHBOURS {
        super::tenant(ground, &format!("neighbour-{number}")).await?;
    }
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), tenant).await?;
    yardstick.fill(ROWS).await?;
    let mut rows = Vec::new();
    for case in CASES {
        let (mut whole, mut slope) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for round in 0..=ground.rounds() {
            ground.bar.set_message(format!("{}: round {round} of {}", case.name, ground.rounds()));
            let one = pair(&mut yardstick, case.work, 1, case.sample).await?;
            let many = pair(&mut yardstick, case.work, MANY, case.sample.div_ceil(10)).await?;
            if round == 0 {
                continue; // Caches fill and statements get their generic plans.
            }
            whole.0.push(one.0);
            whole.1.push(one.1);
            slope.0.push((many.0 - one.0) / f64::from(MANY - 1));
            slope.1.push((many.1 - one.1) / f64::from(MANY - 1));
        }
        let row = |what: &str, (ours, other): (Vec<f64>, Vec<f64>), goal| Row {
            case: format!("{}, {what}", case.name),
            ours,
            other,
            unit: "µs",
            goal: Goal::AtMost(goal),
        };
        rows.push(row("whole request", whole, case.goals.0));
        rows.push(row("per statement", slope, case.goals.1));
    }
    Ok(Report {
        bench: "wall",
        about: "latency behind the wall against the same tables with WHERE by hand, BEGIN and COMMIT included, one \
                client, everything prepared and pipelined on both sides"
            .into(),
        rows,
    })
}

/// Microseconds of one transaction of `statements`, ours and plain, taken in turns so that both see the same machine.
async fn pair(
    yardstick: &mut Yardstick,
    work: Work,
    statements: u32,
    sample: u32,
) -> Result<(f64, f64), Failure> {
    let (mut ours, mut plain) = (0.0, 0.0);
    for _ in 0..2 {
        let half = sample.div_ceil(2);
        let begun = Instant::now();
        for _ in 0..half {
            yardstick.walled(work, statements).await?;
        }
        ours += begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for _ in 0..half {
            yardstick.plain(work, statements).await?;
        }
        plain += begun.elapsed().as_secs_f64();
    }
    let transactions = f64::from(sample.div_ceil(2) * 2);
    Ok((ours * 1e6 / transactions, plain * 1e6 / transactions))
}
