//! The keystore as a store uses it: found when it connects, made, and what the database does not know of its ledger.

use std::path::PathBuf;

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use super::{Config, Store, Tenant};
use crate::{
    blobs::{KeyRing, epoch_in},
    erasure::{Erasure, Receipt},
    error::{Error, Fault},
    keystore::{Erased, Keystore},
    param::list,
    row::Row,
    session::Session,
};

const ASK: &str = "select id, epoch, spent_s from freehold.keystore_of()";
const DOING: &str = "looking for the keystore";

/// Receipts asked for at once.
const PAGE: u32 = 1_000;

/// How the keystore and the database stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeystoreState {
    /// The installation's id, which files in the keystore are named by.
    pub id: Uuid,
    /// The folder, if one was named.
    pub folder: Option<PathBuf>,
    /// The epoch under which the database says that keys are wrapped; 0 for a key made of the root key.
    pub epoch: u32,
    /// The epochs whose keys are in the keystore, in order: more than one while epochs are changed.
    pub epochs: Vec<u32>,
    /// For how many seconds something has been destroyed that backups have under this epoch; none if nothing is.
    pub spent_s: Option<u64>,
    /// Erasures in the ledger.
    pub erasures: usize,
    /// Deleted tenants in the ledger.
    pub tenants: usize,
    /// Those of both that the database does not know.
    pub unknown: usize,
}

/// What opens keys: with the keystore that the database says it has.
pub(super) async fn ring(session: &mut Session, config: &Config) -> Result<KeyRing, Error> {
    let rows = session.select(DOING, ASK, &[]).await?;
    let (id, epoch) = said(rows.first())?;
    let keystore =
        config.keystore.clone().map(|folder| Keystore::new(folder, id, &config.root_key));
    if epoch > 0 {
        let missing = || {
            Refusal::new(Code::Usage, "this database has a keystore, and none was named")
                .detail(format!("the file is {id}.keys"))
                .hint("--keystore or FREEHOLD_KEYSTORE; without it nothing that is sealed opens")
        };
        let keystore = keystore.as_ref().ok_or_else(missing)?;
        keystore.read()?.ok_or_else(|| keystore.missing())?;
    }
    Ok(KeyRing::new(&config.root_key, keystore)?)
}

fn said(row: Option<&Row>) -> Result<(Uuid, u32), Error> {
    let row = row.ok_or_else(|| Fault::new(DOING, "no row"))?;
    let id = row.text(0).and_then(|id| id.parse().ok());
    Ok((id.ok_or_else(|| Fault::new(DOING, "no id"))?, epoch_in(row, 1)))
}

impl Store {
    /// How the keystore and the database stand to each other.
    ///
    /// # Errors
    /// `Usage` if the keystore cannot be read; faults.
    pub async fn keystore_state(&self) -> Result<KeystoreState, Error> {
        let rows = self.ask(DOING, ASK, &[]).await?;
        let (id, epoch) = said(rows.first())?;
        let spent = rows.first().and_then(|row| row.int(2));
        let keystore = self.0.ring.keystore();
        let content = keystore.map(Keystore::read).transpose()?.flatten();
        Ok(KeystoreState {
            id,
            folder: keystore.map(Keystore::place),
            epoch,
            epochs: content
                .map(|content| content.epochs.keys().copied().collect())
                .unwrap_or_default(),
            spent_s: spent.map(|seconds| u64::try_from(seconds).unwrap_or_default()),
            erasures: keystore.map(Keystore::erased_ids).transpose()?.map_or(0, |ids| ids.len()),
            tenants: keystore
                .map(|keystore| keystore.gone_tenants(self.0.ring.receipts()))
                .transpose()?
                .map_or(0, |tenants| tenants.len()),
            unknown: self.unknown_erasures().await?.len() + self.tenants_back().await?.len(),
        })
    }

    /// Makes the keystore, if there is none, and wraps the keys of tenants that come under its first epoch.
    ///
    /// # Errors
    /// `Usage` if no folder was named, or it cannot be written; faults.
    pub async fn init_keystore(&self) -> Result<(), Error> {
        self.keystore()?.create()?;
        let state = self.keystore_state().await?;
        if state.epoch == 0 && state.epochs == [1] {
            self.begin_epoch(1).await?;
        }
        self.export_keys(None).await.map(drop)
    }

    pub(crate) fn keystore(&self) -> Result<&Keystore, Error> {
        self.0.ring.keystore().ok_or_else(|| {
            Refusal::new(Code::Usage, "no folder of a keystore was named")
                .hint(
                    "--keystore or FREEHOLD_KEYSTORE names one, outside PostgreSQL and its backups",
                )
                .into()
        })
    }

    /// Whether a tenant's wrapped key opens.
    pub(crate) fn opens_tenant(&self, epoch: u32, tenant: Uuid, wrapped: &str) -> bool {
        self.0.ring.unwrap_tenant(epoch, tenant, wrapped).is_ok()
    }

    pub(crate) fn forget_tenant_keys(&self) {
        self.0.ring.forget_all();
        self.forget_people();
    }

    pub(crate) async fn begin_epoch(&self, epoch: u32) -> Result<(), Error> {
        let text = "select freehold.epoch_begin($1::text::bigint)";
        self.ask("beginning an epoch", text, &[Some(&epoch.to_string())]).await.map(drop)
    }

    /// Notes an erasure in the ledger outside, if there is a keystore, before anything is destroyed.
    ///
    /// # Errors
    /// `Usage` if it cannot be written.
    pub fn note_erased(&self, erasure: &Erasure) -> Result<(), Error> {
        let ring = &self.0.ring;
        let Some(keystore) = ring.keystore() else { return Ok(()) };
        if !keystore.is_made() {
            return Ok(());
        }
        let Erasure { id, tenant, entity, person, .. } = erasure;
        let erased = Erased { id: *id, tenant: *tenant, entity: entity.clone(), person: *person };
        Ok(keystore.note_erased(&erased, ring.receipts())?)
    }

    /// Notes in the ledger outside, if there is a keystore, that a tenant is deleted, before its first row goes.
    ///
    /// # Errors
    /// `Usage` if it cannot be written.
    pub(crate) fn note_tenant(&self, tenant: Uuid) -> Result<(), Error> {
        let ring = &self.0.ring;
        let keystore = ring.keystore().filter(|keystore| keystore.is_made());
        Ok(keystore.map_or(Ok(()), |keystore| keystore.note_tenant(tenant, ring.receipts()))?)
    }

    /// Tenants of the ledger that this database has and does not know to be deleted: it is from before that.
    ///
    /// # Errors
    /// `Usage` if the ledger cannot be read; faults.
    pub async fn tenants_back(&self) -> Result<Vec<Uuid>, Error> {
        let ring = &self.0.ring;
        let Some(keystore) = ring.keystore() else { return Ok(Vec::new()) };
        let gone = keystore.gone_tenants(ring.receipts())?;
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = gone.iter().map(Uuid::to_string).collect();
        let ids = list(ids.iter().map(String::as_str));
        let text = "select id from freehold.tenants_back($1::text::uuid[])";
        let rows = self.ask("comparing the ledger", text, &[Some(&ids)]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0)?.parse().ok()).collect())
    }

    /// Closes a tenant for good: nobody opens it again. Gives its name, by which its rows are deleted.
    ///
    /// # Errors
    /// Faults only.
    pub async fn close_tenant(&self, tenant: Uuid) -> Result<String, Error> {
        let text = "select freehold.tenant_close($1::text::uuid)";
        let rows = self.ask("closing a tenant", text, &[Some(&tenant.to_string())]).await?;
        self.0.ring.forget(tenant);
        Ok(rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned())
    }

    /// Erasures in the ledger that this database does not know: it is from before them.
    ///
    /// # Errors
    /// `Usage` if the ledger cannot be read; faults.
    pub async fn unknown_erasures(&self) -> Result<Vec<Erased>, Error> {
        let ring = &self.0.ring;
        let Some(keystore) = ring.keystore() else { return Ok(Vec::new()) };
        let ids: Vec<String> = keystore.erased_ids()?.iter().map(Uuid::to_string).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = list(ids.iter().map(String::as_str));
        let text = "select id from freehold.erasures_unknown($1::text::uuid[])";
        let rows = self.ask("comparing the ledger", text, &[Some(&ids)]).await?;
        let ids = rows.iter().filter_map(|row| row.text(0)?.parse().ok());
        let unknown: Result<Vec<Erased>, Refusal> =
            ids.map(|id| keystore.erased(id, ring.receipts())).collect();
        Ok(unknown?)
    }

    /// Whether the keystore has erasures, deleted tenants or receipts that this database does not know.
    ///
    /// # Errors
    /// `Usage` if the ledger cannot be read; faults.
    pub async fn is_behind(&self) -> Result<bool, Error> {
        let Some(keystore) = self.0.ring.keystore() else { return Ok(false) };
        if !self.unknown_erasures().await?.is_empty() || !self.tenants_back().await?.is_empty() {
            return Ok(true);
        }
        let Some(last) = keystore.receipt_numbers()?.pop() else { return Ok(false) };
        Ok(self.receipts(last - 1, 1).await?.is_empty())
    }

    pub(super) async fn demand_ledger(&self) -> Result<(), Error> {
        if !self.is_behind().await? {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Server,
            "the database does not know all that was erased: it is restored from before that",
        )
        .detail("the ledger in the keystore has more")
        .hint("`freehold serve`, `freehold work` and `freehold keys replay` make them again first")
        .into())
    }

    /// Begins an erasure of the ledger again, under its id. Says whether there is such a tenant: if not, there is nothing
    /// to erase, and the database knows of it from now on.
    ///
    /// # Errors
    /// Faults only.
    pub async fn begin_again(&self, erased: &Erased) -> Result<bool, Error> {
        let text =
            "select freehold.erasure_again($1::text::uuid, $2::text::uuid, $3, $4::text::uuid)";
        let (tenant, id) = (erased.tenant.to_string(), erased.id.to_string());
        let person = erased.person.to_string();
        let params = [Some(&*tenant), Some(&*id), Some(&*erased.entity), Some(&*person)];
        let rows = self.ask("beginning an erasure again", text, &params).await?;
        self.forget_keys(&Tenant::new(erased.tenant, String::new()), erased.person);
        Ok(rows.first().and_then(|row| row.bool(0)) == Some(true))
    }

    /// Makes the receipts of the database and those of the keystore the same: what one lacks, the other gives. Says how many
    /// the database lacked.
    ///
    /// # Errors
    /// `Server` if both have another receipt of one number; `Usage` if the keystore cannot be read or written; faults.
    pub async fn settle_receipts(&self) -> Result<usize, Error> {
        let Some(keystore) = self.0.ring.keystore() else { return Ok(0) };
        let (mut after, mut last) = (0, 0);
        loop {
            let page = self.receipts(after, PAGE).await?;
            let Some(end) = page.last() else { break };
            (after, last) = (end.number, end.number);
            page.iter().try_for_each(|receipt| keystore.keep_receipt(receipt))?;
        }
        let mut lacked = 0;
        for number in keystore.receipt_numbers()? {
            let receipt = keystore.kept_receipt(number)?;
            self.restore_receipt(&receipt).await?;
            lacked += usize::from(number > last);
        }
        Ok(lacked)
    }

    async fn restore_receipt(&self, receipt: &Receipt) -> Result<(), Error> {
        let text = "select freehold.receipt_restore($1::text::bigint, $2, $3, $4)";
        let number = receipt.number.to_string();
        let params =
            [Some(&*number), Some(&*receipt.body), Some(&*receipt.hash), Some(&*receipt.signature)];
        let rows = self.ask("restoring a receipt", text, &params).await?;
        if rows.first().and_then(|row| row.bool(0)) == Some(true) {
            return Ok(());
        }
        Err(Refusal::new(Code::Server, "the database and the keystore have different receipts")
            .detail(format!("number {number}"))
            .hint("the database wrote receipts after it was restored and before it was brought up to the ledger; keep both chains, and move the keystore's folder of receipts aside")
            .into())
    }

    /// Keeps a receipt outside, too, if there is a keystore. One that is missed is kept when a server starts.
    pub(crate) fn keep_receipt(&self, receipt: &Receipt) {
        let kept = match self.0.ring.keystore() {
            Some(keystore) if keystore.is_made() => keystore.keep_receipt(receipt),
            _ => Ok(()),
        };
        if let Err(error) = kept {
            tracing::warn!(error = %error.message, number = receipt.number, "a receipt could not be kept in the keystore");
        }
    }
}
