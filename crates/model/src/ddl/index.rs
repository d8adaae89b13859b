//! Unique keys and indexes: always indexes and never constraints, because an index can be built beside running writes.

use crate::{
    ddl::naming::{self, DEFAULT_PART, derived, list, part, root, shelf},
    entity::{Entity, Key, Kind},
    sql::ident,
};

/// An index on the root, its part on the default partition and one on every shelf.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Index {
    /// Of the root's; the others have the partition's suffix.
    pub(crate) name: String,
    pub(crate) unique: bool,
    /// After `tenant_id`.
    pub(crate) fields: Vec<String>,
}

impl Index {
    /// All of an entity's: its unique keys, its indexes, and one for each reference, sealed field that is looked up and
    /// time by which rows expire, that neither leads.
    pub(crate) fn all(entity: &Entity) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let uniques = entity.uniques.iter().map(|key| Self::of(entity, key, true));
        let plain = entity.indexes.iter().map(|key| Self::of(entity, key, false));
        for index in uniques.chain(plain) {
            if !all.contains(&index) {
                all.push(index);
            }
        }
        let referring = entity.fields.iter().filter(|field| matches!(field.kind, Kind::Ref(_)));
        let found = entity.fields.iter().filter(|field| field.lookup().is_some());
        let aged = entity.expires.iter().filter_map(|rule| entity.field(&rule.since));
        for field in referring.chain(found).chain(aged) {
            if !all.iter().any(|index| index.fields[0] == field.key_column()) {
                all.push(Self::of(entity, &Key { fields: vec![field.name.clone()] }, false));
            }
        }
        all
    }

    fn of(entity: &Entity, key: &Key, unique: bool) -> Self {
        let column = |name: &crate::Name| {
            entity.field(name).map_or_else(|| name.to_string(), crate::entity::Field::key_column)
        };
        let mut parts = vec![&*entity.name];
        parts.extend(key.fields.iter().map(|field| &**field));
        parts.push(if unique { "key" } else { "idx" });
        Self { name: derived(&parts), unique, fields: key.fields.iter().map(column).collect() }
    }

    /// In words, for a step's title.
    pub(crate) fn title(&self, entity: &str) -> String {
        let kind = if self.unique { "unique key" } else { "index" };
        format!("{kind} {entity}({})", self.fields.join(", "))
    }

    /// Makes it while others wait: the leaves' parts under their own names first, which the parents then adopt. `own` are
    /// the suffixes of tenants' own partitions, here and below.
    pub(crate) fn create(&self, entity: &str, own: &[String]) -> Vec<String> {
        let mut statements: Vec<_> = naming::leaves()
            .chain(own.iter().cloned())
            .map(|suffix| self.on(&part(entity, &suffix), Some(&suffix), ""))
            .collect();
        statements.push(self.on(&part(entity, DEFAULT_PART), Some(DEFAULT_PART), ""));
        statements.push(self.on(&root(entity), None, ""));
        statements
    }

    /// Builds the shelves' parts beside running writes; each is dropped first, because a build that was interrupted
    /// leaves an invalid index behind.
    pub(crate) fn build_leaves(&self, entity: &str, own: &[String]) -> Vec<String> {
        naming::leaves()
            .chain(own.iter().cloned())
            .flat_map(|suffix| {
                let leftover = format!(
                    "drop index concurrently if exists {}",
                    shelf(&self.part_name(&suffix))
                );
                [leftover, self.on(&part(entity, &suffix), Some(&suffix), "concurrently ")]
            })
            .collect()
    }

    /// Makes the parents of parts that are built.
    pub(crate) fn attach(&self, entity: &str, own: &[String]) -> Vec<String> {
        let default_part = shelf(&self.part_name(DEFAULT_PART));
        let mut statements = vec![
            self.on(&format!("only {}", root(entity)), None, ""),
            self.on(&format!("only {}", part(entity, DEFAULT_PART)), Some(DEFAULT_PART), ""),
            format!("alter index app.{} attach partition {default_part}", ident(&self.name)),
        ];
        statements.extend(naming::leaves().map(|suffix| {
            format!(
                "alter index {default_part} attach partition {}",
                shelf(&self.part_name(&suffix))
            )
        }));
        statements.extend(own.iter().map(|suffix| {
            let part = shelf(&self.part_name(suffix));
            format!("alter index app.{} attach partition {part}", ident(&self.name))
        }));
        statements
    }

    /// Makes its part on a table that will be the partition of this suffix.
    pub(crate) fn part(&self, table: &str, suffix: &str) -> String {
        self.on(table, Some(suffix), "")
    }

    /// Removes it with its parts.
    pub(crate) fn remove(&self) -> String {
        format!("drop index app.{}", ident(&self.name))
    }

    fn on(&self, table: &str, suffix: Option<&str>, concurrently: &str) -> String {
        let unique = if self.unique { "unique " } else { "" };
        let name = suffix.map_or_else(|| self.name.clone(), |suffix| self.part_name(suffix));
        let columns = list(self.fields.iter().map(String::as_str));
        format!(
            "create {unique}index {concurrently}{} on {table} (tenant_id, {columns})",
            ident(&name)
        )
    }

    fn part_name(&self, suffix: &str) -> String {
        format!("{}~{suffix}", self.name)
    }
}

/// Renames an index and its parts; a primary key's constraint follows its index.
pub(crate) fn rename(from: &str, to: &str, own: &[String]) -> Vec<String> {
    let mut statements = vec![format!("alter index app.{} rename to {}", ident(from), ident(to))];
    statements.extend(naming::parts().chain(own.iter().cloned()).map(|suffix| {
        let (from, to) = (format!("{from}~{suffix}"), format!("{to}~{suffix}"));
        format!("alter index {} rename to {}", shelf(&from), ident(&to))
    }));
    statements
}
