//! Erasing a person: a recorded run of steps that goes on wherever it was left, by whoever takes it up.
//!
//! held? → blocked at once → rows, some thousand at a time and counted with the same commit → nothing left? → keys destroyed → receipt. Each step commits by
//! itself and does nothing if it was done before, so a process may end anywhere in between.

use std::collections::BTreeMap;

use freehold_model::{
    Model, Name,
    entity::{Entity, OnErase, Privacy, Span, Unit},
    erase::{self, Duty},
};
use freehold_store::Tenant;
pub use freehold_store::{Erasure, ErasureInfo, ErasureState, Hold, Receipt};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
    read::count,
};

/// Rows dealt with in one transaction.
const ROWS: u32 = 5_000;

/// How often read models are given a chance to follow before that is left to the workers.
const ROUNDS: usize = 20;

/// What an erasure would do with the rows of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The entity.
    pub entity: Name,
    /// The reference to the person; none if the row is the person.
    pub reference: Option<Name>,
    /// What becomes of the rows.
    pub way: OnErase,
    /// How many they are.
    pub rows: u64,
}

impl Engine {
    /// What erasing a person would do.
    ///
    /// # Errors
    /// `NoSuchEntity`, `Usage` if its rows are not people; faults.
    pub async fn erasure_plan(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
    ) -> Result<Vec<Planned>, Error> {
        let snapshot = self.snapshot();
        let mut planned = Vec::new();
        for duty in erase::duties(&snapshot.model, subject(&snapshot.model, entity)?) {
            let rows = self.left(&snapshot, tenant, &duty, person).await?;
            planned.push(Planned {
                entity: duty.entity,
                reference: duty.reference,
                way: duty.way,
                rows,
            });
        }
        Ok(planned)
    }

    /// Erases a person, or takes up what was begun, as far as it goes now: to its end, or until something keeps it. What is
    /// left is gone on with by the workers.
    ///
    /// # Errors
    /// `NoSuchEntity`, `Usage`; `Held`; what keeps rows from being deleted; `TryAgain` while read models still name the
    /// person.
    pub async fn erase(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
    ) -> Result<Erasure, Error> {
        subject(&self.snapshot().model, entity)?;
        let mut erasure = self.begin_erasure(tenant, entity, person).await?;
        if erasure.state == ErasureState::Held {
            return Err(Refusal::new(Code::Held, "a legal hold keeps the person")
                .detail(format!(
                    "the erasure {} stands and goes on when the hold is released",
                    erasure.id
                ))
                .hint("`freehold hold list` shows it")
                .into());
        }
        while erasure.state != ErasureState::Ended {
            erasure = self.erase_step(tenant, erasure).await?;
        }
        Ok(erasure)
    }

    async fn begin_erasure(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
    ) -> Result<Erasure, Error> {
        // While there is a key of theirs to wrap what of their blobs is not yet.
        Box::pin(self.own_blobs_of(tenant, Some(person))).await?;
        self.store.begin_erasure(tenant, entity, person).await
    }

    /// One step of an erasure.
    ///
    /// # Errors
    /// As [`Self::erase`]; what keeps it is noted with it.
    pub async fn erase_step(&self, tenant: &Tenant, erasure: Erasure) -> Result<Erasure, Error> {
        let snapshot = self.snapshot();
        let done = match erasure.state {
            ErasureState::Held => {
                self.begin_erasure(tenant, &erasure.entity, erasure.person).await.map(drop)
            }
            ErasureState::Blocked => match self.store.note_erased(&erasure) {
                Ok(()) => Box::pin(self.clean(&snapshot, tenant, &erasure)).await,
                Err(error) => Err(error),
            },
            ErasureState::Cleaned => {
                let keep = longest(&snapshot.model, &erasure);
                self.store.shred(erasure.id, keep.as_deref()).await
            }
            ErasureState::Shredded => {
                let open = residue(&snapshot.model, &erasure.entity);
                let body =
                    |number: i64, before: &str| self.receipt(&erasure, number, before, &open);
                self.store.end_erasure(&erasure, &body).await
            }
            ErasureState::Ended => Ok(()),
        };
        if let Err(error) = done {
            self.store.erasure_failed(erasure.id, &crate::error::without_values(&error)).await?;
            return Err(error);
        }
        let gone = || Refusal::new(Code::TryAgain, "the erasure is gone");
        Ok(self.store.erasure(erasure.id).await?.ok_or_else(gone)?)
    }

    /// Goes on with an erasure that a process left, for the workers.
    ///
    /// # Errors
    /// As [`Self::erase`].
    pub async fn resume_erasure(&self, id: Uuid) -> Result<(), Error> {
        let Some(mut erasure) = self.store.erasure(id).await? else { return Ok(()) };
        let tenant = self.store.tenant_known(&erasure.tenant.to_string()).await?;
        while erasure.state != ErasureState::Ended {
            let before = erasure.state;
            erasure = self.erase_step(&tenant, erasure).await?;
            if erasure.state == before {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Deals with all rows, and looks whether any are left.
    async fn clean(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        erasure: &Erasure,
    ) -> Result<(), Error> {
        let person = erasure.person.to_string();
        let duties = erase::duties(&snapshot.model, subject(&snapshot.model, &erasure.entity)?);
        let (permit, id) = (self.store.removal_permit(tenant).await?, erasure.id.to_string());
        for duty in &duties {
            while let Some(sql) = duty.some(&person, &permit, &id, ROWS) {
                let run = self.store.run_one_placed(tenant, &sql, None).await;
                let (row, _) = run.map_err(|error| snapshot.refine(error))?;
                if count(row.int(1)) < u64::from(ROWS) {
                    break;
                }
            }
        }
        let mut kept: BTreeMap<String, u64> = BTreeMap::new();
        for duty in &duties {
            let left = self.left(snapshot, tenant, duty, erasure.person).await?;
            match duty.way {
                OnErase::Keep(_) if left > 0 => {
                    *kept.entry(duty.entity.to_string()).or_default() += left
                }
                OnErase::Keep(_) => {}
                _ if left == 0 => {}
                _ => {
                    return Err(Refusal::new(
                        Code::TryAgain,
                        "rows came while the person was erased",
                    )
                    .detail(format!("{left} of {}", duty.entity))
                    .into());
                }
            }
        }
        self.wait_for_read_models(snapshot, tenant, &person).await?;
        self.store.erasure_cleaned(erasure.id, &json!(kept).to_string()).await
    }

    async fn left(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        duty: &Duty,
        person: Uuid,
    ) -> Result<u64, Error> {
        let row = self.store.run(tenant, &duty.left(&person.to_string())).await;
        Ok(count(row.map_err(|error| snapshot.refine(error))?.int(1)))
    }

    /// Read models follow what was done to rows by the change log.
    async fn wait_for_read_models(
        &self,
        snapshot: &Snapshot,
        tenant: &Tenant,
        person: &str,
    ) -> Result<(), Error> {
        // Rows that are kept go on being counted, and are named by what is kept of them.
        let mut named = Vec::new();
        for _ in 0..ROUNDS {
            named.clear();
            for (read, sql) in erase::traces(&snapshot.model, person) {
                let row =
                    self.store.run(tenant, &sql).await.map_err(|error| snapshot.refine(error))?;
                if count(row.int(1)) > 0 {
                    named.push(read.to_string());
                }
            }
            if named.is_empty()
                || self.project_round(&mut crate::project::Watch::default()).await? == 0
            {
                break;
            }
        }
        let stays = |duty: &Duty| matches!(duty.way, OnErase::Keep(_) | OnErase::Blank);
        let may_name = snapshot
            .model
            .entities()
            .iter()
            .filter(|entity| entity.subject)
            .any(|entity| erase::duties(&snapshot.model, entity).iter().any(stays));
        if named.is_empty() || may_name {
            return Ok(());
        }
        Err(Refusal::new(Code::TryAgain, "read models still name the person")
            .detail(named.join(", "))
            .hint("workers bring them up to date; `freehold status` shows how far they are")
            .into())
    }

    /// What was done, and nothing by which anybody could be told.
    fn receipt(&self, erasure: &Erasure, number: i64, before: &str, open: &[String]) -> String {
        let mut counts: Value = serde_json::from_str(&erasure.counts).unwrap_or_default();
        let kept = counts.as_object_mut().and_then(|counts| counts.remove("kept"));
        let mut residual = vec![
            match erasure.epoch {
                Some(1..) => {
                    "backups and WAL from before hold the rows, sealed, and wrapped keys that open them with the keys of this epoch and older ones, until those are destroyed: a later receipt says so"
                }
                _ => {
                    "backups and WAL from before hold the rows, sealed, and the wrapped keys that open them with the root key, until they expire"
                }
            },
            "ids, times, blind indexes and fields that are not personal in backups and WAL, until they expire",
        ];
        residual.extend(open.iter().map(String::as_str));
        json!({
            "receipt": number,
            "erasure": erasure.id.to_string(),
            "tenant": erasure.tenant.to_string(),
            "person": self.store.person_ref(erasure.tenant, erasure.person),
            "requested": erasure.requested_at,
            "cleaned": erasure.cleaned_at,
            "keys_destroyed": erasure.shredded_at,
            "rows": counts,
            "kept": kept.unwrap_or_else(|| json!({})),
            "epoch": erasure.epoch,
            "residual": residual,
            "before": before,
        })
        .to_string()
    }
}

/// What is left of a person in the open: in backups their vectors of which the model says why they are not sealed, and where
/// copies of vectors were their bytes on the server's own disk.
fn residue(model: &Model, subject: &str) -> Vec<String> {
    let mut all = Vec::new();
    for entity in model.entities() {
        for field in &entity.fields {
            let Some(Privacy::Personal(personal)) = &field.privacy else { continue };
            let kept = match field.open_why() {
                Some(why) => format!("kept in the open ({why}), in backups and WAL, until they expire"),
                None if field.copied().is_some() => {
                    "of the unlogged copy in which they were searched, on the server's disk, until they are written over".to_owned()
                }
                None => continue,
            };
            if entity.people_of(&personal.whose).is_some_and(|people| **people == *subject) {
                all.push(format!("vectors of {}.{}, {kept}", entity.name, field.name));
            }
        }
    }
    all
}

/// The entity, if its rows are people.
pub(crate) fn subject<'m>(model: &'m Model, name: &str) -> Result<&'m Entity, Refusal> {
    let people: Vec<&str> = model
        .entities()
        .iter()
        .filter(|entity| entity.subject)
        .map(|entity| &*entity.name)
        .collect();
    match model.entity(name) {
        Some(entity) if entity.subject => Ok(entity),
        Some(_) => Err(Refusal::new(Code::Usage, format!("the rows of {name} are not people"))
            .hint(format!("people are the rows of: {}", people.join(", ")))),
        None => Err(Refusal::new(Code::NoSuchEntity, format!("there is no entity {name}"))
            .hint(format!("people are the rows of: {}", people.join(", ")))),
    }
}

/// For how long the longest of what is kept of this person is.
fn longest(model: &Model, erasure: &Erasure) -> Option<String> {
    let counts: Value = serde_json::from_str(&erasure.counts).unwrap_or_default();
    let kept = counts.get("kept")?.as_object()?;
    let entity = model.entity(&erasure.entity)?;
    let hours = |span: &Span| {
        u64::from(span.count)
            * match span.unit {
                Unit::Hour => 1,
                Unit::Day => 24,
                Unit::Week => 168,
                Unit::Month => 732,
                Unit::Year => 8_784,
            }
    };
    let duties = erase::duties(model, entity);
    let spans = duties.iter().filter_map(|duty| match &duty.way {
        OnErase::Keep(keep) if kept.contains_key(&*duty.entity) => Some(keep.span),
        _ => None,
    });
    spans.max_by_key(hours).map(|span| span.to_string())
}
