//! `bench wall`: what the wall costs. The same rows, the same answers: ours as the application behind the wall; the
//! plain way on one table without partitions, policies and triggers, with `where tenant_id = …` written by hand.

use std::{fs, time::Instant};

use freehold_engine::{Way, Work, Yardstick};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::output::Failure;

/// Rows of each of the tenants.
const ROWS: u32 = 5000;
/// Tenants in the tables beside the one that is measured.
const NEIGHBOURS: u32 = 20;

struct Case {
    name: &'static str,
    work: Work,
    /// Requests in one sample, and statements in one transaction.
    sample: u32,
    goals: (f64, f64),
}

const CASES: [Case; 3] = [
    Case { name: "point read", work: Work::Point, sample: 200, goals: (1.6, 1.1) },
    Case { name: "insert", work: Work::Insert, sample: 60, goals: (1.3, 1.1) },
    Case { name: "1,000-row read", work: Work::Scan, sample: 30, goals: (1.1, 1.1) },
];

pub(super) async fn run(
    ground: &mut Ground<'_>,
    mode: &str,
    partitions: &[u32],
) -> Result<Report, Failure> {
    ground.bar.set_message("filling the tables");
    let tenant = super::tenant(ground, "acme").await?;
    for number in 0..NEIGHBOURS {
        super::tenant(ground, &format!("neighbour-{number}")).await?;
    }
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), tenant.clone()).await?;
    yardstick.fill(ROWS).await?;
    // With rows among the shelves a tenant cannot get a partition of its own any more.
    let apart = super::tenant(ground, "apart").await?;
    let mut counts = partitions.to_vec();
    counts.sort_unstable();
    counts.dedup();
    let mut rows = Vec::new();
    for count in counts {
        let mut place = mode.to_owned();
        if count > 0 {
            ground.bar.set_message(format!("making {count} partitions"));
            yardstick.dedicate(apart.clone(), count, ROWS).await?;
            place = format!("{mode}, {count} of their own");
        }
        for case in &CASES {
            rows.extend(measure(ground, &mut yardstick, case, &place).await?);
        }
    }
    Ok(Report {
        bench: "wall",
        about: "the wall against a table of the same rows that is partitioned alike, with statistics, and WHERE by \
                hand; one client, one connection for each way, all statements prepared, the plans PostgreSQL \
                chooses. A request: ours opens the tenant, runs one statement and commits; by hand BEGIN, the \
                statement and COMMIT; both in one round trip. A statement: one more in an open transaction. Server \
                CPU: of PostgreSQL's process, where it runs on this machine"
            .into(),
        rows,
    })
}

/// Samples of one quantity, ours and by hand.
type Samples = (Vec<f64>, Vec<f64>);

async fn measure(
    ground: &Ground<'_>,
    yardstick: &mut Yardstick,
    case: &Case,
    place: &str,
) -> Result<Vec<Row>, Failure> {
    let (mut request, mut statement) =
        ([Samples::default(), Samples::default()], [Samples::default(), Samples::default()]);
    for round in 0..=ground.rounds() {
        ground.bar.set_message(format!(
            "{place}: {}: round {round} of {}",
            case.name,
            ground.rounds()
        ));
        let one = pair(yardstick, case, requests).await?;
        let more = pair(yardstick, case, statements).await?;
        if round == 0 {
            continue; // Caches fill and statements get their plans.
        }
        for (samples, (ours, other)) in [(&mut request, one), (&mut statement, more)] {
            for (at, samples) in samples.iter_mut().enumerate() {
                samples.0.push(ours[at]);
                samples.1.push(other[at]);
            }
        }
    }
    let row = |what: &str, (ours, other): Samples, goal| {
        let case = format!("{place}: {}, {what}", case.name);
        ours.iter().all(|value| value.is_finite()).then_some(Row {
            case,
            ours,
            other,
            unit: "µs",
            goal,
        })
    };
    let ([wall, cpu], [wall_more, cpu_more]) = (request, statement);
    let rows = [
        row("request", wall, Goal::AtMost(case.goals.0)),
        row("request, server CPU", cpu, Goal::Open),
        row("statement", wall_more, Goal::AtMost(case.goals.1)),
        row("statement, server CPU", cpu_more, Goal::AtMost(case.goals.1)),
    ];
    Ok(rows.into_iter().flatten().collect())
}

/// Microseconds of one unit of work: on the clock, and of the server's CPU (NaN if it is elsewhere).
type Cost = [f64; 2];

/// What `work` costs our way and by hand, taken in turns so that both see the same machine.
async fn pair(
    yardstick: &mut Yardstick,
    case: &Case,
    work: impl AsyncFn(&mut Yardstick, Way, Work, u32) -> Result<Cost, Failure>,
) -> Result<(Cost, Cost), Failure> {
    let half = case.sample.div_ceil(2);
    let (mut ours, mut plain) = ([0.0; 2], [0.0; 2]);
    for _ in 0..2 {
        for (way, sum) in [(Way::Walled, &mut ours), (Way::Plain, &mut plain)] {
            let cost = work(yardstick, way, case.work, half).await?;
            sum.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += cost / 2.0);
        }
    }
    Ok((ours, plain))
}

async fn requests(
    yardstick: &mut Yardstick,
    way: Way,
    work: Work,
    count: u32,
) -> Result<Cost, Failure> {
    let clock = Clock::start(yardstick, way);
    for _ in 0..count {
        yardstick.request(way, work).await?;
    }
    Ok(clock.stop(count))
}

async fn statements(
    yardstick: &mut Yardstick,
    way: Way,
    work: Work,
    count: u32,
) -> Result<Cost, Failure> {
    yardstick.begin(way).await?;
    yardstick.again(way, work).await?;
    let clock = Clock::start(yardstick, way);
    for _ in 0..count {
        yardstick.again(way, work).await?;
    }
    let cost = clock.stop(count);
    yardstick.commit(way).await?;
    Ok(cost)
}

struct Clock {
    begun: Instant,
    backend: i32,
    cpu: f64,
}

impl Clock {
    fn start(yardstick: &Yardstick, way: Way) -> Self {
        let backend = yardstick.backend(way);
        Self { begun: Instant::now(), backend, cpu: server_cpu(backend) }
    }

    fn stop(&self, count: u32) -> Cost {
        let wall = self.begun.elapsed().as_secs_f64() * 1e6;
        [wall, server_cpu(self.backend) - self.cpu].map(|cost| cost / f64::from(count))
    }
}

/// Microseconds a process of PostgreSQL on this machine has computed; NaN if there is none of this number.
pub(super) fn server_cpu(process: i32) -> f64 {
    let read = |file| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let nanoseconds = read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok());
    nanoseconds
        .filter(|_| read("comm").trim() == "postgres")
        .map_or(f64::NAN, |number| number / 1e3)
}
