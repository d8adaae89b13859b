//! `bench expire`: a fifth of the rows is over, and goes with its slice; or in batches, from a table without slices.

use std::time::Instant;

use freehold_engine::{
    Engine, Tenant, Yardstick, apply,
    read::Read,
    slice::SliceDone,
    write::{Operation, Verb},
};
use freehold_model::entity::Slice;
use serde_json::{Value, json};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::{config::Config, output::Failure};

pub(super) const MODEL: &str = include_str!("expire.toml");

/// Days in which rows are that stay.
const STAY: usize = 4;

/// Tenants whose rows they are, in equal parts.
const TENANTS: u32 = 4;

/// How long rows are kept while slices are made for them, and afterwards.
const BEFORE: &str = "30 days";
const AFTER: &str = "20 days";

/// Each fills a day anew.
const ROUNDS: usize = 3;

/// Rows of one insert, and reads in a round.
const ROWS: usize = 500;
const READS: usize = 50;

pub(super) async fn run(ground: &mut Ground<'_>, config: &Config) -> Result<Report, Failure> {
    let day = if ground.quick { 200_000 } else { 1_000_000 };
    let mut tenants = Vec::new();
    for n in 0..TENANTS {
        tenants.push(super::tenant(ground, &format!("t{n}")).await?);
    }
    ground.operator.tend_slices(usize::MAX, |_, _| ()).await?;
    let store = ground.engine.store();
    let mut yardstick = Yardstick::open(&ground.url, store.clone(), tenants[0].clone()).await?;
    let slices = ground.operator.slices().await?;
    let past = slices.len().saturating_sub(Slice::Day.ahead() as usize + 1);
    for slice in &slices[past.saturating_sub(STAY)..past] {
        for entity in ["sliced", "whole"] {
            ground.bar.set_message(format!("rows of {} that stay, {entity}", slice.from));
            yardstick.fill_day(entity, &slice.from, day / TENANTS).await?;
        }
    }
    // From here on what is older goes.
    let shorter = MODEL.replace(BEFORE, AFTER);
    let proposal = apply::propose(&mut ground.operator, shorter).await?;
    let base = config.base_dir();
    apply::apply(&mut ground.operator, &store, &base, &proposal, &[], &mut |_| {}).await?;
    ground.engine.refresh().await?;
    let mut all = Samples::default();
    for round in 0..ROUNDS {
        // The oldest slice goes first, so each round has one of its own.
        let slices = ground.operator.slices().await?;
        let Some(oldest) = slices.first().filter(|slice| slice.over) else {
            return Err(Failure::Machine("no slice is over".into()));
        };
        for entity in ["sliced", "whole"] {
            ground.bar.set_message(format!("round {} of {ROUNDS}: rows of {entity}", round + 1));
            yardstick.fill_day(entity, &oldest.from, day / TENANTS).await?;
        }
        ground.bar.set_message(format!("round {} of {ROUNDS}: removing", round + 1));
        if round % 2 == 0 {
            all.dropped(ground, &mut yardstick).await?;
            all.deleted(ground, &mut yardstick, u64::from(day)).await?;
        } else {
            all.deleted(ground, &mut yardstick, u64::from(day)).await?;
            all.dropped(ground, &mut yardstick).await?;
        }
        all.used(&ground.engine, &tenants[0], round).await?;
    }
    Ok(Report {
        bench: "expire",
        about: format!(
            "{day} of {} rows of {TENANTS} tenants are over: in a slice of a day, which is dropped, against batched DELETE of the \
             same rows in a table without slices, without pauses; and what slices cost who uses them",
            u64::from(day) * (STAY as u64 + 1)
        ),
        rows: all.rows(day),
    })
}

/// Of both ways, in the order of rounds.
#[derive(Default)]
struct Samples {
    ours: [Vec<f64>; 5],
    other: [Vec<f64>; 5],
    vacuumed: [Vec<f64>; 2],
}

impl Samples {
    async fn dropped(
        &mut self,
        ground: &mut Ground<'_>,
        yardstick: &mut Yardstick,
    ) -> Result<(), Failure> {
        let before = yardstick.wal_bytes().await?;
        let begun = Instant::now();
        let mut dropped = 0;
        let told = |_: &_, done| dropped += usize::from(done == SliceDone::Dropped);
        ground.operator.tend_slices(1, told).await?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let wal = yardstick.wal_bytes().await? - before;
        if dropped != 1 {
            return Err(Failure::Machine("no slice was dropped".into()));
        }
        self.ours[0].push(took);
        self.ours[1].push(wal as f64 / 1024.0);
        Ok(())
    }

    async fn deleted(
        &mut self,
        ground: &Ground<'_>,
        yardstick: &mut Yardstick,
        rows: u64,
    ) -> Result<(), Failure> {
        let before = yardstick.wal_bytes().await?;
        let begun = Instant::now();
        let gone = ground.engine.expire_at_once(None).await?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let wal = (yardstick.wal_bytes().await? - before) as f64 / 1024.0;
        let gone: u64 = gone.iter().map(|one| one.rows).sum();
        if gone != rows {
            return Err(Failure::Machine(format!("{gone} rows were deleted, not {rows}")));
        }
        self.other[0].push(took);
        self.other[1].push(wal);
        yardstick.vacuum("whole").await?;
        let all = (yardstick.wal_bytes().await? - before) as f64 / 1024.0;
        self.vacuumed[0].push(begun.elapsed().as_secs_f64() * 1e3);
        self.vacuumed[1].push(all);
        Ok(())
    }

    /// What it costs to use rows that are in slices.
    async fn used(
        &mut self,
        engine: &Engine,
        tenant: &Tenant,
        round: usize,
    ) -> Result<(), Failure> {
        let ways = ["sliced", "whole"];
        for turn in 0..ways.len() {
            let entity = ways[(turn + round) % ways.len()];
            let to = if entity == "sliced" { &mut self.ours } else { &mut self.other };
            let [insert, point, list] = of_rows(engine, tenant, entity).await?;
            to[2].push(insert);
            to[3].push(point);
            to[4].push(list);
        }
        Ok(())
    }

    fn rows(self, rows: u32) -> Vec<Row> {
        let [time, wal, insert, point, list] = self.ours;
        let [its_time, its_wal, its_insert, its_point, its_list] = self.other;
        let [with_time, with_wal] = self.vacuumed;
        let rate = |samples: &[f64], per: f64| -> Vec<f64> {
            samples.iter().map(|sample| rows as f64 * per / sample).collect()
        };
        let row = |case: &str, ours, other, unit, goal| Row {
            case: case.into(),
            ours,
            other,
            unit,
            goal,
        };
        vec![
            row(
                "rows removed in a second",
                rate(&time, 1e3),
                rate(&its_time, 1e3),
                "rows",
                Goal::AtLeast(10.0),
            ),
            row(
                "rows removed for a MiB of WAL",
                rate(&wal, 1024.0),
                rate(&its_wal, 1024.0),
                "rows",
                Goal::AtLeast(1000.0),
            ),
            row("time", time.clone(), its_time, "ms", Goal::Open),
            row("WAL", wal.clone(), its_wal, "KiB", Goal::Open),
            row("time, with the VACUUM after it", time, with_time, "ms", Goal::Open),
            row("WAL, with the VACUUM after it", wal, with_wal, "KiB", Goal::Open),
            row("insert, a row of 500", insert, its_insert, "µs", Goal::Open),
            row("one row by its id", point, its_point, "µs", Goal::Open),
            row("the 20 newest rows", list, its_list, "µs", Goal::Open),
        ]
    }
}

/// Microseconds to insert a row, to read one by its id, and to read the newest.
async fn of_rows(engine: &Engine, tenant: &Tenant, entity: &str) -> Result<[f64; 3], Failure> {
    let each = |begun: Instant, times: usize| begun.elapsed().as_secs_f64() * 1e6 / times as f64;
    let body: Vec<Value> =
        (0..ROWS).map(|n| json!({ "kind": n, "note": "n".repeat(110) })).collect();
    let operation = Operation {
        entity: entity.into(),
        verb: Verb::Insert(Value::Array(body), None),
        query: "select=id".into(),
        returning: true,
    };
    let begun = Instant::now();
    let written = engine.write(tenant, operation).await?;
    let insert = each(begun, ROWS);
    let ids: Vec<Value> =
        serde_json::from_str(&written.body).map_err(|error| Failure::Machine(error.to_string()))?;
    let read = async |query: &str| {
        engine.read(tenant, Read { entity, query, count: false }).await.map(drop)
    };
    // Prepared first.
    let newest = "order=at.desc&limit=20";
    read(newest).await?;
    let begun = Instant::now();
    for row in ids.iter().take(READS) {
        read(&format!("id=eq.{}", row["id"].as_str().unwrap_or_default())).await?;
    }
    let point = each(begun, READS);
    let begun = Instant::now();
    for _ in 0..READS {
        read(newest).await?;
    }
    Ok([insert, point, each(begun, READS)])
}
