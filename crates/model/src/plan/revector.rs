//! Vectors that have to be made anew: the new ones gather in a hidden column while the old ones serve, and then take
//! their place.

use crate::{
    Code, Refusal,
    ddl::{
        column::{Column, made_from},
        naming::{next_column, root},
        vector::Trigger,
    },
    entity::{Embedder, Field, Pooling},
    plan::{
        Action, Effect,
        entity::Kept,
        order::{Order, Phase},
    },
    sql::ident,
};

/// Whose vectors are made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Freehold's own: nothing is lost.
    Ours,
    /// The callers', which Freehold cannot make again.
    Theirs,
}

/// Whether the vectors of a field have to be made anew from its texts.
pub(crate) fn needed(kept: &Kept<'_>, old: &Field, new: &Field) -> Option<Change> {
    let vector = made_from(new)?;
    let crate::entity::Kind::Vector(before) = &old.kind else { return None };
    if before.of.is_empty() {
        return Some(Change::Theirs);
    }
    let maker_before = kept.old_model.embedders.get(&before.embedder).map(maker);
    let maker_after = kept.new_model.embedders.get(&vector.embedder).map(maker);
    let same = before.of == vector.of
        && before.sql_type() == vector.sql_type()
        && maker_before == maker_after;
    (!same).then_some(Change::Ours)
}

/// Makes the vectors of a field anew.
pub(crate) fn plan(kept: &Kept<'_>, old: &Field, new: &Field, change: Change, order: &mut Order) {
    let entity = &*kept.after.entity;
    let field = format!("{entity}.{}", new.name);
    let next = Column { name: next_column(&new.name), ..Column::of(new) };
    let watch = Trigger::outdated(entity, new, &next.name);

    let mut statements = next.add(entity, kept.stays_open());
    statements.extend(watch.add());
    order.transaction(
        Phase::Stage,
        format!("make room for new vectors of {field}"),
        Effect::Additive,
        statements,
    );
    fill(kept, new, &next.name, Phase::Fill, order);

    let mut statements = watch.remove(entity);
    statements.extend(Trigger::all(entity, old).iter().flat_map(|trigger| trigger.remove(entity)));
    statements.push(Column::of(old).remove(entity));
    let (from, to) = (ident(&next.name), ident(&new.name));
    statements.push(format!("alter table {} rename column {from} to {to}", root(entity)));
    statements.extend(Trigger::all(entity, new).iter().flat_map(Trigger::add));
    let effect = match change {
        Change::Ours => Effect::Additive,
        Change::Theirs => Effect::Destructive { flag: format!("drop:{field}") },
    };
    order.transaction(
        Phase::Swap,
        format!("put the new vectors of {field} in place"),
        effect,
        statements,
    );
    fill(kept, new, &new.name, Phase::Refill, order);
}

/// Fills what is null in `column` with vectors of `field`.
pub(crate) fn fill(kept: &Kept<'_>, field: &Field, column: &str, phase: Phase, order: &mut Order) {
    let title = format!("fill field {}.{}", kept.new.name, field.name);
    let action = Action::Fill {
        entity: kept.new.name.clone(),
        field: field.name.clone(),
        column: column.to_owned(),
    };
    order.step(phase, title, Effect::Additive, action);
}

/// Replaces a vector that callers bring by one of another shape, with nothing in it.
pub(crate) fn replace(kept: &Kept<'_>, old: &Field, new: &Field, order: &mut Order) {
    const HINT: &str = "to keep the values, add a second field and remove this one later";
    let entity = &*kept.after.entity;
    let field = format!("{entity}.{}", new.name);
    let column = Column::of(new);
    if column.not_null && column.default.is_none() {
        let (from, to) = (old.kind.sql_type(), new.kind.sql_type());
        let message = format!(
            "the vectors of {field} cannot be changed from {from} to {to}, and it is required"
        );
        order.refuse(
            Refusal::new(Code::Model, message).hint(format!("make it optional first; {HINT}")),
        );
        return;
    }
    let mut statements: Vec<_> =
        Trigger::all(entity, old).iter().flat_map(|trigger| trigger.remove(entity)).collect();
    statements.push(Column::of(old).remove(entity));
    statements.extend(column.add(entity, kept.stays_open()));
    let effect = Effect::Destructive { flag: format!("drop:{field}") };
    let replace = Action::Transaction(statements);
    order.step(Phase::Swap, format!("replace the vectors of {field}"), effect, replace).note =
        Some(HINT.into());
}

/// What decides which vector an embedder makes of a text.
#[derive(PartialEq)]
enum Maker<'a> {
    Lexical,
    Http { url: &'a str, model: &'a str },
    Local { path: &'a str, pooling: Pooling },
}

fn maker(embedder: &Embedder) -> Maker<'_> {
    match embedder {
        Embedder::Lexical => Maker::Lexical,
        Embedder::Http { url, model, .. } => Maker::Http { url, model },
        Embedder::Local { path, pooling } => Maker::Local { path, pooling: *pooling },
    }
}
