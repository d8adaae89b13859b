//! How requests go and read models keep up, in Prometheus' text format: no tenant by name.

mod cache;

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use freehold_engine::{blob::BlobTotals, expire::ExpiryLag, job::JobStatus, project::Lag};

use super::{Face, error};

/// A metric, its kind, what it says, and its value.
type Metric = (&'static str, &'static str, &'static str, fn(&Lag) -> String);

const METRICS: [Metric; 9] = [
    ("lag_seconds", "gauge", "For how long the oldest change waits.", |lag| seconds(lag.lag_ms)),
    ("lag_changes", "gauge", "Images of changes that wait.", |lag| lag.behind.to_string()),
    ("parked_units", "gauge", "Units that could not be brought up to date.", |lag| {
        lag.parked.to_string()
    }),
    ("oldest_parked_seconds", "gauge", "For how long the oldest of them is parked.", |lag| {
        seconds(lag.oldest_parked_ms)
    }),
    ("filled_tenants", "gauge", "Tenants that it is filled for.", |lag| lag.filled.to_string()),
    ("tenants", "gauge", "Tenants that there are.", |lag| lag.tenants.to_string()),
    ("changes_total", "counter", "Images of changes that were followed.", |lag| {
        lag.changes.to_string()
    }),
    (
        "changes_per_second",
        "gauge",
        "Images followed each second, of about the last minute.",
        |lag| format!("{:.1}", lag.per_second),
    ),
    (
        "building_seconds",
        "gauge",
        "For how long it is being built beside the one that is read.",
        |lag| seconds(lag.building_ms.unwrap_or_default()),
    ),
];

/// The same of jobs, by kind.
type JobMetric = (&'static str, &'static str, fn(&JobStatus) -> String);

const JOBS: [JobMetric; 5] = [
    ("waiting", "Jobs that wait, for their time or for a worker.", |job| job.waiting.to_string()),
    ("running", "Jobs being done.", |job| job.running.to_string()),
    ("parked", "Jobs that failed too often.", |job| job.parked.to_string()),
    ("lag_seconds", "For how long the one that is due waits.", |job| seconds(job.lag_ms)),
    ("oldest_parked_seconds", "For how long the oldest is parked.", |job| {
        seconds(job.oldest_parked_ms)
    }),
];

pub(super) fn routes(face: &Arc<Face>) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .fallback(error::no_such_path)
        .with_state(face.clone())
}

// A database that is away says nothing of read models, and the more of requests.
async fn show(State(face): State<Arc<Face>>) -> Response {
    let mut all = face.counts.text(face.gate.load());
    let ready = face.engine.ping().await.is_ok();
    let _ = writeln!(
        all,
        "# HELP freehold_ready Whether the database answers and its wall stands.\n# TYPE freehold_ready gauge\nfreehold_ready {}",
        u8::from(ready)
    );
    match face.engine.lag(0).await {
        Ok(lags) => all += &text(&lags),
        Err(error) => tracing::warn!(%error, "how read models keep up is not known"),
    }
    match face.engine.jobs().await {
        Ok(jobs) => all += &of_jobs(&jobs),
        Err(error) => tracing::warn!(%error, "how jobs are doing is not known"),
    }
    match face.engine.expiry_lag().await {
        Ok(lag) => all += &of_expiry(&lag),
        Err(error) => tracing::warn!(%error, "how far expiry is behind is not known"),
    }
    match face.engine.store().rows_without_receipt(false).await {
        Ok(rows) => all += &of_receipts(rows),
        Err(error) => tracing::warn!(%error, "what has no receipt is not known"),
    }
    match face.engine.slices_ahead().await {
        Ok(ahead) => all += &of_slices(&ahead),
        Err(error) => tracing::warn!(%error, "how far ahead slices are is not known"),
    }
    match face.engine.blob_totals().await {
        Ok(totals) => blobs(&totals, face.engine.unsound_blobs(), &mut all),
        Err(error) => tracing::warn!(%error, "how many blobs there are is not known"),
    }
    if let Some(kept) = face.engine.cache() {
        all += &cache::text(kept);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], all).into_response()
}

fn of_expiry(lag: &ExpiryLag) -> String {
    format!(
        "# HELP freehold_expiry_lag_seconds For how long the first tenant waits that may have rows that are over.\n\
         # TYPE freehold_expiry_lag_seconds gauge\nfreehold_expiry_lag_seconds {}\n\
         # HELP freehold_expiry_tenants Tenants that wait so.\n\
         # TYPE freehold_expiry_tenants gauge\nfreehold_expiry_tenants {}\n",
        seconds(lag.lag_ms),
        lag.tenants
    )
}

fn of_receipts(rows: u64) -> String {
    format!(
        "# HELP freehold_expiry_rows_without_receipt Rows that expired on days that are over, and that no receipt tells of.\n\
         # TYPE freehold_expiry_rows_without_receipt gauge\nfreehold_expiry_rows_without_receipt {rows}\n"
    )
}

fn of_slices(ahead: &[(String, u64)]) -> String {
    if ahead.is_empty() {
        return String::new();
    }
    let mut text = "# HELP freehold_slices_ahead_seconds For how long from now on slices are there; at 0 rows lie on the shelves.\n\
                    # TYPE freehold_slices_ahead_seconds gauge\n"
        .to_owned();
    for (entity, seconds) in ahead {
        let entity = quoted(entity);
        let _ = writeln!(text, "freehold_slices_ahead_seconds{{entity=\"{entity}\"}} {seconds}");
    }
    text
}

fn of_jobs(jobs: &[JobStatus]) -> String {
    let mut text = String::new();
    for (name, help, value) in JOBS {
        let name = format!("freehold_jobs_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for job in jobs {
            let _ = writeln!(text, "{name}{{kind=\"{}\"}} {}", job.kind, value(job));
        }
    }
    text
}

fn text(lags: &[Lag]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        let name = format!("freehold_read_model_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for lag in lags.iter().filter(|lag| lag.tenant.is_none()) {
            let read = quoted(&lag.model);
            let _ = writeln!(
                text,
                "{name}{{read=\"{read}\",definition=\"{}\"}} {}",
                lag.version,
                value(lag)
            );
        }
    }
    text
}

/// Blobs of all tenants together, and how often this process found one's bytes lost.
fn blobs(totals: &BlobTotals, unsound: u64, text: &mut String) {
    let states = [
        ("live", totals.live),
        ("pending", totals.pending),
        ("uploading", totals.uploading),
        ("doomed", totals.doomed),
    ];
    let _ = writeln!(text, "# HELP freehold_blobs Blobs, by state.\n# TYPE freehold_blobs gauge");
    for (state, number) in states {
        let _ = writeln!(text, "freehold_blobs{{state=\"{state}\"}} {number}");
    }
    let gauges = [
        ("bytes", "Bytes of all blobs.", totals.bytes.to_string()),
        (
            "oldest_doomed_seconds",
            "For how long the oldest blob waits for its deletion.",
            seconds(totals.oldest_doomed_ms),
        ),
        (
            "stuck",
            "Blobs whose bytes could not be deleted several times.",
            totals.stuck.to_string(),
        ),
    ];
    for (name, help, value) in gauges {
        let name = format!("freehold_blobs_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let name = "freehold_blobs_unsound_total";
    let help = "Reads that found a blob's bytes missing, cut or changed.";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {unsound}");
}

fn quoted(name: &str) -> String {
    name.replace('\\', r"\\").replace('"', "\\\"")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
