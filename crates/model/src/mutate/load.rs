//! Bulk loading: columns as arrays, one statement for any number of rows.

use super::insert::{OnConflict, Resolution, conflict_fields, on_conflict};
use crate::{
    Model, Refusal, Sql,
    entity::{Kind, Scalar, VectorForm},
    query::check,
    sql::ident,
};

/// What the elements of a column's array are, for callers that send it in binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `text`; also what array columns are sent as, each element the text form of an array.
    Text,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `numeric`
    Numeric,
    /// `double precision`
    Double,
    /// `boolean`
    Boolean,
    /// `uuid`
    Uuid,
    /// `timestamptz`
    TimestampTz,
    /// `date`
    Date,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// pgvector's `vector`
    Vector,
    /// pgvector's `halfvec`
    Halfvec,
    /// pgvector's `sparsevec`
    Sparsevec,
    /// `varbit`
    Bits,
}

/// A column to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadColumn {
    /// Its name.
    pub name: String,
    /// What the array's elements are.
    pub element: ColumnType,
}

/// A bulk load. Its statement yields `rows bigint` and, if ids were asked for, `ids text`: an array in text form, in
/// the order of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    sql: Sql,
    columns: Vec<LoadColumn>,
}

/// Checks a load of `columns` into `entity`; with `on_conflict` rows that are there already are merged or ignored,
/// by `id` or the fields of a unique key.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`, or `Syntax` if the conflict fields are not a unique key.
pub fn load(
    model: &Model,
    entity: &str,
    columns: &[&str],
    conflict: Option<(Option<Vec<String>>, Resolution)>,
    ids: bool,
) -> Result<Load, Refusal> {
    let entity = check::entity(model, entity)?;
    let kinds: Vec<Kind> =
        columns.iter().map(|name| check::kind(entity, name)).collect::<Result<_, _>>()?;
    let elements: Vec<ColumnType> = kinds.iter().map(element).collect();
    let numbered = || columns.iter().zip(&kinds).zip(&elements).enumerate();
    let names: Vec<String> = columns.iter().map(|name| ident(name)).collect();
    let values: Vec<String> =
        numbered().map(|(at, ((_, kind), _))| format!("r.c{at}{}", cast(kind))).collect();
    let arrays: Vec<String> = numbered()
        .map(|(at, (_, element))| format!("${}::{}[]", at + 1, element.sql_type()))
        .collect();
    let aliases: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let mut sql = Sql::new();
    sql.raw("with written as (insert into app.").ident(&entity.name).raw(" as t0 (");
    sql.raw(&names.join(", ")).raw(") select ").raw(&values.join(", "));
    sql.raw(&format!(" from unnest({}) as r({})", arrays.join(", "), aliases.join(", ")));
    if let Some((fields, resolution)) = conflict {
        let conflict = OnConflict { fields: conflict_fields(entity, fields)?, resolution };
        let written: Vec<(String, String)> =
            columns.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        sql.raw(&on_conflict(entity, &conflict, &written, "t0"));
    }
    sql.raw(" returning t0.id) select count(*) as rows");
    sql.raw(if ids {
        ", coalesce(array_agg(id), '{}')::text as ids from written"
    } else {
        " from written"
    });
    let columns = columns.iter().zip(elements);
    let columns =
        columns.map(|(name, element)| LoadColumn { name: (*name).to_owned(), element }).collect();
    Ok(Load { sql, columns })
}

impl Load {
    /// The statement without parameters: one array for each of [`Load::columns`], in their order.
    #[must_use]
    pub fn text(&self) -> &str {
        self.sql.text()
    }

    /// What to send.
    #[must_use]
    pub fn columns(&self) -> &[LoadColumn] {
        &self.columns
    }

    /// The statement with its arrays in text form.
    #[must_use]
    pub fn bind(&self, arrays: Vec<String>) -> Sql {
        self.sql.with_params(arrays.into_iter().map(Some).collect())
    }
}

impl ColumnType {
    /// PostgreSQL's name of the type, qualified where it is not PostgreSQL's own.
    #[must_use]
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Numeric => "numeric",
            Self::Double => "double precision",
            Self::Boolean => "boolean",
            Self::Uuid => "uuid",
            Self::TimestampTz => "timestamptz",
            Self::Date => "date",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
            Self::Vector => "freehold_ext.vector",
            Self::Halfvec => "freehold_ext.halfvec",
            Self::Sparsevec => "freehold_ext.sparsevec",
            Self::Bits => "varbit",
        }
    }
}

fn element(kind: &Kind) -> ColumnType {
    match kind {
        Kind::Enum(_) | Kind::Array(_) | Kind::Scalar(Scalar::Text) => ColumnType::Text,
        Kind::Ref(_) | Kind::Scalar(Scalar::Uuid) => ColumnType::Uuid,
        Kind::Scalar(Scalar::SmallInt) => ColumnType::SmallInt,
        Kind::Scalar(Scalar::Integer) => ColumnType::Integer,
        Kind::Scalar(Scalar::BigInt) => ColumnType::BigInt,
        Kind::Scalar(Scalar::Numeric(_)) => ColumnType::Numeric,
        Kind::Scalar(Scalar::Double) => ColumnType::Double,
        Kind::Scalar(Scalar::Boolean) => ColumnType::Boolean,
        Kind::Scalar(Scalar::TimestampTz) => ColumnType::TimestampTz,
        Kind::Scalar(Scalar::Date) => ColumnType::Date,
        Kind::Scalar(Scalar::Jsonb) => ColumnType::Jsonb,
        Kind::Scalar(Scalar::Bytea) => ColumnType::Bytea,
        Kind::Vector(vector) => match vector.form {
            VectorForm::Vector => ColumnType::Vector,
            VectorForm::Halfvec => ColumnType::Halfvec,
            VectorForm::Sparsevec => ColumnType::Sparsevec,
            VectorForm::Bit => ColumnType::Bits,
        },
    }
}

/// An array of arrays cannot be taken apart into arrays, so those come as text.
fn cast(kind: &Kind) -> String {
    match kind {
        Kind::Array(_) => format!("::{}", kind.sql_type()),
        _ => String::new(),
    }
}
