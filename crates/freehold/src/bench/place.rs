//! `bench place`: what partitions of tenants' own cost everybody, the more there are of them. Beside very many small tenants;
//! each number of partitions against the first.

use std::{collections::BTreeMap, time::Instant};

use freehold_engine::{
    Operator, Store, StoreConfig, Tenant, Yardstick, apply, place,
    read::Read,
    search::Recall,
    write::{Operation, Verb},
};
use freehold_model::{Sql, declare, mutate, query};
use serde_json::{Value, json};

use super::{
    Ground, MODEL,
    report::{Goal, Report, Row},
};
use crate::{config::Config, output::Failure};

/// Tenants who ask in turns: more than a connection keeps statements for, so each asks for the first time there.
const TURNS: usize = 300;

/// Rows of the tenant that is moved there and back.
const MOVED: u32 = 5_000;

/// What was seen of each case, in its unit.
type Seen = BTreeMap<(usize, String, &'static str), Vec<f64>>;

/// What a server does for a request.
#[derive(Clone, Copy)]
enum Ask {
    Point,
    List,
    Search,
    Insert,
    Update,
}

const ASKS: [(Ask, &str); 5] = [
    (Ask::Point, "point read"),
    (Ask::List, "list of 20"),
    (Ask::Search, "exact search"),
    (Ask::Insert, "insert"),
    (Ask::Update, "update"),
];

pub(super) async fn run(
    ground: &mut Ground<'_>,
    config: &Config,
    partitions: &[u32],
    small: u32,
) -> Result<Report, Failure> {
    let small = if ground.quick { small.min(2_000) } else { small };
    let moved = super::tenant(ground, "moved").await?;
    let store = ground.engine.store();
    let mut yardstick = Yardstick::open(&ground.url, store.clone(), moved.clone()).await?;
    ground.bar.set_message(format!("making {small} small tenants"));
    yardstick.populate(small).await?;
    yardstick.grow(&moved, MOVED).await?;
    let mut counts = partitions.to_vec();
    counts.sort_unstable();
    counts.dedup();
    let (mut first, mut rows, mut model) = (None, Vec::new(), MODEL.to_owned());
    for count in &counts {
        ground.bar.set_message(format!("making {count} partitions"));
        yardstick.set_apart(*count).await?;
        store.refresh_placements().await?;
        let mut seen = Seen::new();
        let turns = TURNS.min(small as usize);
        let others = named(ground, "small", turns).await?;
        asked(ground, &mut seen, &mut yardstick, "small", &others).await?;
        if *count > 0 {
            let own = named(ground, "apart", turns.min(*count as usize)).await?;
            asked(ground, &mut seen, &mut yardstick, "promoted", &own).await?;
        }
        if let Some(mib) = yardstick.largest_backend().await? {
            seen.insert((seen.len(), "largest backend".into(), "MiB"), vec![mib]);
        }
        operated(ground, config, &mut seen, *count, &mut model).await?;
        let base: &Seen = first.get_or_insert_with(|| seen.clone());
        for ((_, case, unit), ours) in &seen {
            let other = base.iter().find(|((_, name, _), _)| name == case).map(|(_, other)| other);
            rows.push(Row {
                case: format!("{count} partitions: {case}"),
                ours: ours.clone(),
                other: other.unwrap_or(ours).clone(),
                unit,
                goal: if *unit == "relations" { Goal::Within(500.0) } else { Goal::Open },
            });
        }
    }
    Ok(Report {
        bench: "place",
        about: format!(
            "partitions of tenants' own beside {small} small tenants; ours is with so many, plain with {} of them. A request as \
             the API makes it, by one client: again for the same tenant, or each time for another one of {TURNS}. Relations: \
             those that a transaction has locked at its end",
            counts.first().copied().unwrap_or_default()
        ),
        rows,
    })
}

async fn named(ground: &Ground<'_>, kind: &str, count: usize) -> Result<Vec<Tenant>, Failure> {
    let mut tenants = Vec::with_capacity(count);
    for n in 1..=count {
        tenants.push(ground.engine.tenant(&format!("{kind}-{n}")).await?);
    }
    Ok(tenants)
}

/// What tenants of a kind wait for.
async fn asked(
    ground: &Ground<'_>,
    seen: &mut Seen,
    yardstick: &mut Yardstick,
    kind: &str,
    tenants: &[Tenant],
) -> Result<(), Failure> {
    let mut ids = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let read = Read { entity: "passage", query: "select=id,writer&limit=1", count: false };
        let answer = ground.engine.read(tenant, read).await?;
        ids.push(serde_json::from_str::<Value>(&answer.body).unwrap_or_default()[0].clone());
    }
    for (ask, name) in ASKS {
        ground.bar.set_message(format!("{kind}: {name}"));
        let rounds = if ground.quick { 100 } else { TURNS };
        let (mut same, mut turns) = (Vec::new(), Vec::new());
        for round in 0..rounds + 5 {
            let micros = request(ground, &tenants[0], ask, &ids[0]).await?;
            // The first prepare statements and fill caches.
            if round >= 5 {
                same.push(micros);
            }
        }
        for round in 0..rounds.max(tenants.len()) {
            let at = round % tenants.len();
            turns.push(request(ground, &tenants[at], ask, &ids[at]).await?);
        }
        let median = |all: &[f64]| vec![super::report::quantile(all, 0.5)];
        seen.insert((seen.len(), format!("{kind}, {name}, again"), "µs"), median(&same));
        if tenants.len() > 64 {
            seen.insert((seen.len(), format!("{kind}, {name}, in turns"), "µs"), median(&turns));
        }
        let locked = yardstick.locked(&tenants[0], &statement(ask, &ids[0])?).await?;
        seen.insert((seen.len(), format!("{kind}, {name}"), "relations"), vec![locked as f64]);
    }
    Ok(())
}

fn question(ask: Ask, row: &Value) -> String {
    let id = row["id"].as_str().unwrap_or_default();
    match ask {
        Ask::Point | Ask::Update => format!("id=eq.{id}"),
        Ask::List => "select=title,kind&order=id&limit=20".into(),
        Ask::Search => {
            let vector: Vec<String> = (0..384).map(|n| format!("0.{}", n * 7 % 10)).collect();
            format!("select=title&embedding=nearest.[{}]&limit=10", vector.join(","))
        }
        Ask::Insert => String::new(),
    }
}

fn body(row: &Value) -> Value {
    let vector: Vec<f64> = (0..384).map(|n| f64::from(n % 7)).collect();
    json!([{ "title": "new", "writer": row["writer"], "kind": 1, "embedding": vector }])
}

/// Microseconds of one request.
async fn request(
    ground: &Ground<'_>,
    tenant: &Tenant,
    ask: Ask,
    row: &Value,
) -> Result<f64, Failure> {
    let query = question(ask, row);
    let write =
        |verb| Operation { entity: "passage".into(), verb, query: query.clone(), returning: false };
    let write = match ask {
        Ask::Insert => Some(write(Verb::Insert(body(row), None))),
        Ask::Update => Some(write(Verb::Update(json!({ "kind": 2 })))),
        _ => None,
    };
    let begun = Instant::now();
    match write {
        Some(operation) => drop(ground.engine.write(tenant, operation).await?),
        None => {
            let read = Read { entity: "passage", query: &query, count: false };
            ground.engine.search(tenant, read, Recall::Exact).await?;
        }
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// The statement of the same.
fn statement(ask: Ask, row: &Value) -> Result<Sql, Failure> {
    let limits = query::Limits::default();
    let model = declare::read(MODEL).map(|checked| checked.model).unwrap_or_default();
    let (entity, text) = ("passage", question(ask, row));
    Ok(match ask {
        Ask::Insert => {
            mutate::insert(&model, entity, &body(row), "", None, false, &limits)?.render()
        }
        Ask::Update => {
            mutate::update(&model, entity, &json!({ "kind": 2 }), &text, false, &limits)?.render()
        }
        _ => query::parse(&model, entity, &text, &limits)?.render(),
    })
}

/// What operators and processes wait for.
async fn operated(
    ground: &mut Ground<'_>,
    config: &Config,
    seen: &mut Seen,
    count: u32,
    model: &mut String,
) -> Result<(), Failure> {
    let store = ground.engine.store();
    let took = |seen: &mut Seen, case: &str, begun: Instant| {
        seen.insert((seen.len(), case.to_owned(), "s"), vec![begun.elapsed().as_secs_f64()]);
    };
    ground.bar.set_message("starting, looking, auditing");
    let begun = Instant::now();
    Store::connect(StoreConfig::new(ground.url.clone(), ground.site.root_key().await?)).await?;
    took(seen, "a server begins", begun);
    let begun = Instant::now();
    store.examine().await?;
    took(seen, "a server looks at the wall", begun);
    let begun = Instant::now();
    ground.operator.audit(None).await?;
    took(seen, "audit", begun);
    let begun = Instant::now();
    ground.operator.decide_placements().await?;
    took(seen, "a worker looks who should move", begun);

    let mut helper = Operator::open(&ground.url, "bench").await?;
    let bar = ground.bar.clone();
    let told = |moving: place::Moving| bar.set_message(format!("moving: {}", moving.step));
    let begun = Instant::now();
    ground.operator.promote(&mut helper, "moved", "passage", told).await?;
    took(seen, "promoting a tenant of 5,000 rows", begun);
    let begun = Instant::now();
    ground.operator.demote("moved", "passage", told).await?;
    took(seen, "moving it back", begun);

    ground.bar.set_message("a new field");
    let kind = "kind      = { type = \"integer\" }";
    let size = format!("{kind}\nsize_{count} = {{ type = \"integer\", default = 0 }}");
    *model = model.replace(kind, &size);
    let begun = Instant::now();
    let proposal = apply::propose(&mut ground.operator, model.clone()).await?;
    apply::apply(&mut ground.operator, &store, &config.base_dir(), &proposal, &[], &mut |_| {})
        .await?;
    took(seen, "applying a new field", begun);
    ground.engine.refresh().await?;
    Ok(())
}
