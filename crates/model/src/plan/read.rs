//! Read models that come, stay and go. Nothing of theirs is lost for good: each can be made again from the entities.

use crate::{
    Model, Name, ReadModel,
    ddl::{
        index::Index,
        read::{forbid, indexes},
    },
    plan::{
        Action, Effect,
        order::{Order, Phase},
    },
    view::Capture,
};

/// Plans the read models of `new`; entities are planned already.
pub(crate) fn plan(old: &Model, new: &Model, order: &mut Order) {
    let (before, after) = (old.captures(), new.captures());
    let find =
        |all: &[Capture], entity: &Name| all.iter().find(|one| one.entity == *entity).cloned();
    for capture in &after {
        let title = format!("let workers read {}", capture.entity);
        let statements = match find(&before, &capture.entity) {
            None => capture.allow(),
            Some(had) if all_in(&capture.used, &had.used) => Vec::new(),
            Some(_) => vec![capture.grant()],
        };
        order.transaction(Phase::BuildRead, title, Effect::Additive, statements);
    }
    for read in new.reads() {
        let name = read.name();
        match old.read(name) {
            Some(before) if before.same_rows(read) => keep(before, read, order),
            before => {
                let verb = if before.is_some() { "rebuild" } else { "build" };
                let build = Action::Build { read: name.clone() };
                let title = format!("{verb} read model {name}");
                let step = order.step(Phase::BuildRead, title, Effect::Additive, build);
                if before.is_some() {
                    step.note = Some("the old one serves until the new one is ready".into());
                }
            }
        }
    }
    for read in old.reads().iter().filter(|read| new.read(read.name()).is_none()) {
        let name = read.name();
        let title = format!("remove read model {name}");
        order.transaction(Phase::DropRead, title, Effect::Additive, vec![read.drop_table(name)]);
    }
    for had in before.iter().filter(|had| new.entity(&had.entity).is_some()) {
        let title = format!("let workers read less of {}", had.entity);
        let statements = match find(&after, &had.entity) {
            None => forbid(&had.entity),
            Some(capture) if all_in(&had.used, &capture.used) => Vec::new(),
            Some(capture) => capture.narrow(),
        };
        order.transaction(Phase::DropRead, title, Effect::Additive, statements);
    }
}

fn all_in(these: &[Name], those: &[Name]) -> bool {
    these.iter().all(|name| those.contains(name))
}

fn keep(before: &ReadModel, after: &ReadModel, order: &mut Order) {
    let name = &**after.name();
    let (old, new) = (indexes(before, name), indexes(after, name));
    let missing = |index: &&Index, there: &[Index]| !there.contains(index);
    for index in new.iter().filter(|index| missing(index, &old)) {
        let title = index.title(name);
        let build = Action::Concurrently(index.build_leaves(name));
        order.step(Phase::Index, format!("build {title}"), Effect::Additive, build);
        let attach = index.attach(name);
        order.transaction(Phase::Index, format!("add {title}"), Effect::Additive, attach);
    }
    for index in old.iter().filter(|index| missing(index, &new)) {
        let title = format!("remove {}", index.title(name));
        order.transaction(Phase::DropIndex, title, Effect::Additive, vec![index.remove()]);
    }
}
