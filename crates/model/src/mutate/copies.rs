//! Copies of sealed vectors, in which these are searched: putting vectors there, and finding rows that lack one.
//!
//! A row's copy is put there only where the sealed vector is still the one that it was made with, told by the sealed value's
//! last bytes, which authenticate it.

use crate::{
    Name, Sql,
    ddl::{copy::COLUMN, copy_name},
    entity::{Entity, Field, VectorForm, Whose},
    query::value,
    sql::ident,
};

/// Bytes at the end of a sealed value by which it is told.
const MARK: usize = 16;

/// A vector for the copy of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The vector field.
    pub field: Name,
    /// The row's id.
    pub id: String,
    /// By what the sealed vector is told: [`Copied::mark_of`] it.
    pub mark: String,
    /// The vector as JSON; none if nobody can open it any more, so that it is found by nobody.
    pub vector: Option<String>,
}

impl Copied {
    /// By what a sealed value is told, from its hexadecimal digits.
    #[must_use]
    pub fn mark_of(digits: &str) -> String {
        digits[digits.len().saturating_sub(2 * MARK)..].to_owned()
    }
}

/// Puts these vectors into the copy of `field`; rows that have one keep it. With `locked`, of rows that others may be changing.
/// `rows` of the answer counts those put.
#[must_use]
pub fn put_copies(entity: &Entity, field: &Field, rows: &[&Copied], locked: bool) -> Sql {
    let array = match field.copied().map(|vector| vector.form) {
        Some(VectorForm::Halfvec) => "freehold_ext.halfvec[]",
        _ => "freehold_ext.vector[]",
    };
    let vectors: Vec<String> = rows
        .iter()
        .map(|row| row.vector.as_ref().map_or_else(|| "NULL".into(), |text| format!("\"{text}\"")))
        .collect();
    let column = format!("t.{}", ident(&field.name));
    let mut sql = Sql::new();
    sql.raw("with found as (select t.tenant_id, t.id, r.v from ").target(&entity.name);
    sql.raw(" t join unnest(");
    sql.param(Some(value::array_literal(rows.iter().map(|row| &*row.id)))).raw("::uuid[], ");
    sql.param(Some(value::array_literal(rows.iter().map(|row| &*row.mark)))).raw("::text[], ");
    sql.param(Some(format!("{{{}}}", vectors.join(",")))).raw("::").raw(array);
    sql.raw(&format!(
        ") r(id, mark, v) on t.id = r.id and encode(substring({column} from octet_length({column}) - {}), 'hex') = r.mark",
        MARK - 1
    ));
    sql.target_ends("t").writing().raw(if locked { " for share of t" } else { "" });
    sql.raw("), put as (insert into app.").ident(&copy_name(&entity.name, &field.name));
    sql.raw(&format!(
        " (tenant_id, id, {COLUMN}) select tenant_id, id, v from found on conflict do nothing returning 1)"
    ));
    sql.raw(" select '[]'::text as body, count(*) as rows from put");
    sql
}

/// Rows whose sealed vector has no copy, in the order of their ids from behind `after`: `body` is a JSON array of objects with
/// `id`, `owner` and the hexadecimal digits of the vector as `sealed`.
#[must_use]
pub fn uncopied(entity: &Entity, field: &Field, after: Option<&str>, limit: u32) -> Sql {
    let owner = match field.sealed().map(|personal| &personal.whose) {
        Some(Whose::Itself) => "t.id".to_owned(),
        Some(Whose::Of(reference)) => format!("t.{}", ident(reference)),
        _ => "null".to_owned(),
    };
    let column = ident(&field.name);
    let mut sql = Sql::new();
    sql.raw("select coalesce(json_agg(r.*), '[]')::text as body from (select t.id, ");
    sql.raw(&format!("{owner} as owner, encode(t.{column}, 'hex') as sealed from "));
    sql.table(&entity.name).raw(&format!(" t where t.{column} is not null"));
    sql.raw(" and not exists (select from ").table(&copy_name(&entity.name, &field.name));
    sql.raw(" c where c.tenant_id = t.tenant_id and c.id = t.id)");
    if let Some(after) = after {
        sql.raw(" and t.id > ").param(Some(after.to_owned())).raw("::uuid");
    }
    sql.raw(" order by t.id limit ").param(Some(limit.to_string())).raw(") r");
    sql
}

/// `, copied as (…)` behind a CTE `written` of `tenant_id`, `id` and the vector as `plain`.
pub(super) fn put_made(sql: &mut Sql, entity: &str, field: &str) {
    sql.raw(", copied as (insert into app.").ident(&copy_name(entity, field));
    sql.raw(&format!(
        " (tenant_id, id, {COLUMN}) select tenant_id, id, plain from written on conflict do nothing)"
    ));
}
