//! The platform's own work in the background: taken from the table of jobs, done by kind.
//!
//! To add a kind: a name in `KINDS`, an arm in `run`, and whoever wants it done enqueues it, with
//! [`Store::enqueue`](freehold_store::Store::enqueue) or, in a transaction of its own, with `freehold.enqueue`. A handler may
//! be done twice, never two at a time; what takes longer than the lease is kept while it runs.

pub use freehold_store::{Job, JobStatus, Wanted};

use std::time::Duration;

use crate::{
    Engine,
    error::{Error, without_values},
};

/// The kinds this version does; others are left to whoever knows them.
const KINDS: [&str; 5] = [TEND_LOG, ERASE, ERASE_KEPT, EXPIRE, EPOCH];

/// Empties parts of the change log that nobody needs.
const TEND_LOG: &str = "tend_log";

/// Goes on with an erasure that whoever began it did not end.
const ERASE: &str = "erase";

/// Destroys the keys of what was kept of an erased person, when its time is over.
const ERASE_KEPT: &str = "erase_kept";

/// Removes what is over by the model's rules of expiry.
const EXPIRE: &str = "expire";

/// Replaces the epoch's key, once something was destroyed.
const EPOCH: &str = "epoch";

/// How often it is looked whether that is due.
const EPOCH_EVERY: Duration = Duration::from_secs(3_600);

/// How often that is looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(300);

/// How often.
const TEND: Duration = Duration::from_secs(60);

/// For how long a job is taken; kept for longer each third of it.
const LEASE: Duration = Duration::from_secs(30);

/// How often it is looked for jobs.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Does jobs until the process ends. Run it as a task; any number of processes may.
    pub async fn job_forever(&self) {
        let mut standing = false;
        loop {
            let done = async {
                if !standing {
                    self.want_standing().await?;
                    standing = true;
                }
                self.job_once().await
            };
            match done.await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    tracing::warn!(error = %error, "jobs could not be done; it is tried again");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Enqueues what is to be done again and again, if nobody has yet.
    ///
    /// # Errors
    /// Faults only.
    pub async fn want_standing(&self) -> Result<(), Error> {
        self.stand(TEND_LOG, TEND).await?;
        for kind in [EXPIRE, EPOCH] {
            self.stand(kind, Duration::from_secs(10)).await?;
        }
        Ok(())
    }

    /// Takes one job that is due and does it; says whether there was one.
    ///
    /// # Errors
    /// Faults of asking; those of the job are noted with it.
    pub async fn job_once(&self) -> Result<bool, Error> {
        let Some(job) = self.store.take_job(&KINDS, LEASE).await? else { return Ok(false) };
        let done = tokio::select! {
            done = self.run(&job) => done,
            lost = self.keep(&job) => {
                tracing::warn!(job = job.id, kind = job.kind, "a job was lost to another worker");
                return lost.map(|()| true);
            }
        };
        match done {
            Ok(()) => self.store.job_done(&job, every(&job.kind)).await?,
            Err(error) => {
                let why = without_values(&error);
                tracing::warn!(
                    job = job.id,
                    kind = job.kind,
                    attempt = job.attempt,
                    error = why,
                    "a job failed"
                );
                let ended = self.store.job_failed(&job, &why).await?;
                // It comes again as often as ever: what keeps one tenant's share from being done keeps nobody else's.
                if let Some(wait) = every(&job.kind) {
                    self.stand(&job.kind, wait).await?;
                }
                ended
            }
        };
        Ok(true)
    }

    /// How jobs stand, kind by kind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, Error> {
        self.store.job_status().await
    }

    /// Has parked jobs of a kind, or of all, tried again at once; says how many.
    ///
    /// # Errors
    /// Faults only.
    pub async fn replay_jobs(&self, kind: Option<&str>) -> Result<u64, Error> {
        self.store.replay_jobs(kind).await
    }

    // What is done again and again is done by then, if not before.
    async fn stand(&self, kind: &str, wait: Duration) -> Result<(), Error> {
        let wanted = Wanted { kind, key: Some(""), wait, ..Wanted::default() };
        self.store.enqueue(&wanted).await.map(drop)
    }

    async fn run(&self, job: &Job) -> Result<(), Error> {
        match job.kind.as_str() {
            TEND_LOG => self.store.tend_log(None).await.map(drop),
            ERASE => match job.key.as_deref().and_then(|id| id.parse().ok()) {
                Some(id) => self.resume_erasure(id).await,
                None => Ok(()),
            },
            ERASE_KEPT => match job.key.as_deref().and_then(|id| id.parse().ok()) {
                Some(id) => self.store.shred_kept(id).await.map(drop),
                None => Ok(()),
            },
            EXPIRE => self.expire_due().await.map(drop),
            EPOCH => self.tend_epoch().await,
            kind => unreachable!("nobody asked for {kind}"),
        }
    }

    // Ends when the job is held no more.
    async fn keep(&self, job: &Job) -> Result<(), Error> {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            if !self.store.hold_job(job, LEASE).await? {
                return Ok(());
            }
        }
    }
}

/// After how long what is done again and again comes again.
fn every(kind: &str) -> Option<Duration> {
    match kind {
        TEND_LOG => Some(TEND),
        EXPIRE => Some(EXPIRE_EVERY),
        EPOCH => Some(EPOCH_EVERY),
        _ => None,
    }
}
