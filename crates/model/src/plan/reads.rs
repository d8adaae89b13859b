//! Read models that come, change and go, and what the change log must carry for them.
//!
//! A read model whose rows would be others is built in a table beside the one that is served, and takes its place in one
//! transaction. Until then both are kept up to date, so the log carries what either needs.

use crate::{
    Code, Model, Name, Refusal,
    ddl::{
        capture,
        index::Index,
        read::{beside, indexes},
    },
    entity::Entity,
    plan::{
        Action, Effect, entity,
        order::{Order, Phase},
    },
    sql::literal,
    view::{Capture, ReadModel},
};

/// Of the table that is being built. There is one at a time, because there is one apply at a time.
const NEXT: u32 = 0;

/// The name of the table in which a read model is built.
#[must_use]
pub fn next_table(read: &Name) -> String {
    beside(read, NEXT)
}

/// Plans what becomes of read models. `noted` is what the log carries before, under the new names.
pub(super) fn plan(old: &Model, new: &Model, noted: &[Capture], order: &mut Order) {
    for entity in &new.entities {
        captures(entity, of(noted, entity), of(&new.captures(), entity), order);
    }
    for gone in noted.iter().filter(|capture| new.entity(&capture.entity).is_none()) {
        let functions = capture::drop_functions(&gone.entity);
        let title = format!("note changes of {} no more", gone.entity);
        order.transaction(Phase::AfterEntity, title, Effect::Additive, functions);
    }
    for read in &new.reads {
        let before = old.read(read.name());
        if old.entity(read.name()).is_some() {
            order.refuse(taken(read.name(), "an entity"));
        }
        match before.filter(|before| before.same_rows(read)) {
            Some(before) => keep(before, read, order),
            None => build(read, before, order),
        }
    }
    for entity in new.entities.iter().filter(|entity| old.read(&entity.name).is_some()) {
        order.refuse(taken(&entity.name, "a read model"));
    }
    for gone in old.reads.iter().filter(|read| new.read(read.name()).is_none()) {
        let retire = format!("select freehold.projector_retire({})", literal(gone.name()));
        let statements = vec![retire, gone.drop_table(gone.name())];
        let title = format!("remove read model {}", gone.name());
        if let Some(step) = order.transaction(Phase::Serve, title, Effect::Additive, statements) {
            step.note = Some("its rows can be made again from the entities".into());
        }
    }
}

/// Statements that keep noting changes while names change: before the tables are renamed, and after.
pub(super) fn renamed(
    old: &[(Entity, Capture)],
    new: &[(Entity, Capture)],
) -> (Vec<String>, Vec<String>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for ((was, had), (is, has)) in old.iter().zip(new) {
        if had == has {
            continue;
        }
        before.extend(capture::release(was));
        after.extend(capture::capture(is, has));
        let list = |names: &[Name]| {
            let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
            format!("array[{}]::text[]", names.join(", "))
        };
        after.push(format!(
            "select freehold.renamed({}, {}, {}, {})",
            literal(&had.entity),
            literal(&has.entity),
            list(&had.links),
            list(&has.links)
        ));
    }
    (before, after)
}

fn of(captures: &[Capture], entity: &Entity) -> Option<Capture> {
    captures.iter().find(|capture| capture.entity == entity.name).cloned()
}

fn captures(entity: &Entity, before: Option<Capture>, after: Option<Capture>, order: &mut Order) {
    if before == after {
        return;
    }
    let mut note = |phase, capture: &Capture| {
        let statements = capture::capture(entity, capture);
        let title = format!("note changes of {}", entity.name);
        if let Some(step) = order.transaction(phase, title, Effect::Additive, statements) {
            step.note = Some("waits for transactions that write to it".into());
            step.undo = Some(match &before {
                Some(before) => capture::capture(entity, before),
                None => capture::release(entity),
            });
        }
    };
    let both = match (&before, &after) {
        (Some(before), Some(after)) => before.with(after),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => return,
    };
    if before.as_ref() != Some(&both) {
        note(Phase::Capture, &both);
    }
    match after {
        Some(after) if after != both => note(Phase::ReleaseCapture, &after),
        Some(_) => {}
        None => {
            let title = format!("note changes of {} no more", entity.name);
            let statements = capture::release(entity);
            order.transaction(Phase::ReleaseCapture, title, Effect::Additive, statements);
        }
    }
}

fn build(read: &ReadModel, before: Option<&ReadModel>, order: &mut Order) {
    let (name, next) = (read.name(), next_table(read.name()));
    let (verb, table) =
        if before.is_some() { ("rebuild", "another table") } else { ("build", "the table") };
    let title = format!("make {table} of read model {name}");
    let create = read.create_table(&next);
    if let Some(step) = order.transaction(Phase::CreateRead, title, Effect::Additive, create) {
        step.undo = Some(vec![
            format!("select freehold.projector_abandon({})", literal(name)),
            read.drop_table(&next),
        ]);
    }
    let step = order.step(
        Phase::Build,
        format!("{verb} read model {name}"),
        Effect::Additive,
        Action::Build { read: name.clone() },
    );
    step.note = before.map(|_| "the one before serves until it is done".into());
    step.undo = Some(Vec::new());
    let mut statements = vec![format!("select freehold.projector_serve({})", literal(name))];
    statements.extend(before.map(|before| before.drop_table(name)));
    statements.extend(read.rename_table(&next, name));
    order.transaction(
        Phase::Serve,
        format!("serve read model {name}"),
        Effect::Additive,
        statements,
    );
}

fn keep(before: &ReadModel, after: &ReadModel, order: &mut Order) {
    let name = &**after.name();
    match (before.shape.anonymous, after.shape.anonymous) {
        (false, true) => entity::open(name, after.open(name), order),
        (true, false) => entity::shut(name, order),
        _ => {}
    }
    let (old, new) = (indexes(before, name), indexes(after, name));
    let missing = |index: &&Index, there: &[Index]| !there.contains(index);
    for index in new.iter().filter(|index| missing(index, &old)) {
        let title = index.title(name);
        let build = Action::Concurrently(index.build_leaves(name, &[]));
        order.step(Phase::Index, format!("build {title}"), Effect::Additive, build);
        let attach = index.attach(name, &[]);
        order.transaction(Phase::Index, format!("add {title}"), Effect::Additive, attach);
    }
    for index in old.iter().filter(|index| missing(index, &new)) {
        let title = format!("remove {}", index.title(name));
        order.transaction(Phase::DropIndex, title, Effect::Additive, vec![index.remove()]);
    }
}

fn taken(name: &Name, what: &str) -> Refusal {
    Refusal::new(Code::Model, format!("{name} is {what} in the applied model"))
        .hint(format!("apply a model without {name} first"))
}

impl Capture {
    /// What both carry.
    fn with(&self, other: &Self) -> Self {
        let both = |a: &[Name], b: &[Name]| {
            let more = b.iter().filter(|name| !a.contains(name));
            a.iter().chain(more).cloned().collect()
        };
        Self {
            entity: self.entity.clone(),
            used: both(&self.used, &other.used),
            links: both(&self.links, &other.links),
        }
    }
}
