//! Work of the platform's own that is done later: enqueued, taken by one worker at a time, tried again, parked.
//!
//! A [`Job`] is held until a deadline that [`Store::hold_job`] moves on. Its worker dead, another one takes it after that.
//! Each taking has a number of its own; who was overtaken can neither end the job nor keep it.

use std::time::Duration;

use crate::{changes::count, error::Error, row::Row, store::Store};

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By which handler.
    pub kind: &'a str,
    /// Of one kind and key there is one job; without a key there are as many as are enqueued.
    pub key: Option<&'a str>,
    /// For which tenant, by its id, with whom the job goes.
    pub tenant: Option<uuid::Uuid>,
    /// What the handler needs to know: a JSON object; empty for none.
    pub payload: &'a str,
    /// No earlier than after this.
    pub wait: Duration,
    /// After how many tries that failed it is parked; `None` for never.
    pub most: Option<u32>,
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Which handler.
    pub kind: String,
    /// The tenant's id, if it is for one.
    pub tenant: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// What was said with it, a JSON object.
    pub payload: String,
    /// Which try this is, counted from 1.
    pub attempt: u64,
    fence: i64,
}

/// How the jobs of a kind stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// The kind.
    pub kind: String,
    /// Jobs that wait, for their time or for a worker.
    pub waiting: u64,
    /// Jobs being done.
    pub running: u64,
    /// Jobs that failed too often.
    pub parked: u64,
    /// For how long the one that is due waits, in milliseconds.
    pub lag_ms: u64,
    /// Since when the oldest is parked, in milliseconds; 0 without any.
    pub oldest_parked_ms: u64,
    /// What the last one that failed said.
    pub error: Option<String>,
}

impl Store {
    /// Enqueues a job in a transaction of its own. Whoever writes in a transaction calls `freehold.enqueue` there.
    ///
    /// # Errors
    /// Faults only.
    pub async fn enqueue(&self, wanted: &Wanted<'_>) -> Result<(), Error> {
        let text = "select freehold.enqueue($1, $2::text::uuid, $3, $4::text::jsonb, $5::text::interval, $6::text::integer)";
        let tenant = wanted.tenant.map(|tenant| tenant.to_string());
        let payload = if wanted.payload.is_empty() { "{}" } else { wanted.payload };
        let (wait, most) = (span(wanted.wait), wanted.most.map(|most| most.to_string()));
        let params = [
            Some(wanted.kind),
            tenant.as_deref(),
            wanted.key,
            Some(payload),
            Some(&wait),
            most.as_deref(),
        ];
        self.ask("enqueuing a job", text, &params).await.map(drop)
    }

    /// Takes the job of these kinds that has waited longest, for as long as `lease`.
    ///
    /// # Errors
    /// Faults only.
    pub async fn take_job(&self, kinds: &[&str], lease: Duration) -> Result<Option<Job>, Error> {
        let text = "select id, kind, tenant, key, payload, attempts, fence \
                    from freehold.job_take($1::text::text[], $2::text::interval)";
        let kinds = crate::param::list(kinds.iter().copied());
        let rows = self.ask("taking a job", text, &[Some(&kinds), Some(&span(lease))]).await?;
        Ok(rows.first().map(|row| Job {
            id: row.int(0).unwrap_or_default(),
            kind: word(row, 1),
            tenant: row.text(2).map(str::to_owned),
            key: row.text(3).map(str::to_owned),
            payload: word(row, 4),
            attempt: count(row, 5),
            fence: row.int(6).unwrap_or_default(),
        }))
    }

    /// Keeps a job for longer; says whether it is still held. If not, leave it.
    ///
    /// # Errors
    /// Faults only.
    pub async fn hold_job(&self, job: &Job, lease: Duration) -> Result<bool, Error> {
        let text =
            "select freehold.job_hold($1::text::bigint, $2::text::bigint, $3::text::interval)";
        self.end(text, job, Some(&span(lease))).await
    }

    /// Ends a job: it goes, or comes again `every` so often. Says whether it was still held.
    ///
    /// # Errors
    /// Faults only.
    pub async fn job_done(&self, job: &Job, every: Option<Duration>) -> Result<bool, Error> {
        let text =
            "select freehold.job_done($1::text::bigint, $2::text::bigint, $3::text::interval)";
        self.end(text, job, every.map(span).as_deref()).await
    }

    /// Says that it failed, and why: it is tried again later, or parked. Says whether it was still held.
    ///
    /// # Errors
    /// Faults only.
    pub async fn job_failed(&self, job: &Job, error: &str) -> Result<bool, Error> {
        let text = "select freehold.job_failed($1::text::bigint, $2::text::bigint, $3)";
        self.end(text, job, Some(error)).await
    }

    /// How jobs stand, kind by kind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn job_status(&self) -> Result<Vec<JobStatus>, Error> {
        let text = "select kind, waiting, running, parked, lag_ms, oldest_parked_ms, error from freehold.job_status()";
        let rows = self.ask("asking how jobs stand", text, &[]).await?;
        let status = rows.iter().map(|row| JobStatus {
            kind: word(row, 0),
            waiting: count(row, 1),
            running: count(row, 2),
            parked: count(row, 3),
            lag_ms: count(row, 4),
            oldest_parked_ms: count(row, 5),
            error: row.text(6).map(str::to_owned),
        });
        Ok(status.collect())
    }

    /// Has parked jobs of a kind, or of all, tried again at once; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn replay_jobs(&self, kind: Option<&str>) -> Result<u64, Error> {
        let rows = self.ask("replaying jobs", "select freehold.job_replay($1)", &[kind]).await?;
        Ok(rows.first().map_or(0, |row| count(row, 0)))
    }

    async fn end(&self, text: &str, job: &Job, with: Option<&str>) -> Result<bool, Error> {
        let (id, fence) = (job.id.to_string(), job.fence.to_string());
        let rows = self.ask("ending a job", text, &[Some(&id), Some(&fence), with]).await?;
        Ok(rows.first().and_then(|row| row.bool(0)) == Some(true))
    }
}

fn span(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn word(row: &Row, at: usize) -> String {
    row.text(at).unwrap_or_default().to_owned()
}
