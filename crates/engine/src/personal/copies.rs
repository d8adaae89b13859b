//! Copies of sealed vectors, in which these are searched: put there by the write that seals them, and by workers where a crash
//! has emptied them or somebody without keys wrote.
//!
//! due → note → rows that lack one, opened → put where they are still the same → the note is taken back, and all is whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use freehold_model::{
    Name, ddl,
    entity::{Entity, Field},
    mutate::{Copied, put_copies, uncopied},
};
use freehold_store::{
    CopyDue, Opens, Tenant, TenantTx,
    seal::{Closed, Place},
    unhex,
};
use uuid::Uuid;

use crate::{Engine, Snapshot, error::Error, read::count, write::objects};

/// Rows opened and put into a copy at a time.
const PAGE_ROWS: u32 = 500;

/// Most rows that a write puts into a copy by one statement.
const PUT_ROWS: usize = 1_000;

/// How long a worker waits when all copies are whole, and after a failure.
const IDLE: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(5);

/// What vectors are opened for to be searched, as it is counted.
const PURPOSE: &str = "copying";

/// A vector field that is searched in a copy, and the copy's name.
type CopyOf<'m> = (&'m Entity, &'m Field, String);

/// All of a model's.
pub(crate) fn copies(snapshot: &Snapshot) -> impl Iterator<Item = CopyOf<'_>> {
    snapshot.model.entities().iter().flat_map(|entity| {
        entity.copied_fields().map(move |field| {
            let name = ddl::copy_name(&entity.name, &field.name);
            (entity, field, name)
        })
    })
}

/// Puts into copies what the transaction has sealed of these rows, as far as it has written them.
pub(crate) async fn put(
    tx: &mut TenantTx,
    entity: &Entity,
    copied: &[Copied],
) -> Result<(), Error> {
    let mut fields: BTreeMap<&Name, Vec<&Copied>> = BTreeMap::new();
    for one in copied {
        fields.entry(&one.field).or_default().push(one);
    }
    for (name, rows) in fields {
        if let Some(field) = entity.field(name) {
            for rows in rows.chunks(PUT_ROWS) {
                tx.query_one(&put_copies(entity, field, rows, false)).await?;
            }
        }
    }
    Ok(())
}

/// A tenant's vectors that cannot be searched until workers have copied them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncopied {
    /// The tenant's name.
    pub tenant: String,
    /// The entity.
    pub entity: Name,
    /// The vector field.
    pub field: Name,
    /// How many vectors whoever is copying them has copied; none if nobody is.
    pub done: Option<u64>,
}

impl Engine {
    /// What searches of sealed vectors wait for.
    ///
    /// # Errors
    /// Faults of the database.
    pub async fn uncopied(&self) -> Result<Vec<Uncopied>, Error> {
        let snapshot = self.snapshot();
        let all: Vec<CopyOf<'_>> = copies(&snapshot).collect();
        let due = self.copies_due(&all).await?;
        let said = |due: CopyDue| {
            let (entity, field, _) = all.iter().find(|(.., name)| *name == due.copy)?;
            let tenant = due.tenant.name().to_owned();
            let (entity, field) = (entity.name.clone(), field.name.clone());
            Some(Uncopied { tenant, entity, field, done: due.done })
        };
        Ok(due.into_iter().filter_map(said).collect())
    }

    async fn copies_due(&self, all: &[CopyOf<'_>]) -> Result<Vec<CopyDue>, Error> {
        let names: Vec<String> = all.iter().map(|(.., name)| name.clone()).collect();
        self.store.copies_due(&names).await
    }

    /// Fills copies that are not whole until the process ends. Run it as a task; any number of processes may.
    pub async fn copy_forever(&self) {
        loop {
            let pause = match self.copy_step().await {
                Ok(0) => IDLE,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(error = %error, "filling copies of vectors failed; it is tried again");
                    AWAY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Fills every copy that is not whole, once; gives their number.
    ///
    /// # Errors
    /// Faults of the database.
    pub async fn copy_step(&self) -> Result<usize, Error> {
        let snapshot = self.snapshot();
        let all: Vec<CopyOf<'_>> = copies(&snapshot).collect();
        let mut whole = 0;
        // What somebody else is filling is left to them.
        for due in self.copies_due(&all).await?.into_iter().filter(|due| !due.busy) {
            let Some(place) = all.iter().find(|(.., name)| *name == due.copy) else { continue };
            whole += usize::from(self.copy_all(&due.tenant, place).await?);
        }
        Ok(whole)
    }

    /// Copies what lacks a copy of one field of one tenant. False if it has to be done again.
    async fn copy_all(
        &self,
        tenant: &Tenant,
        (entity, field, copy): &CopyOf<'_>,
    ) -> Result<bool, Error> {
        // Notes are read before the rows and taken back after: one made meanwhile, or a death, leaves it due.
        let Some(notes) = self.store.copy_begin(tenant, copy).await? else { return Ok(false) };
        let (mut done, mut after) = (0, None::<String>);
        loop {
            let page = uncopied(entity, field, after.as_deref(), PAGE_ROWS);
            let rows = self.store.run(tenant, &page).await?;
            let rows = objects(rows.text(0));
            let Some(last) = rows.last().and_then(|row| row.get("id")?.as_str()) else { break };
            after = Some(last.to_owned());
            let copied = self.opened(tenant, (entity, field), &rows).await?;
            let copied: Vec<&Copied> = copied.iter().collect();
            let put = put_copies(entity, field, &copied, true);
            done += count(self.store.run(tenant, &put).await?.int(1));
            self.store.copy_progress(tenant, copy, &notes, done).await?;
        }
        if done > 0 {
            tracing::info!(entity = %entity.name, field = %field.name, vectors = done, "a copy of sealed vectors was filled");
        }
        self.store.copy_end(tenant, copy, &notes).await
    }

    /// What goes into the copy for these rows. Of whom there is no key any more, nothing is found.
    async fn opened(
        &self,
        tenant: &Tenant,
        (entity, field): (&Entity, &Field),
        rows: &[serde_json::Map<String, serde_json::Value>],
    ) -> Result<Vec<Copied>, Error> {
        let numbers = self.store.sealed_numbers(&[(&entity.name, &field.name)]).await?;
        let name = (entity.name.to_string(), field.name.to_string());
        let number = numbers.get(&name).copied().unwrap_or_default();
        let text = |at: usize, name: &str| rows[at].get(name).and_then(|value| value.as_str());
        let id = |at: usize, name: &str| text(at, name).and_then(|id| id.parse::<Uuid>().ok());
        let owner = |at: usize| id(at, "owner").unwrap_or_default();
        let people: BTreeSet<Uuid> = (0..rows.len()).map(owner).collect();
        let keys = self.store.keys_to_open(tenant, &people).await?;
        let mut opens = Opens::default();
        let mut copied = Vec::with_capacity(rows.len());
        for at in 0..rows.len() {
            let (Some(row), Some(digits)) = (id(at, "id"), text(at, "sealed")) else { continue };
            let place = Place { tenant: tenant.id(), field: number, row, subject: owner(at) };
            let sealed = unhex(digits).ok_or(Closed::Form)?;
            let opened = match keys.open(place, &sealed) {
                Ok(value) => {
                    opens.add(&entity.name, &field.name);
                    String::from_utf8(value.reveal().clone()).ok()
                }
                Err(Closed::Gone) => None,
                Err(closed) => {
                    tracing::error!(entity = %entity.name, field = %field.name, %row, "a sealed vector does not open and is not found: {closed}");
                    None
                }
            };
            let mark = Copied::mark_of(digits);
            let (field, id) = (field.name.clone(), row.to_string());
            copied.push(Copied { field, id, mark, vector: opened });
        }
        self.store.note_opens(tenant, &|_, _| PURPOSE.to_owned(), &opens).await?;
        Ok(copied)
    }
}
