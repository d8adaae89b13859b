//! What a benchmark found: ratios against the plain way, with the machine they were found on.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::output;

/// One line of a report.
pub(super) struct Row {
    pub(super) case: String,
    /// Samples of our way and of the plain way, taken in turns.
    pub(super) ours: Vec<f64>,
    pub(super) other: Vec<f64>,
    pub(super) unit: &'static str,
    pub(super) goal: Goal,
}

/// What `ours / other` should be.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    /// Costs: at most so many times as much.
    AtMost(f64),
    /// Rates: at least so many times as much.
    AtLeast(f64),
    /// Ours itself: at most so much, whatever the other way takes.
    Within(f64),
    /// Ours itself: at least so much.
    Reach(f64),
    /// None: for information.
    Open,
}

pub(super) struct Report {
    pub(super) bench: &'static str,
    /// What is compared with what, in a sentence or two.
    pub(super) about: String,
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// Prints the table, or the object with `--json`.
    pub(super) fn print(&self, as_json: bool, server: &str) {
        if as_json {
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            output::say(json!({ "bench": self.bench, "machine": machine(server), "rows": rows }));
            return;
        }
        output::say(format!("{}: {}\n{}\n", self.bench, self.about, machine_line(server)));
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        output::table(&["case", "ours", "plain", "unit", "ratio", "spread", "goal", "met"], &rows);
    }
}

impl Row {
    /// The median over rounds of ours / other: each round compares what ran side by side.
    fn ratio(&self) -> f64 {
        median(&self.ratios())
    }

    fn ratios(&self) -> Vec<f64> {
        self.ours.iter().zip(&self.other).map(|(ours, other)| ours / other).collect()
    }

    fn met(&self) -> bool {
        match self.goal {
            Goal::AtMost(goal) => self.ratio() <= goal,
            Goal::AtLeast(goal) => self.ratio() >= goal,
            Goal::Within(goal) => median(&self.ours) <= goal,
            Goal::Reach(goal) => median(&self.ours) >= goal,
            Goal::Open => true,
        }
    }

    fn cells(&self) -> Vec<String> {
        let ratios = self.ratios();
        let goal = match self.goal {
            Goal::AtMost(goal) => format!("≤ {goal}×"),
            Goal::AtLeast(goal) => format!("≥ {goal}×"),
            Goal::Within(goal) => format!("≤ {goal} {}", self.unit),
            Goal::Reach(goal) => format!("≥ {goal} {}", self.unit),
            Goal::Open => "–".into(),
        };
        let met = match self.goal {
            Goal::Open => "–",
            _ if self.met() => "yes",
            _ => "no",
        };
        vec![
            self.case.clone(),
            number(median(&self.ours)),
            number(median(&self.other)),
            self.unit.into(),
            if ratios.is_empty() { "–".into() } else { format!("{:.2}×", self.ratio()) },
            spread(if ratios.is_empty() { &self.ours } else { &ratios }),
            goal,
            met.into(),
        ]
    }

    fn json(&self) -> Value {
        let ratios = self.ratios();
        let goal = match self.goal {
            Goal::AtMost(goal) | Goal::AtLeast(goal) | Goal::Within(goal) | Goal::Reach(goal) => {
                Some(goal)
            }
            Goal::Open => None,
        };
        let goal_is = match self.goal {
            Goal::AtMost(_) => "at most",
            Goal::AtLeast(_) => "at least",
            Goal::Within(_) => "ours at most",
            Goal::Reach(_) => "ours at least",
            Goal::Open => "none",
        };
        json!({
            "case": self.case, "ours": median(&self.ours), "other": median(&self.other), "unit": self.unit,
            "ratio": self.ratio(), "ratio_quartiles": [quantile(&ratios, 0.25), quantile(&ratios, 0.75)],
            "rounds": self.ours.len(), "goal": goal,
            "goal_is": goal_is, "met": self.met(),
        })
    }
}

pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The middle half.
fn spread(values: &[f64]) -> String {
    let [low, high] = [0.25, 0.75].map(|share| quantile(values, share));
    if high.abs() >= 100.0 {
        format!("{low:.0}–{high:.0}")
    } else {
        format!("{low:.2}–{high:.2}")
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        x if x.is_nan() => "–".into(),
        x if x >= 1000.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn machine(server: &str) -> Value {
    json!({
        "cpu": cpu(), "cores": cores(), "memory_mib": memory_mib(), "os": os(), "load": load(), "postgresql": server,
        "freehold": env!("CARGO_PKG_VERSION"), "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}

fn machine_line(server: &str) -> String {
    let build = if cfg!(debug_assertions) { ", DEBUG BUILD: figures mean nothing" } else { "" };
    format!(
        "{} · {} cores · {} MiB · {} · PostgreSQL {server} · load {}{build}",
        cpu(),
        cores(),
        memory_mib(),
        os(),
        load()
    )
}

fn cpu() -> String {
    proc_value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn memory_mib() -> u64 {
    let kib = proc_value("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn os() -> String {
    let uname = Command::new("uname").arg("-sr").output();
    uname.map_or_else(
        |_| std::env::consts::OS.into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().into(),
    )
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("?").to_owned()
}

fn proc_value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_compares_what_ran_side_by_side() {
        let row = Row {
            case: "x".into(),
            ours: vec![2.0, 20.0, 3.0],
            other: vec![1.0, 10.0, 2.0],
            unit: "µs",
            goal: Goal::AtMost(1.9),
        };
        assert_eq!(row.ratio(), 2.0);
        assert!(!row.met());
    }
}
