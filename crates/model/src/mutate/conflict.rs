//! What an upsert does with rows that are there.

use super::insert::{OnConflict, Resolution};
use crate::{entity::Entity, sql::ident};

/// ` on conflict (tenant_id, …) do …`
pub(super) fn on_conflict(
    entity: &Entity,
    conflict: &OnConflict,
    columns: &[(String, String)],
    alias: &str,
) -> String {
    let keys: Vec<String> =
        conflict.fields.iter().map(|name| super::sealed::key_column(entity, name)).collect();
    let fields: Vec<String> = keys.iter().map(|name| ident(name)).collect();
    let target = format!(" on conflict (tenant_id, {})", fields.join(", "));
    if conflict.resolution == Resolution::Ignore {
        return format!("{target} do nothing");
    }
    let changed = columns.iter().filter(|(name, _)| {
        name != "id" && !conflict.fields.contains(name) && !keys.contains(name)
    });
    let mut sets: Vec<String> =
        changed.map(|(name, _)| format!("{0} = excluded.{0}", ident(name))).collect();
    if sets.is_empty() {
        // Nothing to overwrite, and still the row is to be answered.
        sets.extend(
            entity.fields.first().map(|field| format!("{0} = {alias}.{0}", ident(&field.name))),
        );
    }
    if sets.is_empty() {
        return format!("{target} do nothing");
    }
    // What was sealed for the row that was thought to be new does not open in another.
    let same = if columns.iter().any(|(name, _)| super::sealed::is_sealed(entity, name)) {
        format!(" where {alias}.id = excluded.id")
    } else {
        String::new()
    };
    format!("{target} do update set {}{same}", sets.join(", "))
}
