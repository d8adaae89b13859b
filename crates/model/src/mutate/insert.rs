//! Inserting rows, and updating those that are there already.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{answer, body, directions, nothing, returned};
use crate::{
    Code, Model, Name, Refusal, Sql,
    entity::{Entity, Kind},
    query::{Limits, Query, render::Renderer},
    sql::ident,
};

/// What to do with a row that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Its fields that the payload names are overwritten.
    Merge,
    /// It is left as it is.
    Ignore,
}

/// When a row counts as there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnConflict {
    /// `id`, or the fields of a unique key.
    pub fields: Vec<String>,
    /// What to do then.
    pub resolution: Resolution,
}

/// A checked insert.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    entity: Entity,
    rows: Vec<Map<String, Value>>,
    columns: Option<Vec<String>>,
    conflict: Option<OnConflict>,
    returning: Option<Query>,
}

/// Checks rows to insert. `query` may have `select`, `columns` and `on_conflict`. Every written row is returned:
/// `!inner` leaves none out.
///
/// # Errors
/// A refusal that names the field and, of several rows, the row.
pub fn insert(
    model: &Model,
    entity: &str,
    body: &Value,
    query: &str,
    resolution: Option<Resolution>,
    returning: bool,
    limits: &Limits,
) -> Result<Insert, Refusal> {
    let directions = directions(model, entity, query, limits)?;
    let entity = crate::query::check::entity(model, entity)?;
    if !directions.query.level.conds.is_empty() {
        return Err(Refusal::new(Code::Syntax, "an insert cannot have filters"));
    }
    let rows = body::rows(entity, body, directions.columns.as_deref(), limits)?;
    body::check_required(entity, &rows)?;
    let conflict = match (resolution, directions.on_conflict) {
        (Some(resolution), fields) => {
            Some(OnConflict { fields: conflict_fields(entity, fields)?, resolution })
        }
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Refusal::new(
                Code::Preference,
                "on_conflict does not say what to do with rows that are there",
            )
            .hint("prefer resolution=merge-duplicates or resolution=ignore-duplicates"));
        }
    };
    if let Some(conflict) =
        conflict.as_ref().filter(|conflict| conflict.resolution == Resolution::Merge)
    {
        check_distinct(&rows, &conflict.fields)?;
    }
    let returning = returning.then_some(directions.query);
    Ok(Insert { entity: entity.clone(), rows, columns: directions.columns, conflict, returning })
}

/// The fields that say whether a row is there: `id`, or a unique key's.
pub(super) fn conflict_fields(
    entity: &Entity,
    fields: Option<Vec<String>>,
) -> Result<Vec<String>, Refusal> {
    let Some(fields) = fields else { return Ok(vec!["id".into()]) };
    let same = |key: &[Name]| {
        key.len() == fields.len() && key.iter().all(|name| fields.iter().any(|f| f == &**name))
    };
    if fields == ["id"] || entity.uniques.iter().any(|key| same(&key.fields)) {
        return Ok(fields);
    }
    fields.iter().try_for_each(|name| crate::query::check::kind(entity, name).map(|_| ()))?;
    let keys = entity
        .uniques
        .iter()
        .map(|key| key.fields.iter().map(|name| &**name).collect::<Vec<_>>().join(","));
    let keys: Vec<String> = ["id".to_owned()].into_iter().chain(keys).collect();
    Err(Refusal::new(
        Code::Syntax,
        format!("{} of {} are not a unique key", fields.join(","), entity.name),
    )
    .hint(format!("unique are {}", keys.join("; "))))
}

/// A row cannot be inserted and overwritten by the same statement.
fn check_distinct(rows: &[Map<String, Value>], fields: &[String]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (at, row) in rows.iter().enumerate() {
        let key: Option<Vec<&Value>> =
            fields.iter().map(|field| row.get(field).filter(|v| !v.is_null())).collect();
        let Some(key) = key else { continue };
        let key: Vec<String> = key.into_iter().map(Value::to_string).collect();
        if !seen.insert(key) {
            return Err(Refusal::new(
                Code::Conflict,
                format!("two rows of the body have the same {}", fields.join(",")),
            )
            .detail(format!("the second is row {}", at + 1)));
        }
    }
    Ok(())
}

impl Insert {
    /// The entity's name.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.entity.name
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Map<String, Value>] {
        &self.rows
    }

    /// The rows, to add vectors to: as JSON arrays of numbers, under the vector field's name. A field that no row
    /// has is left to its default; one that only some rows have is null in the others.
    pub fn rows_mut(&mut self) -> &mut Vec<Map<String, Value>> {
        &mut self.rows
    }

    /// Vector fields that can be made from these rows: they have `of`, and the rows do not bring them. Where rows
    /// that are there may be merged, only those all of whose texts are in the payload; others are left empty by the
    /// database and filled from the whole row.
    #[must_use]
    pub fn due(&self) -> Vec<&Name> {
        let given = |name: &str| self.rows.iter().any(|row| row.contains_key(name));
        let merges =
            self.conflict.as_ref().is_some_and(|conflict| conflict.resolution == Resolution::Merge);
        let due = |kind: &Kind| match kind {
            Kind::Vector(vector) if !vector.of.is_empty() => {
                !merges || vector.of.iter().all(|name| given(name))
            }
            _ => false,
        };
        let fields =
            self.entity.fields.iter().filter(|field| !given(&field.name) && due(&field.kind));
        fields.map(|field| &field.name).collect()
    }

    /// Vector fields that a merge may leave empty: the payload has some of their texts, and the rest is in the rows
    /// that are there.
    #[must_use]
    pub fn left_empty(&self) -> Vec<&Name> {
        if self.conflict.as_ref().is_none_or(|conflict| conflict.resolution != Resolution::Merge) {
            return Vec::new();
        }
        let given = |name: &str| self.rows.iter().any(|row| row.contains_key(name));
        let left = |kind: &Kind| match kind {
            Kind::Vector(vector) => {
                vector.of.iter().any(|name| given(name))
                    && !vector.of.iter().all(|name| given(name))
            }
            _ => false,
        };
        let fields =
            self.entity.fields.iter().filter(|field| !given(&field.name) && left(&field.kind));
        fields.map(|field| &field.name).collect()
    }

    /// The statement.
    #[must_use]
    pub fn render(&self) -> Sql {
        let mut renderer = Renderer::default();
        if self.rows.is_empty() {
            nothing(&mut renderer);
            return renderer.sql;
        }
        let columns = body::columns(&self.entity, |name| {
            self.rows.iter().any(|row| row.contains_key(name))
                || self
                    .columns
                    .as_ref()
                    .is_some_and(|columns| columns.iter().any(|column| column == name))
        });
        let alias = renderer.alias();
        let rows = Value::Array(self.rows.iter().cloned().map(Value::Object).collect()).to_string();
        let sql = &mut renderer.sql;
        sql.raw("with written as (insert into app.")
            .ident(&self.entity.name)
            .raw(" as ")
            .raw(&alias);
        if columns.is_empty() {
            // A row of defaults alone, as often as there are rows.
            sql.raw(" (id) select freehold.uuidv7() from json_array_elements(")
                .param(Some(rows))
                .raw("::json)");
        } else {
            let names: Vec<String> = columns.iter().map(|(name, _)| ident(name)).collect();
            sql.raw(&format!(
                " ({}) select r.{} from json_to_recordset(",
                names.join(", "),
                names.join(", r.")
            ));
            sql.param(Some(rows)).raw("::json)").raw(&body::record(&columns));
        }
        if let Some(conflict) = &self.conflict {
            sql.raw(&on_conflict(&self.entity, conflict, &columns, &alias));
        }
        sql.raw(&returned(self.returning.as_ref(), &alias));
        answer(&mut renderer, self.returning.as_ref(), &self.inserted());
        renderer.sql
    }

    fn inserted(&self) -> String {
        match self.conflict.as_ref().map(|conflict| conflict.resolution) {
            None => "null::bigint".into(),
            Some(Resolution::Ignore) => "(select count(*) from written)".into(),
            Some(Resolution::Merge) => format!(
                "(select count(*) from written w where not exists (select from app.{} o where o.id = w.id))",
                ident(&self.entity.name)
            ),
        }
    }
}

/// ` on conflict (tenant_id, …) do …`
pub(super) fn on_conflict(
    entity: &Entity,
    conflict: &OnConflict,
    columns: &[(String, String)],
    alias: &str,
) -> String {
    let fields: Vec<String> = conflict.fields.iter().map(|name| ident(name)).collect();
    let target = format!(" on conflict (tenant_id, {})", fields.join(", "));
    if conflict.resolution == Resolution::Ignore {
        return format!("{target} do nothing");
    }
    let changed =
        columns.iter().filter(|(name, _)| name != "id" && !conflict.fields.contains(name));
    let mut sets: Vec<String> =
        changed.map(|(name, _)| format!("{0} = excluded.{0}", ident(name))).collect();
    if sets.is_empty() {
        // Nothing to overwrite, and still the row is to be answered.
        sets.extend(
            entity.fields.first().map(|field| format!("{0} = {alias}.{0}", ident(&field.name))),
        );
    }
    if sets.is_empty() {
        return format!("{target} do nothing");
    }
    format!("{target} do update set {}", sets.join(", "))
}
