//! Jobs of the platform's own: how they stand, and those that failed tried again.

use freehold_engine::job::JobStatus;
use serde_json::{Value, json};

use super::{Site, model::counted, project::seconds};
use crate::{
    config::Config,
    output::{self, Failure},
};

pub(super) async fn replay(config: &Config, kind: &str) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let replayed = site.engine(config).await?.replay_jobs(Some(kind)).await?;
    if config.json {
        output::say(json!({ "replayed_jobs": replayed }));
    } else {
        let jobs = counted(usize::try_from(replayed).unwrap_or(usize::MAX), "parked job");
        output::say(format!("{jobs} to be tried again by the workers"));
    }
    Ok(())
}

pub(super) fn show(jobs: &[JobStatus]) {
    if jobs.is_empty() {
        return;
    }
    output::say("");
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.kind.clone(),
                job.waiting.to_string(),
                job.running.to_string(),
                seconds(job.lag_ms),
                job.parked.to_string(),
                job.error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output::table(&["jobs", "waiting", "running", "late", "parked", "last error"], &rows);
}

pub(super) fn shown(job: &JobStatus) -> Value {
    json!({
        "kind": job.kind, "waiting": job.waiting, "running": job.running, "lag_ms": job.lag_ms, "parked": job.parked,
        "oldest_parked_ms": job.oldest_parked_ms, "error": job.error,
    })
}
