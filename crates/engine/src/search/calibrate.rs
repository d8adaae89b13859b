//! The recall of an index, measured: rows of the tenant, and places between them, are asked for their neighbours, exactly and
//! over the index.

use std::time::{Duration, Instant};

use freehold_model::query::{self, Limits};
use freehold_store::Tenant;
use serde_json::Value;

use super::{Engine, Error, Recall};
use crate::read::count;

/// Neighbours that are asked for.
const K: usize = 10;

/// Settings that are tried, the fastest first.
const TRIED: [u32; 8] = [10, 20, 40, 80, 160, 320, 640, 1_000];

/// Rows whose neighbours are asked for.
const SAMPLES: u64 = 50;

/// No more samples are taken after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a measurement holds.
const FRESH: Duration = Duration::from_secs(600);

/// Distances that differ by less are equal.
const EQUAL: f64 = 1e-6;

/// What was measured of one index.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The settings that were tried, the fastest first.
    pub points: Vec<Point>,
    /// How many questions were asked.
    pub samples: u64,
    at: Instant,
}

/// One setting of an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// pgvector's `hnsw.ef_search`.
    pub ef_search: u32,
    /// The share of the ten true nearest that it found; rows equally far away count as found.
    pub recall: f64,
    /// Seconds of an answer, the median.
    pub seconds: f64,
}

impl Measured {
    /// The fastest setting that is sure enough for `k` rows; none if no setting is.
    pub(super) fn choose(&self, recall: Recall, k: u64) -> Option<Point> {
        let least = match recall {
            Recall::Exact => return None,
            Recall::Fast => 0.0,
            Recall::Usual => Recall::DEFAULT,
            Recall::AtLeast(share) => share,
        };
        let ample = |point: &&Point| point.recall >= least;
        let point = self.points.iter().find(ample).copied()?;
        // Measured for ten: more rows need as many more candidates for the same share.
        let scale = (k as f64 / K as f64).max(1.0);
        let ef_search = (f64::from(point.ef_search) * scale).ceil() as u32;
        let most = *query::EF_SEARCH.end();
        (recall == Recall::Fast || ef_search <= most)
            .then_some(Point { ef_search: ef_search.min(most), ..point })
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at) < FRESH
    }
}

/// Takes samples spread over the tenant's rows, and asks for their neighbours in every way.
pub(super) async fn measure(
    engine: &Engine,
    tenant: &Tenant,
    entity: &str,
    field: &str,
) -> Result<Measured, Error> {
    let begun = Instant::now();
    let filled = format!("select=id&\"{field}\"=not.is.null&order=id");
    let total = ask(engine, tenant, entity, &format!("{filled}&limit=0"), None, true).await?.1;
    let samples = SAMPLES.min(total);
    let mut tried = Tried::default();
    let mut before: Option<Vec<f64>> = None;
    for sample in 0..samples {
        let place = format!(
            "select=id,v:\"{field}\"&\"{field}\"=not.is.null&order=id&limit=1&offset={}",
            sample * total / samples
        );
        let rows = ask(engine, tenant, entity, &place, None, false).await?.0;
        let Some(row) = rows.first() else { continue };
        let Some(id) = row["id"].as_str() else { continue };
        let vector = numbers(&row["v"]);
        let between = before.as_ref().zip(vector.as_ref()).map(|(a, b)| between(b, a));
        for (kind, question) in [Some(format!("row:{id}")), between].into_iter().enumerate() {
            let Some(question) = question else { continue };
            let near =
                format!("select=d:\"{field}\".distance()&\"{field}\"=nearest.{question}&limit={K}");
            tried.ask(engine, tenant, entity, &near, kind).await?;
        }
        before = vector;
        if begun.elapsed() > PATIENCE {
            break;
        }
    }
    Ok(tried.measured())
}

/// What came of questions of two kinds: rows, and places between rows. A row is found from the graph's own edges, so that it
/// alone would promise more than a question gets that is like no row.
#[derive(Default)]
struct Tried {
    /// Of each setting: neighbours found by kind, and seconds.
    found: [([usize; 2], Vec<f64>); TRIED.len()],
    asked: [usize; 2],
    samples: u64,
}

impl Tried {
    async fn ask(
        &mut self,
        engine: &Engine,
        tenant: &Tenant,
        entity: &str,
        near: &str,
        kind: usize,
    ) -> Result<(), Error> {
        let truth = distances(&ask(engine, tenant, entity, near, None, false).await?.0);
        let Some(farthest) = truth.last() else { return Ok(()) };
        self.asked[kind] += truth.len();
        self.samples += 1;
        for (ef_search, (found, seconds)) in TRIED.into_iter().zip(&mut self.found) {
            let started = Instant::now();
            let rows = ask(engine, tenant, entity, near, Some(ef_search), false).await?.0;
            seconds.push(started.elapsed().as_secs_f64());
            let near = |distance: &&f64| **distance <= farthest + EQUAL;
            found[kind] += distances(&rows).iter().filter(near).count().min(truth.len());
        }
        Ok(())
    }

    /// Of both kinds what is worse.
    fn measured(self) -> Measured {
        let Self { found, asked, samples } = self;
        let share = |found: [usize; 2]| {
            let kinds = found.into_iter().zip(asked).filter(|(_, asked)| *asked > 0);
            kinds.map(|(found, asked)| found as f64 / asked as f64).reduce(f64::min).unwrap_or(0.0)
        };
        let point = |(ef_search, (found, mut seconds)): (u32, ([usize; 2], Vec<f64>))| {
            seconds.sort_by(f64::total_cmp);
            let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
            Point { ef_search, recall: share(found), seconds: median }
        };
        let points = TRIED.into_iter().zip(found).map(point).collect();
        Measured { points, samples, at: Instant::now() }
    }
}

/// The numbers of a vector, as it is answered; none if it is of bits, or sparse.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    let all: Option<Vec<f64>> = match value {
        Value::Array(all) => all.iter().map(Value::as_f64).collect(),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    all.filter(|all| !all.is_empty())
}

/// A place between two rows, nearer to the first.
fn between(near: &[f64], far: &[f64]) -> String {
    let mixed = near.iter().zip(far).map(|(near, far)| (near * 0.7 + far * 0.3).to_string());
    format!("[{}]", mixed.collect::<Vec<_>>().join(","))
}

async fn ask(
    engine: &Engine,
    tenant: &Tenant,
    entity: &str,
    text: &str,
    ef_search: Option<u32>,
    total: bool,
) -> Result<(Vec<Value>, u64), Error> {
    let snapshot = engine.snapshot();
    let mut query = query::parse(&snapshot.model, entity, text, &Limits::default())?;
    if total {
        query.count_exact();
    }
    if let Some(ef_search) = ef_search {
        query.by_index(tenant.id().as_u128(), ef_search);
    }
    let row = engine.store().run(tenant, &query.render()).await?;
    let rows = serde_json::from_str(row.text(0).unwrap_or("[]")).unwrap_or_default();
    Ok((rows, count(row.int(2))))
}

fn distances(rows: &[Value]) -> Vec<f64> {
    rows.iter().filter_map(|row| row["d"].as_f64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let point = |ef_search, recall| Point { ef_search, recall, seconds: 0.001 };
        let points = vec![point(10, 0.8), point(80, 0.96), point(320, 0.991)];
        Measured { points, samples: 50, at: Instant::now() }
    }

    #[test]
    fn the_fastest_that_is_sure_enough() {
        let ef = |recall, k| measured().choose(recall, k).map(|point| point.ef_search);
        assert_eq!(ef(Recall::Fast, 10), Some(10));
        assert_eq!(ef(Recall::AtLeast(0.95), 5), Some(80));
        assert_eq!(ef(Recall::Usual, 10), Some(320));
        assert_eq!(ef(Recall::AtLeast(0.95), 20), Some(160));
    }

    #[test]
    fn nothing_is_promised_that_was_not_measured() {
        assert_eq!(measured().choose(Recall::AtLeast(0.999), 10), None);
        assert_eq!(measured().choose(Recall::Usual, 100), None);
        assert_eq!(measured().choose(Recall::Exact, 10), None);
    }

    #[test]
    fn what_is_worse_of_rows_and_of_places_between_them_counts() {
        let mut tried = Tried { asked: [10, 20], samples: 3, ..Tried::default() };
        tried.found[0].0 = [10, 15];
        tried.found[1].0 = [9, 20];
        let points = tried.measured().points;
        assert_eq!((points[0].recall, points[1].recall), (0.75, 0.9));
        // Vectors of bits have no places between them.
        let mut rows_alone = Tried { asked: [10, 0], samples: 1, ..Tried::default() };
        rows_alone.found[0].0 = [8, 0];
        assert_eq!(rows_alone.measured().points[0].recall, 0.8);
        assert_eq!(Tried::default().measured().points[0].recall, 0.0);
    }

    #[test]
    fn places_between_rows_are_of_numbers() {
        let text = serde_json::json!("[1,2.5]");
        assert_eq!(numbers(&text), Some(vec![1.0, 2.5]));
        assert_eq!(numbers(&serde_json::json!([0, -1])), Some(vec![0.0, -1.0]));
        for other in [serde_json::json!("0101"), serde_json::json!("{1:2}/3"), Value::Null] {
            assert!(numbers(&other).is_none(), "{other}");
        }
        assert_eq!(between(&[1.0, 0.0], &[0.0, 1.0]), "[0.7,0.3]");
    }
}
