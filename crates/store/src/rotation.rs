//! Changing keys without touching a row of a tenant, so that it can end anywhere and go on from there.
//!
//! A new epoch: its key is added to the keystore → tenants' keys are wrapped under it; in place of one under which something
//! was destroyed comes another, under which the keys of those who remain are wrapped → none is under an older epoch → all
//! wrapped keys are written beside the keystore and opened again → the keys of older epochs are destroyed → receipt.
//!
//! Servers go on meanwhile. What one wraps by a key that is not the tenant's any more is refused by PostgreSQL, and wrapped again.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{
    blobs::{BLOB_KEY, TenantKey, epoch_in},
    erasure::Receipt,
    error::Error,
    key::{hex, unhex},
    keystore::Key,
    param::list,
    personal::{parts, purpose},
    row::Row,
    seal::wrap,
    store::{Store, Tenant},
};

/// Wrapped keys in one statement.
const KEYS: &str = "5000";

/// Tenants asked for at once.
const TENANTS: &str = "100";

const DOING: &str = "changing keys";

/// What has been done; it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The key of a new epoch is in the keystore.
    Added(u32),
    /// Tenants' keys are wrapped under it from now on.
    Begun(u32),
    /// A tenant's key is under the epoch.
    Rewrapped,
    /// A tenant has another key.
    Replaced,
    /// So many keys of people and blobs are under it.
    Moved(usize),
    /// And nothing is under the one before.
    Settled,
    /// All wrapped keys are written beside the keystore, so many, and open.
    Exported(usize),
    /// The keys of older epochs are destroyed.
    Destroyed,
    /// So many erasures reach backups now; the receipt says so.
    Receipted(usize),
}

/// Told of each step. If it says no, the rotation ends there, as if the process had.
pub(crate) type Told<'t> = &'t mut (dyn FnMut(Rotated) -> bool + Send);

/// A tenant whose key is not under the epoch, or is being replaced.
struct Waiting {
    tenant: Uuid,
    generation: i64,
    epoch: u32,
    wrapped: String,
    spent: bool,
    old: Option<(u32, String)>,
}

impl Waiting {
    fn read(row: &Row) -> Option<Self> {
        Some(Self {
            tenant: row.text(0)?.parse().ok()?,
            generation: row.int(1)?,
            epoch: epoch_in(row, 2),
            wrapped: row.text(3)?.to_owned(),
            spent: row.bool(4)?,
            old: row.text(6).map(|wrapped| (epoch_in(row, 5), wrapped.to_owned())),
        })
    }
}

/// The rotation was stopped by whoever was told of it.
fn stopped() -> Error {
    Refusal::new(Code::TryAgain, "the change of keys was stopped")
        .hint("run it again; it goes on where it was")
        .into()
}

fn tell(told: Told<'_>, step: Rotated) -> Result<(), Error> {
    if told(step) { Ok(()) } else { Err(stopped()) }
}

impl Store {
    /// Replaces the epoch key and destroys the one before; takes up a change that was interrupted. Says the epoch.
    ///
    /// # Errors
    /// `Usage` without a keystore, or if it is older than the database; `TryAgain` if it was stopped; faults.
    pub async fn rotate_epoch(&self, told: Told<'_>) -> Result<u32, Error> {
        let state = self.keystore_state().await?;
        let Some(newest) = state.epochs.last().copied() else {
            return Err(self.keystore()?.missing().into());
        };
        if newest < state.epoch {
            return Err(Refusal::new(Code::Usage, "the keystore is older than the database")
                .detail(format!("its newest epoch is {newest}, the database is in {}", state.epoch))
                .hint("use the keystore as it was last; an old copy of it opens nothing that came later")
                .into());
        }
        let unfinished = state.epochs.len() > 1 || state.epoch < newest;
        if unfinished {
            self.finish_epoch(newest, told).await?;
        } else {
            self.receipt_of_epoch(newest, told).await?;
        }
        // What was destroyed since the interrupted one began needs another.
        if unfinished && self.keystore_state().await?.spent_s.is_none() {
            return Ok(newest);
        }
        self.keystore()?.add(newest + 1)?;
        tell(told, Rotated::Added(newest + 1))?;
        self.finish_epoch(newest + 1, told).await?;
        Ok(newest + 1)
    }

    async fn finish_epoch(&self, epoch: u32, told: Told<'_>) -> Result<(), Error> {
        self.begin_epoch(epoch).await?;
        self.0.ring.forget_all();
        tell(told, Rotated::Begun(epoch))?;
        loop {
            let waiting = self.waiting(None).await?;
            if waiting.is_empty() {
                break;
            }
            self.demand_epoch(epoch).await?;
            for tenant in &waiting {
                self.bring_over(tenant, epoch, told).await?;
            }
        }
        let exported = self.export_keys(None).await?;
        tell(told, Rotated::Exported(exported))?;
        self.demand_epoch(epoch).await?;
        self.keystore()?.destroy_before(epoch)?;
        self.0.ring.forget_all();
        tell(told, Rotated::Destroyed)?;
        self.receipt_of_epoch(epoch, told).await
    }

    /// Gives one tenant another key, under the epoch that is. Keys of people and blobs are wrapped anew.
    ///
    /// # Errors
    /// `TryAgain` if it was stopped; faults.
    pub async fn rotate_tenant(&self, tenant: &Tenant, told: Told<'_>) -> Result<(), Error> {
        let epoch = self.keystore_state().await?.epoch;
        let now = self.tenant_key_anew(tenant).await?;
        if now.old.is_none() {
            self.replace(tenant.id(), now.generation, epoch, told).await?;
        }
        while let Some(waiting) = self.waiting(Some(tenant.id())).await?.first() {
            self.bring_over(waiting, epoch, told).await?;
        }
        Ok(())
    }

    async fn waiting(&self, of: Option<Uuid>) -> Result<Vec<Waiting>, Error> {
        let text = "select tenant, gen, epoch, wrapped, spent, old_epoch, old_wrapped from freehold.tenant_keys_waiting($1::text::uuid, $2::text::bigint)";
        let of = of.map(|tenant| tenant.to_string());
        let rows = self.ask(DOING, text, &[of.as_deref(), Some(TENANTS)]).await?;
        Ok(rows.iter().filter_map(Waiting::read).collect())
    }

    async fn demand_epoch(&self, epoch: u32) -> Result<(), Error> {
        if self.keystore_state().await?.epoch == epoch {
            return Ok(());
        }
        Err(Refusal::new(Code::TryAgain, "another change of keys has begun").into())
    }

    async fn bring_over(&self, waiting: &Waiting, epoch: u32, told: Told<'_>) -> Result<(), Error> {
        let Waiting { tenant, generation, wrapped, .. } = waiting;
        let ring = &self.0.ring;
        if let Some((old_epoch, old)) = &waiting.old {
            let keys = TenantKey {
                folder: String::new(),
                generation: *generation,
                key: ring.unwrap_tenant(waiting.epoch, *tenant, wrapped)?,
                old: Some(ring.unwrap_tenant(*old_epoch, *tenant, old)?),
            };
            return self.move_keys(*tenant, &keys, told).await;
        }
        // Backups have the key under one made of the root key, which cannot be destroyed: it has to be another.
        if waiting.spent || waiting.epoch == 0 {
            return self.replace(*tenant, *generation, epoch, told).await;
        }
        let key = ring.unwrap_tenant(waiting.epoch, *tenant, wrapped)?;
        let made = ring.wrap_tenant(epoch, *tenant, &key)?;
        let text = "select freehold.tenant_key_rewrap($1::text::uuid, $2, $3, $4::text::bigint)";
        let (id, epoch) = (tenant.to_string(), epoch.to_string());
        self.ask(DOING, text, &[Some(&id), Some(wrapped), Some(&made), Some(&epoch)]).await?;
        tell(told, Rotated::Rewrapped)
    }

    async fn replace(
        &self,
        tenant: Uuid,
        generation: i64,
        epoch: u32,
        told: Told<'_>,
    ) -> Result<(), Error> {
        let made = self.0.ring.wrap_tenant(epoch, tenant, &wrap::random())?;
        let text = "select freehold.tenant_key_replace($1::text::uuid, $2::text::bigint, $3, $4::text::bigint)";
        let (id, generation) = (tenant.to_string(), generation.to_string());
        let epoch = epoch.to_string();
        self.ask(DOING, text, &[Some(&id), Some(&generation), Some(&made), Some(&epoch)]).await?;
        self.0.ring.forget(tenant);
        tell(told, Rotated::Replaced)
    }

    async fn move_keys(&self, tenant: Uuid, keys: &TenantKey, told: Told<'_>) -> Result<(), Error> {
        let id = tenant.to_string();
        let under = keys.generation.to_string();
        let mut after = (Uuid::nil().to_string(), "-1".to_owned(), "-1".to_owned());
        loop {
            let text = "select subject, class, gen, wrapped from freehold.subject_keys_waiting($1::text::uuid, $2::text::uuid, $3::text::bigint, $4::text::bigint, $5::text::bigint)";
            let params =
                [Some(&*id), Some(&*after.0), Some(&*after.1), Some(&*after.2), Some(KEYS)];
            let rows = self.ask(DOING, text, &params).await?;
            let Some(last) = rows.last() else { break };
            let column = |at: usize, of: fn(&Row, usize) -> String| -> Vec<String> {
                rows.iter().map(|row| of(row, at)).collect()
            };
            let (people, classes) = (column(0, text_in), column(1, number_in));
            let (generations, before) = (column(2, number_in), column(3, text_in));
            after = (text_in(last, 0), number_in(last, 1), number_in(last, 2));
            let made = rows.iter().map(|row| {
                let person = row.text(0).and_then(|id| id.parse().ok()).unwrap_or_default();
                let class = row.int(1).and_then(|class| u8::try_from(class).ok());
                let purpose = purpose(tenant, &person, class.unwrap_or_default());
                rewrapped(keys, &parts(&purpose), row.text(3).unwrap_or_default())
            });
            let made: Vec<String> = made.collect();
            let text = "select freehold.subject_keys_moved($1::text::uuid, $2::text::bigint, $3::text::uuid[], $4::text::smallint[], $5::text::smallint[], $6::text::text[], $7::text::text[])";
            let lists = [&people, &classes, &generations, &before, &made]
                .map(|all| list(all.iter().map(String::as_str)));
            let mut params = vec![Some(&*id), Some(&*under)];
            params.extend(lists.iter().map(|list| Some(list.as_str())));
            self.ask(DOING, text, &params).await?;
            tell(told, Rotated::Moved(made.len()))?;
        }
        self.move_blob_keys(tenant, keys, told).await?;
        let text = "select freehold.tenant_key_settle($1::text::uuid, $2::text::bigint)";
        let rows = self.ask(DOING, text, &[Some(&id), Some(&under)]).await?;
        self.0.ring.forget(tenant);
        // What is left has come meanwhile; it is looked for again.
        match rows.first().and_then(|row| row.bool(0)) {
            Some(true) => tell(told, Rotated::Settled),
            _ => Ok(()),
        }
    }

    async fn move_blob_keys(
        &self,
        tenant: Uuid,
        keys: &TenantKey,
        told: Told<'_>,
    ) -> Result<(), Error> {
        let id = tenant.to_string();
        let under = keys.generation.to_string();
        let mut after = Uuid::nil().to_string();
        loop {
            let text = "select id, wrapped from freehold.blob_keys_waiting($1::text::uuid, $2::text::uuid, $3::text::bigint)";
            let rows = self.ask(DOING, text, &[Some(&id), Some(&after), Some(KEYS)]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = text_in(last, 0);
            let made = rows.iter().map(|row| {
                let blob: Uuid = row.text(0).and_then(|id| id.parse().ok()).unwrap_or_default();
                let purpose: [&[u8]; 3] = [BLOB_KEY, tenant.as_bytes(), blob.as_bytes()];
                rewrapped(keys, &purpose, row.text(1).unwrap_or_default())
            });
            let made = list(made.collect::<Vec<_>>().iter().map(String::as_str));
            let ids = list(rows.iter().filter_map(|row| row.text(0)));
            let before = list(rows.iter().filter_map(|row| row.text(1)));
            let text = "select freehold.blob_keys_moved($1::text::uuid, $2::text::bigint, $3::text::uuid[], $4::text::text[], $5::text::text[])";
            let params = [Some(&*id), Some(&*under), Some(&*ids), Some(&*before), Some(&*made)];
            self.ask(DOING, text, &params).await?;
            tell(told, Rotated::Moved(rows.len()))?;
        }
    }

    /// Writes the receipt that epochs before this one are gone, if that makes erasures reach backups.
    async fn receipt_of_epoch(&self, live: u32, told: Told<'_>) -> Result<(), Error> {
        let text = "select id from freehold.epoch_ends($1::text::bigint)";
        loop {
            let rows = self.ask(DOING, text, &[Some(&live.to_string())]).await?;
            let ids: Vec<&str> = rows.iter().filter_map(|row| row.text(0)).collect();
            if ids.is_empty() {
                return Ok(());
            }
            let quoted: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            let body = |number: i64, before: &str| {
                format!(
                    "{{\"receipt\":{number},\"epochs_destroyed_before\":{live},\"erasures\":[{}],\"before\":\"{before}\"}}",
                    quoted.join(",")
                )
            };
            let receipt = self.next_receipt(&body).await?;
            let end = "select freehold.epoch_ended($1::text::uuid[], $2::text::bigint, $3, $4, $5)";
            let (erasures, number) = (list(ids.iter().copied()), receipt.number.to_string());
            let Receipt { body, hash, signature, .. } = &receipt;
            let params =
                [Some(&*erasures), Some(&*number), Some(body), Some(hash), Some(signature)];
            let ended = self.ask(DOING, end, &params).await?;
            if ended.first().and_then(|row| row.bool(0)) == Some(true) {
                self.settle_receipts().await?;
                return tell(told, Rotated::Receipted(ids.len()));
            }
        }
    }
}

/// The same key under the tenant's newest. One that opens with neither stays as it is: it is lost already.
fn rewrapped(keys: &TenantKey, purpose: &[&[u8]], wrapped: &str) -> String {
    let key: Option<Key> = unhex(wrapped).and_then(|wrapped| keys.unwrap(purpose, &wrapped));
    match key {
        Some(key) => hex(&wrap::wrap(&keys.key, purpose, &key)),
        None => {
            tracing::error!("a wrapped key opens with no key of its tenant; it is left as it is");
            wrapped.to_owned()
        }
    }
}

fn text_in(row: &Row, at: usize) -> String {
    row.text(at).unwrap_or_default().to_owned()
}

fn number_in(row: &Row, at: usize) -> String {
    row.int(at).unwrap_or_default().to_string()
}
