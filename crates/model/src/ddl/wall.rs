//! The wall: forced row-level security on every table of an entity, policies on the root alone.

use crate::ddl::naming::{self, part, root};

/// Walls the tables of `entity`, partitions included.
pub(crate) fn raise(entity: &str) -> Vec<String> {
    let tables =
        std::iter::once(root(entity)).chain(naming::parts().map(|suffix| part(entity, &suffix)));
    let mut statements: Vec<_> = tables
        .map(|table| {
            format!("alter table {table} enable row level security, force row level security")
        })
        .collect();
    let root = root(entity);
    statements.push(format!(
        "create policy wall on {root} as restrictive for all to public\n  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())"
    ));
    statements.push(format!("create policy use on {root} for all to freehold_app using (true)"));
    statements
}

/// Notes that a statement wrote to the table, so that answers which were kept are known to be old. The names are the same for
/// all tables, so that they stay when those are renamed.
pub(crate) fn noted(table: &str) -> String {
    format!(
        "create trigger noted after insert or update or delete or truncate on {}\n  for each statement execute function freehold.note()",
        root(table)
    )
}

/// As [`noted`], and which rows of an entity it changed or removed, by their ids.
pub(crate) fn noted_by_id(table: &str) -> Vec<String> {
    let root = root(table);
    [
        ("noted", "insert or truncate", "", "note"),
        ("noted_moved", "update of tenant_id, id", "", "note"),
        ("noted_update", "update", " referencing new table as changed", "note_rows"),
        ("noted_delete", "delete", " referencing old table as changed", "note_rows"),
    ]
    .map(|(name, events, rows, function)| {
        format!(
            "create trigger {name} after {events} on {root}\n {rows} for each statement execute function freehold.{function}()"
        )
    })
    .into()
}
