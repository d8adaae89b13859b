//! The model in PostgreSQL: which tables, columns, indexes, constraints and triggers an entity has, what they are
//! called, and the statements that make and remove each.

pub mod anonymous;
pub(crate) mod blob;
pub(crate) mod capture;
pub(crate) mod column;
pub(crate) mod constraint;
pub(crate) mod copy;
pub(crate) mod hold;
pub(crate) mod index;
pub(crate) mod naming;
pub mod own;
pub mod read;
pub(crate) mod sealed;
pub mod slice;
pub(crate) mod table;
pub(crate) mod vector;
pub(crate) mod wall;

pub use blob::{OwnerTrigger, owner_triggers};
pub use capture::{capture, release};
pub use copy::copy_name;

use crate::{
    Model, Name,
    ddl::table::Table,
    entity::{Entity, Kind},
};

/// Partitions that the rows of tenants without a partition of their own are spread over.
pub const SHELVES: u16 = 8;

/// What a constraint or index that PostgreSQL reports by name stands for in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Two rows of a tenant with the same id.
    PrimaryKey {
        /// Of which entity.
        entity: Name,
    },
    /// Two rows of a tenant that agree in these fields.
    Unique {
        /// Of which entity.
        entity: Name,
        /// The fields of the key.
        fields: Vec<Name>,
    },
    /// A value that refers to no row.
    Reference {
        /// The referring entity.
        entity: Name,
        /// The referring field.
        field: Name,
        /// The entity referred to.
        target: Name,
    },
    /// A row that cannot be deleted because another refers to it.
    StillReferenced {
        /// The referring entity.
        entity: Name,
        /// The referring field.
        field: Name,
        /// The entity referred to, whose row was to be deleted.
        target: Name,
    },
    /// A blob that the field does not take.
    Blob {
        /// Of which entity.
        entity: Name,
        /// Of which field.
        field: Name,
    },
    /// A value outside what is declared.
    Check {
        /// Of which entity.
        entity: Name,
        /// Of which field.
        field: Name,
        /// `min`, `max`, `min_length`, `max_length`, `enum`, `required`, `sealed`, `lookup` or `slice`.
        what: &'static str,
    },
}

/// What `constraint` stands for: the name, as PostgreSQL reports it, of a constraint or index of a root or of one of
/// its partitions. `None` if the model has nothing of that name.
#[must_use]
pub fn violation(model: &Model, constraint: &str) -> Option<Violation> {
    let whole = constraint.rsplit_once('~').map(|(whole, _)| whole);
    let find = |name: &str, of_part: bool| {
        model.entities().iter().find_map(|entity| meaning(entity, name, of_part))
    };
    find(constraint, false).or_else(|| whole.and_then(|name| find(name, true)))
}

fn meaning(entity: &Entity, name: &str, of_part: bool) -> Option<Violation> {
    let table = Table::of(entity);
    let blob = entity.fields.iter().find(|field| {
        matches!(field.kind, Kind::Blob(_)) && blob::name(&entity.name, &field.name) == name
    });
    if let Some(field) = blob {
        return Some(Violation::Blob { entity: entity.name.clone(), field: field.name.clone() });
    }
    let field = |name: &str| entity.field(name).map(|field| field.name.clone());
    let entity = entity.name.clone();
    if table.primary_key == name {
        return Some(Violation::PrimaryKey { entity });
    }
    if let Some(index) = table.indexes.iter().find(|index| index.unique && index.name == name) {
        return Some(Violation::Unique {
            entity,
            fields: index
                .fields
                .iter()
                .filter_map(|name| field(name.strip_suffix("~lookup").unwrap_or(name)))
                .collect(),
        });
    }
    if let Some(reference) = table.references.iter().find(|reference| reference.name == name) {
        let (field, target) = (field(&reference.field)?, Name::new(&reference.target).ok()?);
        return Some(if of_part {
            Violation::StillReferenced { entity, field, target }
        } else {
            Violation::Reference { entity, field, target }
        });
    }
    let check = table.checks.iter().find(|check| check.name == name)?;
    Some(Violation::Check { entity, field: field(&check.field)?, what: check.what })
}
