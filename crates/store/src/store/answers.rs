//! The keys of tenants' cached answers, derived and kept for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{Store, Tenant};
use crate::{error::Error, seal::AnswerKeys};

/// How long they are used without asking for the tenant's key again.
const KEPT: Duration = Duration::from_secs(60);

/// Most tenants whose keys are kept.
const KEPT_MAX: usize = 10_000;

/// The keys that were derived lately.
#[derive(Default)]
pub(crate) struct Answers(Mutex<HashMap<Uuid, (Instant, AnswerKeys)>>);

impl Answers {
    fn kept(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, AnswerKeys)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// What the tenant's cached answers are named and sealed with. Its key is made if it has none.
    ///
    /// # Errors
    /// A fault: the database does not answer, the tenant is gone, or its key does not open.
    pub async fn answer_keys(&self, tenant: &Tenant) -> Result<AnswerKeys, Error> {
        let answers = &self.0.answers;
        if let Some((at, keys)) = answers.kept().get(&tenant.id())
            && at.elapsed() < KEPT
        {
            return Ok(keys.clone());
        }
        let by = self.tenant_key(tenant).await?;
        let keys = AnswerKeys::new(&by.key, tenant.id());
        let mut kept = answers.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(tenant.id(), (Instant::now(), keys.clone()));
        }
        Ok(keys)
    }
}
