//! Read models: a `select` with a key, compiled to a table, to the keys that a change touches, and to the statement
//! that brings those keys up to date.
//!
//! The text is parsed, and then *translated*: every name, function and operator is looked up in tables of this crate
//! and written out again, qualified, from a tree of its own. What has no translation is refused with the mend, so no
//! text of the author's ever reaches PostgreSQL. Nothing but the model is asked: types and nullability of the columns
//! are inferred from the fields.
//!
//! # What a read model is
//!
//! - **Table** [`ReadModel::shape`]: `app."NAME"`, walled and partitioned like an entity's, with the primary key
//!   `(tenant_id, key…)` and no `id`. Servers may only read it; the role [`WRITER`] writes.
//!   [`ReadModel::create_table`] makes it under any physical name, so that a new one can be built as
//!   [`beside`]`(name, 2)` and swapped by two [`ReadModel::rename_table`] in one transaction.
//! - **Unit** [`ReadModel::unit`]: the columns of the key that recomputation goes by; nearly always all of them. Where
//!   a row depends on its neighbours (window functions, the first n of a group) only those that name the neighbourhood
//!   (`partition by`, or what a lateral join is equal to), and where the key has columns of two entities neither of which
//!   knows the other's, only those of one. The rows of a unit are replaced as a set.
//! - **Sources** [`ReadModel::sources`]: the entities it reads. Everything else follows from them.
//!
//! # The contract of the change log
//!
//! For every [`Capture`] of [`Model::captures`](crate::Model::captures) (one per entity that any read model reads):
//!
//! 1. Each inserted row gives one *image*, each deleted row one, and each updated row two, the old and the new one, but
//!    only if one of the columns `used` differs between them. Which image is old and which is new does not matter.
//! 2. An image is the row's `links`, in that order, each as `column::text` with NULL for null, under `datestyle` ISO,
//!    `timezone` UTC and `extra_float_digits` 1 (so that the text is the value). `links` never holds more than is needed
//!    to find keys; values that are only shown or summed up are not in the log.
//! 3. `truncate` has no images: the tenants it empties are filled anew ([`ReadModel::fill`]).
//!
//! # The contract of a worker
//!
//! All statements run in a transaction of one tenant, under its wall, which needs none of them to name it: the store does where
//! that spares locks ([`Sql::text_for`]). Sessions have `timezone` UTC
//! (a month begins when it begins in UTC), an empty `search_path` and the role [`WRITER`], which may read of the
//! entities what [`Capture::allow`] says (a plan has that as a step).
//!
//! - [`ReadModel::touch`] takes the images of *one* entity and yields the units they touch, each as text. Images may be
//!   cut into batches anywhere, in any order, and read at any later time.
//! - [`ReadModel::recompute`] takes units and makes their rows what the definition says now. It must see everything
//!   that touched them: its snapshot is not older than the images. One worker per unit at a time. The statement returns
//!   the keys that really changed; keys that came out as they were are not written.
//! - [`ReadModel::page`] lists the units of a tenant in order, some of which may have no rows. A fill is: a page, a
//!   `recompute` of it, the next page after its last unit. It may stop and go on anywhere, beside other workers.
//!   [`ReadModel::fill`] does a whole tenant in one statement.
//! - [`ReadModel::check`] compares the table with the definition.
//!
//! # Why the units are right
//!
//! A row of an entity can matter to a unit only by taking part in a combination of rows that the definition joins, and
//! of such a combination the equalities of `on`, `where`, `using` and of correlated subqueries hold. So from the
//! changed row, old or new, one follows equalities to an entity whose row says the unit. The tables on that path are
//! read as they are now; if one of them has changed too, then it has images, and a shorter path. The last one on each
//! path says the unit by itself: its own images are enough, whatever else has changed. The path of each
//! table therefore continues with the path of the next one, and only equalities are used that must hold whenever the
//! row matters: those of an outer join or a subquery lead out of it, never in.

mod aggregate;
mod call;
mod clause;
mod compile;
mod derive;
mod error;
mod expr;
mod from;
mod function;
mod graph;
mod group;
mod ir;
mod literal;
mod operator;
mod render;
mod scope;
mod select;
mod statement;
mod subquery;
mod typing;
mod unique;
mod window;

pub(crate) use compile::{Compiled, Written, compile};
pub(crate) use error::{Fault, Spot, Wrong};

pub use crate::ddl::read::{WRITER, beside};

use std::collections::BTreeSet;

use crate::{Name, Sql, entity::Entity};

/// A read model, checked and compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadModel {
    pub(crate) shape: Entity,
    pub(crate) key: Vec<Name>,
    pub(crate) unit: Vec<Name>,
    pub(crate) text: String,
    pub(crate) definition: String,
    pub(crate) sources: Vec<Source>,
    /// For each source the statement that finds the units of its images.
    pub(crate) touches: Vec<String>,
    pub(crate) said: Vec<Option<derive::Said>>,
    pub(crate) anchor: derive::Anchor,
}

/// An entity that a read model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub entity: Name,
    /// Its columns that the definition names. An update that leaves them as they were touches nothing.
    pub used: Vec<Name>,
    /// Those an image must carry, in this order; all of them are among `used`.
    pub links: Vec<Name>,
    /// How the units are found, for each time the definition names the entity, in order.
    pub reach: Vec<Reach>,
}

/// How the units are found that a changed row touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The row says the unit.
    Direct,
    /// The unit is said by the last of these entities, each of which equals the one before in some column.
    Path(Vec<Name>),
}

/// What the change log must know about an entity, for all read models together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Which.
    pub entity: Name,
    /// Columns whose change matters, in the order of the table, `id` first.
    pub used: Vec<Name>,
    /// Columns that an image carries, in the order of the table, `id` first; all of them are among `used`.
    pub links: Vec<Name>,
}

impl ReadModel {
    /// Its name, and that of the table that is served.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shape.name
    }

    /// Its columns as the fields of an entity, without `tenant_id`; it has no `id` but what `key` says.
    #[must_use]
    pub fn shape(&self) -> &Entity {
        &self.shape
    }

    /// The columns that tell its rows apart.
    #[must_use]
    pub fn key(&self) -> &[Name] {
        &self.key
    }

    /// The columns of the key that recomputation goes by.
    #[must_use]
    pub fn unit(&self) -> &[Name] {
        &self.unit
    }

    /// The `select` as its author wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The `select` as PostgreSQL is given it: every name qualified, one statement without parameters.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The entities it reads, each once.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source that is `entity`.
    #[must_use]
    pub fn source(&self, entity: &str) -> Option<&Source> {
        self.sources.iter().find(|source| &*source.entity == entity)
    }

    /// Whether rows made by `other`'s definition are as good as rows of this one's, so that nothing need be rebuilt.
    #[must_use]
    pub fn same_rows(&self, other: &Self) -> bool {
        self.definition == other.definition
            && self.key == other.key
            && crate::ddl::read::same_columns(self, other)
    }
}

impl ReadModel {
    /// Everything that makes its rows what they are, as one text: of two definitions with the same text the rows of one
    /// are as good as the other's.
    #[must_use]
    pub fn identity(&self) -> String {
        let columns: Vec<String> = self
            .shape
            .fields
            .iter()
            .map(|field| format!("{} {} {:?}", field.name, field.kind.sql_type(), field.search))
            .collect();
        let key: Vec<&str> = self.key.iter().map(|name| &**name).collect();
        format!("{}\n{}\n{}", columns.join(", "), key.join(", "), self.definition)
    }

    /// Removes all rows of the tenant from `table`.
    #[must_use]
    pub fn clear(&self, table: &str) -> Sql {
        Sql::with(&format!("delete from {}", crate::ddl::naming::root(table)), Vec::new())
    }
}

/// Images of changed rows of one entity: for each of the source's `links`, in that order, a list with one text per
/// image.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// Of which entity.
    pub entity: &'a str,
    /// One list for each link, all of the same length.
    pub links: &'a [Vec<Option<String>>],
}

impl ReadModel {
    /// The units that changed rows of one entity touch: rows of as many texts as the unit has columns, each row once.
    ///
    /// # Panics
    /// If the model does not read the entity, or there are not as many lists as links.
    #[must_use]
    pub fn touch(&self, images: Images<'_>) -> Sql {
        statement::touch(self, images)
    }

    /// The same units, if the images themselves say them; else they have to be found by [`ReadModel::touch`].
    ///
    /// # Panics
    /// As [`ReadModel::touch`].
    #[must_use]
    pub fn said(&self, images: Images<'_>) -> Option<BTreeSet<Vec<String>>> {
        statement::said(self, images)
    }

    /// Makes the rows of `units` in `table` what the definition says: for each column of the unit a list, all of the
    /// same length. Answers one row for each key that changed: `change text` (`put` or `gone`), then the key's columns
    /// as texts.
    ///
    /// # Panics
    /// If there are not as many lists as columns of the unit.
    #[must_use]
    pub fn recompute(&self, table: &str, units: &[Vec<String>]) -> Sql {
        statement::recompute(self, table, units)
    }

    /// Makes all rows of the tenant in `table` what the definition says; answers as [`ReadModel::recompute`] does.
    #[must_use]
    pub fn fill(&self, table: &str) -> Sql {
        statement::fill(self, table)
    }

    /// The next `limit` units of the tenant after `after`, in order, as texts.
    ///
    /// # Panics
    /// If `after` has not as many texts as the unit has columns.
    #[must_use]
    pub fn page(&self, after: Option<&[String]>, limit: u32) -> Sql {
        statement::page(self, after, limit)
    }

    /// Compares `table` with the definition: one row of `missing bigint`, `extra bigint`, `different bigint` and
    /// `sample text`, a JSON array of at most `samples` objects `{"fault": "missing" | "extra" | "different", "key":
    /// […]}`.
    #[must_use]
    pub fn check(&self, table: &str, samples: u32) -> Sql {
        statement::check(self, table, samples)
    }
}
