//! A slice of an entity that is kept by time: a partition by the ids of its rows, beside the shelves, which hold what belongs
//! into no slice.
//!
//! An id is a UUID of version 7, whose first 48 bits are the milliseconds since 1970 at which it was made, and UUIDs are in
//! the order of their bytes. So a slice is a range of ids, the key stays as it is, and whoever asks by id finds one slice. A
//! check binds the time by which a row expires to its id, so that all of a slice is over when its end is.

use crate::{
    Model,
    ddl::{
        constraint::NAME_PARTS_OF_REFERENCES,
        naming::{part, root},
        table::Table,
    },
    entity::{Entity, Slice},
    sql::ident,
};

/// A slice of an entity.
#[derive(Debug)]
pub struct Part<'a> {
    entity: &'a Entity,
    table: Table,
    suffix: &'a str,
}

/// The entities of a model that are kept in slices.
pub fn sliced(model: &Model) -> impl Iterator<Item = &Entity> {
    model.entities().iter().filter(|entity| entity.sliced().is_some())
}

impl<'a> Part<'a> {
    /// That with this suffix, which says the day on which it begins.
    #[must_use]
    pub fn new(entity: &'a Entity, suffix: &'a str) -> Self {
        Self { entity, table: Table::of(entity), suffix }
    }

    /// Its name, quoted, with its schema.
    #[must_use]
    pub fn name(&self) -> String {
        part(&self.entity.name, self.suffix)
    }

    /// The table that it is a part of, quoted, with its schema.
    #[must_use]
    pub fn root(&self) -> String {
        root(&self.entity.name)
    }

    /// Makes it, for ids that were made from `from` on and before `to`, both in milliseconds since 1970. In one transaction,
    /// in the name of `freehold_owner`. Fails where the shelves hold a row of that time.
    #[must_use]
    pub fn make(&self, from: i64, to: i64) -> Vec<String> {
        let (name, root) = (self.name(), self.root());
        let quiet: Vec<_> = ["tenant_id", "id"]
            .into_iter()
            .chain(self.table.columns.iter().filter(|c| !c.sampled).map(|c| &*c.name))
            .map(|name| format!("alter column {} set statistics 0", ident(name)))
            .collect();
        let mut statements = vec![
            // Whoever has found the shelf for a row of this time and waits there would be refused once it belongs elsewhere.
            format!("lock table only {root} in share row exclusive mode"),
            format!(
                "create table {name} (\n  like {root} including defaults including constraints including generated including storage,\n  constraint {} primary key (tenant_id, id)\n)",
                ident(&format!("{}~{}", self.table.primary_key, self.suffix)),
            ),
            format!("alter table {name}\n  {}", quiet.join(",\n  ")),
        ];
        statements.extend(self.table.indexes.iter().map(|index| index.part(&name, self.suffix)));
        statements.push(format!(
            "alter table {name} enable row level security, force row level security"
        ));
        // PostgreSQL would check its references, though it is empty, by a query that meets the wall of the entity referred to,
        // where no tenant is open. Without the right to read it looks each row up by itself.
        let refers = !self.table.references.is_empty();
        statements.extend(refers.then(|| format!("revoke select on {name} from freehold_owner")));
        statements.push(format!(
            "alter table {root} attach partition {name} for values from ('{}') to ('{}')",
            least_id(from),
            least_id(to)
        ));
        if refers {
            statements.push(format!("grant select on {name} to freehold_owner"));
            statements.push(NAME_PARTS_OF_REFERENCES.into());
        }
        statements
    }

    /// Whether a tenant's rows of it, seen through the root by whoever is inside the tenant's wall, are held: those that refer to
    /// people of an array, `$1`, or with `$2` any. `from` and `to` as in [`Self::make`].
    #[must_use]
    pub fn keeps(&self, from: i64, to: i64) -> String {
        let people: Vec<String> = self
            .people()
            .map(|name| format!(" or t.{} = any ($1::text::uuid[])", ident(name)))
            .collect();
        format!(
            "select exists (select from {} t where t.id >= '{}' and t.id < '{}' and ($2::text::boolean or $1::text::uuid[] is null{}))",
            self.root(),
            least_id(from),
            least_id(to),
            people.concat()
        )
    }

    fn people(&self) -> impl Iterator<Item = &str> {
        self.entity.fields.iter().filter(|field| field.on_erase.is_some()).map(|field| &*field.name)
    }

    /// Takes every lock that dropping it takes, in the order in which readers do.
    #[must_use]
    pub fn lock(&self) -> Vec<String> {
        vec![
            format!("lock table only {} in access exclusive mode", self.root()),
            format!("lock table {} in access exclusive mode", self.name()),
        ]
    }

    /// Lets its owner read it, for the rest of the transaction that has it locked and that drops it or takes this back.
    #[must_use]
    pub fn bare(&self) -> String {
        format!("alter table {} no force row level security", self.name())
    }

    /// Whether it has a row that one of these holds keeps: pairs of a tenant and a person, or none for all of the tenant, as
    /// two arrays, `$1` and `$2`.
    #[must_use]
    pub fn holds(&self) -> String {
        let people: Vec<String> =
            self.people().map(|name| format!(" or t.{} = h.person", ident(name))).collect();
        format!(
            "select exists (select from unnest($1::text::uuid[], $2::text::uuid[]) h (tenant, person) where exists \
             (select from {} t where t.tenant_id = h.tenant and (h.person is null{})))",
            self.name(),
            people.concat()
        )
    }

    /// Drops it with its rows.
    #[must_use]
    pub fn drop(&self) -> String {
        format!("drop table {}", self.name())
    }
}

/// What binds a row to the slice that its id belongs into: the id is of version 7, not made ahead of time, and the row's time
/// is not later than it.
pub(crate) fn bound(since: &str) -> String {
    let made = "pg_catalog.to_timestamp(('x' || pg_catalog.substr(pg_catalog.replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0::double precision)";
    format!(
        "pg_catalog.substr(id::text, 15, 1) = '7' and {} <= {made} + interval '{} seconds' and {made} <= pg_catalog.now() + interval '{} seconds'",
        ident(since),
        Slice::LATE_S,
        Slice::AHEAD_S,
    )
}

/// The least id that could be made in this millisecond.
fn least_id(ms: i64) -> String {
    let digits = format!("{:012x}", ms.clamp(0, 0xffff_ffff_ffff));
    format!("{}-{}-0000-0000-000000000000", &digits[..8], &digits[8..])
}

#[cfg(test)]
mod tests {
    use super::least_id;

    #[test]
    fn ids_are_in_the_order_of_their_making() {
        assert_eq!(least_id(0), "00000000-0000-0000-0000-000000000000");
        assert_eq!(least_id(1_735_689_600_000), "01941f29-7c00-0000-0000-000000000000");
        assert!(&*least_id(1_735_689_600_000) < "01941f29-7c00-7000-8000-000000000000");
        assert!("01941f29-7bff-7fff-bfff-ffffffffffff" < &*least_id(1_735_689_600_000));
    }
}
