//! Reading a whole table page by page, vectors included.

use crate::{
    Model, Refusal, Sql,
    query::{
        check,
        level::Level,
        not_built,
        render::{Renderer, Scope},
    },
};

/// One page of all rows in the order of their ids, from behind `after`: one row of `body text` (JSON lines, each
/// ending in a newline), `rows bigint`, and `last text`, the last row's id, null if there is none. Sealed values are marked
/// with `tag` as [`Query::tagged`](crate::query::Query::tagged) says, and null without one.
///
/// # Errors
/// `NoSuchEntity`, and `NotBuilt` for a read model.
pub fn dump(
    model: &Model,
    entity: &str,
    after: Option<&str>,
    limit: u32,
    tag: Option<&str>,
) -> Result<Sql, Refusal> {
    if model.read(entity).is_some() {
        return Err(not_built("export of a read model").hint("export the entities it is made from"));
    }
    let entity = check::entity(model, entity)?;
    let level = Level::new(entity);
    let mut renderer = Renderer::tagged(tag);
    renderer.sql.raw("select coalesce(string_agg(row_to_json(r.*)::text || E'\\n', '' order by r.id), '') as body, ");
    renderer.sql.raw(
        "count(*) as rows, (array_agg(r.id order by r.id desc))[1]::text as last from (select t.id",
    );
    for field in &entity.fields {
        renderer.sql.raw(", ");
        renderer.dumped(&level, entity, field, "t");
        renderer.sql.raw(" as ").ident(&field.name);
    }
    renderer.sql.raw(" from app.").ident(&entity.name).raw(" t");
    renderer.filters(Scope { level: &level, alias: "t", measured: false }, None, false);
    let mut sql = renderer.sql;
    if let Some(after) = after {
        sql.raw(if level.cuts.iter().any(|cut| cut.deletes()) { " and" } else { " where" });
        sql.raw(" t.id > ").param(Some(after.to_owned()));
    }
    sql.raw(" order by t.id limit ").param(Some(limit.to_string())).raw(") r");
    Ok(sql)
}
