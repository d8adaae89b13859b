//! `status`, `check read`, `replay`, `work --once`: read models, how far they are and whether they are right.

use std::time::Duration;

use freehold_engine::{
    Code, Engine, Refusal,
    fill::Outcome,
    project::{Compared, Lag, Parked, Watch},
};
use serde_json::{Value, json};

use super::{Site, copies, jobs, kept, model::counted};
use crate::{
    config::Config,
    output::{self, FAILED, Failure, REFUSED},
};

/// Keys of one tenant that are shown to a person; a program gets all that were taken.
const SHOWN: usize = 5;

/// How often it is looked whether something moves again, and how long apart.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn status(
    config: &Config,
    limit: usize,
    metrics: &[String],
) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    // It opens on a wall that stands only, and is refused with everything that is broken.
    let engine = site.engine(config).await?;
    let (reads, tenants): (Vec<Lag>, Vec<Lag>) =
        engine.lag(limit).await?.into_iter().partition(|lag| lag.tenant.is_none());
    let parked = engine.parked(limit).await?;
    let jobs = engine.jobs().await?;
    let expiry = engine.expiry_lag().await?;
    let rows_without = engine.store().rows_without_receipt(true).await?;
    let overdue = engine.store().rows_without_receipt(false).await?;
    let uncopied = engine.uncopied().await?;
    let told = kept::told(metrics).await?;
    let version = engine.snapshot().version;
    if config.json {
        let mut status = json!({
            "model_version": version,
            "wall": "whole",
            "read_models": reads.iter().map(lag_json).collect::<Vec<_>>(),
            "behind": tenants.iter().map(lag_json).collect::<Vec<_>>(),
            "parked": parked.iter().map(parked_json).collect::<Vec<_>>(),
            "jobs": jobs.iter().map(jobs::shown).collect::<Vec<_>>(),
            "copies": uncopied.iter().take(limit).map(copies::shown).collect::<Vec<_>>(),
            "expiry": { "lag_ms": expiry.lag_ms, "tenants": expiry.tenants },
            "receipts": { "rows_without": rows_without, "rows_overdue": overdue },
        });
        if let Some(told) = &told {
            status["cache"] = kept::shown(told);
        }
        output::say(status);
    } else {
        output::say(format!("model version {version}, the wall is whole"));
        show_reads(&reads, &tenants);
        show_parked(&parked);
        jobs::show(&jobs);
        copies::show(&uncopied, limit);
        if expiry.tenants > 0 {
            let tenants = counted(usize::try_from(expiry.tenants).unwrap_or(usize::MAX), "tenant");
            let late = seconds(expiry.lag_ms);
            output::say(format!("\nexpiry: {tenants} to be looked at, the first for {late}"));
        }
        if overdue > 0 {
            output::say(format!(
                "\nreceipts: {overdue} rows that expired on days that are over have none; workers write them, or `freehold expire --once`"
            ));
        }
        if let Some(told) = &told {
            kept::show(told, limit);
        }
    }
    Ok(())
}

pub(super) async fn check(
    config: &Config,
    name: &str,
    tenant: Option<String>,
) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    demand(&engine, name)?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => active(&site).await?,
    };
    let mut found = Vec::new();
    for tenant in tenants {
        let compared = engine.check_read(&engine.tenant(&tenant).await?, name).await?;
        if !config.json && !compared.is_right() {
            show_compared(&tenant, &compared);
        }
        found.push((tenant, compared));
    }
    let wrong = found.iter().filter(|(_, compared)| !compared.is_right()).count();
    let of = counted(found.len(), "tenant");
    if config.json {
        let tenants: Vec<Value> =
            found.iter().map(|(tenant, compared)| compared_json(tenant, compared)).collect();
        output::say(json!({ "read": name, "right": wrong == 0, "tenants": tenants }));
    } else if wrong == 0 {
        output::say(format!("{name} is what its definition says, in {of}"));
    } else {
        output::say(format!("{name} differs from its definition in {wrong} of {of}"));
        output::note(
            "changes that workers have still to follow count as differences: `freehold status`",
        );
    }
    if wrong == 0 { Ok(()) } else { Err(Failure::Told(REFUSED)) }
}

pub(super) async fn replay(config: &Config, name: Option<&str>) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    if let Some(name) = name {
        demand(&engine, name)?;
    }
    let replayed = engine.replay(name).await?;
    if name.is_none() {
        engine.replay_jobs(None).await?;
    }
    if config.json {
        output::say(json!({ "replayed": replayed }));
    } else {
        let units = counted(usize::try_from(replayed).unwrap_or(usize::MAX), "parked unit");
        output::say(format!("{units} to be tried again by the workers"));
    }
    Ok(())
}

pub(super) async fn once(config: &Config) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    // Vectors first: read models may carry them.
    while let Outcome::Filled(1..) = engine.fill_step().await? {}
    while engine.copy_step().await? > 0 {}
    let reads = caught_up(&engine).await?;
    let left = reads.iter().any(|lag| lag.behind > 0);
    if config.json {
        output::say(Value::Array(reads.iter().map(lag_json).collect()));
    }
    for lag in reads.iter().filter(|_| !config.json) {
        let left = match (lag.behind, lag.parked) {
            (0, 0) => "up to date".to_owned(),
            (0, parked) => format!("up to date but for {parked} parked"),
            (behind, _) => format!("{behind} changes behind"),
        };
        output::say(format!("{} is {left}, {} of {} tenants", lag.model, lag.filled, lag.tenants));
    }
    if left { Err(Failure::Told(FAILED)) } else { Ok(()) }
}

/// Follows until nothing is left, or nothing moves for several looks. One look that moves nothing is not enough: a backend
/// that is still being rolled back keeps its projection.
pub(crate) async fn caught_up(engine: &Engine) -> Result<Vec<Lag>, Failure> {
    let mut still = 0;
    loop {
        let moved = engine.project_round(&mut Watch::default()).await?;
        let mut reads = engine.lag(0).await?;
        // What is being built is its builder's.
        reads.retain(|lag| lag.tenant.is_none() && lag.building_ms.is_none());
        still = if moved > 0 { 0 } else { still + 1 };
        if moved == 0 && (still == LOOKS || reads.iter().all(|lag| lag.behind == 0)) {
            return Ok(reads);
        }
        if moved == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn demand(engine: &Engine, name: &str) -> Result<(), Refusal> {
    let snapshot = engine.snapshot();
    if snapshot.model.read(name).is_some() {
        return Ok(());
    }
    Err(Refusal::new(Code::NoSuchEntity, "there is no such read model")
        .detail(name)
        .hint("`freehold status` lists those of the applied model"))
}

async fn active(site: &Site) -> Result<Vec<String>, Failure> {
    let tenants = site.operator("check read").await?.tenants().await?;
    let active = tenants.into_iter().filter(|tenant| tenant.state.as_str() == "active");
    Ok(active.map(|tenant| tenant.name).collect())
}

fn show_reads(reads: &[Lag], tenants: &[Lag]) {
    if reads.is_empty() {
        output::say("no read models");
        return;
    }
    output::say("");
    let rows: Vec<Vec<String>> = reads
        .iter()
        .map(|lag| {
            let filled = format!("{} of {}", lag.filled, lag.tenants);
            let mut row = lag_row(lag, lag.model.clone());
            let state = lag.building_ms.map_or_else(
                || "read".to_owned(),
                |ms| format!("building, {} units in {} s", lag.units, ms / 1000),
            );
            let oldest = seconds(lag.oldest_parked_ms);
            row.extend([
                oldest,
                filled,
                format!("{:.1}/s", lag.per_second),
                lag.changes.to_string(),
                state,
            ]);
            row
        })
        .collect();
    output::table(
        &[
            "read model",
            "definition",
            "lag",
            "changes",
            "parked",
            "oldest parked",
            "filled",
            "rate",
            "followed",
            "state",
        ],
        &rows,
    );
    if !tenants.is_empty() {
        output::say("\nfurthest behind");
        let rows: Vec<Vec<String>> = tenants
            .iter()
            .map(|lag| {
                let mut row = lag_row(lag, lag.model.clone());
                row.insert(0, lag.tenant.clone().unwrap_or_default());
                let filled = if lag.filled > 0 { "yes" } else { "no" };
                let oldest = seconds(lag.oldest_parked_ms);
                row.extend([oldest, filled.to_owned(), format!("{:.1}/s", lag.per_second)]);
                row
            })
            .collect();
        output::table(
            &[
                "tenant",
                "read model",
                "definition",
                "lag",
                "changes",
                "parked",
                "oldest parked",
                "filled",
                "rate",
            ],
            &rows,
        );
    }
}

fn lag_row(lag: &Lag, name: String) -> Vec<String> {
    vec![
        name,
        lag.version.to_string(),
        seconds(lag.lag_ms),
        lag.behind.to_string(),
        lag.parked.to_string(),
    ]
}

fn show_parked(parked: &[Parked]) {
    if parked.is_empty() {
        return;
    }
    output::say("\nparked");
    for unit in parked {
        output::say(format!(
            "  {} of {}: {} [{}]\n    {}\n    tried {}, first {}, next {}",
            unit.model,
            unit.tenant,
            unit.unit.join(", "),
            unit.sqlstate,
            unit.error,
            counted(usize::try_from(unit.attempts).unwrap_or(usize::MAX), "time"),
            unit.first_at,
            unit.next_at,
        ));
    }
}

fn show_compared(tenant: &str, compared: &Compared) {
    let Compared { missing, extra, different, .. } = compared;
    output::say(format!("{tenant}: {missing} missing, {extra} too many, {different} different"));
    for sample in compared.sample.as_array().into_iter().flatten().take(SHOWN) {
        let fault = sample["fault"].as_str().unwrap_or_default();
        output::say(format!("  {fault} {}", sample["key"]));
    }
}

pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn lag_json(lag: &Lag) -> Value {
    json!({
        "read": lag.model, "definition": lag.version, "tenant": lag.tenant, "changes_behind": lag.behind,
        "lag_ms": lag.lag_ms, "parked": lag.parked, "oldest_parked_ms": lag.oldest_parked_ms,
        "filled": lag.filled, "tenants": lag.tenants, "changes_followed": lag.changes,
        "changes_per_second": lag.per_second, "units": lag.units, "building_ms": lag.building_ms,
    })
}

fn parked_json(unit: &Parked) -> Value {
    json!({
        "read": unit.model, "definition": unit.version, "tenant": unit.tenant, "unit": unit.unit,
        "sqlstate": unit.sqlstate, "error": unit.error, "attempts": unit.attempts,
        "first_at": unit.first_at, "next_at": unit.next_at,
    })
}

fn compared_json(tenant: &str, compared: &Compared) -> Value {
    let Compared { missing, extra, different, sample } = compared;
    json!({
        "tenant": tenant, "missing": missing, "extra": extra, "different": different, "sample": sample,
    })
}
