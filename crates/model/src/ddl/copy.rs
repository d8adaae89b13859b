//! The table beside that of an entity in which a sealed vector is searched: its partitions are unlogged, so what is in it is
//! in no WAL, no backup and on no replica, and a crash of PostgreSQL empties it. Servers fill it again from what is sealed.
//!
//! Whoever changes the sealed vector, or removes its row, takes the copy's row away by a trigger; only who has the keys can
//! put another there. What is left without one is noted when the transaction commits.

use crate::{
    ddl::{
        SHELVES,
        column::made_from,
        index,
        naming::{self, DEFAULT_PART, derived, list, part, root, shelf},
        vector::Trigger,
        wall,
    },
    entity::{Entity, Field},
    sql::{ident, literal},
};

/// The column that holds the vectors.
pub(crate) const COLUMN: &str = "v";

/// The copy of a vector field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Copy {
    /// Its table's name.
    pub(crate) name: String,
    /// pgvector's type.
    sql_type: String,
}

/// The name of the table in which `field` of `entity` is searched, without its schema.
#[must_use]
pub fn copy_name(entity: &str, field: &str) -> String {
    derived(&[entity, field, "near"])
}

impl Copy {
    /// That of a field, if it has one.
    pub(crate) fn of(entity: &str, field: &Field) -> Option<Self> {
        let vector = field.copied()?;
        Some(Self { name: copy_name(entity, &field.name), sql_type: vector.sql_type() })
    }

    /// All of an entity's.
    pub(crate) fn all(entity: &Entity) -> Vec<Self> {
        entity.fields.iter().filter_map(|field| Self::of(&entity.name, field)).collect()
    }

    /// Makes it, empty.
    pub(crate) fn create(&self) -> Vec<String> {
        let (name, root) = (&self.name, root(&self.name));
        let mut statements = vec![
            format!(
                "create table {root} (\n  tenant_id uuid not null default freehold.tenant(),\n  id uuid not null,\n  {COLUMN} {}\n) partition by list (tenant_id)",
                self.sql_type
            ),
            format!("alter table {root} alter column {COLUMN} set storage main"),
        ];
        statements.extend(self.parts());
        let quiet = ["tenant_id", "id", COLUMN]
            .map(|column| format!("alter column {} set statistics 0", ident(column)));
        statements.push(format!("alter table {root}\n  {}", quiet.join(",\n  ")));
        statements.extend(wall::raise(name));
        statements.push(wall::noted(name));
        let columns = list(["tenant_id", "id", COLUMN]);
        statements.push(format!(
            "grant select ({columns}), insert ({columns}), delete on {root} to freehold_app"
        ));
        statements
    }

    /// Removes it with what is in it.
    pub(crate) fn remove(&self) -> String {
        format!("drop table {}", root(&self.name))
    }

    /// Gives it another name.
    pub(crate) fn rename(&self, to: &Self) -> Vec<String> {
        let (from, to) = (&self.name, &to.name);
        if from == to {
            return Vec::new();
        }
        let mut statements = vec![format!("alter table {} rename to {}", root(from), ident(to))];
        statements.extend(naming::parts().map(|suffix| {
            format!(
                "alter table {} rename to {}",
                part(from, &suffix),
                ident(&format!("{to}~{suffix}"))
            )
        }));
        statements.extend(index::rename(&primary_key(from), &primary_key(to), &[]));
        statements
    }

    fn parts(&self) -> Vec<String> {
        let name = &self.name;
        let default_part = part(name, DEFAULT_PART);
        let key = |suffix: Option<&str>| {
            let key = primary_key(name);
            let key = suffix.map_or_else(|| key.clone(), |suffix| format!("{key}~{suffix}"));
            format!("constraint {} primary key (tenant_id, id)", ident(&key))
        };
        let mut statements = vec![format!(
            "create table {default_part} partition of {} default partition by hash (tenant_id)",
            root(name)
        )];
        statements.extend(naming::leaves().map(|suffix| {
            format!(
                "create unlogged table {} partition of {default_part} ({})\n  for values with (modulus {SHELVES}, remainder {suffix})",
                part(name, &suffix),
                key(Some(&suffix)),
            )
        }));
        statements.push(format!("alter table {default_part} add {}", key(Some(DEFAULT_PART))));
        statements.push(format!("alter table {} add {}", root(name), key(None)));
        statements
    }

    /// The triggers of the entity's table that keep it true.
    pub(crate) fn triggers(&self, entity: &str, field: &Field) -> Vec<Trigger> {
        let copy = root(&self.name);
        let (table, column) = (root(entity), ident(&field.name));
        // A vector that is made from texts is emptied by another trigger when these change.
        let texts = made_from(field).into_iter().flat_map(|vector| &vector.of);
        let watched = list([&*field.name].into_iter().chain(texts.map(|text| &**text)));
        let out = format!(
            "delete from {copy} c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id;"
        );
        let same = "tenant_id operator(pg_catalog.=) new.tenant_id and";
        let lacks = format!(
            "if not exists (select from {copy} c where c.{same} c.id operator(pg_catalog.=) new.id)\n  and exists (select from {table} t where t.{same} t.id operator(pg_catalog.=) new.id and t.{column} is not null)\n  then perform freehold.copy_lacks({}::regclass); end if;",
            literal(&copy)
        );
        let name = |what: &str| derived(&[entity, &field.name, what]);
        let when = [
            (
                "changed",
                format!("after update of {watched}"),
                format!(
                    "when (old.{column} is not null and old.{column} is distinct from new.{column})"
                ),
                out.clone(),
            ),
            ("gone", "after delete".to_owned(), format!("when (old.{column} is not null)"), out),
            (
                "lacks",
                format!("after insert or update of {watched}"),
                format!("when (new.{column} is not null)"),
                lacks,
            ),
        ];
        let mut all: Vec<Trigger> = when
            .into_iter()
            .map(|(what, event, when, body)| {
                let name = name(what);
                let (constraint, deferred) = match what {
                    "lacks" => ("constraint ", " deferrable initially deferred"),
                    _ => ("", ""),
                };
                let create = format!(
                    "create {constraint}trigger {} {event} on {table}{deferred} for each row\n  {when} execute function {}()",
                    ident(&name),
                    shelf(&name),
                );
                trigger(name, field, &body, create)
            })
            .collect();
        let emptied = name("emptied");
        let create = format!(
            "create trigger {} after truncate on {table} for each statement\n  execute function {}()",
            ident(&emptied),
            shelf(&emptied),
        );
        all.push(trigger(emptied, field, &format!("truncate {copy};"), create));
        all
    }
}

fn trigger(name: String, field: &Field, body: &str, create: String) -> Trigger {
    let function = format!(
        "create function {}() returns trigger language plpgsql as {}",
        shelf(&name),
        literal(&format!("begin {body} return null; end")),
    );
    Trigger::with_function(name, field.name.to_string(), function, create)
}

fn primary_key(table: &str) -> String {
    derived(&[table, "pkey"])
}
