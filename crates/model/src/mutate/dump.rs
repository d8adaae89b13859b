//! Reading a whole table page by page, vectors included.

use crate::{
    Model, Refusal, Sql,
    entity::{Kind, VectorForm},
    query::{check, not_built},
};

/// One page of all rows in the order of their ids, from behind `after`: one row of `body text` (JSON lines, each
/// ending in a newline), `rows bigint`, and `last text`, the last row's id, null if there is none.
///
/// # Errors
/// `NoSuchEntity`, and `NotBuilt` for a read model.
pub fn dump(model: &Model, entity: &str, after: Option<&str>, limit: u32) -> Result<Sql, Refusal> {
    if model.read(entity).is_some() {
        return Err(not_built("export of a read model").hint("export the entities it is made from"));
    }
    let entity = check::entity(model, entity)?;
    let mut sql = Sql::new();
    sql.raw("select coalesce(string_agg(row_to_json(r.*)::text || E'\\n', '' order by r.id), '') as body, ");
    sql.raw(
        "count(*) as rows, (array_agg(r.id order by r.id desc))[1]::text as last from (select t.id",
    );
    for field in &entity.fields {
        sql.raw(", t.").ident(&field.name);
        if let Kind::Vector(vector) = &field.kind
            && matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec)
        {
            sql.raw("::text::json as ").ident(&field.name);
        }
    }
    sql.raw(" from app.").ident(&entity.name).raw(" t");
    if let Some(after) = after {
        sql.raw(" where t.id > ").param(Some(after.to_owned()));
    }
    sql.raw(" order by t.id limit ").param(Some(limit.to_string())).raw(") r");
    Ok(sql)
}
