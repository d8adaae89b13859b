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
