//! What is one person's, for that person: their row and those that refer to them, with their files, and without what is
//! others'.

mod files;
mod parcel;

use std::{collections::BTreeMap, io::Write};

use freehold_model::{
    Model,
    entity::{Entity, Field, Kind, Privacy, Whose},
    erase,
};
use freehold_store::Tenant;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

pub use files::Files;
use files::{Open, Way};
use parcel::Parcel;
pub use parcel::Recipients;

use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
    personal::StatedPurpose,
    read::{Manner, Read},
    register::retention,
};

/// Rows in a page.
const PAGE: usize = 1_000;

/// What it is opened for.
const PURPOSE: &str = "access by the person";

/// A row by its fields, each as PostgreSQL wrote it: read as a number, it could lose digits.
type Row = BTreeMap<String, Box<RawValue>>;

/// Whose export it is.
struct Of<'a> {
    tenant: &'a Tenant,
    entity: &'a str,
    person: Uuid,
}

/// What an export that was encrypted has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parceled {
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Files whose bytes are missing in the object storage.
    pub lost: u64,
    /// SHA-256 of the manifest, in hexadecimal digits.
    pub manifest_sha256: String,
}

impl Engine {
    /// Writes what is one person's as JSON lines: first `manifest`, then a line of `entity`, `reference` and `row` each.
    /// References to other people, and what is personal of them, are left out. A blob is said to be in a file of `files`, or
    /// lost. Gives the number of rows. The export is registered.
    ///
    /// # Errors
    /// `NoSuchEntity`, `Usage`; `Import` if it cannot be written; `Storage`, or `NotBuilt` without a place for blobs, if there
    /// are files and cannot be read; faults.
    pub async fn export_person(
        &self,
        tenant: &Tenant,
        entity: &str,
        person: Uuid,
        output: &mut (dyn Write + Send),
        mut files: Option<&mut Files>,
    ) -> Result<u64, Error> {
        let of = Of { tenant, entity, person };
        let mut way = Open { output, files: files.as_deref_mut(), file: None };
        let (id, rows) = self.export_to(&of, &[], &mut way).await?;
        way.output.flush().map_err(|error| {
            Refusal::new(Code::Import, "the output cannot be written").detail(error.to_string())
        })?;
        self.store.end_export(id, (rows, files.map_or(0, |files| files.written)), None).await?;
        Ok(rows)
    }

    /// The same as a tar archive that is encrypted to its recipients as it is written, with the files inside if `with_files`. What
    /// is not ended here does not open whole.
    ///
    /// # Errors
    /// As [`Self::export_person`].
    pub async fn export_person_for(
        &self,
        (tenant, entity, person): (&Tenant, &str, Uuid),
        recipients: &Recipients,
        output: &mut (dyn Write + Send),
        with_files: bool,
    ) -> Result<Parceled, Error> {
        let of = Of { tenant, entity, person };
        let mut way = Parcel::new(recipients, output, with_files)?;
        let (id, rows) = self.export_to(&of, recipients.texts(), &mut way).await?;
        let (files, lost) = (way.files, way.lost);
        let manifest_sha256 = way.finish(rows)?;
        self.store.end_export(id, (rows, files), Some(&manifest_sha256)).await?;
        Ok(Parceled { rows, files, lost, manifest_sha256 })
    }

    /// Registers an export and writes all rows of it; gives its number in the register, and how many rows there are.
    async fn export_to(
        &self,
        of: &Of<'_>,
        recipients: &[String],
        way: &mut dyn Way,
    ) -> Result<(Uuid, u64), Error> {
        let Of { tenant, entity, person } = *of;
        let snapshot = self.snapshot();
        let subject = crate::erase::subject(&snapshot.model, entity)?;
        let duties = erase::duties(&snapshot.model, subject);
        let id = Uuid::now_v7();
        let made = self.store.begin_export(id, (tenant, entity, person), recipients).await?;
        way.begin(json!({
            "model": snapshot.model.name(), "tenant": tenant.name(),
            "person": { "entity": entity, "id": person.to_string() }, "made": made, "opened_for": PURPOSE,
            "recipients": recipients, "fields": fields(&snapshot.model, &duties),
            "left_out": "references to other people, what is personal of them, vectors, and what has expired",
        }))?;
        let mut rows = 0;
        for duty in duties.iter().rev() {
            rows += self.export_rows(&snapshot, of, duty, way).await?;
        }
        Ok((id, rows))
    }

    /// The rows of one entity that are the person's by one reference.
    async fn export_rows(
        &self,
        snapshot: &Snapshot,
        of: &Of<'_>,
        duty: &erase::Duty,
        way: &mut dyn Way,
    ) -> Result<u64, Error> {
        let Some(entity) = snapshot.model.entity(&duty.entity) else { return Ok(0) };
        let (tenant, person) = (of.tenant, of.person);
        let by = duty.reference.as_deref().unwrap_or("id");
        let fields = theirs(&snapshot.model, entity, by).map(|field| field.name.as_str());
        let names: Vec<&str> = std::iter::once("id").chain(fields).collect();
        let select: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let (mut rows, mut after) = (0, Uuid::nil().to_string());
        loop {
            let query = format!(
                "select={}&\"{by}\"=eq.{person}&and=(id.gt.{after})&order=id&limit={PAGE}",
                select.join(",")
            );
            let query = query.replace('"', "%22").replace(' ', "%20");
            let manner = Manner { purpose: Some(StatedPurpose::own(PURPOSE)), ..Manner::default() };
            let read = Read { entity: &entity.name, query: &query, count: false };
            let answer = self.read_as(tenant, read, &manner).await?;
            let page: Vec<Row> = serde_json::from_str(&answer.body).unwrap_or_default();
            let last = page.last().and_then(|row| row.get("id"));
            let last = last.map(|id| id.get().trim_matches('"').to_owned());
            let mut lines = Vec::with_capacity(page.len());
            for mut row in page {
                if way.takes_files() {
                    Box::pin(self.export_files(tenant, entity, &mut row, way)).await?;
                }
                lines.push(line(entity, duty, &names, &row));
            }
            way.page(&lines)?;
            rows += lines.len() as u64;
            match last {
                Some(last) if lines.len() == PAGE => after = last,
                _ => return Ok(rows),
            }
        }
    }
}

/// A row as it is handed over, its fields in the model's order and as PostgreSQL wrote them.
fn line(entity: &Entity, duty: &erase::Duty, names: &[&str], row: &Row) -> String {
    let fields = names.iter().filter_map(|name| Some((name, row.get(*name)?)));
    let fields: Vec<String> = fields.map(|(name, json)| format!("\"{name}\":{json}")).collect();
    let (entity, reference) = (json!(&*entity.name), json!(duty.reference.as_deref()));
    format!("{{\"entity\":{entity},\"reference\":{reference},\"row\":{{{}}}}}", fields.join(","))
}

/// The fields of a row that are the person's of its reference `by`, or nobody's.
fn theirs<'m>(
    model: &'m Model,
    entity: &'m Entity,
    by: &'m str,
) -> impl Iterator<Item = &'m Field> {
    entity.fields.iter().filter(move |field| {
        let others = match &field.kind {
            Kind::Ref(to) => {
                *field.name != *by && model.entity(&to.entity).is_some_and(|entity| entity.subject)
            }
            // What was made from texts says nothing that they do not.
            Kind::Vector(vector) => {
                !vector.of.is_empty() || !matches!(field.privacy, Some(Privacy::Personal(_)))
            }
            _ => false,
        };
        let whose = match &field.privacy {
            Some(Privacy::Personal(personal)) => match &personal.whose {
                Whose::Of(reference) => **reference == *by,
                Whose::Itself | Whose::Nobody => true,
            },
            _ => true,
        };
        whose && !others
    })
}

/// What is said of each field: what it is kept for, on which ground, for how long, and where it comes from.
fn fields(model: &Model, duties: &[erase::Duty]) -> Vec<Value> {
    let mut fields = Vec::new();
    for duty in duties {
        let Some(entity) = model.entity(&duty.entity) else { continue };
        let by = duty.reference.as_deref().unwrap_or("id");
        for field in theirs(model, entity, by) {
            let (name, why) = match &field.privacy {
                Some(Privacy::Personal(personal)) => (Some(&personal.class), None),
                Some(Privacy::Not(why)) => (None, Some(why)),
                None => (None, None),
            };
            let class = name.and_then(|name| model.classes().get(name));
            fields.push(json!({
                "entity": entity.name.as_str(), "field": field.name.as_str(), "by": by,
                "class": name.map(|name| name.as_str()), "not_personal": why,
                "purpose": class.map(|class| &class.purpose), "basis": class.map(|class| &class.basis),
                "retention": class.map(|class| retention(class.retention)),
                "source": class.map(|class| class.source.as_deref().unwrap_or("the person")),
                "recipients": class.map(|class| &class.recipients),
            }));
        }
    }
    fields
}
