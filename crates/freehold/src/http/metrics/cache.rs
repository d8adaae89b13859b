//! What the cache did, for Prometheus.

use std::fmt::Write as _;

use freehold_engine::cache::{Cache, SharedState, Tally};

type Count = (&'static str, &'static str, fn(&Tally) -> u64);

const TALLIES: [Count; 4] = [
    ("bytes_total", "Bytes that were answered without reading them.", |tally| tally.bytes),
    ("verified_total", "Hits that were read again to see whether they were right.", |tally| {
        tally.verified
    }),
    ("wrong_total", "Hits that were not what PostgreSQL said; must be 0.", |tally| tally.wrong),
    ("bypassed_total", "Reads whose answer is not kept.", |tally| tally.bypassed),
];

type Outcome = (&'static str, fn(&Tally) -> u64);

const RESULTS: [Outcome; 5] = [
    ("hit", |tally| tally.hits),
    ("shared", |tally| tally.shared),
    ("collapsed", |tally| tally.collapsed),
    ("stale", |tally| tally.stale),
    ("miss", |tally| tally.missed),
];

/// All of it.
pub(super) fn text(cache: &Cache) -> String {
    let mut text = String::new();
    let tallies = cache.tallies();
    head(&mut text, "reads_total", "counter", "Reads whose answer may be kept, by what was found.");
    for (tenant, relation, tally) in &tallies {
        for (result, count) in RESULTS {
            let _ = writeln!(
                text,
                "freehold_cache_reads_total{{tenant=\"{tenant}\",relation=\"{relation}\",result=\"{result}\"}} {}",
                count(tally)
            );
        }
    }
    for (name, help, count) in TALLIES {
        head(&mut text, name, "counter", help);
        for (tenant, relation, tally) in &tallies {
            let labels = format!("tenant=\"{tenant}\",relation=\"{relation}\"");
            let _ = writeln!(text, "freehold_cache_{name}{{{labels}}} {}", count(tally));
        }
    }
    let (entries, bytes, tenants) = cache.usage();
    let evicted: u64 = tenants.iter().map(|(_, _, evicted)| evicted).sum();
    let (statements, questions) = cache.checks();
    for (name, kind, help, value) in [
        ("entries", "gauge", "Answers in the process.", entries),
        ("bytes", "gauge", "Their bytes.", bytes),
        ("evicted_total", "counter", "Answers that had to go for want of room.", evicted),
        ("ready", "gauge", "Answers that are kept ready.", cache.ready() as u64),
        ("comparisons_total", "counter", "Statements that compared stamps.", statements),
        ("compared_total", "counter", "Reads that waited for them.", questions),
        ("alarms_total", "counter", "Shared answers that did not open.", cache.alarms()),
    ] {
        head(&mut text, name, kind, help);
        let _ = writeln!(text, "freehold_cache_{name} {value}");
    }
    if let Some(shared) = cache.shared() {
        redis(&mut text, &shared);
    }
    text
}

fn redis(text: &mut String, shared: &SharedState) {
    for (name, kind, help, value) in [
        ("up", "gauge", "Whether Redis answered lately.", u64::from(shared.up)),
        ("hits_total", "counter", "Answers that were found, of whatever stamp.", shared.hits),
        ("misses_total", "counter", "Answers that were not there.", shared.misses),
        ("errors_total", "counter", "Calls that failed.", shared.errors),
        ("timeouts_total", "counter", "Calls that took too long.", shared.timeouts),
        ("puts_total", "counter", "Answers that were stored.", shared.puts),
        ("dropped_total", "counter", "Answers that could not be stored.", shared.dropped),
    ] {
        let name = format!("redis_{name}");
        head(text, &name, kind, help);
        let _ = writeln!(text, "freehold_cache_{name} {value}");
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ =
        writeln!(text, "# HELP freehold_cache_{name} {help}\n# TYPE freehold_cache_{name} {kind}");
}
