//! How two entities are related, found from the name an embed is written with.

use super::{
    cut::Cut,
    level::{Embed, Level},
};
use crate::{
    Code, Model, Name, Refusal,
    entity::{Entity, Kind},
    suggest::did_you_mean,
};

/// A relationship as seen from one of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The other end.
    pub(crate) entity: Name,
    /// The field that refers; of a junction, the one that refers to this end.
    pub(crate) field: Name,
    /// Whether there may be many rows at the other end.
    pub(crate) many: bool,
    /// The entity between the two ends.
    pub(crate) via: Option<Junction>,
    /// Whether the other end surely has a row: a foreign key of a field that is never empty sees to it.
    pub(crate) kept: bool,
}

impl Embed {
    /// Whether rows are left out for it. What is there in any case is not looked for row by row, which PostgreSQL itself does not spare.
    pub(crate) fn leaves_out(&self) -> bool {
        self.inner && !(self.relation.kept && self.level.has_any_row())
    }
}

impl Level {
    /// Whether every row there is belongs to it.
    fn has_any_row(&self) -> bool {
        self.conds.is_empty()
            && self.nearest.is_empty()
            && !self.cuts.iter().any(Cut::deletes)
            && !self.embeds.iter().any(Embed::leaves_out)
    }
}

/// An entity whose rows each refer to both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Junction {
    pub(crate) entity: Name,
    /// The field that refers to the other end.
    pub(crate) far: Name,
    /// Whether a unique key holds both references, so that it says nothing but which rows belong together.
    tight: bool,
}

/// The relationship that `target`, written inside `from`, means. A reference between the two goes before a junction.
///
/// # Errors
/// `NoRelationship`, or `AmbiguousRelationship` with the ways to write each.
pub(crate) fn find(
    model: &Model,
    from: &Entity,
    target: &str,
    hint: Option<&str>,
) -> Result<Relation, Refusal> {
    let fits = |relation: &&Relation| hint.is_none_or(|hint| is_hinted(from, relation, hint));
    let all = relations(model, from);
    let direct = || all.iter().filter(|relation| relation.via.is_none());
    let by_field = |relation: &&Relation| {
        !relation.many && *relation.field == *target || is_constraint(from, relation, target)
    };
    if let Some(relation) = direct().filter(by_field).find(fits) {
        return Ok(relation.clone());
    }
    // From an entity to itself its own name means the many side; the one side has the field's name.
    let itself = *from.name == *target;
    let named = |relation: &&Relation| *relation.entity == *target && (!itself || relation.many);
    let mut found: Vec<&Relation> = direct().filter(named).filter(fits).collect();
    if found.is_empty() {
        let tight = |relation: &&Relation| {
            relation.via.as_ref().is_some_and(|via| hint.is_some() || via.tight)
        };
        found = all.iter().filter(named).filter(tight).filter(fits).collect();
    }
    match found[..] {
        [relation] => Ok(relation.clone()),
        [] => Err(none(model, from, target, hint, &all)),
        ref several => Err(ambiguous(from, target, several)),
    }
}

/// Whether `hint` names this relationship: by its field, its constraint or the entity between.
fn is_hinted(from: &Entity, relation: &Relation, hint: &str) -> bool {
    match &relation.via {
        Some(via) => *hint == *via.entity,
        None => *hint == *relation.field || is_constraint(from, relation, hint),
    }
}

/// Whether `name` is the constraint's, here or where PostgreSQL chose the name.
fn is_constraint(from: &Entity, relation: &Relation, name: &str) -> bool {
    let owner = if relation.many { &relation.entity } else { &from.name };
    let field = &relation.field;
    name == format!("{owner}~{field}~fk") || name == format!("{owner}_{field}_fkey")
}

fn relations(model: &Model, from: &Entity) -> Vec<Relation> {
    let mut relations = Vec::new();
    for entity in model.relations() {
        let references = entity.fields.iter().filter_map(|field| match &field.kind {
            Kind::Ref(reference) => Some((&field.name, &reference.entity)),
            _ => None,
        });
        // What a read model or a view refers to no key keeps.
        let stored = model.entity(&entity.name).is_some();
        let is_kept =
            |field: &Name| stored && entity.field(field).is_some_and(|field| !field.optional);
        for (field, to) in references.clone() {
            let relation = |entity: &Name, many| Relation {
                entity: entity.clone(),
                field: field.clone(),
                many,
                via: None,
                kept: false,
            };
            if entity.name == from.name {
                relations.push(Relation { kept: is_kept(field), ..relation(to, false) });
            }
            if *to != from.name {
                continue;
            }
            relations.push(relation(&entity.name, true));
            for (far, end) in references.clone().filter(|(far, _)| *far != field) {
                let both = |key: &&crate::entity::Key| {
                    key.fields.contains(field) && key.fields.contains(far)
                };
                let tight = entity.uniques.iter().any(|key| both(&key));
                let via = Junction { entity: entity.name.clone(), far: far.clone(), tight };
                relations.push(Relation { via: Some(via), ..relation(end, true) });
            }
        }
    }
    relations
}

fn spelling(relation: &Relation) -> String {
    match &relation.via {
        Some(via) => format!("{}!{}", relation.entity, via.entity),
        None if relation.many => format!("{}!{}", relation.entity, relation.field),
        None => relation.field.to_string(),
    }
}

fn none(
    model: &Model,
    from: &Entity,
    target: &str,
    hint: Option<&str>,
    all: &[Relation],
) -> Refusal {
    let refusal = Refusal::new(
        Code::NoRelationship,
        format!("{} has no relationship with {target}", from.name),
    )
    .detail(match (hint, model.entity(target), from.field(target)) {
        (Some(hint), ..) => format!("none over a field {hint}"),
        (None, Some(_), _) => {
            format!("neither refers to the other; embeds go over references of {}", from.name)
        }
        (None, None, Some(_)) => format!("{target} is a field that refers to nothing"),
        (None, None, None) => format!("{target} is neither a field nor an entity"),
    });
    let named = all.iter().filter(|relation| relation.via.as_ref().is_none_or(|via| via.tight));
    let names: Vec<&str> =
        named.flat_map(|relation| [&*relation.entity, &*relation.field]).collect();
    match did_you_mean(target, names) {
        Some(meant) if hint.is_none() => refusal.hint(meant),
        _ if all.is_empty() => refusal.hint(format!("{} has no relationships", from.name)),
        _ => {
            let own = all.iter().filter(|relation| relation.via.is_none());
            let mut known: Vec<String> = own.map(spelling).collect();
            known.dedup();
            refusal.hint(format!("it has {}", known.join(", ")))
        }
    }
}

fn ambiguous(from: &Entity, target: &str, several: &[&Relation]) -> Refusal {
    let ways = several.iter().map(|relation| {
        let way =
            if relation.many { spelling(relation) } else { format!("{target}!{}", relation.field) };
        format!("{way}(…)")
    });
    let refusal = Refusal::new(
        Code::AmbiguousRelationship,
        format!("{} and {target} are related in more than one way", from.name),
    );
    let over = |relation: &&Relation| match &relation.via {
        Some(via) => format!("{}.{}", via.entity, relation.field),
        None => relation.field.to_string(),
    };
    let over: Vec<String> = several.iter().map(over).collect();
    refusal
        .detail(format!("over {}", over.join(", ")))
        .hint(format!("write one of {}", ways.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entity::{Expiry, Remains, Span, Unit},
        query::{Limits, fixture, parse},
    };

    #[test]
    fn what_may_have_expired_is_looked_for() {
        let mut model = fixture::model();
        let looks = |model: &Model| {
            let embed = "select=sha,author!inner(handle)";
            let query = parse(model, "commit", embed, &Limits::default()).unwrap();
            query.render().text().contains("exists")
        };
        assert!(!looks(&model));
        let person = model.entities.iter_mut().find(|it| &*it.name == "person").unwrap();
        let since = person.field("last_seen").unwrap().name.clone();
        let span = Span { count: 1, unit: Unit::Year };
        person.expires.push(Expiry { since, span, remains: Remains::Nothing, within: None });
        assert!(looks(&model));
    }
}
