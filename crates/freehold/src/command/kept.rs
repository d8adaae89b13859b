//! What servers keep, as `status` shows it.

use freehold_engine::cache::{Tally, Told};
use serde_json::{Value, json};

use crate::{
    config::Config,
    output::{self, Failure},
};

/// What the servers with these metrics tell; the relations that are read most, at most `limit`.
pub(super) async fn status(
    config: &Config,
    metrics: &[String],
    limit: usize,
) -> Result<Option<Value>, Failure> {
    if metrics.is_empty() {
        return Ok(None);
    }
    let mut told = Told::default();
    for url in metrics {
        told.add(url).await?;
    }
    let mut tallies: Vec<_> = told.tallies.iter().collect();
    tallies.sort_by_key(|(_, tally)| std::cmp::Reverse(reads(tally)));
    if config.json {
        return Ok(Some(json!({
            "entries": told.entries, "bytes": told.bytes, "evicted": told.evicted,
            "comparisons": told.comparisons, "alarms": told.alarms,
            "redis": { "up": told.redis.0, "away": told.redis.1 },
            "relations": tallies.iter().map(|((tenant, relation), tally)| json!({
                "tenant": tenant, "relation": relation, "reads": reads(tally), "hits": tally.hits,
                "shared": tally.shared, "collapsed": tally.collapsed, "stale": tally.stale,
                "missed": tally.missed, "bypassed": tally.bypassed, "bytes": tally.bytes,
                "verified": tally.verified, "wrong": tally.wrong,
            })).collect::<Vec<_>>(),
        })));
    }
    let Told { entries, bytes, evicted, comparisons, alarms, redis: (up, away), .. } = &told;
    output::say(format!(
        "\nkept: {entries} answers, {bytes} bytes, {evicted} given up for want of room; {comparisons} comparisons"
    ));
    if up + away > 0 {
        output::say(format!("Redis answers {up} of {} servers", up + away));
    }
    if *alarms > 0 {
        output::say(format!("{alarms} shared answers did not open: were another's, or changed"));
    }
    let titles = [
        "tenant", "relation", "reads", "given", "shared", "together", "old", "missed", "not kept",
        "wrong",
    ];
    let rows: Vec<Vec<String>> = tallies
        .iter()
        .take(limit)
        .map(|((tenant, relation), tally)| {
            let given = tally.hits + tally.shared + tally.collapsed;
            let share = given as f64 / (reads(tally).max(1)) as f64 * 100.0;
            let numbers = [
                tally.shared,
                tally.collapsed,
                tally.stale,
                tally.missed,
                tally.bypassed,
                tally.wrong,
            ];
            let head = [
                tenant.clone(),
                relation.clone(),
                reads(tally).to_string(),
                format!("{share:.1} %"),
            ];
            head.into_iter().chain(numbers.map(|number| number.to_string())).collect()
        })
        .collect();
    output::table(&titles, &rows);
    Ok(None)
}

fn reads(tally: &Tally) -> u64 {
    tally.hits + tally.shared + tally.collapsed + tally.stale + tally.missed + tally.bypassed
}
