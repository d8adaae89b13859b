//! The table of an entity as it should be, and how it is made.

use crate::{
    ddl::{
        anonymous,
        column::Column,
        constraint::{Check, ForeignKey},
        copy::Copy,
        hold,
        index::Index,
        naming::{self, DEFAULT_PART, derived, part, root},
        sealed,
        vector::Trigger,
        wall,
    },
    entity::{Entity, Field},
    sql::ident,
};

/// Everything PostgreSQL keeps for an entity besides its rows. Two models that agree on it need no change, and two
/// that differ only in names have the same parts in the same order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) entity: String,
    pub(crate) primary_key: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) checks: Vec<Check>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) references: Vec<ForeignKey>,
    pub(crate) triggers: Vec<Trigger>,
    /// The tables in which its sealed vectors are searched.
    pub(crate) copies: Vec<Copy>,
    /// Statements that make its sealed fields known.
    pub(crate) sealed: Vec<String>,
    /// Whether its rows are kept in slices by time, beside the shelves.
    pub(crate) sliced: bool,
    /// Whether anybody may read it without a key.
    pub(crate) anonymous: bool,
}

impl Table {
    /// The table of `entity`.
    pub(crate) fn of(entity: &Entity) -> Self {
        let name = &*entity.name;
        let columns = |field: &Field| {
            std::iter::once(Column::of(field)).chain(Column::beside(field)).collect::<Vec<_>>()
        };
        Self {
            entity: name.into(),
            primary_key: derived(&[name, "pkey"]),
            columns: entity.fields.iter().flat_map(columns).collect(),
            checks: entity
                .fields
                .iter()
                .flat_map(|field| Check::all(name, field))
                .chain(Check::of_slices(entity))
                .collect(),
            sliced: entity.sliced().is_some(),
            indexes: Index::all(entity),
            references: entity
                .fields
                .iter()
                .filter_map(|field| ForeignKey::of(name, field))
                .collect(),
            triggers: hold::of_subject(entity)
                .into_iter()
                .chain(entity.fields.iter().flat_map(|field| Trigger::all(name, field)))
                .collect(),
            copies: Copy::all(entity),
            sealed: entity.fields.iter().filter_map(|field| sealed::made(name, field)).collect(),
            anonymous: entity.anonymous,
        }
    }

    /// Makes it, all but the references: what they point at may not be there yet.
    pub(crate) fn create(&self) -> Vec<String> {
        let mut statements = vec![self.create_root()];
        statements.extend(self.columns.iter().filter_map(|column| column.store(&self.entity)));
        statements.extend(self.create_parts());
        statements.push(self.sample_nothing());
        statements.extend(wall::raise(&self.entity));
        statements.extend(wall::noted_by_id(&self.entity));
        statements.push(self.grants());
        if self.anonymous {
            statements.extend(self.open());
        }
        statements.extend(self.indexes.iter().flat_map(|index| index.create(&self.entity, &[])));
        statements.extend(self.copies.iter().flat_map(Copy::create));
        statements.extend(self.triggers.iter().flat_map(Trigger::add));
        statements.extend(self.sealed.iter().cloned());
        statements
    }

    /// Removes it with its rows. References to it must be gone.
    pub(crate) fn remove(&self) -> Vec<String> {
        let mut statements = vec![format!("drop table {}", root(&self.entity))];
        statements.extend(self.triggers.iter().filter_map(Trigger::remove_function));
        statements.extend(self.copies.iter().map(Copy::remove));
        statements
    }

    fn create_root(&self) -> String {
        let mut lines = vec![
            "tenant_id uuid not null default freehold.tenant()".to_owned(),
            "id uuid not null default freehold.uuidv7()".to_owned(),
        ];
        lines.extend(self.columns.iter().map(Column::definition));
        lines.extend(self.checks.iter().map(Check::definition));
        let by = if self.sliced { "range (id)" } else { "list (tenant_id)" };
        let lines = lines.join(",\n  ");
        format!("create table {} (\n  {lines}\n) partition by {by}", root(&self.entity))
    }

    /// The partitions. Each has its part of the primary key under a name of its own, which the parents then adopt.
    fn create_parts(&self) -> Vec<String> {
        let entity = &self.entity;
        let default_part = part(entity, DEFAULT_PART);
        let key = |suffix: Option<&str>| {
            let name = suffix.map_or_else(
                || self.primary_key.clone(),
                |suffix| format!("{}~{suffix}", self.primary_key),
            );
            format!("constraint {} primary key (tenant_id, id)", ident(&name))
        };
        let mut statements = vec![format!(
            "create table {default_part} partition of {} default partition by hash (tenant_id)",
            root(entity)
        )];
        statements.extend(naming::leaves().map(|suffix| {
            format!(
                "create table {} partition of {default_part} ({})\n  for values with (modulus {}, remainder {suffix})",
                part(entity, &suffix),
                key(Some(&suffix)),
                super::SHELVES,
            )
        }));
        statements.push(format!("alter table {default_part} add {}", key(Some(DEFAULT_PART))));
        statements.push(format!("alter table {} add {}", root(entity), key(None)));
        statements
    }

    /// Keeps values out of the planner's statistics: see [`Column::sampled`].
    fn sample_nothing(&self) -> String {
        let columns = self.columns.iter().filter(|column| !column.sampled);
        let all = ["tenant_id", "id"].into_iter().chain(columns.map(|column| &*column.name));
        let each: Vec<_> =
            all.map(|name| format!("alter column {} set statistics 0", ident(name))).collect();
        format!("alter table {}\n  {}", root(&self.entity), each.join(",\n  "))
    }

    /// Opens it to requests without a key.
    pub(crate) fn open(&self) -> Vec<String> {
        anonymous::open(&self.entity, self.names())
    }

    /// The names of all its columns.
    fn names(&self) -> impl Iterator<Item = &str> {
        ["tenant_id", "id"].into_iter().chain(self.columns.iter().map(|column| &*column.name))
    }

    fn grants(&self) -> String {
        let updatable: Vec<_> = self
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .map(|column| &*column.name)
            .collect();
        let insertable = ["tenant_id", "id"].into_iter().chain(updatable.iter().copied());
        let update = if updatable.is_empty() {
            String::new()
        } else {
            format!(", update ({})", naming::list(updatable.iter().copied()))
        };
        format!(
            "grant select ({}), insert ({}){update}, delete on {} to freehold_app",
            naming::list(self.names()),
            naming::list(insertable),
            root(&self.entity)
        )
    }
}
