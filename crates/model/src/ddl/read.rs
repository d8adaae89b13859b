//! The table of a read model, under any name: one is served, another may be built beside it.

use crate::{
    Name,
    ddl::{
        SHELVES, anonymous,
        column::Column,
        index::{self, Index},
        naming::{self, DEFAULT_PART, derived, list, part, root},
        wall,
    },
    entity::Field,
    sql::ident,
    view::{Capture, ReadModel},
};

/// Whose a row is.
const TENANT: &str = "tenant_id";

/// The role that writes read models, and nothing else.
pub const WRITER: &str = "freehold_project";

/// The name of the table that is built beside the one that is served.
#[must_use]
pub fn beside(name: &Name, version: u32) -> String {
    format!("{name}~v{version}")
}

impl ReadModel {
    /// The statements that make its table, called `table`; they run in the name of `freehold_owner`, in one
    /// transaction. The roles `freehold_app` and [`WRITER`] must be there.
    #[must_use]
    pub fn create_table(&self, table: &str) -> Vec<String> {
        let columns = columns(self);
        let mut statements = vec![create_root(table, &columns)];
        statements.extend(columns.iter().filter_map(|column| column.store(table)));
        statements.extend(create_parts(table, &self.key));
        statements.push(sample_nothing(table, &columns));
        statements.extend(wall::raise(table));
        statements.push(wall::noted(table));
        statements.extend(grants(table, &columns));
        if self.shape.anonymous {
            statements.extend(self.open(table));
        }
        statements.extend(indexes(self, table).iter().flat_map(|index| index.create(table, &[])));
        statements
    }

    /// Opens its table, called `table`, to requests without a key.
    pub(crate) fn open(&self, table: &str) -> Vec<String> {
        let columns = columns(self);
        let names = columns.iter().map(|column| &*column.name);
        anonymous::open(table, std::iter::once("tenant_id").chain(names))
    }

    /// The statements that rename its table and all that belongs to it.
    #[must_use]
    pub fn rename_table(&self, from: &str, to: &str) -> Vec<String> {
        let mut statements = vec![format!("alter table {} rename to {}", root(from), ident(to))];
        statements.extend(naming::parts().map(|suffix| {
            format!(
                "alter table {} rename to {}",
                part(from, &suffix),
                ident(&format!("{to}~{suffix}"))
            )
        }));
        statements.extend(index::rename(&primary_key(from), &primary_key(to), &[]));
        let pairs = indexes(self, from).into_iter().zip(indexes(self, to));
        statements.extend(pairs.flat_map(|(old, new)| index::rename(&old.name, &new.name, &[])));
        statements
    }

    /// The statement that removes its table, called `table`, with its rows.
    #[must_use]
    pub fn drop_table(&self, table: &str) -> String {
        format!("drop table {}", root(table))
    }
}

impl Capture {
    /// The statements that let [`WRITER`] read what definitions name of the entity's table, and whose rows they are; nothing else
    /// of it.
    #[must_use]
    pub fn allow(&self) -> Vec<String> {
        let root = root(&self.entity);
        let mut statements = forbid(&self.entity);
        statements
            .push(format!("create policy project on {root} for select to {WRITER} using (true)"));
        statements.push(self.grant());
        statements
    }

    /// Lets it name the tenant whose rows it reads, where that was not said by [`Self::allow`] yet. What it sees is the wall's to say.
    #[must_use]
    pub fn name_tenants(&self) -> String {
        format!("grant select ({}) on {} to {WRITER}", ident(TENANT), root(&self.entity))
    }

    /// Lets it read them besides what it may read already.
    pub(crate) fn grant(&self) -> String {
        let columns = list(std::iter::once(TENANT).chain(self.used.iter().map(|name| &**name)));
        format!("grant select ({columns}) on {} to {WRITER}", root(&self.entity))
    }
}

/// Lets the writer read nothing of an entity's table.
pub(crate) fn forbid(entity: &str) -> Vec<String> {
    vec![format!("drop policy if exists project on {}", root(entity)), revoke(entity)]
}

fn revoke(entity: &str) -> String {
    format!("revoke select on {} from {WRITER}", root(entity))
}

/// Whether the tables of two models have the same columns.
pub(crate) fn same_columns(one: &ReadModel, other: &ReadModel) -> bool {
    columns(one) == columns(other)
}

/// Only the key is required: what else may be null is inferred, and a wrong guess must not stop a worker.
fn columns(model: &ReadModel) -> Vec<Column> {
    let columns = |field: &Field| {
        let column = Column { not_null: model.key.contains(&field.name), ..Column::of(field) };
        [Some(column), Column::search_of(field)]
    };
    model.shape.fields.iter().flat_map(columns).flatten().collect()
}

/// Keeps values out of the planner's statistics: see [`Column::sampled`].
fn sample_nothing(table: &str, columns: &[Column]) -> String {
    let columns = columns.iter().filter(|column| !column.sampled).map(|column| &*column.name);
    let each: Vec<String> = std::iter::once("tenant_id")
        .chain(columns)
        .map(|name| format!("alter column {} set statistics 0", ident(name)))
        .collect();
    format!("alter table {}\n  {}", root(table), each.join(",\n  "))
}

fn primary_key(table: &str) -> String {
    derived(&[table, "pkey"])
}

fn create_root(table: &str, columns: &[Column]) -> String {
    let mut lines = vec!["tenant_id uuid not null default freehold.tenant()".to_owned()];
    lines.extend(columns.iter().map(Column::definition));
    format!(
        "create table {} (\n  {}\n) partition by list (tenant_id)",
        root(table),
        lines.join(",\n  ")
    )
}

fn create_parts(table: &str, key: &[Name]) -> Vec<String> {
    let default_part = part(table, DEFAULT_PART);
    let columns = list(key.iter().map(|name| &**name));
    let key = |suffix: Option<&str>| {
        let name = suffix.map_or_else(
            || primary_key(table),
            |suffix| format!("{}~{suffix}", primary_key(table)),
        );
        format!("constraint {} primary key (tenant_id, {columns})", ident(&name))
    };
    let mut statements = vec![format!(
        "create table {default_part} partition of {} default partition by hash (tenant_id)",
        root(table)
    )];
    statements.extend(naming::leaves().map(|suffix| {
        format!(
            "create table {} partition of {default_part} ({})\n  for values with (modulus {SHELVES}, remainder {suffix})",
            part(table, &suffix),
            key(Some(&suffix)),
        )
    }));
    statements.push(format!("alter table {default_part} add {}", key(Some(DEFAULT_PART))));
    statements.push(format!("alter table {} add {}", root(table), key(None)));
    statements
}

fn grants(table: &str, columns: &[Column]) -> Vec<String> {
    let all = list(std::iter::once("tenant_id").chain(columns.iter().map(|column| &*column.name)));
    let written = list(
        columns.iter().filter(|column| column.generated.is_none()).map(|column| &*column.name),
    );
    let root = root(table);
    vec![
        format!("create policy project on {root} for all to {WRITER} using (true)"),
        format!("grant select ({all}) on {root} to freehold_app"),
        format!(
            "grant select ({all}), insert ({written}), update ({written}), delete on {root} to {WRITER}"
        ),
    ]
}

/// Its indexes besides that of the key, for the table of this name.
pub(crate) fn indexes(model: &ReadModel, table: &str) -> Vec<Index> {
    let index = |key: &crate::entity::Key| {
        let fields: Vec<String> = key.fields.iter().map(ToString::to_string).collect();
        let parts = std::iter::once(table).chain(fields.iter().map(String::as_str)).chain(["idx"]);
        Index { name: derived(&parts.collect::<Vec<_>>()), unique: false, fields }
    };
    model.shape.indexes.iter().map(index).collect()
}
