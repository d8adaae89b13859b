//! Writes of sealed fields: which rows they are for has to be known before they are sealed.

use serde_json::{Map, Value};

use super::{Insert, Resolution, body};
use crate::{
    Code, Refusal, Sql,
    entity::{Entity, Whose},
    sql::ident,
};

/// The column by which rows are told apart by the field `name`.
pub(super) fn key_column(entity: &Entity, name: &str) -> String {
    entity.field(name).map_or_else(|| name.to_owned(), crate::entity::Field::key_column)
}

/// Whether the column is that of a sealed field.
pub(super) fn is_sealed(entity: &Entity, column: &str) -> bool {
    entity.field(column).is_some_and(|field| field.sealed().is_some())
}

/// `t.id, t."author"`: what says whose the row's sealed fields are.
pub(super) fn standing_columns(entity: &Entity, alias: &str) -> String {
    let owners = entity.owners().into_iter().map(|name| format!(", {alias}.{}", ident(name)));
    format!("{alias}.id{}", owners.collect::<String>())
}

/// Whoever a row's sealed fields belong to, they are sealed for: a write that changes whose they are has to write them, too.
///
/// # Errors
/// `Sealed`.
pub(super) fn check_owners(entity: &Entity, writes: &dyn Fn(&str) -> bool) -> Result<(), Refusal> {
    for (field, personal) in entity.sealed_fields() {
        // A vector goes when what it was made from is written.
        if let Whose::Of(owner) = &personal.whose
            && !super::body::is_made(&field.kind)
            && writes(owner)
            && !writes(&field.name)
        {
            return Err(Refusal::new(
                Code::Sealed,
                format!("{owner} of {} says for whom {} is sealed", entity.name, field.name),
            )
            .hint(format!("write {} with it, or null", field.name)));
        }
    }
    Ok(())
}

/// The rows that are there of those that `rows` would merge with by `keys`, locked: `body` is a JSON array of objects with
/// `~n`, the place in `rows` counted from 1, `id` and the references that say whose its sealed fields are. Of a sealed field
/// among the keys the blind index is in `rows`.
#[must_use]
pub fn standing(entity: &Entity, keys: &[String], rows: &[Map<String, Value>]) -> Sql {
    let keys: Vec<String> = keys.iter().map(|name| key_column(entity, name)).collect();
    let mut columns = body::columns(entity, |name| keys.iter().any(|key| key == name));
    let numbered = rows.iter().zip(1..).map(|(row, n)| {
        let mut row: Map<String, Value> = row
            .iter()
            .filter(|(name, _)| keys.contains(name))
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        row.insert("~n".into(), Value::from(n));
        Value::Object(row)
    });
    let rows = Value::Array(numbered.collect()).to_string();
    columns.push(("~n".into(), "bigint".into()));
    let mut sql = Sql::new();
    sql.raw("select coalesce(json_agg(r.*), '[]')::text as body from (select r.\"~n\", ");
    sql.raw(&standing_columns(entity, "t")).raw(" from json_to_recordset(").param(Some(rows));
    sql.raw("::json)")
        .raw(&body::record(&columns))
        .raw(" join ")
        .target(&entity.name)
        .raw(" t on ");
    let same: Vec<String> = keys.iter().map(|key| format!("t.{0} = r.{0}", ident(key))).collect();
    sql.raw(&same.join(" and ")).target_ends("t").raw(" order by t.id for no key update of t) r");
    sql
}

impl Insert {
    /// Whether it may have to open texts to make vectors of them.
    #[must_use]
    pub fn opens_texts(&self) -> bool {
        super::is_of_sealed(&self.entity, &self.watched())
    }

    /// Marks sealed texts that vectors are made from with `tag`, which is also that of what comes back.
    pub fn tag_texts(&mut self, tag: &str) {
        self.tag = Some(tag.to_owned());
    }

    /// The fields by which a row counts as there, if such a row is changed.
    #[must_use]
    pub fn merges_by(&self) -> Option<&[String]> {
        let conflict = self.conflict.as_ref()?;
        (conflict.resolution == Resolution::Merge).then_some(&conflict.fields)
    }

    /// What the entity is.
    #[must_use]
    pub fn of(&self) -> &Entity {
        &self.entity
    }
}
