//! What keeps the rows of people under a legal hold: a trigger refuses to delete them, whoever deletes.

use crate::{
    ddl::{
        naming::{derived, root, shelf},
        vector::Trigger,
    },
    entity::{Entity, Field},
    sql::{ident, literal},
};

/// Of an entity whose rows are people.
pub(crate) fn of_subject(entity: &Entity) -> Option<Trigger> {
    entity.subject.then(|| guard(&entity.name, "id", derived(&[&entity.name, "hold"])))
}

/// Of a reference to one.
pub(crate) fn of_reference(entity: &str, field: &Field) -> Option<Trigger> {
    let name = || derived(&[entity, &field.name, "hold"]);
    field.on_erase.is_some().then(|| guard(entity, &field.name, name()))
}

fn guard(entity: &str, column: &str, name: String) -> Trigger {
    let body = format!(
        "begin\n  perform freehold.refuse_held(old.tenant_id, old.{});\n  return old;\nend",
        ident(column)
    );
    let function = format!(
        "create function {}() returns trigger\n  language plpgsql security definer set search_path = pg_catalog, pg_temp as {}",
        shelf(&name),
        literal(&body),
    );
    let create = format!(
        "create trigger {} before delete on {}\n  for each row execute function {}()",
        ident(&name),
        root(entity),
        shelf(&name),
    );
    Trigger::with_function(name, column.to_owned(), function, create)
}
