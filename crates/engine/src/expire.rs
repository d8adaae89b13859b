//! Expiry: what is over by the model's rules is shown to nobody from that moment, and removed here, some rows at a time.
//!
//! rule → rows that are over, but those a legal hold keeps → deleted or emptied, and counted with the same commit → again, with a
//! pause. What was counted of a rule, a tenant and a day becomes a receipt when the day is over.

use std::time::{Duration, Instant};

use freehold_model::{Name, erase};
pub use freehold_store::ExpiryLag;
use freehold_store::Tenant;

use crate::{
    Engine, Snapshot,
    error::{Error, without_values},
    read::count,
};

/// Rows at first and at most in one transaction, and how long one should take.
const ROWS: u32 = 1_000;
const ROWS_MAX: u32 = 10_000;
const TARGET: Duration = Duration::from_millis(100);

/// What a rule of expiry has to do, or has done, for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The tenant's name.
    pub tenant: String,
    /// The entity.
    pub entity: Name,
    /// The rule, in words.
    pub rule: String,
    /// Rows.
    pub rows: u64,
    /// For how many seconds the oldest has been over.
    pub late_s: u64,
}

impl Engine {
    /// What is over and not removed yet, of every tenant, or of one.
    ///
    /// # Errors
    /// Faults; `TenantSuspended`.
    pub async fn expired(&self, tenant: Option<&Tenant>) -> Result<Vec<Expired>, Error> {
        let snapshot = self.snapshot();
        let mut all = Vec::new();
        for tenant in self.those(tenant).await? {
            for entity in snapshot.model.entities() {
                for rule in &entity.expires {
                    let row = self.store.run(&tenant, &erase::expired(entity, rule)).await;
                    let row = row.map_err(|error| snapshot.refine(error))?;
                    let rows = count(row.int(1));
                    let late = row.text(2).and_then(|text| text.parse().ok()).unwrap_or(0);
                    if rows > 0 {
                        all.push(Expired {
                            tenant: tenant.name().to_owned(),
                            entity: entity.name.clone(),
                            rule: rule.to_string(),
                            rows,
                            late_s: late,
                        });
                    }
                }
            }
        }
        Ok(all)
    }

    /// Removes what is over, of every tenant or of one, and says how much. What a legal hold keeps stays, and is shown to
    /// nobody all the same.
    ///
    /// # Errors
    /// What keeps rows from being deleted, such as references of others.
    pub async fn expire(&self, tenant: Option<&Tenant>) -> Result<Vec<Expired>, Error> {
        self.expire_paced(tenant, TARGET).await
    }

    /// The same without pauses for those who work: for measuring.
    ///
    /// # Errors
    /// As [`Self::expire`].
    pub async fn expire_at_once(&self, tenant: Option<&Tenant>) -> Result<Vec<Expired>, Error> {
        self.expire_paced(tenant, Duration::ZERO).await
    }

    async fn expire_paced(
        &self,
        tenant: Option<&Tenant>,
        pause: Duration,
    ) -> Result<Vec<Expired>, Error> {
        let snapshot = self.snapshot();
        let mut all = Vec::new();
        if snapshot.model.entities().iter().all(|entity| entity.expires.is_empty()) {
            return Ok(all);
        }
        for tenant in self.those(tenant).await? {
            all.extend(self.expire_tenant(&snapshot, &tenant, pause).await?);
        }
        Ok(all)
    }

    /// The same of those tenants that may have something, for the workers: when each is asked next is noted. Then the receipts
    /// that are owed. Those that cannot be written are owed until the next time, and removing goes on as it would.
    ///
    /// # Errors
    /// The first of what kept rows of a tenant from being deleted, after the others were dealt with.
    pub async fn expire_due(&self) -> Result<Vec<Expired>, Error> {
        let done = self.remove_due().await;
        if let Err(error) = self.receipt_expired(false).await {
            tracing::warn!(
                error = without_values(&error),
                "receipts of what expired could not be written; it is tried again"
            );
        }
        done
    }

    async fn remove_due(&self) -> Result<Vec<Expired>, Error> {
        let snapshot = self.snapshot();
        let (mut all, mut failed) = (Vec::new(), None);
        if snapshot.model.entities().iter().all(|entity| entity.expires.is_empty()) {
            return Ok(all);
        }
        for tenant in self.store.expiry_due(snapshot.version).await? {
            let done = async {
                let done = self.expire_tenant(&snapshot, &tenant, TARGET).await?;
                let next = self.next_over(&snapshot, &tenant).await?;
                self.store.expiry_done(&tenant, snapshot.version, next).await?;
                Ok::<_, Error>(done)
            };
            match Box::pin(done).await {
                Ok(done) => all.extend(done),
                // One that cannot be dealt with does not keep what is others'.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(all), Err)
    }

    /// Writes the receipts of what expired: of slices that an operator has dropped, and of what rules removed row by row in days that
    /// are over, with `today` also of what they did so far. Says how many. Workers do it with what expires.
    ///
    /// # Errors
    /// Faults only; what could be written was.
    pub async fn receipt_expired(&self, today: bool) -> Result<usize, Error> {
        let slices = self.store.receipt_slices().await;
        let rows = self.store.receipt_rows(today).await;
        Ok(slices? + rows?)
    }

    /// In how many seconds the tenant's next row will be over; a day if there is none.
    async fn next_over(&self, snapshot: &Snapshot, tenant: &Tenant) -> Result<u64, Error> {
        let mut next = 86_400;
        for entity in snapshot.model.entities() {
            for rule in &entity.expires {
                let row = self.store.run(tenant, &erase::next(entity, rule)).await;
                let row = row.map_err(|error| snapshot.refine(error))?;
                let seconds = row.text(2).and_then(|text| text.parse::<f64>().ok());
                next = seconds.map_or(next, |seconds| next.min(seconds.max(0.0) as u64));
            }
        }
        Ok(next)
    }

    /// How far removing what is over is behind.
    ///
    /// # Errors
    /// Faults only.
    pub async fn expiry_lag(&self) -> Result<ExpiryLag, Error> {
        self.store.expiry_lag().await
    }

    async fn expire_tenant(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        pause: Duration,
    ) -> Result<Vec<Expired>, Error> {
        let mut done = Vec::new();
        let held = self.store.held(tenant).await?;
        if held.contains(&None) {
            tracing::info!(tenant = tenant.name(), "a legal hold keeps what has expired");
            return Ok(done);
        }
        let held: Vec<String> = held.into_iter().flatten().collect();
        let permit = self.store.removal_permit(tenant).await?;
        for entity in snapshot.model.entities() {
            for rule in &entity.expires {
                let (mut rows, mut batch) = (0, ROWS);
                loop {
                    let begun = Instant::now();
                    let sql = erase::expire_some(entity, rule, &permit, &held, batch);
                    let run = self.store.run_one_placed(tenant, &sql, None).await;
                    let (row, _) = run.map_err(|error| snapshot.refine(error))?;
                    let some = count(row.int(1));
                    rows += some;
                    if some < u64::from(batch) {
                        break;
                    }
                    // As many at a time as take about so long, and then as long a pause, for those who work.
                    let took = begun.elapsed();
                    batch = if took > TARGET {
                        (batch / 2).max(100)
                    } else {
                        (batch * 2).min(ROWS_MAX)
                    };
                    tokio::time::sleep(took.min(pause)).await;
                }
                if rows > 0 {
                    tracing::info!(tenant = tenant.name(), entity = %entity.name, rows, "expired rows were removed");
                    done.push(Expired {
                        tenant: tenant.name().to_owned(),
                        entity: entity.name.clone(),
                        rule: rule.to_string(),
                        rows,
                        late_s: 0,
                    });
                }
            }
        }
        Ok(done)
    }

    async fn those(&self, tenant: Option<&Tenant>) -> Result<Vec<Tenant>, Error> {
        match tenant {
            Some(tenant) => Ok(vec![tenant.clone()]),
            None => self.store.active_tenants().await,
        }
    }
}
