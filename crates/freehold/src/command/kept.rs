//! What servers keep, as `status` shows it.

use freehold_engine::cache::{Tally, Told};
use serde_json::{Value, json};

use crate::output::{self, Failure};

/// What the servers with these metrics tell; none if none are named.
pub(super) async fn told(metrics: &[String]) -> Result<Option<Told>, Failure> {
    if metrics.is_empty() {
        return Ok(None);
    }
    let mut told = Told::default();
    for url in metrics {
        told.add(url).await?;
    }
    Ok(Some(told))
}

pub(super) fn shown(told: &Told) -> Value {
    let relation = |((tenant, relation), tally): (&(String, String), &Tally)| {
        json!({
            "tenant": tenant, "relation": relation, "reads": reads(tally), "hits": tally.hits,
            "shared": tally.shared, "collapsed": tally.collapsed, "stale": tally.stale,
            "missed": tally.missed, "bypassed": tally.bypassed, "bytes": tally.bytes,
            "verified": tally.verified, "wrong": tally.wrong,
        })
    };
    json!({
        "entries": told.entries, "bytes": told.bytes, "evicted": told.evicted,
        "comparisons": told.comparisons, "alarms": told.alarms,
        "redis": { "up": told.redis.0, "away": told.redis.1 },
        "relations": told.tallies.iter().map(relation).collect::<Vec<_>>(),
    })
}

/// The relations that are read most, at most `limit`.
pub(super) fn show(told: &Told, limit: usize) {
    let Told { entries, bytes, evicted, comparisons, alarms, redis: (up, away), .. } = told;
    output::say(format!(
        "\nkept: {entries} answers, {bytes} bytes, {evicted} given up for want of room; {comparisons} comparisons"
    ));
    if up + away > 0 {
        output::say(format!("Redis answers {up} of {} servers", up + away));
    }
    if *alarms > 0 {
        output::say(format!("{alarms} shared answers did not open: were another's, or changed"));
    }
    let mut tallies: Vec<_> = told.tallies.iter().collect();
    tallies.sort_by_key(|(_, tally)| std::cmp::Reverse(reads(tally)));
    let row = |((tenant, relation), tally): (&(String, String), &Tally)| {
        let given = tally.hits + tally.shared + tally.collapsed;
        let share = given as f64 / reads(tally).max(1) as f64 * 100.0;
        let head =
            [tenant.clone(), relation.clone(), reads(tally).to_string(), format!("{share:.1} %")];
        let numbers =
            [tally.shared, tally.collapsed, tally.stale, tally.missed, tally.bypassed, tally.wrong];
        head.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    };
    let rows: Vec<Vec<String>> = tallies.into_iter().take(limit).map(row).collect();
    output::table(&TITLES, &rows);
}

const TITLES: [&str; 10] = [
    "tenant", "relation", "reads", "given", "shared", "together", "old", "missed", "not kept",
    "wrong",
];

fn reads(tally: &Tally) -> u64 {
    tally.hits + tally.shared + tally.collapsed + tally.stale + tally.missed + tally.bypassed
}
