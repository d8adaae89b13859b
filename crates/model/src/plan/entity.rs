//! Entities that come, stay and go.

use crate::{
    Model,
    ddl::{
        constraint::{self, NAME_PARTS_OF_REFERENCES},
        table::Table,
    },
    entity::Entity,
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
}

/// Plans everything but renames, which `old` has behind it.
pub(crate) fn plan(old: &Model, new: &Model, target: Target, order: &mut Order) {
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
                },
                order,
            ),
        }
    }
    remove(old, new, order);
}

fn add(entity: &Entity, order: &mut Order) {
    let table = Table::of(entity);
    order.transaction(Phase::Create, format!("add entity {}", entity.name), Effect::Additive, table.create());
    let mut references: Vec<_> = table.references.iter().map(|reference| reference.add(&table.entity)).collect();
    if !references.is_empty() {
        references.push(NAME_PARTS_OF_REFERENCES.into());
    }
    let title = format!("add references of {}", entity.name);
    order.transaction(Phase::Refer, title, Effect::Additive, references);
}

fn keep(kept: &Kept<'_>, order: &mut Order) {
    let mut replaced = Vec::new();
    for new in &kept.new.fields {
        match kept.old.field(&new.name) {
            None => field::add(kept, new, order),
            Some(old) => {
                if field::change(kept, old, new, order) {
                    replaced.push(&*new.name);
                }
            }
        }
    }
    for old in kept.old.fields.iter().filter(|old| kept.new.field(&old.name).is_none()) {
        field::remove(kept, old, order);
    }
    indexes(kept, &replaced, order);
}

/// Indexes are told apart by name, which says all about them, but those on a column that is replaced go with it.
fn indexes(kept: &Kept<'_>, replaced: &[&str], order: &mut Order) {
    let entity = &*kept.after.entity;
    let on_replaced = |fields: &[String]| fields.iter().any(|field| replaced.contains(&&**field));
    for index in &kept.after.indexes {
        let anew = on_replaced(&index.fields);
        if kept.before.indexes.iter().any(|before| before.name == index.name) && !anew {
            continue;
        }
        let phase = if anew { Phase::IndexReplaced } else { Phase::Index };
        let title = index.title(entity);
        let build = Action::Concurrently(index.build_leaves(entity));
        let step = order.step(phase, format!("build {title}"), Effect::Additive, build);
        if index.unique {
            step.note = Some("fails if two rows of a tenant agree in these fields".into());
        }
        order.transaction(phase, format!("add {title}"), Effect::Additive, index.attach(entity));
    }
    let gone = |name: &str| !kept.after.indexes.iter().any(|index| index.name == name);
    for index in kept.before.indexes.iter().filter(|index| gone(&index.name) && !on_replaced(&index.fields)) {
        let title = format!("remove {}", index.title(entity));
        order.transaction(Phase::DropIndex, title, Effect::Additive, vec![index.remove()]);
    }
}

/// The tables of entities that are no longer declared. The references between them go first.
fn remove(old: &Model, new: &Model, order: &mut Order) {
    let leaving: Vec<_> = old.entities.iter().filter(|entity| new.entity(&entity.name).is_none()).map(Table::of).collect();
    for (position, table) in leaving.iter().enumerate() {
        let mut statements = Vec::new();
        for other in &leaving[position + 1..] {
            let to_this = other.references.iter().filter(|reference| reference.target == table.entity);
            statements.extend(to_this.map(|reference| constraint::remove(&other.entity, &reference.name)));
        }
        statements.extend(table.remove());
        let flag = format!("drop:{}", table.entity);
        let title = format!("remove entity {}", table.entity);
        order.transaction(Phase::DropEntity, title, Effect::Destructive { flag }, statements);
    }
}
