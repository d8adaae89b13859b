//! What anybody may read without a key: one role may select from the table, behind the same wall, and nothing else.

use crate::{
    ddl::naming::{list, root},
    entity::Entity,
};

/// The role of requests without a key. Its grants decide what they read.
pub const ANONYMOUS: &str = "freehold_anonymous";

/// Opens these columns of a table, and its rows.
pub(crate) fn open<'a>(table: &str, columns: impl Iterator<Item = &'a str>) -> Vec<String> {
    let root = root(table);
    vec![
        format!("create policy anonymous on {root} for select to {ANONYMOUS} using (true)"),
        grant(table, columns),
    ]
}

/// Opens columns of a table whose rows are open.
pub(crate) fn grant<'a>(table: &str, columns: impl Iterator<Item = &'a str>) -> String {
    format!("grant select ({}) on {} to {ANONYMOUS}", list(columns), root(table))
}

/// Takes it all back.
pub(crate) fn shut(table: &str) -> Vec<String> {
    let root = root(table);
    vec![
        format!("revoke select on {root} from {ANONYMOUS}"),
        format!("drop policy if exists anonymous on {root}"),
    ]
}

impl Entity {
    /// Whether anybody may read it without a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.anonymous
    }
}
