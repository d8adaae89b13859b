//! `bench search`: the ten nearest under the tenant's wall, with a join and a condition, for tenants of very different
//! sizes; against one table with one HNSW index and row-level security, and against the truth.

mod clients;
mod plot;
mod tune;
mod vectors;

use std::time::Instant;

use freehold_engine::{
    Code, Engine, Limit, Operator, Origin, Refusal, Scan, Tenant, Yardstick,
    read::Read,
    search::{Measured, Recall},
};
use serde_json::Value;

use self::vectors::Vectors;
use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::{
    cli::SearchBench,
    output::{self, Failure},
};

/// Shares of all rows, from half of everything; what is left goes to tenants of a hundred rows.
const SHARES: [f64; 8] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001];

/// Tenants with more rows than this have a partition and an index of their own.
const OWN_FROM: usize = 10_000;

/// Searches of one way before the other has its turn. Servers ask the same kind of question again and again: in turns of one
/// each way would find the processor's caches full of the other's pages.
const TURN: usize = 10;

/// Questions of each way before anything is noted: the first prepare statements and fill caches.
const FIRST: usize = 3;

/// Distances that differ by less are equal.
const EQUAL: f64 = 1e-5;

/// What somebody without Freehold would set, not knowing what comes of it.
const SCANS: [(&str, Scan); 4] = [
    ("pgvector's defaults", Scan { iterative: "off", ef_search: 40 }),
    ("iterative strict, ef 40", Scan { iterative: "strict_order", ef_search: 40 }),
    ("iterative relaxed, ef 100", Scan { iterative: "relaxed_order", ef_search: 100 }),
    ("iterative relaxed, ef 400", Scan { iterative: "relaxed_order", ef_search: 400 }),
];

struct House {
    tenant: Tenant,
    rows: usize,
}

/// A question, and the distances of its true nearest.
type Asked = (String, Vec<f64>);

/// What was seen of one way in one tenant.
#[derive(Default)]
struct Seen {
    millis: Vec<f64>,
    found: usize,
    wanted: usize,
    fewest: usize,
}

pub(super) async fn run(ground: &mut Ground<'_>, asked: &SearchBench) -> Result<Report, Failure> {
    // Opened before anything is measured, so that nothing is measured in vain.
    let mut served = match asked.apply {
        true => Some(ground.site.prepared("bench search --calibrate --apply").await?),
        false => None,
    };
    let total = if ground.quick { asked.total.min(20_000) } else { asked.total };
    let vectors = Vectors::read(asked.data.as_deref(), total)?;
    let mut houses = Vec::new();
    let mut left = total;
    for (number, share) in SHARES.iter().enumerate() {
        let rows = ((total as f64 * share) as usize).max(100);
        left = left.saturating_sub(rows);
        let tenant = super::tenant(ground, &format!("tenant-{number}")).await?;
        houses.push(House { tenant, rows });
    }
    for number in 0..(left / 100).clamp(1, 50) {
        let tenant = super::tenant(ground, &format!("small-{number}")).await?;
        houses.push(House { tenant, rows: 100 });
    }
    let first = houses[0].tenant.clone();
    let mut yardstick = Yardstick::open(&ground.url, ground.engine.store(), first).await?;
    let mut rows = fill(ground, &mut yardstick, &houses, &vectors).await?;
    let mut curve = None;
    for (number, house) in houses.iter().take(SHARES.len()).enumerate() {
        ground.bar.set_message(format!("tenant of {} rows", house.rows));
        let measured = if house.rows >= OWN_FROM {
            Some(tune::ours(&ground.engine, &house.tenant, &vectors, number).await?)
        } else {
            None
        };
        if number == 0 {
            curve = measured;
        }
        if asked.calibrate {
            // The largest tenant tells it, which is the first.
            break;
        }
        rows.extend(compare(ground, &mut yardstick, house, total, &vectors, number).await?);
        let size = format!("{} rows", house.rows);
        rows.extend(clients::rates(ground, &yardstick, &house.tenant, &size, &vectors).await?);
    }
    if let Some(measured) = &curve {
        rows.extend(crossing(ground, &houses[0], measured, &vectors).await?);
        if let Some(file) = &asked.plot {
            std::fs::write(file, plot::recall(measured, houses[0].rows))?;
        }
    }
    if asked.calibrate {
        rows.retain(|row| row.case.contains("index pays"));
    }
    if let Some(operator) = &mut served {
        note(ground, operator, &rows).await?;
    }
    Ok(Report {
        bench: "search",
        about: format!(
            "the ten nearest of {total} rows in {} tenants, with a join and a condition that a fifth of the rows fail; \
             as the API answers it, against one table with one HNSW index (m 16, ef_construction 64), row-level security \
             and statistics; each in one round trip, in turns of {TURN} searches, by one client unless said. Recall is by distance: rows equally far \
             away count. Ours is tuned with questions that are not among those it is measured with, the plain way with the very ones",
            houses.len()
        ),
        rows,
    })
}

/// Rows in all tables, and the indexes; says what they cost.
async fn fill(
    ground: &Ground<'_>,
    yardstick: &mut Yardstick,
    houses: &[House],
    vectors: &Vectors,
) -> Result<Vec<Row>, Failure> {
    let mut next = 0;
    for (number, house) in houses.iter().enumerate() {
        ground.bar.set_message(format!("loading {} rows", house.rows));
        if house.rows >= OWN_FROM {
            yardstick.apart(&house.tenant, number).await?;
        }
        let writers = vectors.writers(house.tenant.id());
        yardstick.copy_into("app.writer (tenant_id, id, name)", writers).await?;
        let (mut done, whole) = (0, house.rows);
        while done < whole {
            let more = (whole - done).min(5_000);
            let rows = vectors.passages(house.tenant.id(), next, more);
            let target = "app.passage (tenant_id, title, writer, kind, embedding)";
            yardstick.copy_into(target, rows).await?;
            (done, next) = (done + more, next + more);
        }
    }
    ground.bar.set_message("the plain table and its index");
    yardstick.plain_passages().await?;
    let begun = Instant::now();
    yardstick.plain_index(next).await?;
    let plain = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for (number, house) in houses.iter().enumerate().filter(|(_, house)| house.rows >= OWN_FROM) {
        ground.bar.set_message(format!("the index of {} rows", house.rows));
        yardstick.index_apart(&house.tenant, number, house.rows).await?;
    }
    let ours = begun.elapsed().as_secs_f64();
    ground.engine.store().refresh_placements().await?;
    let (plain_bytes, our_bytes) = yardstick.passage_bytes().await?;
    let per = |bytes: i64| vec![bytes as f64 / next as f64];
    let row = |case: &str, ours, other, unit| Row {
        case: case.into(),
        ours,
        other,
        unit,
        goal: Goal::Open,
    };
    Ok(vec![
        row("building the indexes", vec![ours], vec![plain], "s"),
        row("table and indexes", per(our_bytes), per(plain_bytes), "bytes/row"),
    ])
}

async fn compare(
    ground: &Ground<'_>,
    yardstick: &mut Yardstick,
    house: &House,
    total: usize,
    vectors: &Vectors,
    number: usize,
) -> Result<Vec<Row>, Failure> {
    let questions = if ground.quick { 20 } else { 100 };
    // The truth first: it reads all rows, and whoever searched next would find the processor's caches empty.
    let mut asked = Vec::new();
    for question in 0..questions + FIRST {
        // Rows of the tenant with a little noise: near to some, equal to none.
        let vector = vectors.question(number * 1_000 + question);
        let truth = yardstick.true_nearest(&house.tenant, &vector).await?;
        asked.push((vector, truth));
    }
    let tuned = tune::plain(yardstick, &house.tenant, &asked[FIRST..]).await?;
    let mut scans: Vec<(String, Scan)> =
        SCANS.iter().map(|(name, scan)| ((*name).to_owned(), *scan)).collect();
    scans.push((tuned.name(), tuned.scan));
    let mut seen = Vec::new();
    for (_, scan) in &scans {
        seen.push(in_turns(ground, yardstick, &house.tenant, *scan, &asked).await?);
    }
    let size = format!("{} rows", house.rows);
    let small = house.rows * 1_000 <= total;
    let mut rows = Vec::new();
    for ((name, _), (ours, seen)) in scans.iter().zip(&seen) {
        let mut row = |what: &str, ours: Vec<f64>, other: Vec<f64>, unit, goal| {
            rows.push(Row { case: format!("{size}, {name}: {what}"), ours, other, unit, goal });
        };
        // What is compared with is as sure as ours; for the smallest it cannot be, and the usual settings are.
        let goal = match (number, small) {
            (0, _) if *name == tuned.name() => Goal::AtMost(1.0),
            (_, true) if name.ends_with("ef 100") => Goal::AtMost(0.02),
            _ => Goal::Open,
        };
        row("p50", vec![ours.quantile(0.5)], vec![seen.quantile(0.5)], "ms", goal);
        row("p99", vec![ours.quantile(0.99)], vec![seen.quantile(0.99)], "ms", Goal::Open);
        row("recall@10", vec![ours.recall()], vec![seen.recall()], "share", Goal::Reach(0.99));
        let fewest = |seen: &Seen| vec![seen.fewest as f64];
        row("fewest rows", fewest(ours), fewest(seen), "rows", Goal::Reach(10.0));
    }
    Ok(rows)
}

/// What is seen of ours, and of the plain way with one setting, over the same questions.
async fn in_turns(
    ground: &Ground<'_>,
    yardstick: &mut Yardstick,
    tenant: &Tenant,
    scan: Scan,
    asked: &[Asked],
) -> Result<(Seen, Seen), Failure> {
    let (mut ours, mut plain) = (Seen::new(), Seen::new());
    let (first, noted) = asked.split_at(FIRST);
    for (vector, _) in first {
        nearest(&ground.engine, tenant, vector, Recall::Usual).await?;
        yardstick.plain_nearest(tenant, scan, vector).await?;
    }
    for (turn, questions) in noted.chunks(TURN).enumerate() {
        // Neither is always the one that comes first.
        for is_ours in [turn % 2 == 0, turn % 2 != 0] {
            for (vector, truth) in questions {
                let begun = Instant::now();
                if is_ours {
                    let found = nearest(&ground.engine, tenant, vector, Recall::Usual).await?;
                    ours.note(begun, &found, truth);
                } else {
                    let found = yardstick.plain_nearest(tenant, scan, vector).await?;
                    plain.note(begun, &found, truth);
                }
            }
        }
    }
    Ok((ours, plain))
}

/// Lets workers of the database that is used go by what was measured.
async fn note(ground: &Ground<'_>, operator: &mut Operator, rows: &[Row]) -> Result<(), Failure> {
    let Some(millis) = rows.last().and_then(|row| row.ours.first()) else {
        return Err(Refusal::new(Code::TryAgain, "no setting of the index found enough")
            .hint("nothing is changed; measure with more rows: --total")
            .into());
    };
    operator.set_placement_limit(Limit::Millis(*millis), Origin::Measured).await?;
    let policy = operator.placement_policy().await?;
    ground.bar.suspend(|| output::note(crate::command::placement::rule(&policy)));
    Ok(())
}

/// From how many rows on an index is faster than measuring every row.
async fn crossing(
    ground: &Ground<'_>,
    house: &House,
    measured: &Measured,
    vectors: &Vectors,
) -> Result<Option<Row>, Failure> {
    let mut exact = Seen::default();
    for question in 0..10 {
        let vector = vectors.question(question);
        let begun = Instant::now();
        let found = nearest(&ground.engine, &house.tenant, &vector, Recall::Exact).await?;
        exact.note(begun, &found, &found);
    }
    let Some(point) = measured.points.iter().find(|point| point.sure >= Recall::DEFAULT) else {
        return Ok(None);
    };
    let each = exact.quantile(0.5) / house.rows as f64;
    Ok(Some(Row {
        case: format!(
            "an index pays from {:.0} rows on: exact {:.2} µs a row, index at recall {} (ours) against exact (other)",
            point.seconds * 1e3 / each,
            each * 1e3,
            Recall::DEFAULT
        ),
        ours: vec![point.seconds * 1e3],
        other: vec![exact.quantile(0.5)],
        unit: "ms",
        goal: Goal::Open,
    }))
}

async fn nearest(
    engine: &Engine,
    tenant: &Tenant,
    vector: &str,
    recall: Recall,
) -> Result<Vec<f64>, Failure> {
    let query = format!(
        "select=title,d:embedding.distance(),writer!inner(name)&kind=gte.2&embedding=nearest.{vector}&limit=10"
    );
    let read = Read { entity: "passage", query: &query, count: false };
    let answer = engine.search(tenant, read, recall).await?;
    let rows: Vec<Value> =
        serde_json::from_str(&answer.body).map_err(|error| Failure::Machine(error.to_string()))?;
    Ok(rows.iter().filter_map(|row| row["d"].as_f64()).collect())
}

impl Seen {
    fn new() -> Self {
        Self { fewest: usize::MAX, ..Self::default() }
    }

    fn note(&mut self, begun: Instant, found: &[f64], truth: &[f64]) {
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        let farthest = truth.last().copied().unwrap_or_default() + EQUAL;
        self.found += found.iter().filter(|d| **d <= farthest).count().min(truth.len());
        self.wanted += truth.len();
        self.fewest = self.fewest.min(found.len());
        self.millis.push(millis);
    }

    fn recall(&self) -> f64 {
        self.found as f64 / (self.wanted as f64).max(1.0)
    }

    fn quantile(&self, share: f64) -> f64 {
        super::report::quantile(&self.millis, share)
    }
}
