//! What is one person's, for that person: their row and those that refer to them, with their files, and without what is
//! others'.

mod files;

use std::io::Write;

use freehold_model::{
    Model,
    entity::{Entity, Field, Kind, Privacy, Whose},
    erase,
};
use freehold_store::Tenant;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use files::Files;

use crate::{
    Engine,
    error::{Code, Error, Refusal},
    personal::StatedPurpose,
    read::{Manner, Read},
    register::retention,
};

/// Rows in a page.
const PAGE: usize = 1_000;

/// What it is opened for.
const PURPOSE: &str = "access by the person";

impl Engine {
    /// Writes what is one person's as JSON lines: first `manifest`, then a line of `entity`, `reference` and `row` each.
    /// References to other people, and what is personal of them, are left out. A blob is said to be in a file of `files`, or
    /// lost. Gives the number of rows.
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
        let snapshot = self.snapshot();
        let subject = crate::erase::subject(&snapshot.model, entity)?;
        let duties = erase::duties(&snapshot.model, subject);
        let mut line = |value: &Value| {
            writeln!(output, "{value}").map_err(|error| {
                Refusal::new(Code::Import, "the output cannot be written").detail(error.to_string())
            })
        };
        line(&json!({ "manifest": manifest(&snapshot.model, entity, person, &duties) }))?;
        let mut rows = 0;
        for duty in duties.iter().rev() {
            let Some(entity) = snapshot.model.entity(&duty.entity) else { continue };
            let by = duty.reference.as_deref().unwrap_or("id");
            let select: Vec<String> = ["\"id\"".to_owned()]
                .into_iter()
                .chain(
                    theirs(&snapshot.model, entity, by).map(|field| format!("\"{}\"", field.name)),
                )
                .collect();
            let mut after = Uuid::nil().to_string();
            loop {
                let query = format!(
                    "select={}&\"{by}\"=eq.{person}&and=(id.gt.{after})&order=id&limit={PAGE}",
                    select.join(",")
                );
                let query = query.replace('"', "%22").replace(' ', "%20");
                let manner =
                    Manner { purpose: Some(StatedPurpose::own(PURPOSE)), ..Manner::default() };
                let read = Read { entity: &entity.name, query: &query, count: false };
                let answer = self.read_as(tenant, read, &manner).await?;
                let mut page: Vec<Map<String, Value>> =
                    serde_json::from_str(&answer.body).unwrap_or_default();
                for row in &mut page {
                    if let Some(files) = &mut files {
                        Box::pin(self.export_files(tenant, entity, row, files)).await?;
                    }
                    line(
                        &json!({ "entity": entity.name.as_str(), "reference": duty.reference.as_deref(), "row": row }),
                    )?;
                }
                rows += page.len() as u64;
                match page.last().and_then(|row| row.get("id")).and_then(Value::as_str) {
                    Some(last) if page.len() == PAGE => after = last.to_owned(),
                    _ => break,
                }
            }
        }
        output.flush().map_err(|error| {
            Refusal::new(Code::Import, "the output cannot be written").detail(error.to_string())
        })?;
        Ok(rows)
    }
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

fn manifest(model: &Model, entity: &str, person: Uuid, duties: &[erase::Duty]) -> Value {
    let mut fields = Vec::new();
    for duty in duties {
        let Some(entity) = model.entity(&duty.entity) else { continue };
        let by = duty.reference.as_deref().unwrap_or("id");
        for field in theirs(model, entity, by) {
            let class = match &field.privacy {
                Some(Privacy::Personal(personal)) => model.classes().get(&personal.class),
                _ => None,
            };
            fields.push(json!({
                "entity": entity.name.as_str(), "field": field.name.as_str(), "by": by,
                "purpose": class.map(|class| &class.purpose), "basis": class.map(|class| &class.basis),
                "retention": class.map(|class| retention(class.retention)),
                "recipients": class.map(|class| &class.recipients),
            }));
        }
    }
    json!({
        "model": model.name(), "person": { "entity": entity, "id": person.to_string() }, "fields": fields,
        "left_out": "references to other people, what is personal of them, vectors, and what has expired",
    })
}
