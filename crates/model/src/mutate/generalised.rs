//! Fields that say less of a sealed one: made from what is written, before that is sealed.

use serde_json::{Map, Value};

use crate::{
    Code, Refusal,
    entity::{Coarser, Entity, Field},
    sealed,
};

/// Puts them beside the values that they are made from.
///
/// # Errors
/// `InvalidValue` if nothing less can be said of a number, because it has too many digits.
pub fn generalise(entity: &Entity, rows: &mut [Map<String, Value>]) -> Result<(), Refusal> {
    for (field, less) in made(entity) {
        for row in rows.iter_mut() {
            if let Some(left) = left(entity, less, row)? {
                row.insert(field.name.to_string(), left);
            }
        }
    }
    Ok(())
}

/// What a row brings of them itself has to be what they would be made: rows that were exported are taken again.
///
/// # Errors
/// `Sealed` if it is not.
pub(super) fn check(entity: &Entity, row: &Map<String, Value>) -> Result<(), Refusal> {
    for (field, less) in made(entity) {
        let Some(given) = row.get(&*field.name) else { continue };
        let text = |value: &Value| {
            value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned())
        };
        if left(entity, less, row)?.as_ref().map(text) != Some(text(given)) {
            return Err(Refusal::new(
                Code::Sealed,
                format!("{} of {} is made from {}", field.name, entity.name, less.field),
            )
            .hint(format!("write {} alone", less.field)));
        }
    }
    Ok(())
}

fn made(entity: &Entity) -> impl Iterator<Item = (&Field, &Coarser)> {
    entity.fields.iter().filter_map(|field| Some((field, field.generalises.as_ref()?)))
}

/// What is left of the value that a row brings, if it brings one.
fn left(
    entity: &Entity,
    less: &Coarser,
    row: &Map<String, Value>,
) -> Result<Option<Value>, Refusal> {
    let (Some(value), Some(source)) = (row.get(&*less.field), entity.field(&less.field)) else {
        return Ok(None);
    };
    let plain = sealed::plain(entity, source, value)?;
    less.of_plain(&plain).map(Some).ok_or_else(|| {
        Refusal::new(
            Code::InvalidValue,
            format!("a value of {} has too many digits to say less of it", less.field),
        )
    })
}
