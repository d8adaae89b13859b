//! Inserting rows, and updating those that are there already.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    SET_AGAIN, again, answer, answer_watched, body, conflict::on_conflict, directions, nothing,
    nothing_watched, returned, returned_now,
};
use crate::{
    Code, Model, Name, Refusal, Sql,
    entity::{DefaultValue, Entity, Field, Kind, Scalar, Vector},
    query::{Limits, Query, render::Renderer, value},
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
    pub(super) entity: Entity,
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) conflict: Option<OnConflict>,
    pub(super) returning: Option<Query>,
    /// Whether a row without `id` gets one, though others bring theirs.
    pub(super) ids_may_lack: bool,
    /// By what sealed texts are found in what [`Insert::render_watched`] answers.
    pub(super) tag: Option<String>,
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
    let entity = crate::query::check::written(model, entity)?;
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
    let returning = returning.then_some(directions.query);
    Insert::checked(entity, rows, directions.columns, conflict, returning)
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
    pub(super) fn checked(
        entity: &Entity,
        rows: Vec<Map<String, Value>>,
        columns: Option<Vec<String>>,
        conflict: Option<OnConflict>,
        returning: Option<Query>,
    ) -> Result<Self, Refusal> {
        let entity = entity.clone();
        let mut insert =
            Self { entity, rows, columns, conflict, returning, ids_may_lack: false, tag: None };
        if insert.merges() {
            super::sealed::check_owners(&insert.entity, &|name| insert.writes(name))?;
            let fields = insert.conflict.iter().flat_map(|conflict| &conflict.fields);
            check_distinct(&insert.rows, &fields.cloned().collect::<Vec<_>>())?;
        }
        insert.spell_out_defaults();
        Ok(insert)
    }

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

    /// Vector fields that are to be made from these rows, wherever a row does not bring one: all their texts are
    /// known.
    #[must_use]
    pub fn due(&self) -> Vec<&Name> {
        let lacks = |row: &Map<String, Value>, name: &str| row.get(name).is_none_or(Value::is_null);
        let fields = self.made().filter(|(field, vector)| {
            self.knows(vector) && self.rows.iter().any(|row| lacks(row, &field.name))
        });
        fields.map(|(field, _)| &field.name).collect()
    }

    /// Vector fields made from text that may be empty after this insert although there is text: some of it is in
    /// the rows that are there or in a default; or the text of a row changes and its vector happens not to, and the
    /// database takes that for an outdated one.
    #[must_use]
    pub fn watched(&self) -> Vec<&Name> {
        let fields = self.made().filter(|(_, vector)| self.merges() || !self.knows(vector));
        fields.map(|(field, _)| &field.name).collect()
    }

    fn merges(&self) -> bool {
        self.conflict.as_ref().is_some_and(|conflict| conflict.resolution == Resolution::Merge)
    }

    fn made(&self) -> impl Iterator<Item = (&Field, &Vector)> {
        self.entity.fields.iter().filter_map(|field| match &field.kind {
            Kind::Vector(vector) if !vector.of.is_empty() => Some((field, vector)),
            _ => None,
        })
    }

    fn knows(&self, vector: &Vector) -> bool {
        vector.of.iter().all(|name| {
            self.writes(name)
                || !self.merges()
                    && self.entity.field(name).is_none_or(|text| text.default.is_none())
        })
    }

    pub(super) fn writes(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.contains_key(name))
            || self.columns.iter().flatten().any(|column| column == name)
    }

    /// Texts that a vector is made of and that would be left to their defaults, so that the vector is made of them
    /// too. Not where rows may be merged: there a default overwrites nothing.
    fn spell_out_defaults(&mut self) {
        if self.merges() {
            return;
        }
        let of: Vec<Name> = self.made().flat_map(|(_, vector)| vector.of.clone()).collect();
        for name in of {
            let Some(text) = self.entity.field(&name).filter(|_| !self.writes(&name)) else {
                continue;
            };
            if let (
                Kind::Scalar(Scalar::Text) | Kind::Enum(_),
                Some(DefaultValue::Constant(text)),
            ) = (&text.kind, &text.default)
            {
                let text = Value::String(text.clone());
                for row in &mut self.rows {
                    row.insert(name.to_string(), text.clone());
                }
            }
        }
    }

    /// The statement.
    #[must_use]
    pub fn render(&self) -> Sql {
        let mut renderer = self.renderer();
        if self.rows.is_empty() {
            nothing(&mut renderer, self.returning.as_ref());
            return renderer.sql;
        }
        let returning = self.returning.as_ref();
        self.write(&mut renderer, &|alias| returned(returning, alias));
        answer(&mut renderer, returning, &self.inserted());
        self.mark_inserted(&mut renderer);
        renderer.sql
    }

    /// The same with what it left empty. A fourth column `empty text` is a JSON array of the written rows in which a
    /// vector of [`Insert::watched`] is empty: `id`, the texts they are made of, and `~empty`, an array that says
    /// of each of those vectors in turn whether it is. A fifth, `ids text`, has the ids of all written rows.
    #[must_use]
    pub fn render_watched(&self) -> Sql {
        let mut renderer = self.renderer();
        if self.rows.is_empty() {
            nothing_watched(&mut renderer, self.returning.as_ref());
            return renderer.sql;
        }
        self.write(&mut renderer, &|alias| format!(" returning {alias}.*"));
        let returning = self.returning.as_ref();
        answer_watched(&mut renderer, &self.entity, &self.watched(), returning, &self.inserted());
        self.mark_inserted(&mut renderer);
        renderer.sql
    }

    /// Sets the vectors of `field` that these rows bring once more, in those of the rows `ids` that were there and
    /// that the database emptied because only their text was another. `body` is a JSON array of their ids.
    #[must_use]
    pub fn render_again(&self, field: &str, ids: &[&str]) -> Option<Sql> {
        let keys = &self.conflict.as_ref()?.fields;
        let keys: Vec<String> =
            keys.iter().map(|name| super::sealed::key_column(&self.entity, name)).collect();
        if !self.rows.iter().any(|row| row.get(field).is_some_and(|vector| !vector.is_null())) {
            return None;
        }
        let columns =
            body::columns(&self.entity, |name| name == field || keys.iter().any(|key| key == name));
        let mut sql = again(&self.entity, field);
        sql.raw("json_to_recordset(").param(Some(self.json())).raw("::json)");
        sql.raw(&body::record(&columns)).raw(" where t.id = any (");
        sql.param(Some(value::array_literal(ids.iter().copied()))).raw("::uuid[]) and r.");
        sql.ident(field).raw(" is not null");
        for key in &keys {
            sql.raw(" and t.").ident(key).raw(" = r.").ident(key);
        }
        sql.target_ends("t").writing().raw(SET_AGAIN);
        Some(sql)
    }

    /// The query whose `select` says what comes back, if rows do.
    pub fn returning_mut(&mut self) -> Option<&mut Query> {
        self.returning.as_mut()
    }

    /// How many rows it writes, if that is known beforehand.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        let ignores = self.conflict.as_ref().is_some_and(|it| it.resolution == Resolution::Ignore);
        (!ignores).then_some(self.rows.len())
    }

    /// The rows asked back, as they are now; none if they were not asked for.
    #[must_use]
    pub fn render_returned(&self, ids: &[&str]) -> Option<Sql> {
        self.returning.as_ref().map(|query| returned_now(query, ids))
    }

    fn renderer(&self) -> Renderer {
        let tag = self.returning.as_ref().and_then(|query| query.tag.as_deref());
        Renderer::tagged(tag.or(self.tag.as_deref()))
    }

    fn json(&self) -> String {
        Value::Array(self.rows.iter().cloned().map(Value::Object).collect()).to_string()
    }

    fn write(&self, renderer: &mut Renderer, returning: &dyn Fn(&str) -> String) {
        let columns = body::columns(&self.entity, |name| self.writes(name));
        let alias = renderer.alias();
        let rows = self.json();
        let sql = &mut renderer.sql;
        sql.writing()
            .raw("with written as (insert into app.")
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
            let value = |name: &String| match self.ids_may_lack && name == "\"id\"" {
                true => "coalesce(r.\"id\", freehold.uuidv7())".to_owned(),
                false => format!("r.{name}"),
            };
            let values: Vec<String> = names.iter().map(value).collect();
            sql.raw(&format!(
                " ({}) select {} from json_to_recordset(",
                names.join(", "),
                values.join(", ")
            ));
            sql.param(Some(rows)).raw("::json)").raw(&body::record(&columns));
        }
        if let Some(conflict) = &self.conflict {
            sql.raw(&on_conflict(&self.entity, conflict, &columns, &alias));
        }
        sql.raw(&returning(&alias));
    }

    fn inserted(&self) -> String {
        match self.conflict.as_ref().map(|conflict| conflict.resolution) {
            None => "null::bigint".into(),
            Some(Resolution::Ignore) => "(select count(*) from written)".into(),
            Some(Resolution::Merge) => format!(
                "(select count(*) from written w where not exists (select from app.{}{OLD}o.id = w.id))",
                ident(&self.entity.name)
            ),
        }
    }

    /// What [`Self::inserted`] looks in is a table that is read like all others.
    fn mark_inserted(&self, renderer: &mut Renderer) {
        renderer.sql.mark_table(&self.entity.name, OLD);
    }
}

/// Behind the table in which rows are looked for that were there before.
const OLD: &str = " o where ";
