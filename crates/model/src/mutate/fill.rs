//! Vectors made from text: finding the rows that lack one, and filling them.
//!
//! Between reading a row's texts and storing their vector the texts may change. Each row is therefore read with a
//! stamp of its texts, and a vector whose stamp is not the row's any more is not stored: the row stays due.

use crate::{
    Code, Model, Refusal, Sql,
    entity::{Entity, Field, Kind, Vector, VectorForm},
    query::{check, render::Renderer, value, vector_text},
    sql::ident,
};

/// A vector for a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filling<'a> {
    /// The row's id.
    pub id: &'a str,
    /// Its vector.
    pub vector: Made<'a>,
    /// The stamp its texts had when they were read (`~stamp` of [`unfilled`]); none if the caller's transaction holds
    /// the row locked since.
    pub stamp: Option<&'a str>,
}

/// A vector as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Made<'a> {
    /// Its numbers.
    Open(&'a [f32]),
    /// It is sealed for its row; the numbers are for its copy, if it has one.
    Sealed(&'a [u8], &'a [f32]),
}

/// Stores vectors in `field`, or in the hidden column that will replace it if `next`. `rows` of the answer counts
/// those stored.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`, or `InvalidValue` for a field that is not made from text.
pub fn fill_vectors(
    model: &Model,
    entity: &str,
    field: &str,
    next: bool,
    rows: &[Filling],
) -> Result<Sql, Refusal> {
    let (entity, vector) = made(model, entity, field)?;
    let sealed = entity.field(field).and_then(Field::sealed).is_some();
    let copied = entity.field(field).and_then(Field::copied).is_some();
    let (array, cast) = match vector.form {
        _ if sealed => ("bytea[]", String::new()),
        VectorForm::Vector | VectorForm::Halfvec => (plain_array(vector), String::new()),
        VectorForm::Sparsevec => ("freehold_ext.sparsevec[]", String::new()),
        // An array of `bit` is one of `bit(1)`.
        VectorForm::Bit => ("varbit[]", format!("::{}", vector.sql_type())),
    };
    let vectors = rows.iter().map(|row| match row.vector {
        Made::Open(numbers) => vector_text(vector.form, numbers),
        Made::Sealed(bytes, _) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}")
        }
    });
    let mut sql = Sql::new();
    sql.raw("with written as (update ").target(&entity.name).raw(" t set ");
    sql.ident(&column(field, next)).raw(&format!(" = r.v{cast} from unnest("));
    sql.param(Some(value::array_literal(rows.iter().map(|row| row.id)))).raw("::uuid[], ");
    sql.param(Some(value::array_literal(vectors))).raw("::").raw(array).raw(", ");
    sql.param(Some(stamps(rows))).raw("::text[]");
    if copied {
        let plain = rows.iter().map(|row| match row.vector {
            Made::Open(numbers) | Made::Sealed(_, numbers) => vector_text(vector.form, numbers),
        });
        sql.raw(", ").param(Some(value::array_literal(plain))).raw("::").raw(plain_array(vector));
    }
    sql.raw(if copied { ") as r(id, v, stamp, plain)" } else { ") as r(id, v, stamp)" });
    sql.raw(" where t.id = r.id and (r.stamp is null or r.stamp = ").raw(&stamp(vector)).raw(")");
    if copied {
        // What somebody else has filled meanwhile has its copy already.
        sql.raw(" and t.").ident(field).raw(" is null");
    }
    sql.target_ends("t").writing();
    if copied {
        sql.raw(" returning t.tenant_id, t.id, r.plain)");
        super::copies::put_made(&mut sql, &entity.name, field);
    } else {
        sql.raw(" returning 1)");
    }
    sql.raw(" select '[]'::text as body, count(*) as rows, null::bigint as inserted from written");
    Ok(sql)
}

/// Rows whose vector is empty and could be made, in the order of their ids from behind `after`: `body` is a JSON
/// array of objects with `id`, `~stamp` and the texts by their fields' names, `rows` how many. What is sealed of it is marked with
/// `tag`; of a vector that is sealed, it is also said whose it is.
///
/// # Errors
/// As [`fill_vectors`].
pub fn unfilled(
    model: &Model,
    entity: &str,
    field: &str,
    next: bool,
    after: Option<&str>,
    (limit, tag): (u32, &str),
) -> Result<Sql, Refusal> {
    let (entity, vector) = made(model, entity, field)?;
    let texts: Vec<String> = vector.of.iter().map(|name| format!("t.{}", ident(name))).collect();
    let texts = texts.join(", ");
    let mut renderer = Renderer::tagged(Some(tag));
    renderer.sql.raw(
        "select coalesce(json_agg(r.*), '[]')::text as body, count(*) as rows from (select t.id, ",
    );
    renderer.sql.raw(&stamp(vector)).raw(" as \"~stamp\"");
    super::sources(&mut renderer, entity, entity.field(field).into_iter(), "t");
    let mut sql = renderer.sql;
    sql.raw(" from ").table(&entity.name);
    sql.raw(" t where t.").ident(&column(field, next));
    sql.raw(&format!(" is null and num_nonnulls({texts}) > 0"));
    if let Some(after) = after {
        sql.raw(" and t.id > ").param(Some(after.to_owned()));
    }
    sql.raw(" order by t.id limit ").param(Some(limit.to_string())).raw(") r");
    Ok(sql)
}

fn plain_array(vector: &Vector) -> &'static str {
    match vector.form {
        VectorForm::Halfvec => "freehold_ext.halfvec[]",
        _ => "freehold_ext.vector[]",
    }
}

fn made<'m>(
    model: &'m Model,
    entity: &str,
    field: &str,
) -> Result<(&'m Entity, &'m Vector), Refusal> {
    let entity = check::written(model, entity)?;
    match entity.field(field).map(|field| &field.kind) {
        Some(Kind::Vector(vector)) if !vector.of.is_empty() => Ok((entity, vector)),
        Some(_) => Err(Refusal::new(
            Code::InvalidValue,
            format!("{field} of {} is not made from text", entity.name),
        )),
        None => Err(check::no_such_field(entity, field)),
    }
}

fn column(field: &str, next: bool) -> String {
    if next { format!("{field}~next") } else { field.to_owned() }
}

/// What a row's texts are now, in short.
fn stamp(vector: &Vector) -> String {
    let texts: Vec<String> = vector.of.iter().map(|name| format!("t.{}", ident(name))).collect();
    format!("encode(sha256(convert_to(row({})::text, 'UTF8')), 'hex')", texts.join(", "))
}

/// Stamps are hex digits and need no quotes, so that a missing one can be the null it is.
fn stamps(rows: &[Filling]) -> String {
    let one = |stamp: &str| value::array_literal([stamp]).trim_matches(['{', '}']).to_owned();
    let stamps: Vec<String> =
        rows.iter().map(|row| row.stamp.map_or_else(|| "NULL".into(), one)).collect();
    format!("{{{}}}", stamps.join(","))
}
