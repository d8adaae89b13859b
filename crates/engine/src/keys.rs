//! Keys over time: epochs that are replaced, and a restored database that is brought up to the ledger.

use std::time::Duration;

use freehold_model::Model;
use freehold_store::Tenant;
pub use freehold_store::{Erased, KeysImported, KeystoreState, Rotated};
use uuid::Uuid;

use crate::{
    Engine, ErasureState,
    error::{Code, Error, Refusal},
};

/// For how long what was erased may wait for the epoch to be replaced.
const SPENT: Duration = Duration::from_secs(12 * 3_600);

/// What a database was brought up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Erasures made again.
    pub erasures: usize,
    /// Receipts it lacked.
    pub receipts: usize,
    /// Deleted tenants that it had again: they are closed, and their rows can be deleted.
    pub tenants: usize,
}

impl Engine {
    /// Makes the erasures again that the ledger in the keystore has and the database does not know, because it was restored
    /// from a backup, closes tenants that were deleted, and gives it the receipts back. Before anybody is served.
    ///
    /// # Errors
    /// Of [`Self::erase`]; `Held` if a legal hold of the restored database keeps one; `Usage` if the ledger is damaged.
    pub async fn replay_ledger(&self) -> Result<Replayed, Error> {
        let receipts = self.store.settle_receipts().await?;
        // First: nobody's erasure can be made in a tenant that nobody opens any more, nor has to be.
        let back = self.store.tenants_back().await?;
        for tenant in &back {
            let name = self.store.close_tenant(*tenant).await?;
            tracing::warn!(
                tenant = name,
                "a tenant that was deleted is in the restored database: it is closed"
            );
        }
        let unknown = self.store.unknown_erasures().await?;
        for erased in &unknown {
            // While there is a key of theirs to wrap what of their blobs is not yet.
            if let Ok(tenant) = self.store.tenant_known(&erased.tenant.to_string()).await {
                Box::pin(self.own_blobs_of(&tenant, Some(erased.person))).await?;
            }
            if !self.store.begin_again(erased).await? {
                continue;
            }
            self.resume_erasure(erased.id).await?;
            let state = self.store.erasure(erased.id).await?.map(|erasure| erasure.state);
            if state == Some(ErasureState::Held) {
                return Err(Refusal::new(
                    Code::Held,
                    "a legal hold of the restored database keeps somebody who was erased",
                )
                .detail(format!("the erasure {}", erased.id))
                .hint("it was released before they were erased: `freehold hold list`, `freehold hold release`")
                .into());
            }
            tracing::info!(erasure = %erased.id, "an erasure of the ledger was made again");
        }
        self.store.settle_receipts().await?;
        Ok(Replayed { erasures: unknown.len(), receipts, tenants: back.len() })
    }

    /// Replaces the epoch's key if something was destroyed some time ago that backups have under it, or if a replacement
    /// was interrupted. For the workers.
    pub(crate) async fn tend_epoch(&self) -> Result<(), Error> {
        let state = self.store.keystore_state().await?;
        let spent = state.spent_s.is_some_and(|seconds| seconds >= SPENT.as_secs());
        let interrupted = state.epochs.len() > 1;
        if state.epoch == 0 || state.epochs.is_empty() || !(spent || interrupted) {
            return Ok(());
        }
        let epoch = self.store.rotate_epoch(&mut |_| true).await?;
        tracing::info!(epoch, "the epoch key was replaced");
        Ok(())
    }

    /// Gives a person another key: what is written about them from now on is sealed with it. Says how many keys.
    ///
    /// # Errors
    /// `NoSuchEntity`, `Usage` if its rows are not people; faults.
    pub async fn renew_person(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
    ) -> Result<usize, Error> {
        let snapshot = self.snapshot();
        let model: &Model = &snapshot.model;
        crate::erase::subject(model, entity)?;
        self.store.renew_keys(tenant, person).await
    }
}
