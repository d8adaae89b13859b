//! What other servers have read: sealed, in the level they share.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freehold_store::Question;

use super::{AnswerKeys, AnswerName};
use super::{
    Cache,
    entry::{Entry, Known},
    remote::{Lease, Shared, Winner},
    way::Asked,
};
use crate::{Engine, error::Error};

/// How long another server is waited for that is making the same answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What there is elsewhere.
pub(super) enum Others {
    /// An answer that may be given; it is kept here, too.
    Have(Arc<Entry>),
    /// None; whoever makes one gives it with this, if anybody can be given it.
    Lack(Option<Giver>),
}

/// The way to give others an answer.
pub(super) struct Giver {
    shared: Shared,
    keys: AnswerKeys,
    name: AnswerName,
    _lease: Option<Winner>,
}

impl Giver {
    pub(super) fn give(self, entry: &Entry) {
        let sealed = self.keys.seal(&self.name, &entry.written());
        self.shared.put(&self.name, sealed.into());
    }
}

impl Engine {
    /// Looks among what others have read, and waits if one of them is just reading it.
    pub(super) async fn shared_answer(
        &self,
        cache: &Cache,
        asked: &Asked<'_>,
    ) -> Result<Others, Error> {
        let Some(shared) = cache.0.shared.clone().filter(Shared::is_up) else {
            return Ok(Others::Lack(None));
        };
        let keys = self.store.answer_keys(asked.tenant).await?;
        let name = keys.name(&asked.name);
        if let Some(sealed) = shared.get(&name).await
            && let Some(entry) = self.is_good(cache, asked, &keys, &name, &sealed).await?
        {
            return Ok(Others::Have(entry));
        }
        let lease = match shared.lease(&name).await {
            Lease::Won(winner) => Some(winner),
            Lease::Lost(loser) => {
                let deadline = tokio::time::Instant::now() + PATIENCE;
                if let Some(sealed) = loser.wait(deadline).await
                    && let Some(entry) = self.is_good(cache, asked, &keys, &name, &sealed).await?
                {
                    return Ok(Others::Have(entry));
                }
                None
            }
        };
        Ok(Others::Lack(Some(Giver { shared, keys, name, _lease: lease })))
    }

    /// Opens it and compares its stamp. What does not open was put there by somebody who may not.
    async fn is_good(
        &self,
        cache: &Cache,
        asked: &Asked<'_>,
        keys: &AnswerKeys,
        name: &AnswerName,
        sealed: &Bytes,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let Ok(plain) = keys.open(name, sealed) else {
            cache.0.counts.alarm();
            tracing::error!(
                tenant = %asked.tenant.id(),
                "a shared answer does not open: it is another tenant's, or was changed"
            );
            return Ok(None);
        };
        let Some((answer, sources, stamp)) = Entry::read(&plain) else { return Ok(None) };
        let (at, current) = cache.0.checks.ask(Question::new(asked.tenant, &sources)).await?;
        if !current.allowed || current.stamp != Some(stamp) {
            return Ok(None);
        }
        cache.allow(asked.tenant, at);
        let known = Known { at, moment: current.moment };
        let entry = Arc::new(Entry::new(answer, sources, stamp, known));
        cache.0.memory.put(asked.name, asked.tenant.id(), Arc::clone(&entry));
        Ok(Some(entry))
    }
}
