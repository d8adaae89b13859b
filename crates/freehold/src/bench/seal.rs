//! `bench seal`: sealing a value against the cipher alone, and rows with three sealed fields against the same in the open.

use std::time::Instant;

use freehold_engine::{
    Engine, SealYardstick, Tenant,
    read::Read,
    write::{Operation, Verb},
};
use serde_json::{Value, json};

use super::{
    Ground,
    report::{Goal, Report, Row},
};
use crate::output::Failure;

/// Sizes of values, how often one is sealed in a round, and how many times as much it may take: as AES-256-GCM, and as the
/// cipher that it is, AES-256-GCM-SIV.
const VALUES: [(&str, usize, usize, f64, f64); 2] =
    [("64 B", 64, 20_000, 1.6, 1.2), ("4 KiB", 4096, 5_000, 1.25, 1.1)];

/// Rows of one insert.
const ROWS: usize = 500;

/// Lookups in a round.
const LOOKUPS: usize = 100;

pub(super) async fn run(ground: &mut Ground<'_>) -> Result<Report, Failure> {
    let tenant = super::tenant(ground, "acme").await?;
    let rounds = ground.rounds();
    let mut rows = Vec::new();
    let yardstick = SealYardstick::default();
    for (name, size, times, goal, goal_alike) in VALUES {
        let value = vec![b'a'; size];
        let [mut seal, mut open, mut raw, mut siv] = [const { Vec::new() }; 4];
        for round in 0..=rounds {
            ground.bar.set_message(format!("{name}: round {round} of {rounds}"));
            let each = |spent: std::time::Duration| spent.as_secs_f64() * 1e9 / times as f64;
            let [ours, opened, other, alike] = [
                each(yardstick.ours(&value, times)),
                each(yardstick.open(&value, times)),
                each(yardstick.raw(&value, times)),
                each(yardstick.siv(&value, times)),
            ];
            if round > 0 {
                seal.push(ours);
                open.push(opened);
                raw.push(other);
                siv.push(alike);
            }
        }
        let row = |what: &str, ours, goal| Row {
            case: format!("{what} {name}"),
            ours,
            other: raw.clone(),
            unit: "ns",
            goal,
        };
        rows.push(Row {
            case: format!("seal {name}, the cipher alike"),
            ours: seal.clone(),
            other: siv,
            unit: "ns",
            goal: Goal::AtMost(goal_alike),
        });
        rows.push(row("seal", seal, Goal::AtMost(goal)));
        rows.push(row("open", open, Goal::Open));
    }
    let (mut inserts, mut lookups, mut reads) = (Pair::default(), Pair::default(), Pair::default());
    for round in 0..=rounds {
        ground.bar.set_message(format!("rows: round {round} of {rounds}"));
        // In turns: which of the two goes first changes with each round.
        let order = if round % 2 == 0 { ["sealed", "plain"] } else { ["plain", "sealed"] };
        for entity in order {
            let (inserted, found, read) = of_rows(&ground.engine, &tenant, entity, round).await?;
            if round > 0 {
                inserts.push(entity, inserted * 1e6 / ROWS as f64);
                lookups.push(entity, found * 1e6 / LOOKUPS as f64);
                reads.push(entity, read * 1e6 / ROWS as f64);
            }
        }
    }
    rows.push(inserts.row("insert, a row of 500", Goal::Open));
    rows.push(lookups.row("lookup by equality", Goal::Open));
    rows.push(reads.row("read, a row of 500", Goal::Open));
    Ok(Report {
        bench: "seal",
        about: "a value sealed and opened as a field is, against AES-256-GCM alone in the same process; and rows with three \
                sealed fields, each a person with a key of its own, against the same rows in the open"
            .into(),
        rows,
    })
}

#[derive(Default)]
struct Pair {
    sealed: Vec<f64>,
    plain: Vec<f64>,
}

impl Pair {
    fn push(&mut self, entity: &str, sample: f64) {
        if entity == "sealed" { self.sealed.push(sample) } else { self.plain.push(sample) }
    }

    fn row(self, case: &str, goal: Goal) -> Row {
        Row { case: case.into(), ours: self.sealed, other: self.plain, unit: "µs", goal }
    }
}

/// Seconds to insert a round's rows, to find some of them, and to read them all.
async fn of_rows(
    engine: &Engine,
    tenant: &Tenant,
    entity: &str,
    round: usize,
) -> Result<(f64, f64, f64), Failure> {
    let email = |n: usize| format!("person{n}.of{round}@example.org");
    let body: Vec<Value> = (0..ROWS)
        .map(|n| json!({ "email": email(n), "name": format!("Person {n} of {round}"), "born": "1990-02-28" }))
        .collect();
    let operation = Operation {
        entity: entity.into(),
        verb: Verb::Insert(Value::Array(body), None),
        query: String::new(),
        returning: false,
    };
    let begun = Instant::now();
    engine.write(tenant, operation).await?;
    let inserted = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for n in 0..LOOKUPS {
        let query = format!("select=name&email=eq.{}", email(n));
        engine.read(tenant, Read { entity, query: &query, count: false }).await?;
    }
    let found = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let query = format!("order=id.desc&limit={ROWS}");
    engine.read(tenant, Read { entity, query: &query, count: false }).await?;
    Ok((inserted, found, begun.elapsed().as_secs_f64()))
}
