//! How two entities are related, found from the name an embed is written with.

use super::suggest::suggest;
use crate::{
    Code, Model, Name, Refusal,
    entity::{Entity, Kind},
};

/// A relationship as seen from one of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The other end.
    pub(crate) entity: Name,
    /// The field that refers.
    pub(crate) field: Name,
    /// Whether the other end is the referring one, of which there may be many.
    pub(crate) many: bool,
}

/// The relationship that `target`, written inside `from`, means.
///
/// # Errors
/// `NoRelationship`, or `AmbiguousRelationship` with the ways to write each.
pub(crate) fn find(
    model: &Model,
    from: &Entity,
    target: &str,
    hint: Option<&str>,
) -> Result<Relation, Refusal> {
    let fits = |relation: &Relation| match hint {
        None => true,
        Some(hint) => {
            let owner = if relation.many { &relation.entity } else { &from.name };
            *hint == *relation.field || hint == format!("{owner}~{}~fk", relation.field)
        }
    };
    let all = relations(model, from);
    let by_field =
        all.iter().find(|relation| !relation.many && *relation.field == *target && fits(relation));
    if let Some(relation) = by_field {
        return Ok(relation.clone());
    }
    // From an entity to itself its own name means the many side; the one side has the field's name.
    let itself = *from.name == *target;
    let named = |relation: &&Relation| {
        *relation.entity == *target && (!itself || relation.many) && fits(relation)
    };
    match all.iter().filter(named).collect::<Vec<_>>()[..] {
        [relation] => Ok(relation.clone()),
        [] => Err(none(model, from, target, hint, &all)),
        ref several => Err(ambiguous(from, target, several)),
    }
}

fn relations(model: &Model, from: &Entity) -> Vec<Relation> {
    let mut relations = Vec::new();
    for entity in model.relations() {
        for field in &entity.fields {
            let Kind::Ref(reference) = &field.kind else { continue };
            if entity.name == from.name {
                let (entity, field) = (reference.entity.clone(), field.name.clone());
                relations.push(Relation { entity, field, many: false });
            }
            if reference.entity == from.name {
                relations.push(Relation {
                    entity: entity.name.clone(),
                    field: field.name.clone(),
                    many: true,
                });
            }
        }
    }
    relations
}

fn spelling(relation: &Relation) -> String {
    if relation.many {
        format!("{}!{}", relation.entity, relation.field)
    } else {
        relation.field.to_string()
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
    let names: Vec<&str> =
        all.iter().flat_map(|relation| [&*relation.entity, &*relation.field]).collect();
    match suggest(target, names) {
        Some(near) if hint.is_none() => refusal.hint(format!("did you mean {near}?")),
        _ if all.is_empty() => refusal.hint(format!("{} has no relationships", from.name)),
        _ => {
            let mut known: Vec<String> = all.iter().map(spelling).collect();
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
    let over: Vec<String> = several.iter().map(|relation| relation.field.to_string()).collect();
    refusal
        .detail(format!("over {}", over.join(", ")))
        .hint(format!("write one of {}", ways.collect::<Vec<_>>().join(", ")))
}
