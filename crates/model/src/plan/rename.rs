//! What is called differently now, and how it is renamed.

use std::collections::BTreeMap;

use crate::{
    Code, Model, Name, Refusal,
    ddl::{
        blob,
        constraint::{self, NAME_PARTS_OF_REFERENCES},
        index,
        naming::{self, part, root},
        own::Places,
        sealed,
        table::Table,
        vector::Trigger,
    },
    entity::{Entity, Expiry, Key, Kind, Privacy},
    plan::{
        Effect,
        order::{Order, Phase},
        reads,
    },
    sql::ident,
    view::Capture,
};

/// New names by old ones, of entities and of the fields of each entity (by its old name).
#[derive(Debug, Default)]
pub(crate) struct Renames {
    entities: BTreeMap<Name, Name>,
    fields: BTreeMap<Name, BTreeMap<Name, Name>>,
}

/// Reads the renames `new` declares. One that `old` declared too is done already.
pub(crate) fn find(old: &Model, new: &Model) -> Result<Renames, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let declared = |entity: &Entity| (entity.name.clone(), entity.was.clone());
    let entities = pairs(
        &old.entities.iter().map(declared).collect(),
        &new.entities.iter().map(declared).collect(),
        "",
        &mut refusals,
    );
    let mut fields = BTreeMap::new();
    for before in &old.entities {
        let Some(after) = new.entity(entities.get(&before.name).unwrap_or(&before.name)) else {
            continue;
        };
        let declared = |entity: &Entity| {
            entity.fields.iter().map(|field| (field.name.clone(), field.was.clone())).collect()
        };
        let prefix = format!("{}.", after.name);
        fields.insert(
            before.name.clone(),
            pairs(&declared(before), &declared(after), &prefix, &mut refusals),
        );
    }
    if refusals.is_empty() { Ok(Renames { entities, fields }) } else { Err(refusals) }
}

/// A rename holds if its old name was there and its new name was not. The reader of models has seen to it that no old
/// name is still in use, and that none is claimed twice.
fn pairs(
    old: &BTreeMap<Name, Option<Name>>,
    new: &BTreeMap<Name, Option<Name>>,
    prefix: &str,
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<Name, Name> {
    let mut pairs = BTreeMap::new();
    for (name, was) in new {
        let Some(was) = was.as_ref().filter(|was| old.contains_key(*was)) else { continue };
        match old.get(name) {
            None => {
                pairs.insert(was.clone(), name.clone());
            }
            Some(before) if before.as_ref() == Some(was) => {}
            Some(_) => {
                let message = format!(
                    "{prefix}{name} says that it was {was}, but both are in the applied model"
                );
                let hint = format!(
                    "apply a model without {prefix}{name} first, then rename {was}; or take `was` away"
                );
                refusals.push(Refusal::new(Code::Model, message).hint(hint));
            }
        }
    }
    pairs
}

impl Renames {
    /// `old` as if it had always had the new names.
    pub(crate) fn apply(&self, old: &Model) -> Model {
        let mut model = old.clone();
        for entity in &mut model.entities {
            let fields = self.fields.get(&entity.name);
            let field_name = |name: &mut Name| {
                if let Some(new) = fields.and_then(|fields| fields.get(name)) {
                    *name = new.clone();
                }
            };
            for field in &mut entity.fields {
                field_name(&mut field.name);
                match &mut field.kind {
                    Kind::Vector(vector) => vector.of.iter_mut().for_each(field_name),
                    Kind::Ref(reference) => self.entity_name(&mut reference.entity),
                    Kind::Blob(blob) => blob.path.iter_mut().for_each(field_name),
                    _ => {}
                }
                field.generalises.iter_mut().for_each(|less| field_name(&mut less.field));
                field.privacy.iter_mut().filter_map(Privacy::reference_mut).for_each(field_name);
            }
            entity.expires.iter_mut().flat_map(Expiry::names_mut).for_each(field_name);
            let keys = entity.uniques.iter_mut().chain(&mut entity.indexes);
            keys.flat_map(|Key { fields }| fields).for_each(field_name);
            self.entity_name(&mut entity.name);
        }
        model
    }

    /// What the log carries, under the new names.
    pub(crate) fn captures(&self, old: &Model, renamed: &Model) -> Vec<Capture> {
        let noted = |mut capture: Capture| {
            let fields = self.fields.get(&capture.entity);
            let new = |name: &mut Name| {
                if let Some(new) = fields.and_then(|fields| fields.get(name)) {
                    *name = new.clone();
                }
            };
            capture.used.iter_mut().chain(&mut capture.links).for_each(new);
            self.entity_name(&mut capture.entity);
            capture
        };
        debug_assert_eq!(old.entities.len(), renamed.entities.len());
        old.captures().into_iter().map(noted).collect()
    }

    /// Tenants' own partitions under the new names.
    pub(crate) fn places(&self, places: &Places) -> Places {
        let new = |old: &str| {
            let renamed = self.entities.iter().find(|(from, _)| ***from == *old);
            renamed.map_or_else(|| old.to_owned(), |(_, to)| to.to_string())
        };
        places.renamed(new)
    }

    fn entity_name(&self, name: &mut Name) {
        if let Some(new) = self.entities.get(name) {
            *name = new.clone();
        }
    }
}

/// Renames everything in one step: the tables of `old` become those of `new`, which is the same model but for names.
pub(crate) fn plan(
    old: &Model,
    new: &Model,
    places: &Places,
    noted: &[Capture],
    order: &mut Order,
) {
    let (release, capture) = captures(old, new, noted);
    let blobs = blob::renamed(&old.entities, &new.entities);
    let sealed = sealed::renamed(&old.entities, &new.entities);
    let tables = |model: &Model| model.entities.iter().map(Table::of).collect::<Vec<_>>();
    let (old, new) = (tables(old), tables(new));
    let mut statements = release;
    for (before, after) in old.iter().zip(&new) {
        statements.extend(
            moved_triggers(before, after).flat_map(|(trigger, _)| trigger.remove(&before.entity)),
        );
    }
    let (titles, named_anew) = rename_tables(&old, &new, places);
    statements.extend(named_anew);
    for (before, after) in old.iter().zip(&new) {
        statements.extend(moved_triggers(before, after).flat_map(|(_, trigger)| trigger.add()));
    }
    statements.extend(blobs);
    statements.extend(sealed);
    statements.extend(capture);
    let title = format!("rename {}", titles.join(", "));
    if let Some(step) = order.transaction(Phase::Rename, title, Effect::Additive, statements) {
        step.note =
            Some("servers that still have the old model fail until they have the new one".into());
    }
}

// The functions that note changes say names, too.
fn captures(old: &Model, new: &Model, noted: &[Capture]) -> (Vec<String>, Vec<String>) {
    let before = old.captures();
    let of = |model: &'_ Model, capture: &Capture| {
        let entity = model.entity(&capture.entity).expect("captures are of entities").clone();
        (entity, capture.clone())
    };
    let old: Vec<_> = before.iter().map(|capture| of(old, capture)).collect();
    let new: Vec<_> = noted.iter().map(|capture| of(new, capture)).collect();
    reads::renamed(&old, &new)
}

fn rename_tables(old: &[Table], new: &[Table], places: &Places) -> (Vec<String>, Vec<String>) {
    let mut titles = Vec::new();
    let mut statements = Vec::new();
    let pairs = || old.iter().zip(new);
    for (from, to) in changed(pairs().map(|(a, b)| (&*a.entity, &*b.entity))) {
        titles.push(format!("{from} to {to}"));
        statements.push(format!("alter table {} rename to {}", root(from), ident(to)));
        let own = places.of(from).iter().cloned();
        statements.extend(naming::parts().chain(own).map(|suffix| {
            format!(
                "alter table {} rename to {}",
                part(from, &suffix),
                ident(&format!("{to}~{suffix}"))
            )
        }));
    }
    for (before, after) in pairs() {
        let entity = &after.entity;
        let names = before.columns.iter().zip(&after.columns).map(|(a, b)| (&*a.name, &*b.name));
        for (from, to) in changed(names) {
            titles.extend((!from.contains('~')).then(|| format!("{entity}.{from} to {to}")));
            statements.push(format!(
                "alter table {} rename column {} to {}",
                root(entity),
                ident(from),
                ident(to)
            ));
        }
        statements
            .extend(before.copies.iter().zip(&after.copies).flat_map(|(from, to)| from.rename(to)));
        let checks = before.checks.iter().zip(&after.checks).map(|(a, b)| (&*a.name, &*b.name));
        let references =
            before.references.iter().zip(&after.references).map(|(a, b)| (&*a.name, &*b.name));
        statements.extend(
            changed(checks.chain(references))
                .map(|(from, to)| constraint::rename(entity, from, to)),
        );
    }
    let keys = pairs().map(|(a, b)| (a, &*a.primary_key, &*b.primary_key));
    let indexes = pairs().flat_map(|(a, b)| {
        a.indexes.iter().zip(&b.indexes).map(move |(old, new)| (a, &*old.name, &*new.name))
    });
    let renamed = keys.chain(indexes).filter(|(_, from, to)| from != to);
    statements.extend(
        renamed.flat_map(|(table, from, to)| index::rename(from, to, places.of(&table.entity))),
    );
    let parts_move =
        pairs().any(|(a, b)| a.references.iter().zip(&b.references).any(|(a, b)| a.name != b.name));
    statements.extend(parts_move.then(|| NAME_PARTS_OF_REFERENCES.to_owned()));
    (titles, statements)
}

/// Triggers say names in their functions and arguments, which no renaming reaches: they are made anew.
fn moved_triggers<'a>(
    before: &'a Table,
    after: &'a Table,
) -> impl Iterator<Item = (&'a Trigger, &'a Trigger)> {
    before.triggers.iter().zip(&after.triggers).filter(|(before, after)| before != after)
}

/// The pairs that differ.
fn changed<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.filter(|(from, to)| from != to)
}
