//! Writes to SQL: insert, upsert, update, delete; filling vectors; loading and dumping whole tables.
//!
//! Rows travel as one JSON parameter that PostgreSQL takes apart by the columns' types, so a statement's text
//! depends on which columns are written and never on what is written into them. Each statement of a write yields one
//! row of `body text` (a JSON array of the rows asked back, `[]` if none were), `rows bigint` (how many were written)
//! and `inserted bigint` (how many of an upsert are new, else null).
//!
//! Embeds of returned rows are read as they were before the write, as everything in one statement is.
//! `inserted` compares with what the statement's snapshot saw: a row that another transaction inserted meanwhile,
//! and that this one then updated, counts as new. PostgreSQL before 18 has no better answer without system columns.

mod body;
mod conflict;
mod copies;
mod dump;
mod exact;
mod fill;
mod generalised;
mod insert;
mod load;
mod missing;
mod put;
mod row;
mod sealed;
mod suspects;
mod text;
mod update;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use crate::{
    Code, Model, Name, Refusal, Sql,
    entity::{Entity, Field, Kind, Whose},
    query::{Limits, Query, level::Level, render::Renderer, render::Source, value, written},
    sql::ident,
};

pub use copies::{Copied, put_copies, uncopied};
pub use dump::dump;
pub use exact::{first_rounded, json_body, keep_digits, of_json};
pub use fill::{Filling, Made, fill_vectors, unfilled};
pub use generalised::generalise;
pub use insert::{Insert, OnConflict, Resolution, insert};
pub use load::{ColumnType, Load, load};
pub use put::put;
pub use row::{cell_text, check_row, missing, value_text};
pub use sealed::standing;
pub use text::{form_row, of_text, of_texts};
pub use update::{Delete, Update, delete, update};

/// What a write's query string says beside its filters.
struct Directions {
    query: Query,
    columns: Option<Vec<String>>,
    on_conflict: Option<Vec<String>>,
    /// Whether there is a condition on the written entity's own rows.
    filtered: bool,
}

fn directions(
    model: &Model,
    entity: &str,
    query: &str,
    limits: &Limits,
) -> Result<Directions, Refusal> {
    crate::query::check::written(model, entity)?;
    let mut written = written(query, limits)?;
    let (columns, on_conflict) = (written.columns.take(), written.on_conflict.take());
    if written.limits.iter().chain(&written.offsets).any(|at| at.path.is_empty()) {
        return Err(Refusal::new(Code::Syntax, "a write has no limit or offset")
            .hint("read the rows first and write those with id=in.(…)"));
    }
    let query = Query::checked(model, entity, written, limits)?;
    if query.level.walk().iter().any(|level| level.searches()) {
        return Err(Refusal::new(Code::Syntax, "nearest belongs to reads")
            .hint("read the rows first and write those with id=in.(…)"));
    }
    let filtered =
        !query.level.conds.is_empty() || query.level.embeds.iter().any(|embed| embed.inner);
    Ok(Directions { query, columns, on_conflict, filtered })
}

/// `) select body, rows, inserted from …` after the CTE `written`.
fn answer(renderer: &mut Renderer, returning: Option<&Query>, inserted: &str) {
    renderer.sql.raw(") select ");
    renderer.sql.raw(returning.map_or("'[]'::text", |query| query.shape.body()));
    renderer.sql.raw(" as body, count(*) as rows, ").raw(inserted).raw(" as inserted from ");
    match returning {
        Some(query) => {
            renderer.sql.raw("(");
            renderer.rows(&query.level, Source::Written);
            renderer.sql.raw(") r");
        }
        None => {
            renderer.sql.raw("written");
        }
    }
}

/// The same, and `empty` and `ids` as [`Insert::render_watched`] says.
fn answer_watched(
    renderer: &mut Renderer,
    entity: &Entity,
    watched: &[&Name],
    returning: Option<&Query>,
    inserted: &str,
) {
    let empty: Vec<String> =
        watched.iter().map(|name| format!("w.{} is null", ident(name))).collect();
    let any = if empty.is_empty() { "false".to_owned() } else { empty.join(" or ") };
    renderer.sql.raw(") select ");
    if let Some(query) = returning {
        renderer.sql.raw("(select ").raw(query.shape.body()).raw(" from (");
        renderer.rows(&query.level, Source::Written);
        renderer.sql.raw(") r)");
    } else {
        renderer.sql.raw("'[]'::text");
    }
    renderer.sql.raw(&format!(
        " as body, (select count(*) from written) as rows, {inserted} as inserted, \
         (select coalesce(json_agg(r.*), '[]')::text from (select w.id"
    ));
    let fields = entity.fields.iter().filter(|field| watched.contains(&&field.name));
    sources(renderer, entity, fields, "w");
    renderer.sql.raw(&format!(
        ", json_build_array({}) as \"~empty\" \
         from written w where {any}) r) as empty, (select coalesce(json_agg(w.id), '[]')::text from written w) as ids",
        empty.join(", "),
    ));
}

/// `, w."title", … as "body"`: what vectors are made from, each once, what is sealed of it with its mark; and of vectors that
/// are sealed, whose they are.
fn sources<'f>(
    renderer: &mut Renderer,
    entity: &Entity,
    vectors: impl Iterator<Item = &'f Field>,
    alias: &str,
) {
    let of = vectors.flat_map(|field| {
        let texts = match &field.kind {
            Kind::Vector(vector) => vector.of.iter().collect(),
            _ => Vec::new(),
        };
        let owner = match field.sealed().map(|personal| &personal.whose) {
            Some(Whose::Of(owner)) => Some(owner),
            _ => None,
        };
        texts.into_iter().chain(owner)
    });
    let level = Level::new(entity);
    for name in of.collect::<BTreeSet<_>>() {
        renderer.sql.raw(", ");
        match entity.field(name).filter(|field| field.sealed().is_some()) {
            Some(field) => {
                renderer.dumped(&level, entity, field, alias);
                renderer.sql.raw(" as ").ident(name);
            }
            None => {
                renderer.sql.raw(alias).raw(".").ident(name);
            }
        }
    }
}

/// Whether one of these vectors is made from sealed texts.
fn is_of_sealed(entity: &Entity, vectors: &[&Name]) -> bool {
    let of = entity.fields.iter().filter(|field| vectors.contains(&&field.name));
    of.filter_map(|field| match &field.kind {
        Kind::Vector(vector) => Some(&vector.of),
        _ => None,
    })
    .flatten()
    .any(|name| entity.field(name).and_then(Field::sealed).is_some())
}

/// `with written as (update … t set field = r.field from `, to be followed by `… r(…) where …` and [`SET_AGAIN`].
fn again(entity: &Entity, field: &str) -> Sql {
    let mut sql = Sql::new();
    sql.raw("with written as (update ").target(&entity.name).raw(" t set ").ident(field);
    sql.raw(" = r.").ident(field).raw(" from ");
    sql
}

const SET_AGAIN: &str =
    " returning t.id) select coalesce(json_agg(id), '[]')::text as body from written";

/// The rows `ids` in this order, as `query` asks for them.
fn returned_now(query: &Query, ids: &[&str]) -> Sql {
    let mut renderer = Renderer::tagged(query.tag.as_deref());
    let ids = value::array_literal(ids.iter().copied());
    renderer.sql.raw("with written as (select t.* from unnest(").param(Some(ids));
    renderer.sql.raw("::uuid[]) with ordinality as i(id, n) join ").table(query.entity());
    renderer.sql.raw(" t on t.id = i.id order by i.n");
    answer(&mut renderer, Some(query), "null::bigint");
    renderer.sql
}

fn nothing_watched(renderer: &mut Renderer, returning: Option<&Query>) {
    nothing(renderer, returning);
    renderer.sql.raw(", '[]'::text as empty, '[]'::text as ids");
}

/// The answer of a write that has nothing to do.
fn nothing(renderer: &mut Renderer, returning: Option<&Query>) {
    renderer.sql.raw("select ").raw(returning.map_or("'[]'::text", |query| query.shape.nothing()));
    renderer.sql.raw(" as body, 0::bigint as rows, null::bigint as inserted");
}

/// What `written` returns: whole rows only if they are asked for.
fn returned(returning: Option<&Query>, alias: &str) -> String {
    let columns = if returning.is_some() { "*" } else { "id" };
    format!(" returning {alias}.{columns}")
}
