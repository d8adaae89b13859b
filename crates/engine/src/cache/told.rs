//! What running servers tell of what they keep, added up: each knows only its own.

use std::{collections::BTreeMap, time::Duration};

use reqwest::redirect::Policy;

use super::Tally;
use crate::error::{Code, Error, Refusal};

/// How long a server may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one or several servers keep, and did since they began to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// By tenant's id and relation.
    pub tallies: BTreeMap<(String, String), Tally>,
    /// Answers.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Answers that had to go for want of room.
    pub evicted: u64,
    /// Statements that compared stamps.
    pub comparisons: u64,
    /// Shared answers that did not open, so were another tenant's or changed.
    pub alarms: u64,
    /// Servers whose Redis answered lately, and whose did not.
    pub redis: (u64, u64),
}

impl Told {
    /// Adds what the server at this address tells, as `http://127.0.0.1:9100` or without `http://`, where its metrics are.
    ///
    /// # Errors
    /// `Usage` if nothing there tells of a cache.
    pub async fn add(&mut self, url: &str) -> Result<(), Error> {
        let text = metrics(url).await.map_err(|error| {
            refuse("the server does not tell its metrics", format!("{url}: {error}"))
        })?;
        let lines = text.lines().filter(|line| self.read(line)).count();
        if lines == 0 {
            return Err(refuse("this server keeps no answers, or is none", url.to_owned()).into());
        }
        Ok(())
    }

    /// Whether the line is of a cache.
    fn read(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.rsplit_once(' ') else { return false };
        let Some(name) = name.strip_prefix("freehold_cache_") else { return false };
        let Ok(value) = value.parse::<u64>() else { return false };
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let label = |wanted: &str| {
            let (_, rest) = labels.split_once(&format!("{wanted}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        if let (Some(tenant), Some(relation)) = (label("tenant"), label("relation")) {
            let tally = self.tallies.entry((tenant, relation)).or_default();
            let count = match (name, label("result").as_deref()) {
                ("reads_total", Some("hit")) => &mut tally.hits,
                ("reads_total", Some("shared")) => &mut tally.shared,
                ("reads_total", Some("collapsed")) => &mut tally.collapsed,
                ("reads_total", Some("stale")) => &mut tally.stale,
                ("reads_total", Some("miss")) => &mut tally.missed,
                ("bypassed_total", _) => &mut tally.bypassed,
                ("bytes_total", _) => &mut tally.bytes,
                ("verified_total", _) => &mut tally.verified,
                ("wrong_total", _) => &mut tally.wrong,
                _ => return false,
            };
            *count += value;
            return true;
        }
        let count = match (name, value) {
            ("entries", _) => &mut self.entries,
            ("bytes", _) => &mut self.bytes,
            ("evicted_total", _) => &mut self.evicted,
            ("comparisons_total", _) => &mut self.comparisons,
            ("alarms_total", _) => &mut self.alarms,
            ("redis_up", 0) => {
                self.redis.1 += 1;
                return true;
            }
            ("redis_up", _) => &mut self.redis.0,
            _ => return false,
        };
        *count += value;
        true
    }
}

async fn metrics(url: &str) -> Result<String, reqwest::Error> {
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()?;
    // As `serve --metrics` takes it, an address alone is enough.
    let scheme = if url.contains("://") { "" } else { "http://" };
    let url = url.trim_end_matches('/').trim_end_matches("/metrics");
    let url = format!("{scheme}{url}/metrics");
    client.get(url).send().await?.error_for_status()?.text().await
}

fn refuse(message: &str, detail: String) -> Refusal {
    Refusal::new(Code::Usage, message)
        .detail(detail)
        .hint("--metrics names where a running `freehold serve --metrics ADDRESS` tells them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_servers_are_added_up_and_others_are_passed_over() {
        let mut told = Told::default();
        let line = "freehold_cache_reads_total{tenant=\"t\",relation=\"r\",result=\"hit\"} 2";
        for _ in 0..2 {
            assert!(told.read(line));
            assert!(told.read("freehold_cache_bytes 7"));
        }
        assert!(told.read("freehold_cache_redis_up 0"));
        for other in
            ["", "# HELP freehold_cache_bytes x", "freehold_lag_seconds 1", "freehold_cache_new 3"]
        {
            assert!(!told.read(other), "{other}");
        }
        let hits = told.tallies[&("t".to_owned(), "r".to_owned())].hits;
        assert_eq!((hits, told.bytes, told.redis), (4, 14, (0, 1)));
    }
}
