//! Changing and deleting the rows that fit a filter.

use serde_json::{Map, Value};

use super::{
    SET_AGAIN, again, answer, answer_watched, body, directions, nothing, nothing_watched, returned,
    returned_now,
};
use crate::{
    Code, Model, Name, Refusal, Sql,
    entity::{Entity, Field, Kind},
    query::{
        Limits, Query, Sought,
        render::{Renderer, Scope},
        suspects, value,
    },
    sql::ident,
};

/// A checked update.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    entity: Entity,
    patch: Map<String, Value>,
    query: Query,
    returning: bool,
    /// Of the rows that are changed: their ids, and what is sealed for each.
    sealed: Option<Sealed>,
}

/// What is sealed for rows one by one.
#[derive(Debug, Clone, PartialEq)]
struct Sealed {
    columns: Vec<String>,
    /// Each with the row's `id`.
    rows: Vec<Map<String, Value>>,
}

/// A checked delete.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    query: Query,
    returning: bool,
}

/// Checks an update of all rows that fit the filters of `query`. An empty object or array changes nothing.
///
/// # Errors
/// A refusal that names the field; `Syntax` if there is no filter.
pub fn update(
    model: &Model,
    entity: &str,
    patch: &Value,
    query: &str,
    returning: bool,
    limits: &Limits,
) -> Result<Update, Refusal> {
    let directions = directions(model, entity, query, limits)?;
    let entity = crate::query::check::written(model, entity)?;
    if directions.on_conflict.is_some() {
        return Err(Refusal::new(Code::Syntax, "an update cannot have on_conflict"));
    }
    require_filter(directions.filtered, "an update")?;
    let mut rows = body::rows(entity, patch, directions.columns.as_deref(), limits)?;
    if rows.len() > 1 {
        return Err(Refusal::new(Code::Body, "an update takes one object")
            .detail(format!("{} given", rows.len())));
    }
    let mut patch = rows.pop().unwrap_or_default();
    if patch.contains_key("id") {
        return Err(Refusal::new(
            Code::Forbidden,
            format!("the id of a {} cannot be changed", entity.name),
        ));
    }
    if !patch.is_empty() {
        for name in directions.columns.into_iter().flatten() {
            patch.entry(name).or_insert(Value::Null);
        }
    }
    body::check_row(entity, &patch)?;
    super::sealed::check_owners(entity, &|name| patch.contains_key(name))?;
    Ok(Update { entity: entity.clone(), patch, query: directions.query, returning, sealed: None })
}

/// Checks a deletion of all rows that fit the filters of `query`.
///
/// # Errors
/// `Syntax` if there is no filter.
pub fn delete(
    model: &Model,
    entity: &str,
    query: &str,
    returning: bool,
    limits: &Limits,
) -> Result<Delete, Refusal> {
    let directions = directions(model, entity, query, limits)?;
    for (name, given) in [
        ("columns", directions.columns.is_some()),
        ("on_conflict", directions.on_conflict.is_some()),
    ] {
        if given {
            return Err(Refusal::new(Code::Syntax, format!("a deletion cannot have {name}")));
        }
    }
    require_filter(directions.filtered, "a deletion")?;
    Ok(Delete { query: directions.query, returning })
}

fn require_filter(filtered: bool, what: &str) -> Result<(), Refusal> {
    if filtered {
        return Ok(());
    }
    Err(Refusal::new(Code::Syntax, format!("{what} without a filter would reach every row"))
        .hint("to mean every row write id=not.is.null"))
}

impl Update {
    /// The entity's name.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.entity.name
    }

    /// The fields that are set.
    #[must_use]
    pub fn touches(&self) -> Vec<&str> {
        self.patch.keys().map(String::as_str).collect()
    }

    /// Vector fields made from text that this update may leave empty: the database empties a vector whose text
    /// changes, unless it changes as well.
    #[must_use]
    pub fn watched(&self) -> Vec<&Name> {
        let left = |field: &&Field| match &field.kind {
            Kind::Vector(vector) => {
                vector.of.iter().any(|name| self.writes(name))
                    || body::is_made(&field.kind)
                        && self.patch.get(&*field.name).is_some_and(Value::is_null)
            }
            _ => false,
        };
        self.entity.fields.iter().filter(left).map(|field| &field.name).collect()
    }

    fn writes(&self, name: &str) -> bool {
        let sealed = self.sealed.iter().flat_map(|sealed| &sealed.columns);
        self.patch.contains_key(name) || sealed.into_iter().any(|column| column == name)
    }

    /// Whether it may have to open texts to make vectors of them.
    #[must_use]
    pub fn opens_texts(&self) -> bool {
        super::is_of_sealed(&self.entity, &self.watched())
    }

    /// Marks sealed texts that vectors are made from with `tag`, which is also that of what comes back.
    pub fn tag_texts(&mut self, tag: &str) {
        self.query.tagged(tag);
    }

    /// The fields that a value may have been for which the database refused so.
    #[must_use]
    pub fn suspects(&self, model: &Model, code: Code) -> Vec<String> {
        let mut fields = suspects::of_fields(&self.entity, self.patch.keys(), code);
        fields.extend(self.query.suspects(model, code));
        fields
    }

    /// The statement.
    #[must_use]
    pub fn render(&self) -> Sql {
        let mut renderer = self.renderer();
        if self.patch.is_empty() && self.sealed.is_none() {
            nothing(&mut renderer, self.returning.then_some(&self.query));
            return renderer.sql;
        }
        let returning = self.returning.then_some(&self.query);
        self.write(&mut renderer, &|alias| returned(returning, alias));
        answer(&mut renderer, returning, "null::bigint");
        renderer.sql
    }

    /// The same with what it left empty, as [`Insert::render_watched`](super::Insert::render_watched).
    #[must_use]
    pub fn render_watched(&self) -> Sql {
        let mut renderer = self.renderer();
        if self.patch.is_empty() && self.sealed.is_none() {
            nothing_watched(&mut renderer, self.returning.then_some(&self.query));
            return renderer.sql;
        }
        self.write(&mut renderer, &|alias| format!(" returning {alias}.*"));
        let returning = self.returning.then_some(&self.query);
        answer_watched(&mut renderer, &self.entity, &self.watched(), returning, "null::bigint");
        renderer.sql
    }

    /// Sets the vector that the caller brought for `field` once more, in the rows where the database emptied it
    /// because only their text was another; none if the caller brought none. `body` is a JSON array of their ids.
    #[must_use]
    pub fn render_again(&self, field: &str, ids: &[&str]) -> Option<Sql> {
        self.patch.get(field).filter(|vector| !vector.is_null())?;
        let columns = body::columns(&self.entity, |name| name == field);
        let patch = Value::Object(self.patch.clone()).to_string();
        let mut sql = again(&self.entity, field);
        sql.raw("json_to_record(").param(Some(patch)).raw("::json)").raw(&body::record(&columns));
        sql.raw(" where t.id = any (").param(Some(value::array_literal(ids.iter().copied())));
        sql.raw("::uuid[])").target_ends("t").writing().raw(SET_AGAIN);
        Some(sql)
    }

    /// Calls `visit` with each lookup of sealed values in its filters.
    pub fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        self.query.each_lookup(visit);
    }

    /// The query whose `select` says what comes back, if rows do.
    pub fn returning_mut(&mut self) -> Option<&mut Query> {
        self.returning.then_some(&mut self.query)
    }

    /// The rows asked back, as they are now; none if they were not asked for.
    #[must_use]
    pub fn render_returned(&self, ids: &[&str]) -> Option<Sql> {
        self.returning.then(|| returned_now(&self.query, ids))
    }

    fn renderer(&self) -> Renderer {
        Renderer::tagged(self.query.tag.as_deref())
    }

    /// What the entity is.
    #[must_use]
    pub fn of(&self) -> &Entity {
        &self.entity
    }

    /// Whether it writes sealed fields, be it to empty them.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.entity.sealed_fields().any(|(field, _)| self.patch.contains_key(&*field.name))
    }

    /// The new values, to take those that are to be sealed from; what is null stays.
    pub fn patch_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.patch
    }

    /// The rows that it will change, locked: `body` is a JSON array of objects with `id` and the references by which it is
    /// said whose the sealed fields are.
    #[must_use]
    pub fn render_targets(&self, most: usize) -> Sql {
        self.render_found(most, [], true)
    }

    /// The same, not locked, with the blobs that are theirs, before it is known whether they can be changed.
    #[must_use]
    pub fn render_blobs(&self, most: usize) -> Sql {
        self.render_found(most, self.entity.personal_blobs().map(|(field, _)| field), false)
    }

    fn render_found<'a>(
        &self,
        most: usize,
        besides: impl IntoIterator<Item = &'a Field>,
        is_locked: bool,
    ) -> Sql {
        let mut renderer = self.renderer();
        let alias = renderer.alias();
        renderer.sql.raw("select coalesce(json_agg(r.*), '[]')::text as body from (select ");
        renderer.sql.raw(&super::sealed::standing_columns(&self.entity, &alias));
        for field in besides {
            renderer.sql.raw(", ").raw(&alias).raw(".").ident(&field.name);
        }
        renderer.sql.raw(" from ");
        renderer.target(&self.query.level, &alias);
        let scope = Scope { level: &self.query.level, alias: &alias, measured: false };
        renderer.filters(scope, None, false);
        renderer.sql.target_ends(&alias).raw(" order by ").raw(&alias).raw(".id limit ");
        renderer.sql.param(Some(most.to_string()));
        if is_locked {
            renderer.sql.raw(" for no key update of ").raw(&alias);
        }
        renderer.sql.raw(") r");
        renderer.sql
    }

    /// The new values.
    #[must_use]
    pub fn patch(&self) -> &Map<String, Value> {
        &self.patch
    }

    /// Gives each row of [`Update::render_targets`] what is sealed for it: objects with `id` and these columns, sealed fields
    /// and their blind indexes. No other row is changed.
    pub fn seal(&mut self, columns: Vec<String>, rows: Vec<Map<String, Value>>) {
        self.sealed = Some(Sealed { columns, rows });
    }

    fn write(&self, renderer: &mut Renderer, returning: &dyn Fn(&str) -> String) {
        let columns = body::columns(&self.entity, |name| self.patch.contains_key(name));
        let mut sets: Vec<String> =
            columns.iter().map(|(name, _)| format!("{0} = r.{0}", ident(name))).collect();
        let sealed = self.sealed.as_ref().map(|Sealed { columns, rows }| {
            let has = |name: &str| name == "id" || columns.iter().any(|known| known == name);
            (body::columns(&self.entity, has), Value::from(rows.clone()).to_string())
        });
        if let Some((columns, _)) = &sealed {
            let own = columns.iter().filter(|(name, _)| name != "id");
            sets.extend(own.map(|(name, _)| format!("{0} = s.{0}", ident(name))));
        }
        let alias = renderer.alias();
        renderer.sql.raw("with written as (update ");
        renderer.target(&self.query.level, &alias);
        renderer.sql.raw(&format!(" set {} from json_to_record(", sets.join(", ")));
        renderer.sql.param(Some(Value::Object(self.patch.clone()).to_string())).raw("::json)");
        renderer.sql.raw(&body::record_or_one(&columns));
        if let Some((columns, rows)) = &sealed {
            renderer.sql.raw(", json_to_recordset(").param(Some(rows.clone())).raw("::json)");
            renderer.sql.raw(&body::record(columns).replacen(" as r(", " as s(", 1));
        }
        renderer.filters(
            Scope { level: &self.query.level, alias: &alias, measured: false },
            None,
            false,
        );
        if sealed.is_some() {
            // There is a filter before it: without one an update is refused.
            renderer.sql.raw(&format!(" and {alias}.id = s.id"));
        }
        renderer.sql.target_ends(&alias).writing().raw(&returning(&alias));
    }
}

impl Delete {
    /// The entity's name.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.query.level.entity
    }

    /// The fields that a value may have been for which the database refused so.
    #[must_use]
    pub fn suspects(&self, model: &Model, code: Code) -> Vec<String> {
        self.query.suspects(model, code)
    }

    /// Calls `visit` with each lookup of sealed values in its filters.
    pub fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        self.query.each_lookup(visit);
    }

    /// The query whose `select` says what comes back, if rows do.
    pub fn returning_mut(&mut self) -> Option<&mut Query> {
        self.returning.then_some(&mut self.query)
    }

    /// The statement.
    #[must_use]
    pub fn render(&self) -> Sql {
        let mut renderer = Renderer::tagged(self.query.tag.as_deref());
        let returning = self.returning.then_some(&self.query);
        let alias = renderer.alias();
        renderer.sql.raw("with written as (delete from ");
        renderer.target(&self.query.level, &alias);
        renderer.filters(
            Scope { level: &self.query.level, alias: &alias, measured: false },
            None,
            false,
        );
        renderer.sql.target_ends(&alias).writing().raw(&returned(returning, &alias));
        answer(&mut renderer, returning, "null::bigint");
        renderer.sql
    }
}
