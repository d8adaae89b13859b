//! What binds a blob to its row: a trigger takes the upload that a row names and lets go of the one it named before, in the
//! row's own transaction, whoever writes. What it calls is the platform's and belongs to the gate.

use crate::{
    Model,
    ddl::{
        naming::{derived, root, shelf},
        vector::Trigger,
    },
    entity::{Entity, Field, Kind, Personal, Whose},
    sql::{ident, literal},
};

/// The name of the trigger, which a refusal reports like a constraint's.
pub(crate) fn name(entity: &str, field: &str) -> String {
    derived(&[entity, field, "blob"])
}

/// The trigger of a field that holds blobs.
pub(crate) fn trigger(entity: &str, field: &Field) -> Option<Trigger> {
    let Kind::Blob(blob) = &field.kind else { return None };
    let name = name(entity, &field.name);
    let column = ident(&field.name);
    let types: Vec<String> = blob.types.iter().map(|name| literal(name)).collect();
    let body = format!(
        "begin\n  if tg_op <> 'INSERT' then\n    if old.{column} is not null and (tg_op = 'DELETE' or old.{column} is distinct from new.{column}) then\n      \
         perform freehold.blob_drop(old.tenant_id, old.{column});\n    end if;\n  end if;\n  \
         if tg_op <> 'DELETE' then\n    if new.{column} is not null and (tg_op = 'INSERT' or old.{column} is distinct from new.{column}) then\n      \
         perform freehold.blob_take(new.tenant_id, new.{column}, {}, {}, new.id, {}, array[{}]::pg_catalog.text[], {});\n    end if;\n  end if;\n  \
         return null;\nend",
        literal(entity),
        literal(&field.name),
        blob.max,
        types.join(", "),
        literal(&name),
    );
    let function = format!(
        "create function {}() returns trigger\n  language plpgsql security definer set search_path = pg_catalog, pg_temp as {}",
        shelf(&name),
        literal(&body),
    );
    let create = format!(
        "create trigger {} after insert or delete or update of {column} on {}\n  for each row execute function {}()",
        ident(&name),
        root(entity),
        shelf(&name),
    );
    Some(Trigger::with_function(name, field.name.to_string(), function, create))
}

/// The trigger of a field that holds somebody's blobs: it tells the platform whose, so that the key is wrapped by theirs. By
/// itself, because databases from before it have the other one.
pub(crate) fn owner_trigger(entity: &str, field: &Field) -> Option<Trigger> {
    let personal = field.personal().filter(|_| matches!(field.kind, Kind::Blob(_)))?;
    let name = derived(&[entity, &field.name, "whose"]);
    let column = ident(&field.name);
    let (owner, moves, watched) = match &personal.whose {
        Whose::Nobody => return None,
        Whose::Itself => ("id".to_owned(), String::new(), column.clone()),
        Whose::Of(reference) => {
            let owner = ident(reference);
            let moves = format!(" or old.{owner} is distinct from new.{owner}");
            let watched = format!("{column}, {owner}");
            (owner, moves, watched)
        }
    };
    let body = format!(
        "begin\n  if new.{column} is not null and (tg_op = 'INSERT' or old.{column} is distinct from new.{column}{moves}) then\n    \
         perform freehold.blob_owned(new.tenant_id, new.{column}, new.{owner}, {}::smallint);\n  end if;\n  return null;\nend",
        i32::from(personal.kept),
    );
    let function = format!(
        "create function {}() returns trigger\n  language plpgsql security definer set search_path = pg_catalog, pg_temp as {}",
        shelf(&name),
        literal(&body),
    );
    let create = format!(
        "create trigger {} after insert or update of {watched} on {}\n  for each row execute function {}()",
        ident(&name),
        root(entity),
        shelf(&name),
    );
    let told =
        format!("select freehold.blobs_to_own({}, {})", literal(entity), literal(&field.name));
    Some(Trigger::with_function(name, field.name.to_string(), function, create).telling(told))
}

/// What makes the triggers that say whose blobs are, for a database that was made before there were any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerTrigger {
    /// The name of its function in `freehold_shelf`.
    pub function: String,
    /// The entity, and the columns that it has to have.
    pub entity: String,
    /// See there.
    pub columns: Vec<String>,
    /// What makes it, in the name of `freehold_owner`.
    pub statements: Vec<String>,
}

/// Those of all fields that hold somebody's blobs.
#[must_use]
pub fn owner_triggers(model: &Model) -> Vec<OwnerTrigger> {
    let of = |entity: &Entity| {
        let one = |(field, personal): (&Field, &Personal)| {
            let trigger = owner_trigger(&entity.name, field)?;
            let mut columns = vec![field.name.to_string()];
            if let Whose::Of(reference) = &personal.whose {
                columns.push(reference.to_string());
            }
            Some(OwnerTrigger {
                function: trigger.name.clone(),
                entity: entity.name.to_string(),
                columns,
                statements: trigger.add(),
            })
        };
        entity.personal_blobs().filter_map(one).collect::<Vec<_>>()
    };
    model.entities().iter().flat_map(of).collect()
}

/// Lets go of all blobs of a field, or of an entity.
pub(crate) fn dropped(entity: &str, field: Option<&str>) -> String {
    format!(
        "select freehold.blobs_dropped({}, {})",
        literal(entity),
        field.map_or("null".into(), literal)
    )
}

/// Tells the platform the new names of fields with blobs: of `old` to those of `new`, which are the same but for names.
pub(crate) fn renamed(old: &[Entity], new: &[Entity]) -> Option<String> {
    let mut lists: [Vec<String>; 4] = Default::default();
    for (before, after) in old.iter().zip(new) {
        for (was, is) in before.fields.iter().zip(&after.fields) {
            if !matches!(was.kind, Kind::Blob(_))
                || (&before.name, &was.name) == (&after.name, &is.name)
            {
                continue;
            }
            for (list, name) in
                lists.iter_mut().zip([&before.name, &was.name, &after.name, &is.name])
            {
                list.push(literal(name));
            }
        }
    }
    if lists[0].is_empty() {
        return None;
    }
    let lists = lists.map(|list| format!("array[{}]", list.join(", ")));
    Some(format!("select freehold.blobs_renamed({})", lists.join(", ")))
}
