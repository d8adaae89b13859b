//! Fields that come, change and go.

use crate::{
    Code, Refusal,
    ddl::{
        blob,
        column::{Column, made_from},
        constraint::{self, Check, ForeignKey, NAME_PARTS_OF_REFERENCES},
        copy::Copy,
        naming::root,
        sealed,
        vector::Trigger,
    },
    entity::{DefaultValue, Field, Kind},
    plan::{
        Action, Effect,
        conversion::{self, Conversion},
        entity::Kept,
        order::{Order, Phase},
        revector,
    },
    sql::ident,
};

/// Adds a field to an entity that may have rows.
pub(crate) fn add(kept: &Kept<'_>, field: &Field, order: &mut Order) {
    let entity = &*kept.after.entity;
    let title = format!("add field {entity}.{}", field.name);
    let (column, search) = (Column::of(field), Column::search_of(field));
    let lookup = Column::lookup_of(field);
    if column.not_null && column.default.is_none() {
        let message = format!(
            "{entity}.{} is required, but the rows that are there have no value for it",
            field.name
        );
        order.refuse(
            Refusal::new(Code::Model, message).hint("give it a default, or make it optional first"),
        );
        return;
    }
    let effect = if search.is_some() || matches!(field.default, Some(DefaultValue::NewUuid)) {
        rewriting(entity)
    } else {
        Effect::Additive
    };
    let checks = Check::all(entity, field);
    let open = kept.stays_open();
    let mut statements = column.add(entity, open);
    statements.extend(search.iter().chain(&lookup).flat_map(|beside| beside.add(entity, open)));
    statements.extend(sealed::made(entity, field));
    statements.extend(checks.iter().map(|check| check.add(entity)));
    statements.extend(Copy::of(entity, field).iter().flat_map(Copy::create));
    statements.extend(Trigger::all(entity, field).iter().flat_map(Trigger::add));
    // The texts of a vector may have to become texts first.
    let phase = if made_from(field).is_some() { Phase::Stage } else { Phase::Add };
    order.transaction(phase, title, effect, statements);
    if let Some(reference) = ForeignKey::of(entity, field) {
        refer(kept, None, &reference, &EARLY, order);
    }
    validate(entity, field, &checks, &EARLY, order);
    if made_from(field).is_some() {
        revector::fill(kept, field, &field.name, Phase::Fill, order);
    }
}

/// Removes a field with its values.
pub(crate) fn remove(kept: &Kept<'_>, field: &Field, order: &mut Order) {
    let entity = &*kept.after.entity;
    let mut statements: Vec<_> =
        Trigger::all(entity, field).iter().flat_map(|trigger| trigger.remove(entity)).collect();
    statements.extend(Copy::of(entity, field).map(|copy| copy.remove()));
    statements.extend(
        ForeignKey::of(entity, field).map(|reference| constraint::remove(entity, &reference.name)),
    );
    statements.extend(Column::beside(field).map(|beside| beside.remove(entity)));
    statements.extend(field.sealed().map(|_| sealed::dropped(entity, Some(&field.name))));
    statements.push(Column::of(field).remove(entity));
    if matches!(field.kind, Kind::Blob(_)) {
        statements.push(blob::dropped(entity, Some(&field.name)));
    }
    let phase = if made_from(field).is_some() { Phase::DropVector } else { Phase::DropField };
    let flag = format!("drop:{entity}.{}", field.name);
    order.transaction(
        phase,
        format!("remove field {entity}.{}", field.name),
        Effect::Destructive { flag },
        statements,
    );
}

/// Changes a field. Says when its type changes, if it does.
pub(crate) fn change(
    kept: &Kept<'_>,
    old: &Field,
    new: &Field,
    order: &mut Order,
) -> Option<Phase> {
    let sealed = old.sealed().is_some() || new.sealed().is_some();
    if let Some(change) = revector::needed(kept, old, new) {
        if sealed {
            let message = format!(
                "the sealed vectors of {}.{} cannot be made anew where they are",
                kept.after.entity, new.name
            );
            let hint = "declare the new vector under another name, then remove this one";
            order.refuse(Refusal::new(Code::Model, message).hint(hint));
            return None;
        }
        revector::plan(kept, old, new, change, order);
        return None;
    }
    if resealed(old, new) {
        let message = format!(
            "{}.{} cannot be sealed, opened, or sealed for somebody else where it is",
            kept.after.entity, new.name
        );
        let hint = "declare the new field under another name, write the values there, then remove this one";
        order.refuse(Refusal::new(Code::Model, message).hint(hint));
        return None;
    }
    // A blob's id has the type of other ids, and is none of them.
    let same = matches!(old.kind, Kind::Blob(_)) == matches!(new.kind, Kind::Blob(_));
    let conversion = if same && old.sql_type() == new.sql_type() {
        None
    } else if let Some(conversion) = conversion::between(&old.kind, &new.kind, &new.name) {
        Some(conversion)
    } else if matches!((&old.kind, &new.kind), (Kind::Vector(_), Kind::Vector(_))) {
        revector::replace(kept, old, new, order);
        return None;
    } else {
        let said = |kind: &Kind| match kind {
            Kind::Blob(_) => "blob".to_owned(),
            kind => kind.sql_type(),
        };
        let (from, to) = (said(&old.kind), said(&new.kind));
        let message =
            format!("{}.{} cannot be changed from {from} to {to}", kept.after.entity, new.name);
        let hint =
            "declare the new field under another name, move the values, then remove this one";
        order.refuse(Refusal::new(Code::Model, message).hint(hint));
        return None;
    };
    let phases = alter(kept, old, new, conversion.as_ref(), order);
    conversion.is_some().then_some(phases.change)
}

/// Whether what is sealed in it would have to be sealed anew, which PostgreSQL cannot do.
fn resealed(old: &Field, new: &Field) -> bool {
    let how = |field: &Field| {
        field.sealed().map(|personal| {
            (personal.whose.clone(), personal.kept, personal.lookup, field.kind.sql_type())
        })
    };
    how(old) != how(new)
}

/// When the parts of a change run.
struct Phases {
    change: Phase,
    refer: Phase,
    validate: Phase,
    require: Phase,
}

const EARLY: Phases = Phases {
    change: Phase::Change,
    refer: Phase::Refer,
    validate: Phase::Validate,
    require: Phase::Require,
};

/// The old vectors' triggers watch over their texts, whose types can change only after them.
const LATE: Phases = Phases {
    change: Phase::ChangeSource,
    refer: Phase::ReferSource,
    validate: Phase::ValidateSource,
    require: Phase::RequireSource,
};

fn alter(
    kept: &Kept<'_>,
    old: &Field,
    new: &Field,
    conversion: Option<&Conversion>,
    order: &mut Order,
) -> &'static Phases {
    let entity = &*kept.after.entity;
    let mut sources = kept.old.fields.iter().filter_map(made_from).flat_map(|vector| &vector.of);
    let phases = if conversion.is_some() && sources.any(|source| *source == old.name) {
        &LATE
    } else {
        &EARLY
    };

    let (references, target) = (ForeignKey::of(entity, old), ForeignKey::of(entity, new));
    let mut statements = release(entity, old, new, conversion.is_some());
    if target.is_none() {
        statements
            .extend(references.iter().map(|reference| constraint::remove(entity, &reference.name)));
    }
    let kept_indexes: Vec<_> =
        kept.indexes_with(&new.name).filter(|_| conversion.is_some()).collect();
    statements.extend(kept_indexes.iter().map(|index| index.remove()));
    let checks = fix(kept, old, new, conversion, &mut statements);
    statements.extend(kept_indexes.iter().flat_map(|index| index.create(entity, kept.own)));
    let effect = effect(entity, old, new, conversion);
    let step = order.transaction(
        phases.change,
        format!("change field {entity}.{}", new.name),
        effect,
        statements,
    );
    if let (Some(step), Some(conversion)) = (step, conversion) {
        let loses = conversion.loses.map(|what| format!("loses {what}"));
        let clauses: Vec<_> =
            loses.into_iter().chain(conversion.fails.map(ToOwned::to_owned)).collect();
        step.note = (!clauses.is_empty()).then(|| clauses.join("; "));
    }

    if let Some(target) = target.filter(|target| references.as_ref() != Some(target)) {
        refer(kept, references.as_ref(), &target, phases, order);
    }
    validate(entity, new, &checks, phases, order);
    if let Some(required) = checks.iter().find(|check| check.what == "required") {
        let set =
            format!("alter table {} alter column {} set not null", root(entity), ident(&new.name));
        let statements = vec![set, constraint::remove(entity, &required.name)];
        order.transaction(
            phases.require,
            format!("require field {entity}.{}", new.name),
            Effect::Additive,
            statements,
        );
    }
    if let (Some(search), None, None) = (Column::search_of(old), &new.search, conversion) {
        let title = format!("remove search of {entity}.{}", new.name);
        order.transaction(Phase::DropField, title, Effect::Additive, vec![search.remove(entity)]);
    }
    phases
}

/// Takes away what is no longer wanted or is in the way.
fn release(entity: &str, old: &Field, new: &Field, converts: bool) -> Vec<String> {
    let (before, after) = (Column::of(old), Column::of(new));
    let alter = |what: &str| {
        format!("alter table {} alter column {} {what}", root(entity), ident(&new.name))
    };
    let mut statements = Vec::new();
    let triggers = Trigger::all(entity, new);
    let gone = Trigger::all(entity, old).into_iter().filter(|trigger| !triggers.contains(trigger));
    statements.extend(gone.flat_map(|trigger| trigger.remove(entity)));
    let copy = Copy::of(entity, new);
    statements.extend(
        Copy::of(entity, old).filter(|old| Some(old) != copy.as_ref()).map(|copy| copy.remove()),
    );
    if let Some(search) = Column::search_of(old)
        && (converts || new.search.is_some() && Column::search_of(new).as_ref() != Some(&search))
    {
        statements.push(search.remove(entity));
    }
    let checks = Check::all(entity, new);
    let gone =
        Check::all(entity, old).into_iter().filter(|check| converts || !checks.contains(check));
    statements.extend(gone.map(|check| constraint::remove(entity, &check.name)));
    if before.default.is_some() && (converts || after.default.is_none()) {
        statements.push(alter("drop default"));
    }
    if before.not_null && !after.not_null {
        statements.push(alter("drop not null"));
    }
    statements
}

/// Changes the type and adds what is wanted now. The checks it returns hold for new rows and are not validated.
fn fix(
    kept: &Kept<'_>,
    old: &Field,
    new: &Field,
    conversion: Option<&Conversion>,
    statements: &mut Vec<String>,
) -> Vec<Check> {
    let entity = &*kept.after.entity;
    let (before, after) = (Column::of(old), Column::of(new));
    let alter = |what: &str| {
        format!("alter table {} alter column {} {what}", root(entity), ident(&new.name))
    };
    if let Some(conversion) = conversion {
        statements.splice(0..0, conversion.settings.iter().map(ToString::to_string));
        statements.push(alter(&format!("type {} using {}", after.sql_type, conversion.using)));
        statements.extend(after.store(entity));
    }
    if before.sampled != after.sampled {
        statements.push(after.sample(entity));
    }
    if let Some(default) =
        after.default.as_ref().filter(|_| conversion.is_some() || before.default != after.default)
    {
        statements.push(alter(&format!("set default {default}")));
    }
    if let Some(search) = Column::search_of(new)
        && (conversion.is_some() || Column::search_of(old).as_ref() != Some(&search))
    {
        statements.extend(search.add(entity, kept.stays_open()));
    }
    let had = Check::all(entity, old);
    let mut checks = Check::all(entity, new);
    checks.retain(|check| conversion.is_some() || !had.contains(check));
    if after.not_null && !before.not_null {
        checks.push(Check::required(entity, &new.name));
    }
    statements.extend(checks.iter().map(|check| check.add(entity)));
    let copy = Copy::of(entity, old);
    let wanted = Copy::of(entity, new).filter(|new| Some(new) != copy.as_ref());
    statements.extend(wanted.iter().flat_map(Copy::create));
    let had = Trigger::all(entity, old);
    let triggers = Trigger::all(entity, new).into_iter().filter(|trigger| !had.contains(trigger));
    statements.extend(triggers.flat_map(|trigger| trigger.add()));
    checks
}

fn effect(entity: &str, old: &Field, new: &Field, conversion: Option<&Conversion>) -> Effect {
    let searched_anew = new.search.is_some() && new.search != old.search;
    if conversion.is_some_and(|conversion| conversion.loses.is_some()) {
        Effect::Destructive { flag: format!("narrow:{entity}.{}", new.name) }
    } else if searched_anew || conversion.is_some_and(|conversion| conversion.rewrites) {
        rewriting(entity)
    } else {
        Effect::Additive
    }
}

fn rewriting(entity: &str) -> Effect {
    Effect::Rewriting {
        why: format!("writes every row of {entity} anew while all who use it wait"),
    }
}

/// Adds a reference to a table that may have rows, in place of `old`.
fn refer(
    kept: &Kept<'_>,
    old: Option<&ForeignKey>,
    new: &ForeignKey,
    phases: &Phases,
    order: &mut Order,
) {
    const NOTE: &str = "fails if a row refers to one that is not there";
    let entity = &*kept.after.entity;
    let mut statements: Vec<_> =
        old.iter().map(|old| constraint::remove(entity, &old.name)).collect();
    let title = format!("add reference {entity}.{} to {}", new.field, new.target);
    // Before 18, PostgreSQL cannot add one to a partitioned table and check its rows later.
    if kept.target.major >= 18 {
        statements.push(new.add_not_valid(entity));
        statements.push(NAME_PARTS_OF_REFERENCES.into());
        order.transaction(phases.refer, title, Effect::Additive, statements);
        let title = format!("check reference {entity}.{}", new.field);
        let check = Action::Transaction(new.validate(entity, kept.own));
        order.step(phases.validate, title, Effect::Additive, check).note = Some(NOTE.into());
    } else {
        statements.extend(new.add_checked(entity, kept.own));
        statements.push(NAME_PARTS_OF_REFERENCES.into());
        let why =
            format!("reads every row of {entity} while writes to {entity} and {} wait", new.target);
        let add = Action::Transaction(statements);
        order.step(phases.refer, title, Effect::Rewriting { why }, add).note = Some(NOTE.into());
    }
}

fn validate(entity: &str, field: &Field, checks: &[Check], phases: &Phases, order: &mut Order) {
    if checks.is_empty() {
        return;
    }
    let statements = checks.iter().map(|check| constraint::validate(entity, &check.name)).collect();
    let title = format!("check field {entity}.{}", field.name);
    let mut wrongs: Vec<_> = checks.iter().map(Check::wrong).collect();
    wrongs.dedup();
    let step =
        order.step(phases.validate, title, Effect::Additive, Action::Transaction(statements));
    step.note = Some(format!("fails if a value {}", wrongs.join(" or ")));
}
