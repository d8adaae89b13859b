//! Filling vectors that are empty: rows stored while their embedder was away, written by plain SQL, or waiting for
//! another model of embedding. A page is read, embedded outside any transaction, and written only where the texts
//! are still the ones that were embedded, so a row that changed meanwhile stays empty for the next round.

use std::time::Duration;

use freehold_model::mutate;
use freehold_store::Tenant;
use serde_json::{Map, Value};

use crate::{
    Engine, Snapshot,
    embed::TEXT_BYTES_MAX,
    error::Error,
    personal::{EMBEDDING, Tag},
    read::count,
    write::{filling, objects, source_text, vector},
};

/// Rows read, embedded and written at a time.
const PAGE_ROWS: u32 = 256;

/// How long a worker waits when nothing is due.
const IDLE: Duration = Duration::from_millis(500);

/// How long a worker leaves an embedder alone that is away.
const AWAY: Duration = Duration::from_secs(5);

/// What one step of the worker came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is due.
    Idle,
    /// So many vectors were filled.
    Filled(u64),
    /// The embedder is away.
    Away,
}

impl Engine {
    /// Fills what is due until the process ends. Run it as a task; any number of processes may.
    pub async fn fill_forever(&self) {
        loop {
            let pause = match self.fill_step().await {
                Ok(Outcome::Filled(_)) => continue,
                Ok(Outcome::Idle) => IDLE,
                Ok(Outcome::Away) => AWAY,
                Err(error) => {
                    tracing::error!(error = %error, "filling vectors failed; it is tried again");
                    AWAY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes everything that is due once.
    ///
    /// # Errors
    /// Faults of the database. An embedder that is away is an outcome.
    pub async fn fill_step(&self) -> Result<Outcome, Error> {
        let snapshot = self.snapshot();
        let (mut filled, mut away) = (0, false);
        for due in self.store.due().await? {
            // The notes are read before the rows and cleared after: one made meanwhile, or a death, leaves it due.
            let notes = self.store.due_notes(&due).await?;
            match self
                .fill_column(&snapshot, &due.tenant, (&due.entity, &due.field), None, &mut |_| {})
                .await
            {
                Ok(rows) => {
                    filled += rows;
                    self.store.clear_due(&due, &notes).await?;
                }
                Err(Error::Refused(refusal)) => {
                    away = true;
                    tracing::warn!(entity = %due.entity, field = %due.field, error = %refusal, "vectors stay empty");
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(match (filled, away) {
            (0, true) => Outcome::Away,
            (0, false) => Outcome::Idle,
            (filled, _) => Outcome::Filled(filled),
        })
    }

    /// Fills every empty vector of one field of one tenant, in its own column or in that which will take its place;
    /// gives their number.
    pub(crate) async fn fill_column(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        (entity, field): (&str, &str),
        column: Option<&str>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, Error> {
        let Some(vector) = vector(&snapshot.model, entity, field) else { return Ok(0) };
        let next = column.is_some_and(|column| column != field);
        let (mut filled, mut after) = (0, None::<String>);
        let tag = Tag::new();
        loop {
            let page = mutate::unfilled(
                &snapshot.model,
                entity,
                field,
                next,
                after.as_deref(),
                (PAGE_ROWS, tag.as_str()),
            )?;
            let page = self.store.run(tenant, &page).await?;
            let page = page.text(0).unwrap_or("[]");
            let rows =
                objects(Some(&self.open_body(snapshot, tenant, page, &tag, EMBEDDING).await?));
            let Some(last) = rows.last().and_then(|row| row.get("id")?.as_str()) else {
                return Ok(filled);
            };
            after = Some(last.to_owned());
            // One text that no embedder takes must not keep the others waiting.
            let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
            let (rows, texts): (Vec<&Map<String, Value>>, Vec<String>) = rows
                .iter()
                .filter_map(|row| Some((row, source_text(vector, row).filter(fits)?)))
                .unzip();
            if texts.is_empty() {
                continue;
            }
            let vectors =
                snapshot.embedders.embed(&vector.embedder, vector.dimensions, &texts).await?;
            let place = (entity, field, next);
            let fill = filling((self, tenant), &snapshot.model, place, &rows, &vectors).await?;
            let stored = count(self.store.run(tenant, &fill).await?.int(1));
            filled += stored;
            progress(stored);
        }
    }
}
