//! Checks and references.

use crate::{
    ddl::{
        naming::{self, derived, part, root},
        slice,
    },
    entity::{Bounds, Entity, Field, Kind, OnDelete, Scalar, lookup_column},
    sql::{ident, literal},
};

/// Bytes of the shortest sealed value: what tells how it is sealed, nonce and tag.
const SEALED_MIN: usize = 32;

/// Bytes of a blind index.
const LOOKUP_BYTES: usize = 16;

/// A named check of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) field: String,
    /// `min`, `max`, `min_length`, `max_length`, `enum`, `required`, `sealed`, `lookup` or `slice`.
    pub(crate) what: &'static str,
    pub(crate) expression: String,
}

impl Check {
    /// All of a field's.
    pub(crate) fn all(entity: &str, field: &Field) -> Vec<Self> {
        let Bounds { min, max, min_length, max_length } = &field.bounds;
        let column = ident(&field.name);
        let check = |what, expression| Self {
            name: derived(&[entity, &field.name, what]),
            field: field.name.to_string(),
            what,
            expression,
        };
        let value = |text: &String| format!("{}::{}", literal(text), field.kind.sql_type());
        let length = match field.kind {
            Kind::Array(_) => "cardinality",
            Kind::Scalar(Scalar::Bytea) => "octet_length",
            _ => "char_length",
        };
        let mut all = Vec::new();
        // PostgreSQL sees nothing of a sealed value but that it is sealed.
        if field.sealed().is_some() {
            all.push(check(
                "sealed",
                format!(
                    "pg_catalog.octet_length({column}) >= {SEALED_MIN} and pg_catalog.substr({column}, 1, 2) = '\\x0101'::bytea"
                ),
            ));
            all.extend(field.lookup().map(|_| Self {
                name: derived(&[entity, &field.name, "lookup"]),
                field: field.name.to_string(),
                what: "lookup",
                expression: format!(
                    "({column} is null) = ({0} is null) and pg_catalog.octet_length({0}) = {LOOKUP_BYTES}",
                    ident(&lookup_column(&field.name))
                ),
            }));
            return all;
        }
        all.extend(min.as_ref().map(|least| check("min", format!("{column} >= {}", value(least)))));
        all.extend(max.as_ref().map(|most| check("max", format!("{column} <= {}", value(most)))));
        all.extend(
            min_length.map(|least| {
                check("min_length", format!("pg_catalog.{length}({column}) >= {least}"))
            }),
        );
        all.extend(
            max_length.map(|most| {
                check("max_length", format!("pg_catalog.{length}({column}) <= {most}"))
            }),
        );
        if let Kind::Enum(values) = &field.kind {
            let values = values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
            all.push(check("enum", format!("{column} = any (array[{values}]::text[])")));
        }
        all
    }

    /// What binds the rows of an entity that is kept in slices to theirs.
    pub(crate) fn of_slices(entity: &Entity) -> Option<Self> {
        let (_, rule) = entity.sliced()?;
        Some(Self {
            name: derived(&[&entity.name, &rule.since, "slice"]),
            field: rule.since.to_string(),
            what: "slice",
            expression: slice::bound(&rule.since),
        })
    }

    /// The check that stands in for `not null` until all rows are known to pass it.
    pub(crate) fn required(entity: &str, field: &str) -> Self {
        Self {
            name: derived(&[entity, field, "required"]),
            field: field.into(),
            what: "required",
            expression: format!("{} is not null", ident(field)),
        }
    }

    /// Its part of `create table`.
    pub(crate) fn definition(&self) -> String {
        format!("constraint {} check ({})", ident(&self.name), self.expression)
    }

    /// Adds it for new rows only; the others are checked by [`validate`].
    pub(crate) fn add(&self, entity: &str) -> String {
        format!("alter table {} add {} not valid", root(entity), self.definition())
    }

    /// What is wrong with a value that breaks it, in words.
    pub(crate) fn wrong(&self) -> &'static str {
        match self.what {
            "enum" => "is not listed",
            "required" => "is missing",
            "sealed" | "lookup" => "is not sealed",
            "slice" => "does not fit the id",
            _ => "is out of bounds",
        }
    }
}

/// A reference's constraint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) field: String,
    pub(crate) target: String,
    on_delete: OnDelete,
}

impl ForeignKey {
    /// A field's, if it is a reference.
    pub(crate) fn of(entity: &str, field: &Field) -> Option<Self> {
        let Kind::Ref(reference) = &field.kind else { return None };
        Some(Self {
            name: derived(&[entity, &field.name, "fk"]),
            field: field.name.to_string(),
            target: reference.entity.to_string(),
            on_delete: reference.on_delete,
        })
    }

    /// Adds it to a table without rows.
    pub(crate) fn add(&self, entity: &str) -> String {
        self.add_to(&root(entity))
    }

    /// The same for a table that is to become a partition.
    pub(crate) fn add_to(&self, table: &str) -> String {
        let column = ident(&self.field);
        let on_delete = match self.on_delete {
            OnDelete::Restrict => String::new(),
            OnDelete::Cascade => " on delete cascade".into(),
            OnDelete::Unlink => format!(" on delete set null ({column})"),
        };
        format!(
            "alter table {table} add constraint {} foreign key (tenant_id, {column}) references {} (tenant_id, id){on_delete}",
            ident(&self.name),
            root(&self.target),
        )
    }

    /// Adds it for new rows only (PostgreSQL 18 or newer); the others are checked by [`ForeignKey::validate`].
    pub(crate) fn add_not_valid(&self, entity: &str) -> String {
        format!("{} not valid", self.add(entity))
    }

    /// Adds it to a table with rows and checks them, while writes wait.
    pub(crate) fn add_checked(&self, entity: &str, own: &[String]) -> Vec<String> {
        seeing_every_row(entity, own, self.add(entity))
    }

    /// Checks the rows that were there before.
    pub(crate) fn validate(&self, entity: &str, own: &[String]) -> Vec<String> {
        seeing_every_row(entity, own, validate(entity, &self.name))
    }
}

/// PostgreSQL checks existing references by one query in the owner's name, which forced row-level security empties, so
/// that every reference seems right. Without the right to run that query it looks each row up by the
/// constraint's own trigger, which no policy can blind.
fn seeing_every_row(entity: &str, own: &[String], statement: String) -> Vec<String> {
    let leaves = naming::leaves().chain(own.iter().cloned());
    let leaves = leaves.map(|suffix| part(entity, &suffix)).collect::<Vec<_>>().join(", ");
    vec![
        format!("revoke select on {leaves} from freehold_owner"),
        statement,
        format!("grant select on {leaves} to freehold_owner"),
    ]
}

/// Checks the rows that were there before a constraint was added.
pub(crate) fn validate(entity: &str, name: &str) -> String {
    format!("alter table {} validate constraint {}", root(entity), ident(name))
}

/// Removes a constraint from an entity's table and all partitions.
pub(crate) fn remove(entity: &str, name: &str) -> String {
    format!("alter table {} drop constraint {}", root(entity), ident(name))
}

/// Renames a constraint of an entity's table.
pub(crate) fn rename(entity: &str, from: &str, to: &str) -> String {
    format!("alter table {} rename constraint {} to {}", root(entity), ident(from), ident(to))
}

/// Names the parts PostgreSQL makes of every reference after the whole: `commit~author~fk~0` is the part that guards
/// shelf 0 of the entity referred to, and is what a refused deletion reports. PostgreSQL's own names for them differ
/// between versions and do not follow a renaming.
pub(crate) const NAME_PARTS_OF_REFERENCES: &str = "\
do $$
declare
  part record;
begin
  for part in
    with recursive piece (oid, conrelid, confrelid, conname, whole, home) as (
      select oid, conrelid, confrelid, conname, conname, conrelid from pg_catalog.pg_constraint
        where contype = 'f' and conparentid = 0 and connamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
      union all
      select c.oid, c.conrelid, c.confrelid, c.conname, piece.whole, piece.home
        from piece join pg_catalog.pg_constraint c on c.conparentid = piece.oid
    )
    select piece.conrelid::regclass as home, conname as old, named.new
      from piece join pg_catalog.pg_class referred on referred.oid = piece.confrelid,
        lateral (select case when piece.conrelid = piece.home and referred.relispartition
          then whole || '~' || split_part(referred.relname, '~', -1) else whole end) as named (new)
      where conname <> named.new
  loop
    execute format('alter table %s rename constraint %I to %I', part.home, part.old, part.new);
  end loop;
end $$";
