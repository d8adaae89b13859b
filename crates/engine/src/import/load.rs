//! Third stage: loads batches, halving those the database refuses, and notes how far the file is loaded.

use freehold_model::{
    entity::Entity,
    mutate::{self, Copied, Resolution},
    sealed,
};
use freehold_store::{Column, ImportMark, Tenant, TenantTx};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    BadRow, Heard, Imported, OnBad,
    batch::{self, Batch, Row},
};
use crate::{
    Engine, Snapshot,
    blob::offer_loaded,
    error::{Code, Error, Refusal},
    personal,
};

/// One transaction a batch, or a part of it.
pub(super) struct Loading<'a> {
    pub(super) engine: &'a Engine,
    pub(super) tenant: &'a Tenant,
    pub(super) snapshot: &'a Snapshot,
    pub(super) entity: &'a Entity,
    pub(super) upsert: Option<Vec<String>>,
    pub(super) source: Option<String>,
    pub(super) on_bad: OnBad,
    pub(super) heard: &'a mut (dyn FnMut(Heard) + Send),
    pub(super) imported: Imported,
}

impl Loading<'_> {
    pub(super) async fn mark(&self, restart: bool) -> Result<ImportMark, Error> {
        let Some(source) = &self.source else { return Ok(ImportMark::default()) };
        let store = &self.engine.store;
        if restart {
            store.forget_import(self.tenant, &self.entity.name, source).await?;
        }
        store.import_mark(self.tenant, &self.entity.name, source).await
    }

    pub(super) async fn done(&self) -> Result<(), Error> {
        match &self.source {
            Some(source) => {
                self.engine.store.forget_import(self.tenant, &self.entity.name, source).await
            }
            None => Ok(()),
        }
    }

    pub(super) async fn load_all(
        &mut self,
        mut batches: mpsc::Receiver<Batch>,
    ) -> Result<(), Error> {
        while let Some(batch) = batches.recv().await {
            // Halving the rows leaves them in order, so what is loaded is always a beginning of the file.
            let mut parts = vec![batch.rows];
            while let Some(mut rows) = parts.pop() {
                if let [row] = &rows[..]
                    && let Some(bad) = row.bad.clone()
                {
                    self.leave_out(row, bad)?;
                    continue;
                }
                match self.load(&rows).await {
                    Ok(loaded) => {
                        self.imported.rows += loaded;
                        let bytes = rows.iter().map(|row| row.bytes as u64).sum();
                        (self.heard)(Heard::Loaded(loaded, bytes));
                    }
                    Err(Error::Refused(refusal)) if rows.len() == 1 && is_of_a_row(&refusal) => {
                        self.leave_out(&rows[0], refusal)?;
                    }
                    Err(Error::Refused(refusal)) if is_of_a_row(&refusal) => {
                        let second = rows.split_off(rows.len() / 2);
                        parts.push(second);
                        parts.push(rows);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Loads rows in one transaction, which also notes that the file is loaded up to the last of them.
    async fn load(&self, rows: &[Row]) -> Result<u64, Error> {
        if rows.iter().any(|row| row.bad.is_some()) {
            return Err(Refusal::new(Code::Import, "a row of the batch is bad").into());
        }
        let values = rows.iter().map(|row| &row.values);
        let (engine, keys) = (self.engine, self.upsert.clone());
        Box::pin(offer_loaded(engine, self.tenant, self.entity, values, keys)).await?;
        let mut tx = self.engine.store.begin(self.tenant).await?;
        let mut loaded = 0;
        let sealed = self.sealed(&mut tx, rows).await?;
        let those = sealed.as_ref().map_or(rows, |(sealed, _)| sealed);
        for (columns, rows) in batch::groups(self.entity, those) {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            let conflict = self.upsert.clone().map(|fields| (Some(fields), Resolution::Merge));
            let load = mutate::load(&self.snapshot.model, &self.entity.name, &names, conflict)?;
            let arrays = names
                .iter()
                .zip(load.columns())
                .map(|(name, sent)| batch::array(self.entity, name, *sent, &rows));
            let arrays: Vec<Column> = arrays.collect();
            loaded +=
                tx.load(load.sql(), &arrays).await.map_err(|error| self.snapshot.refine(error))?;
        }
        if sealed.is_some() && loaded != rows.len() as u64 {
            return Err(Refusal::new(Code::TryAgain, "another transaction was in the way")
                .hint("import again: it goes on there")
                .into());
        }
        if let Some((_, copied)) = &sealed {
            personal::put_copies(&mut tx, self.entity, copied).await?;
        }
        if let (Some(source), Some(last)) = (&self.source, rows.last()) {
            let mark = ImportMark { rows: last.number, digest: last.digest };
            tx.mark_import(&self.entity.name, source, mark).await?;
        }
        tx.commit().await?;
        Ok(loaded)
    }

    /// The rows as they go to PostgreSQL, and what of them goes into copies, if the entity has sealed fields.
    async fn sealed(
        &self,
        tx: &mut TenantTx,
        rows: &[Row],
    ) -> Result<Option<(Vec<Row>, Vec<Copied>)>, Error> {
        if self.entity.sealed_fields().next().is_none() {
            return Ok(None);
        }
        let mut sealed = rows.to_vec();
        for (field, _) in self.entity.sealed_fields() {
            for row in &mut sealed {
                if let Some(vector) = row.vectors.remove(&*field.name) {
                    let numbers = Value::String(sealed::numbers(&vector));
                    row.values.insert(field.name.to_string(), numbers);
                }
            }
        }
        let mut values: Vec<_> =
            sealed.iter_mut().map(|row| std::mem::take(&mut row.values)).collect();
        let keys = self.upsert.as_deref();
        let of = (self.engine, self.tenant);
        let copied = personal::seal_loaded(of, tx, self.entity, &mut values, keys).await?;
        for (row, values) in sealed.iter_mut().zip(values) {
            row.values = values;
        }
        Ok(Some((sealed, copied)))
    }

    fn leave_out(&mut self, row: &Row, refusal: Refusal) -> Result<(), Error> {
        let bad = BadRow { line: row.line, refusal, text: row.text.clone() };
        if self.on_bad == OnBad::Skip {
            self.imported.bad += 1;
            (self.heard)(Heard::Bad(bad));
            return Ok(());
        }
        let mut refusal = bad.refusal;
        let place = format!("line {}", bad.line);
        refusal.detail =
            Some(refusal.detail.map_or(place.clone(), |detail| format!("{place}: {detail}")));
        refusal.hint.get_or_insert_with(|| {
            "mend the line and import again: it goes on there; --skip-bad leaves bad rows out"
                .into()
        });
        Err(refusal.into())
    }
}

/// Whether a refusal is about a row's values, so that other rows of its batch may be fine.
fn is_of_a_row(refusal: &Refusal) -> bool {
    !matches!(
        refusal.code,
        Code::NoSuchEntity
            | Code::NoSuchField
            | Code::Syntax
            | Code::TenantSuspended
            | Code::NoSuchTenant
            | Code::Forbidden
            | Code::TooSlow
            | Code::TryAgain
            | Code::Server
            | Code::Embedder
    )
}
