//! The register of processing: which personal data there is, why, on which ground, for how long, and what became of it.

use std::collections::BTreeMap;

use freehold_model::{
    Model,
    entity::{Entity, Expiry, Field, OnErase, Personal, Privacy, Remains, Span, Whose},
};
use freehold_store::Exported;
use serde_json::{Value, json};

use crate::{Engine, error::Error};

/// How far back opens are counted.
const DAYS: u32 = 90;

/// Most exports of people that are listed.
const COPIES: u32 = 1_000;

/// Numbers of opens by purpose, by entity and field.
type Opens = BTreeMap<(String, String), BTreeMap<String, u64>>;

impl Engine {
    /// The register, as JSON: `classes`, `fields`, `not_personal`, `people`, `copies`, `erasures`, `holds`, `keys`, `findings`.
    ///
    /// # Errors
    /// Faults only.
    pub async fn register(&self) -> Result<Value, Error> {
        let snapshot = self.snapshot();
        let mut opens = Opens::new();
        for opened in self.store.opened_since(DAYS).await? {
            let by = opens.entry((opened.entity, opened.field)).or_default();
            *by.entry(opened.purpose).or_default() += opened.opens;
        }
        let totals = self.store.privacy_totals().await?;
        let erasures: Value = serde_json::from_str(&totals.erasures).unwrap_or_default();
        let copies = self.store.exports_since(DAYS, COPIES).await?;
        let mut register = Register::new(&snapshot.model);
        register.opens = opens;
        for entity in snapshot.model.entities() {
            entity.fields.iter().for_each(|field| register.field(entity, field));
        }
        Ok(json!({
            "model": snapshot.model.name(), "days": DAYS, "classes": classes(&snapshot.model),
            "fields": register.fields, "not_personal": register.others, "people": register.people,
            "copies": copies.iter().map(copy).collect::<Vec<_>>(),
            "erasures": erasures, "holds": totals.holds,
            "keys": { "people": totals.people, "oldest": totals.oldest_key },
            "findings": register.findings,
        }))
    }
}

struct Register<'m> {
    model: &'m Model,
    opens: Opens,
    fields: Vec<Value>,
    others: Vec<Value>,
    people: Vec<Value>,
    /// What its reader may want to think about.
    findings: Vec<String>,
}

impl<'m> Register<'m> {
    fn new(model: &'m Model) -> Self {
        Self {
            model,
            opens: Opens::new(),
            fields: Vec::new(),
            others: Vec::new(),
            people: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn field(&mut self, entity: &Entity, field: &Field) {
        let place = json!({ "entity": entity.name.as_str(), "field": field.name.as_str() });
        let with = |more: Value| {
            let mut row = place.clone();
            if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
                row.extend(more);
            }
            row
        };
        if let Some(way) = &field.on_erase {
            self.people.push(json!({
                "entity": entity.name.as_str(), "reference": field.name.as_str(), "on_erase": on_erase(way),
            }));
        }
        match &field.privacy {
            None => {}
            Some(Privacy::Not(why)) => self.others.push(with(json!({
                "why": why, "says_less_of": field.generalises.as_ref().map(ToString::to_string),
                "expiry": expiry(entity, field),
            }))),
            Some(Privacy::Personal(personal)) => {
                let name = (entity.name.to_string(), field.name.to_string());
                let opened = self.opens.remove(&name).unwrap_or_default();
                let expiry = expiry(entity, field);
                let class = self.model.classes().get(&personal.class);
                if let Some(why) = field.open_why() {
                    self.findings.push(format!(
                        "{}.{} is kept in the open: {why}. Most of the text can be told from a vector",
                        name.0, name.1
                    ));
                }
                if opened.is_empty() && field.open_why().is_none() && field.copied().is_none() {
                    let finding = format!(
                        "{}.{} was not opened in {DAYS} days: is it needed?",
                        name.0, name.1
                    );
                    self.findings.push(finding);
                }
                if expiry.is_empty() && class.is_some_and(|class| class.retention.is_some()) {
                    let finding = format!(
                        "{}.{} has a retention, but no rule of expiry keeps it",
                        name.0, name.1
                    );
                    self.findings.push(finding);
                }
                self.fields.push(with(json!({
                    "class": personal.class.as_str(), "whose": whose(personal),
                    "stored": stored(field),
                    "lookup": field.lookup().is_some(), "kept": personal.kept, "expiry": expiry, "opens": opened,
                })));
            }
        }
    }
}

/// What left the house: whose it was is a code.
fn copy(one: &Exported) -> Value {
    let for_whom = match one.recipients.is_empty() {
        true => json!("whoever has the file: it is in the open"),
        false => json!(one.recipients),
    };
    json!({
        "made": one.begun_at, "tenant": one.tenant, "entity": one.entity, "person": one.person, "for": for_whom,
        "whole": one.ended_at.is_some(), "rows": one.rows, "files": one.files, "manifest_sha256": one.sha256,
    })
}

fn stored(field: &Field) -> String {
    match field.open_why() {
        Some(why) => format!("in the open: {why}"),
        None if field.copied().is_some() => {
            "sealed; as it is in an unlogged copy, which no WAL, replica or backup has".to_owned()
        }
        None if field.sealed().is_some() => "sealed".to_owned(),
        None => "sealed as a blob".to_owned(),
    }
}

fn classes(model: &Model) -> Vec<Value> {
    let one = |(name, class): (&freehold_model::Name, &freehold_model::entity::Class)| {
        json!({
            "class": name.as_str(), "about": class.about, "purpose": class.purpose, "basis": class.basis,
            "retention": retention(class.retention), "source": class.source, "recipients": class.recipients,
        })
    };
    model.classes().iter().map(one).collect()
}

/// For how long a class is kept, in words.
pub(crate) fn retention(span: Option<Span>) -> String {
    span.map_or_else(|| "until erased".to_owned(), |span| span.to_string())
}

/// The rules by which a field is gone one day.
fn expiry(entity: &Entity, field: &Field) -> Vec<String> {
    let told = |rule: &Expiry| match &rule.remains {
        Remains::Nothing => {
            let within = rule.within.map_or_else(String::new, |within| {
                format!(", and lies for {within} longer at most, shown to nobody")
            });
            Some(format!("the row is deleted {} after {}{within}", rule.span, rule.since))
        }
        Remains::Without(fields) if fields.contains(&field.name) => {
            Some(format!("emptied {} after {}", rule.span, rule.since))
        }
        Remains::Coarser(fields) => {
            let coarser = fields.iter().find(|coarser| coarser.field == field.name)?;
            Some(format!(
                "only its {} is left {} after {}",
                coarser.grain.in_words(),
                rule.span,
                rule.since
            ))
        }
        Remains::Without(_) => None,
    };
    entity.expires.iter().filter_map(told).collect()
}

fn on_erase(way: &OnErase) -> String {
    match way {
        OnErase::Delete => "deleted".to_owned(),
        OnErase::Blank => "emptied".to_owned(),
        OnErase::Unlink => "emptied and unlinked".to_owned(),
        OnErase::Keep(keep) => format!("kept {}: {}", keep.span, keep.why),
    }
}

fn whose(personal: &Personal) -> String {
    match &personal.whose {
        Whose::Itself => "the row's".into(),
        Whose::Of(reference) => reference.to_string(),
        Whose::Nobody => "nobody's".into(),
    }
}
