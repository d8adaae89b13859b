//! A partition of a tenant's own: how it is made beside the shelf, joined to the table, and taken away again.
//!
//! It begins as a table of its own, a copy that is kept up to date while the shelf serves. A copy is walled like every
//! table of tenants' rows, holds one tenant by a check, and is written by the owner alone. Its name is the entity's and a
//! suffix that says nothing.
//!
//! Tenants are given as the text of their ids, which only the store has.

use std::collections::BTreeMap;

use crate::{
    Model, Name,
    ddl::{
        constraint::NAME_PARTS_OF_REFERENCES,
        naming::{self, DEFAULT_PART, derived, list, part, root, shelf},
        table::Table,
    },
    entity::{Entity, Field, Kind, Metric, Vector, VectorForm},
    sql::{ident, literal},
};

/// Links of each element of a graph, pgvector's own default.
pub const M: u32 = 16;

/// Candidates kept in mind while an element finds its links.
pub const EF_CONSTRUCTION: u32 = 100;

/// The suffixes of tenants' own partitions, by entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Vec<String>>);

impl Places {
    /// Those of these pairs of entity and suffix.
    pub fn new(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut places = Self::default();
        for (entity, suffix) in all {
            places.0.entry(entity).or_default().push(suffix);
        }
        places
    }

    /// Those of one entity.
    #[must_use]
    pub fn of(&self, entity: &str) -> &[String] {
        self.0.get(entity).map_or(&[], Vec::as_slice)
    }

    /// The same after an entity was renamed.
    pub(crate) fn renamed(&self, name: impl Fn(&str) -> String) -> Self {
        Self(self.0.iter().map(|(entity, all)| (name(entity), all.clone())).collect())
    }
}

/// An approximate index that a partition of a tenant's own should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The vector field.
    pub field: Name,
    /// What it is called, in the schema of partitions.
    pub name: String,
    /// The operator class, by which an index for another metric is told.
    pub opclass: &'static str,
    /// About how many bytes of memory a build takes for each row.
    pub row_bytes: u64,
    build: String,
}

impl Graph {
    /// Removes what an interrupted build left, and builds it beside running writes. Each outside of a transaction.
    #[must_use]
    pub fn build(&self) -> [String; 2] {
        [format!("drop index concurrently if exists {}", shelf(&self.name)), self.build.clone()]
    }
}

/// A tenant's partition of an entity, to be or being.
#[derive(Debug)]
pub struct Own<'a> {
    entity: &'a Entity,
    table: Table,
    suffix: &'a str,
    tenant: &'a str,
}

/// Whether partitions of their own do anything for tenants' searches of this entity.
#[must_use]
pub fn searched(entity: &Entity) -> bool {
    entity.fields.iter().any(|field| opclass(field).is_some())
}

/// The vector field of an entity that takes longest to measure, among those that can have an index: its name, what it is,
/// and the operator of its distance.
#[must_use]
pub fn costliest(entity: &Entity) -> Option<(&Name, String, &'static str)> {
    let sized = |field: &'_ Field| opclass(field).map(|(_, bytes)| bytes);
    let field =
        entity.fields.iter().filter(|field| sized(field).is_some()).max_by_key(|f| sized(f))?;
    let Kind::Vector(Vector { form, dimensions, metric, .. }) = &field.kind else { return None };
    let what = format!("{} {form:?}({dimensions})", field.name).to_lowercase();
    Some((&field.name, what, metric.operator()))
}

impl<'a> Own<'a> {
    /// That of `tenant`, a UUID in text form, with this suffix.
    #[must_use]
    pub fn new(entity: &'a Entity, suffix: &'a str, tenant: &'a str) -> Self {
        Self { entity, table: Table::of(entity), suffix, tenant }
    }

    /// The partition's name, quoted, with its schema.
    #[must_use]
    pub fn name(&self) -> String {
        part(&self.entity.name, self.suffix)
    }

    /// Its suffix.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.suffix
    }

    /// The leaf that holds rows of tenants with this remainder.
    #[must_use]
    pub fn leaf(&self, remainder: u16) -> String {
        part(&self.entity.name, &remainder.to_string())
    }

    /// What all shelves belong to.
    #[must_use]
    pub fn shelves(&self) -> String {
        part(&self.entity.name, DEFAULT_PART)
    }

    /// The columns that are written, quoted, with commas between.
    #[must_use]
    pub fn columns(&self) -> String {
        let written = self.table.columns.iter().filter(|column| column.generated.is_none());
        list(["tenant_id", "id"].into_iter().chain(written.map(|column| &*column.name)))
    }

    /// Makes the copy, empty, and lets every change of the tenant's rows on the leaf be noted. In one transaction, in the
    /// name of `freehold_owner`; it waits for whoever is writing to the leaf or to an entity that is referred to.
    #[must_use]
    pub fn begin(&self, remainder: u16) -> Vec<String> {
        let copy = self.name();
        let mut statements = vec![self.create()];
        statements.extend(self.table.indexes.iter().map(|index| index.part(&copy, self.suffix)));
        statements.push(format!(
            "alter table {copy} enable row level security, force row level security"
        ));
        statements.push(format!(
            "create policy wall on {copy} as restrictive for all to public\n  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())"
        ));
        statements
            .push(format!("create policy move on {copy} for all to freehold_owner using (true)"));
        // Made while it is empty, so that nothing has to be checked when it is joined; and without the right to read, because
        // the query that PostgreSQL checks references with would meet the wall where no tenant is open.
        if !self.table.references.is_empty() {
            statements.push(format!("revoke select on {copy} from freehold_owner"));
            statements.extend(self.table.references.iter().map(|r| r.add_to(&copy)));
            statements.push(format!("grant select on {copy} to freehold_owner"));
            statements.push(NAME_PARTS_OF_REFERENCES.into());
        }
        statements.extend(self.notice(remainder));
        statements
    }

    /// Takes the copy away again, with all that belongs to it. In one transaction; can be repeated.
    #[must_use]
    pub fn undo(&self) -> Vec<String> {
        let mut statements = Vec::new();
        for function in self.functions() {
            statements.push(format!("drop function if exists {}() cascade", shelf(&function)));
        }
        statements.push(format!("drop table if exists {}", self.name()));
        let away = ident(&self.away());
        statements.extend(naming::leaves().map(|leaf| {
            format!(
                "alter table {} drop constraint if exists {away}",
                part(&self.entity.name, &leaf)
            )
        }));
        statements
    }

    /// Says of the other leaves that they hold no row of the tenant, so that nobody has to look when the copy is joined.
    /// Each on its own; the second of each pair reads the leaf while others use it.
    #[must_use]
    pub fn keep_away(&self, remainder: u16) -> Vec<[String; 3]> {
        let away = ident(&self.away());
        (0..super::SHELVES)
            .filter(|other| *other != remainder)
            .map(|other| {
                let leaf = self.leaf(other);
                [
                    format!("alter table {leaf} drop constraint if exists {away}"),
                    format!(
                        "alter table {leaf} add constraint {away} check (tenant_id <> {}::uuid) not valid",
                        literal(self.tenant)
                    ),
                    format!("alter table {leaf} validate constraint {away}"),
                ]
            })
            .collect()
    }

    /// Makes writers of the entity wait before they look for partitions: one that has found its leaf and waits for it there
    /// fails when the tenant's rows have left.
    #[must_use]
    pub fn hold_writers(&self) -> String {
        format!("lock table only {} in share row exclusive mode", root(&self.entity.name))
    }

    /// Every lock that joining takes, in the order in which statements take them.
    #[must_use]
    pub fn locks(&self, model: &Model) -> Vec<String> {
        let name = &*self.entity.name;
        let mut statements = Vec::new();
        for other in model.entities() {
            let refers = Table::of(other).references.iter().any(|r| r.target == name);
            let referred = self.table.references.iter().any(|r| *r.target == *other.name);
            if referred {
                statements
                    .push(format!("lock table {} in access exclusive mode", root(&other.name)));
            } else if refers && other.name != self.entity.name {
                statements.push(format!(
                    "lock table only {} in access exclusive mode",
                    root(&other.name)
                ));
            }
        }
        statements.push(format!("lock table {} in access exclusive mode", self.shelves()));
        statements
    }

    /// Makes the copy, which is up to date, a partition; the leaf holds no row of the tenant any more. In one transaction,
    /// with all [`Self::locks`].
    #[must_use]
    pub fn join(&self) -> Vec<String> {
        let copy = self.name();
        let away = ident(&self.away());
        let mut statements: Vec<_> = self
            .functions()
            .iter()
            .map(|function| format!("drop function {}() cascade", shelf(function)))
            .collect();
        statements.push(format!("drop policy wall on {copy}"));
        statements.push(format!("drop policy move on {copy}"));
        statements.push(format!(
            "alter table {} attach partition {copy} for values in ({})",
            root(&self.entity.name),
            literal(self.tenant)
        ));
        statements.push(format!("alter table {copy} drop constraint {}", ident(&self.one())));
        statements.extend(naming::leaves().map(|leaf| {
            format!(
                "alter table {} drop constraint if exists {away}",
                part(&self.entity.name, &leaf)
            )
        }));
        statements.push(NAME_PARTS_OF_REFERENCES.into());
        statements
    }

    /// Takes the partition, which is empty, away from the table.
    #[must_use]
    pub fn leave(&self) -> Vec<String> {
        vec![
            format!("alter table {} detach partition {}", root(&self.entity.name), self.name()),
            format!("drop table {}", self.name()),
        ]
    }

    /// The approximate indexes it should have: one for each vector field that can have one.
    #[must_use]
    pub fn graphs(&self) -> Vec<Graph> {
        let entity = &*self.entity.name;
        let graph = |field: &Field| {
            let (opclass, row_bytes) = opclass(field)?;
            let name = format!("{}~{}", derived(&[entity, &field.name, "hnsw"]), self.suffix);
            let build = format!(
                "create index concurrently {} on {} using hnsw ({} freehold_ext.{opclass}) with (m = {M}, ef_construction = {EF_CONSTRUCTION})",
                ident(&name),
                self.name(),
                ident(&field.name),
            );
            Some(Graph { field: field.name.clone(), name, opclass, row_bytes, build })
        };
        self.entity.fields.iter().filter_map(graph).collect()
    }

    fn create(&self) -> String {
        let quiet: Vec<_> = ["tenant_id", "id"]
            .into_iter()
            .chain(self.table.columns.iter().filter(|c| !c.sampled).map(|c| &*c.name))
            .map(|name| format!("alter column {} set statistics 0", ident(name)))
            .collect();
        let copy = self.name();
        format!(
            "create table {copy} (\n  like {} including defaults including constraints including generated including storage,\n  constraint {} primary key (tenant_id, id),\n  constraint {} check (tenant_id = {}::uuid)\n);\nalter table {copy}\n  {}",
            root(&self.entity.name),
            ident(&format!("{}~{}", self.table.primary_key, self.suffix)),
            ident(&self.one()),
            literal(self.tenant),
            quiet.join(",\n  "),
        )
    }

    /// What a change does to the copy: a row that is not as it was is taken out at once, so that the copy refers to nothing
    /// that is gone, and is noted for the mover, who puts it in again as it is then. Before the change, because references are
    /// checked after it.
    fn notice(&self, remainder: u16) -> Vec<String> {
        let leaf = self.leaf(remainder);
        let (tenant, copy) = (literal(self.tenant), self.name());
        let entity = literal(&self.entity.name);
        let [come, go] = self.functions();
        let note = |row: &str| {
            format!(
                "insert into freehold.move_queue (tenant_id, entity, id) values ({row}.tenant_id, {entity}, {row}.id);"
            )
        };
        let out = format!(
            "delete from {copy} c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id;"
        );
        let bodies = [
            (come, "insert", "new", format!("begin {} return new; end", note("new"))),
            (
                go,
                "update or delete",
                "old",
                format!(
                    "begin {out} {} if tg_op operator(pg_catalog.=) 'DELETE' then return old; end if; return new; end",
                    note("old")
                ),
            ),
        ];
        bodies
            .into_iter()
            .flat_map(|(name, when, row, body)| {
                [
                    format!(
                        "create function {}() returns trigger\n  language plpgsql security definer set search_path = pg_catalog, pg_temp as {}",
                        shelf(&name),
                        literal(&body)
                    ),
                    format!(
                        "create trigger {} before {when} on {leaf} for each row\n  when ({row}.tenant_id = {tenant}::uuid) execute function {}()",
                        ident(&name),
                        shelf(&name)
                    ),
                ]
            })
            .collect()
    }

    fn functions(&self) -> [String; 2] {
        ["come", "go"]
            .map(|what| format!("{}~{}", derived(&[&self.entity.name, what]), self.suffix))
    }

    fn away(&self) -> String {
        format!("{}~{}", derived(&[&self.entity.name, "away"]), self.suffix)
    }

    fn one(&self) -> String {
        format!("{}~{}", derived(&[&self.entity.name, "one"]), self.suffix)
    }
}

// pgvector indexes no more dimensions than these. A sparse vector with more than 1,000 elements could not be stored any more
// where there is an index on it, so those have none.
fn opclass(field: &Field) -> Option<(&'static str, u64)> {
    let Kind::Vector(Vector { form, dimensions, metric, .. }) = &field.kind else { return None };
    if field.sealed().is_some() {
        return None;
    }
    let (most, bits) = match form {
        VectorForm::Vector => (2_000, 32),
        VectorForm::Halfvec => (4_000, 16),
        VectorForm::Bit => (64_000, 1),
        VectorForm::Sparsevec => return None,
    };
    let opclass = match (form, metric) {
        (VectorForm::Bit, Metric::Hamming) => "bit_hamming_ops",
        (VectorForm::Bit, Metric::Jaccard) => "bit_jaccard_ops",
        (VectorForm::Halfvec, Metric::Cosine) => "halfvec_cosine_ops",
        (VectorForm::Halfvec, Metric::L2) => "halfvec_l2_ops",
        (VectorForm::Halfvec, Metric::Ip) => "halfvec_ip_ops",
        (VectorForm::Halfvec, Metric::L1) => "halfvec_l1_ops",
        (VectorForm::Vector, Metric::Cosine) => "vector_cosine_ops",
        (VectorForm::Vector, Metric::L2) => "vector_l2_ops",
        (VectorForm::Vector, Metric::Ip) => "vector_ip_ops",
        (VectorForm::Vector, Metric::L1) => "vector_l1_ops",
        _ => return None,
    };
    let links = u64::from(M) * 2 * 16 + 200;
    (*dimensions <= most).then(|| (opclass, u64::from(*dimensions) * bits / 8 + links))
}
