//! `bench project`: how soon a commit is seen in a read model, alone and beside others that write much, and how many changes
//! workers follow in a second; against refreshing a materialised view of the same rows.

mod load;
mod peer;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use freehold_engine::{Engine, Load, Size, Tenant, Writer, project::Watch};

use self::{
    load::{Rate, Stop, at_rate, flat_out, probe},
    peer::Peer,
};
use super::{
    Ground,
    report::{Goal, Report, Row, quantile},
};
use crate::output::Failure;

/// The rows of the tenant whose backlog is followed, and that writes 60,000 rows at once.
const BIG: Size = Size { invoices: 10_000, lines: 6 };
/// Of each of the others.
const SMALL: Size = Size { invoices: 4, lines: 1 };

/// Rows changed in one transaction beside the others.
const GIANT: u32 = 60_000;

pub(super) async fn run(
    ground: &mut Ground<'_>,
    tenants: u32,
    peer: Option<&Path>,
) -> Result<Report, Failure> {
    ground.bar.set_message(format!("making {tenants} tenants and the rows"));
    let big = super::tenant(ground, "big").await?;
    let mut load = Load::open(&ground.url).await?;
    load.prepare_rivals().await?;
    load.make_tenants(tenants).await?;
    load.fill("big", BIG).await?;
    load.fill("t%", SMALL).await?;
    load.refresh().await?;
    let mut others = Vec::new();
    // Enough of them to probe; all of them are written to.
    for number in 1..=tenants {
        others.push(ground.engine.tenant(&format!("t{number}")).await?);
    }
    let begun = Instant::now();
    let engine = ground.engine.clone();
    while engine.project_round(&mut Watch::default()).await? > 0 {}
    tracing::info!(seconds = begun.elapsed().as_secs_f64(), "everything is followed");
    let mut rows = follow(ground, &big).await?;
    if let Some(folder) = peer {
        ground.bar.set_message("making what a peer has, too");
        let pair = super::tenant(ground, "pair").await?;
        load.fill("pair", BIG).await?;
        while engine.project_round(&mut Watch::default()).await? > 0 {}
        rows.extend(beside(ground, &pair, Peer::start(folder, &ground.url)?).await?);
    }
    let working = tokio::spawn({
        let engine = engine.clone();
        async move { engine.project_forever().await }
    });
    let measured = Box::pin(freshness(ground, &mut load, &big, &others)).await;
    working.abort();
    rows.extend(measured?);
    caught_up(&engine).await?;
    let mut wrong = 0;
    for tenant in std::iter::once(&big).chain(others.iter().take(200)) {
        let found = engine.check_read(tenant, "bill").await?;
        wrong += found.missing + found.extra + found.different;
    }
    rows.push(alone(
        "rows that are wrong at the end",
        vec![wrong as f64],
        "rows",
        Goal::Within(0.0),
    ));
    if let Some(peak) = memory() {
        let case =
            format!("memory of this process, workers and writers, with {tenants} tenants, peak");
        rows.push(alone(&case, vec![peak], "MiB", Goal::Open));
    }
    Ok(Report {
        bench: "project",
        about: format!(
            "the read model joins lines, invoices, customers and products and adds up each invoice; {tenants} tenants, \
             workers in this process. Commit to visible: from the answer to a durable commit until a reader of the table \
             sees it. Plain: REFRESH MATERIALIZED VIEW CONCURRENTLY of the same query"
        ),
        rows,
    })
}

/// What the workers that were ended had begun is theirs for some seconds.
async fn caught_up(engine: &Engine) -> Result<(), Failure> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        while engine.project_round(&mut Watch::default()).await? > 0 {}
        let behind: u64 = engine.lag(0).await?.iter().map(|lag| lag.behind).sum();
        if behind == 0 {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Failure::Machine(format!("{behind} changes are never followed")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn alone(case: &str, ours: Vec<f64>, unit: &'static str, goal: Goal) -> Row {
    Row { case: case.into(), ours, other: Vec::new(), unit, goal }
}

/// The most this process has had at once, in MiB; `None` where `/proc` does not say.
fn memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// How many changes are followed in a second, once nobody writes.
async fn follow(ground: &Ground<'_>, big: &Tenant) -> Result<Vec<Row>, Failure> {
    let mut writer = Writer::open(&ground.engine.store()).await?;
    let (batches, rounds) = if ground.quick { (40, 2) } else { (100, 5) };
    let mut rows = Vec::new();
    for (case, hot, goal) in [
        ("changes followed, spread over 10,000 units", false, 20_000.0),
        ("changes followed, 90 % on 50 hot units", true, 50_000.0),
    ] {
        let mut rates = Vec::new();
        for round in 0..=rounds {
            ground.bar.set_message(format!("{case}: round {round} of {rounds}"));
            let rate = once(ground, big, &mut writer, batches, hot.then_some(50)).await?;
            if round > 0 {
                rates.push(rate);
            }
        }
        rows.push(alone(case, rates, "changes/s", Goal::Reach(goal)));
    }
    Ok(rows)
}

/// Writes batches of 1,000 lines, of which 90 % are of so many `hot` units, and follows them.
async fn once(
    ground: &Ground<'_>,
    big: &Tenant,
    writer: &mut Writer,
    batches: u32,
    hot: Option<u32>,
) -> Result<f64, Failure> {
    for batch in 0..batches {
        let unit = |n: u32| {
            let spread = (batch * 7919 + n * 104_729) % BIG.invoices;
            hot.filter(|_| !n.is_multiple_of(10)).map_or(spread, |hot| spread % hot)
        };
        writer.add_lines(big, &(0..1000).map(unit).collect::<Vec<_>>()).await?;
    }
    let begun = Instant::now();
    while ground.engine.project_round(&mut Watch::default()).await? > 0 {}
    Ok(f64::from(batches) * 1000.0 / begun.elapsed().as_secs_f64())
}

/// The same work in turns with a peer, on the same rows of one tenant; nobody else's workers run.
async fn beside(ground: &Ground<'_>, pair: &Tenant, mut peer: Peer) -> Result<Vec<Row>, Failure> {
    let store = ground.engine.store();
    let mut writer = Writer::open(&store).await?;
    let (batches, rounds, seconds) = if ground.quick { (10, 2, 4) } else { (40, 5, 15) };
    let row = |case: &str, ours, other, unit| {
        let case = format!("{case}, beside graphile-worker");
        Row { case, ours, other, unit, goal: Goal::Open }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut lags = [const { Vec::new() }; 4];
    for round in 1..=rounds {
        ground.bar.set_message(format!("beside a peer: round {round} of {rounds}"));
        ours.push(once(ground, pair, &mut writer, batches, None).await?);
        theirs.extend(peer.follow(batches).await?);
        let (stop, one) = (Stop::default(), std::slice::from_ref(pair));
        let working = tokio::spawn({
            let engine = ground.engine.clone();
            async move { engine.project_forever().await }
        });
        let measured = tokio::try_join!(
            at_rate(&store, one, Rate { writes: 200.0, clients: 4, invoice: 4 }, &stop),
            probe(&store, one, Duration::from_secs(seconds), &stop),
        );
        working.abort();
        let (_, own) = measured?;
        let other = peer.fresh(200.0, seconds).await?;
        for (at, share) in [0.5, 0.99].into_iter().enumerate() {
            lags[at].push(quantile(&own, share));
            lags[at + 2].push(quantile(&other, share));
        }
        caught_up(&ground.engine).await?;
    }
    let [own_half, own_most, half, most] = lags;
    Ok(vec![
        row("changes followed, spread over 10,000 units", ours, theirs, "changes/s"),
        row("200 writes/s of one tenant, p50", own_half, half, "ms"),
        row("200 writes/s of one tenant, p99", own_most, most, "ms"),
    ])
}

async fn freshness(
    ground: &Ground<'_>,
    load: &mut Load,
    big: &Tenant,
    others: &[Tenant],
) -> Result<Vec<Row>, Failure> {
    let store = ground.engine.store();
    let time = Duration::from_secs(if ground.quick { 4 } else { 15 });
    let mut rows = Vec::new();

    ground.bar.set_message("200 writes/s");
    let stop = Stop::default();
    let (_, lags) = tokio::try_join!(
        at_rate(&store, others, Rate { writes: 200.0, clients: 4, invoice: 0 }, &stop),
        probe(&store, others, time, &stop),
    )?;
    let mut refreshes = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        load.refresh().await?;
        refreshes.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    rows.extend(lag_rows("200 writes/s", &lags, Some(20.0), &refreshes));

    ground.bar.set_message("beside 60,000 rows of another tenant");
    let stop = Stop::default();
    let giant = async {
        load.change_lines(big.name(), GIANT).await?;
        Ok::<_, Failure>(())
    };
    let (_, lags, ()) = tokio::try_join!(
        at_rate(&store, others, Rate { writes: 200.0, clients: 4, invoice: 0 }, &stop),
        probe(&store, others, time, &stop),
        giant,
    )?;
    rows.extend(lag_rows(
        "200 writes/s beside 60,000 rows of one transaction",
        &lags,
        Some(100.0),
        &refreshes,
    ));

    ground.bar.set_message("the peak");
    let stop = Stop::default();
    let peak = flat_out(&store, big, 8, Duration::from_secs(3), &stop).await?;
    ground.bar.set_message("one tenant floods");
    let stop = Stop::default();
    let (flood, rest) = (
        Rate { writes: peak * 0.5, clients: 5, invoice: 0 },
        Rate { writes: peak * 0.2, clients: 3, invoice: 0 },
    );
    let (flooded, wrote, lags) = tokio::try_join!(
        at_rate(&store, std::slice::from_ref(big), flood, &stop),
        at_rate(&store, others, rest, &stop),
        probe(&store, others, time, &stop),
    )?;
    let case = format!(
        "70 % of the peak of {peak:.0} writes/s ({:.0} done), one tenant floods",
        (flooded + wrote) as f64 / time.as_secs_f64()
    );
    rows.extend(lag_rows(&case, &lags, Some(50.0), &refreshes));
    Ok(rows)
}

fn lag_rows(case: &str, lags: &[f64], goal: Option<f64>, refreshes: &[f64]) -> Vec<Row> {
    let refresh = vec![quantile(refreshes, 0.5)];
    let row = |what: &str, share: f64, goal: Option<f64>| Row {
        case: format!("{case}, {what}"),
        ours: vec![quantile(lags, share)],
        other: refresh.clone(),
        unit: "ms",
        goal: goal.map_or(Goal::Open, Goal::Within),
    };
    vec![row("p50", 0.5, None), row("p99", 0.99, goal)]
}
