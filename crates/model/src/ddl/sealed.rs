//! The numbers by which sealed fields are known to what seals them, whatever they are called: the platform keeps them, and
//! apply tells it of fields that come, go, or have another name.

use crate::{
    entity::{Entity, Field},
    sql::literal,
};

/// Gives a sealed field its number.
pub(crate) fn made(entity: &str, field: &Field) -> Option<String> {
    field.sealed().map(|_| {
        format!("select freehold.field_sealed({}, {})", literal(entity), literal(&field.name))
    })
}

/// Gives up the numbers of a field, or of an entity.
pub(crate) fn dropped(entity: &str, field: Option<&str>) -> String {
    format!(
        "select freehold.fields_unsealed({}, {})",
        literal(entity),
        field.map_or("null".into(), literal)
    )
}

/// Tells the new names of sealed fields: of `old` to those of `new`, which are the same but for names.
pub(crate) fn renamed(old: &[Entity], new: &[Entity]) -> Option<String> {
    let mut lists: [Vec<String>; 4] = Default::default();
    for (before, after) in old.iter().zip(new) {
        for (was, is) in before.fields.iter().zip(&after.fields) {
            if was.sealed().is_none() || (&before.name, &was.name) == (&after.name, &is.name) {
                continue;
            }
            let names = [&before.name, &was.name, &after.name, &is.name];
            for (list, name) in lists.iter_mut().zip(names) {
                list.push(literal(name));
            }
        }
    }
    if lists[0].is_empty() {
        return None;
    }
    let lists = lists.map(|list| format!("array[{}]", list.join(", ")));
    Some(format!("select freehold.sealed_renamed({})", lists.join(", ")))
}
