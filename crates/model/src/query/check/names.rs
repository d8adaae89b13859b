//! What a name means, and what is said of one that means nothing.

use super::shorten;
use crate::{Code, Model, Refusal, entity::Entity, suggest::did_you_mean};

/// The entity called `name`, if its rows can be written.
///
/// # Errors
/// `NoSuchEntity`, and `Method` for a read model.
pub(crate) fn written<'m>(model: &'m Model, name: &str) -> Result<&'m Entity, Refusal> {
    match model.read(name) {
        None if model.catalogue().view(name).is_some() => {
            let message = format!("{name} is a view, which is only read");
            Err(Refusal::new(Code::Method, message).hint("write the entities it shows"))
        }
        None => relation(model, name),
        Some(read) => {
            let sources: Vec<&str> = read.sources().iter().map(|source| &*source.entity).collect();
            let message = format!("{name} is a read model, which only its workers write");
            Err(Refusal::new(Code::Method, message)
                .hint(format!("write what it is made from: {}", sources.join(", "))))
        }
    }
}

/// The entity, read model or view called `name`, and not the rows of a function.
///
/// # Errors
/// `NoSuchEntity`.
pub(crate) fn relation<'m>(model: &'m Model, name: &str) -> Result<&'m Entity, Refusal> {
    let found = model.relations().find(|relation| *relation.name == *name);
    found.map_or_else(|| Err(no_such_entity(model, name)), Ok)
}

/// The entity, read model, view or rows of a function called `name`.
///
/// # Errors
/// `NoSuchEntity`.
pub(crate) fn entity<'m>(model: &'m Model, name: &str) -> Result<&'m Entity, Refusal> {
    model.rows(name).ok_or_else(|| no_such_entity(model, name))
}

fn no_such_entity(model: &Model, name: &str) -> Refusal {
    if name.is_empty() {
        return Refusal::new(Code::NoSuchEntity, "the query names no entity")
            .hint("it stands before the question mark: `ticket?limit=10`");
    }
    let refusal = Refusal::new(Code::NoSuchEntity, format!("there is no entity {}", shorten(name)));
    Refusal { hint: did_you_mean(name, model.relations().map(|known| &*known.name)), ..refusal }
}

/// That `entity` has no field `name`.
pub(crate) fn no_such_field(entity: &Entity, name: &str) -> Refusal {
    let refusal =
        Refusal::new(Code::NoSuchField, format!("{} has no field {}", entity.name, shorten(name)));
    let id = entity.key.is_none().then_some("id");
    let known = entity.fields.iter().map(|field| &*field.name).chain(id);
    Refusal { hint: did_you_mean(name, known), ..refusal }
}
