//! Entities that come, stay and go.

use crate::{
    Code, Model, Refusal,
    ddl::{
        anonymous, blob,
        constraint::{self, NAME_PARTS_OF_REFERENCES},
        hold,
        index::Index,
        own::Places,
        sealed,
        table::Table,
    },
    entity::{Entity, Field, Kind},
    plan::{
        Action, Effect, Target, field,
        order::{Order, Phase},
    },
};

/// An entity of both models, as the planning of its fields sees it.
pub(crate) struct Kept<'a> {
    pub(crate) old_model: &'a Model,
    pub(crate) new_model: &'a Model,
    pub(crate) old: &'a Entity,
    pub(crate) new: &'a Entity,
    pub(crate) before: Table,
    pub(crate) after: Table,
    pub(crate) target: Target,
    /// The suffixes of tenants' own partitions.
    pub(crate) own: &'a [String],
}

impl Kept<'_> {
    /// Whether requests without a key read it before and after.
    pub(crate) fn stays_open(&self) -> bool {
        self.before.anonymous && self.after.anonymous
    }

    /// The indexes of both models that `field` is part of. PostgreSQL would rebuild them under names of its own when
    /// the type changes.
    pub(crate) fn indexes_with(&self, field: &str) -> impl Iterator<Item = &Index> {
        let with = self
            .after
            .indexes
            .iter()
            .filter(move |index| index.fields.iter().any(|name| name == field));
        with.filter(|index| self.before.indexes.iter().any(|before| before.name == index.name))
    }
}

/// Plans everything but renames, which `old` has behind it.
pub(crate) fn plan(old: &Model, new: &Model, target: Target, places: &Places, order: &mut Order) {
    for entity in &new.entities {
        match old.entity(&entity.name) {
            None => add(entity, order),
            Some(before) => keep(
                &Kept {
                    old_model: old,
                    new_model: new,
                    old: before,
                    new: entity,
                    before: Table::of(before),
                    after: Table::of(entity),
                    target,
                    own: places.of(&entity.name),
                },
                order,
            ),
        }
    }
    remove(old, new, order);
}

fn add(entity: &Entity, order: &mut Order) {
    let table = Table::of(entity);
    order.transaction(
        Phase::Create,
        format!("add entity {}", entity.name),
        Effect::Additive,
        table.create(),
    );
    let mut references: Vec<_> =
        table.references.iter().map(|reference| reference.add(&table.entity)).collect();
    if !references.is_empty() {
        references.push(NAME_PARTS_OF_REFERENCES.into());
    }
    let title = format!("add references of {}", entity.name);
    order.transaction(Phase::Refer, title, Effect::Additive, references);
}

fn keep(kept: &Kept<'_>, order: &mut Order) {
    if let Err(refusal) = stays_sliced(kept) {
        order.refuse(refusal);
        return;
    }
    let mut retyped = Vec::new();
    for new in &kept.new.fields {
        match kept.old.field(&new.name) {
            None => field::add(kept, new, order),
            Some(old) => {
                retyped.extend(field::change(kept, old, new, order).map(|when| (&*new.name, when)))
            }
        }
    }
    // A blob's trigger may watch over a reference that goes, too.
    let gone = || kept.old.fields.iter().filter(|old| kept.new.field(&old.name).is_none());
    let is_blob = |old: &&Field| matches!(old.kind, Kind::Blob(_));
    for old in gone().filter(is_blob).chain(gone().filter(|old| !is_blob(old))) {
        field::remove(kept, old, order);
    }
    guard(kept, order);
    opening(kept, order);
    indexes(kept, &retyped, order);
}

/// How a table is partitioned, and the time that its rows' ids are bound to, cannot be changed where they are. How long slices
/// are can: those made from then on are so long.
fn stays_sliced(kept: &Kept<'_>) -> Result<(), Refusal> {
    let since = |entity: &Entity| entity.sliced().map(|(_, rule)| rule.since.clone());
    let name = &kept.new.name;
    let message = match (since(kept.old), since(kept.new)) {
        (before, after) if before == after => return Ok(()),
        (None, _) => format!("{name} is there already, and cannot be kept in slices from now on"),
        (_, None) => format!("{name} is kept in slices, and cannot be kept otherwise"),
        (Some(before), Some(after)) => {
            format!("{name} is kept in slices by {before}, and cannot be by {after}")
        }
    };
    Err(Refusal::new(Code::Model, message)
        .hint("declare another entity as you want it, and move the rows by export and import"))
}

/// The hold on people's rows comes and goes with what the entity is.
fn guard(kept: &Kept<'_>, order: &mut Order) {
    let entity = &*kept.after.entity;
    match (hold::of_subject(kept.old), hold::of_subject(kept.new)) {
        (None, Some(guard)) => {
            let title = format!("guard the people of {entity}");
            order.transaction(Phase::Add, title, Effect::Additive, guard.add());
        }
        (Some(guard), None) => {
            let title = format!("guard {entity} no more");
            order.transaction(Phase::DropField, title, Effect::Additive, guard.remove(entity));
        }
        _ => {}
    }
}

/// It is shut before anything else is done to it, and opened when all of it is as it should be.
fn opening(kept: &Kept<'_>, order: &mut Order) {
    let entity = &*kept.after.entity;
    match (kept.before.anonymous, kept.after.anonymous) {
        (false, true) => open(entity, kept.after.open(), order),
        (true, false) => shut(entity, order),
        _ => {}
    }
}

/// Opens a table to requests without a key.
pub(crate) fn open(table: &str, statements: Vec<String>, order: &mut Order) {
    let title = format!("open {table} to anybody");
    if let Some(step) = order.transaction(Phase::Open, title, Effect::Additive, statements) {
        step.undo = Some(anonymous::shut(table));
        step.note = Some("its rows are read without a key where a server is told whose".into());
    }
}

/// Shuts it to them.
pub(crate) fn shut(table: &str, order: &mut Order) {
    let title = format!("open {table} to anybody no more");
    order.transaction(Phase::Shut, title, Effect::Additive, anonymous::shut(table));
}

/// Indexes are told apart by name, which says all about them.
fn indexes(kept: &Kept<'_>, retyped: &[(&str, Phase)], order: &mut Order) {
    let entity = &*kept.after.entity;
    let retyped = |index: &Index, when: &[Phase]| {
        retyped.iter().any(|(field, phase)| {
            when.contains(phase) && index.fields.iter().any(|name| name == field)
        })
    };
    let missing =
        |index: &&Index, there: &[Index]| !there.iter().any(|other| other.name == index.name);
    for index in kept.after.indexes.iter().filter(|index| missing(index, &kept.before.indexes)) {
        let phase =
            if retyped(index, &[Phase::ChangeSource]) { Phase::IndexSource } else { Phase::Index };
        let title = index.title(entity);
        let build = Action::Concurrently(index.build_leaves(entity, kept.own));
        let step = order.step(phase, format!("build {title}"), Effect::Additive, build);
        if index.unique {
            step.note = Some("fails if two rows of a tenant agree in these fields".into());
        }
        order.transaction(
            phase,
            format!("add {title}"),
            Effect::Additive,
            index.attach(entity, kept.own),
        );
    }
    for index in kept.before.indexes.iter().filter(|index| missing(index, &kept.after.indexes)) {
        let in_the_way = retyped(index, &[Phase::Change, Phase::ChangeSource]);
        let phase = if in_the_way { Phase::Release } else { Phase::DropIndex };
        let title = format!("remove {}", index.title(entity));
        order.transaction(phase, title, Effect::Additive, vec![index.remove()]);
    }
}

/// The tables of entities that are no longer declared. The references between them go first.
fn remove(old: &Model, new: &Model, order: &mut Order) {
    let leaving: Vec<_> = old
        .entities
        .iter()
        .filter(|entity| new.entity(&entity.name).is_none())
        .map(Table::of)
        .collect();
    for (position, table) in leaving.iter().enumerate() {
        let mut statements = Vec::new();
        for other in &leaving[position + 1..] {
            let to_this =
                other.references.iter().filter(|reference| reference.target == table.entity);
            statements.extend(
                to_this.map(|reference| constraint::remove(&other.entity, &reference.name)),
            );
        }
        statements.extend(table.remove());
        if old.entity(&table.entity).is_some_and(Entity::has_blobs) {
            statements.push(blob::dropped(&table.entity, None));
        }
        if !table.sealed.is_empty() {
            statements.push(sealed::dropped(&table.entity, None));
        }
        let flag = format!("drop:{}", table.entity);
        let title = format!("remove entity {}", table.entity);
        order.transaction(Phase::DropEntity, title, Effect::Destructive { flag }, statements);
    }
}
