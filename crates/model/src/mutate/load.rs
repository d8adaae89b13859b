//! Bulk loading: columns as arrays, one statement for any number of rows.

use super::{
    conflict::on_conflict,
    insert::{OnConflict, Resolution, conflict_fields},
    row,
};
use crate::{
    Model, Refusal, Sql,
    entity::{Kind, VectorForm},
    query::check,
    sql::ident,
};

/// What a column's array is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `text[]`, each element in the text form of the column's type.
    Text,
    /// pgvector's `vector[]`
    Vector,
    /// pgvector's `halfvec[]`
    Halfvec,
}

/// A bulk load: an insert whose parameters are one array for each column, and whose number of rows touched is the
/// number of rows loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    sql: Sql,
    columns: Vec<ColumnType>,
}

/// Checks a load of `columns` into `entity`, where `author.handle` is the reference `author` by a unique field of its
/// row; with `conflict` rows that are there already are merged or ignored, by `id` or the fields of a unique key.
///
/// # Errors
/// `NoSuchEntity`, `NoSuchField`, or `Syntax` if the conflict fields are not a unique key.
pub fn load(
    model: &Model,
    entity: &str,
    columns: &[&str],
    conflict: Option<(Option<Vec<String>>, Resolution)>,
) -> Result<Load, Refusal> {
    let entity = check::written(model, entity)?;
    let found: Vec<row::Column<'_>> = columns
        .iter()
        .map(|name| row::column_written(model, entity, name))
        .collect::<Result<_, _>>()?;
    let columns: Vec<ColumnType> =
        found.iter().map(|column| ColumnType::of(&column.kind())).collect();
    let written: Vec<String> = found.iter().map(|column| column.written().to_owned()).collect();
    let names: Vec<String> = written.iter().map(|name| ident(name)).collect();
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("${}::{}[]", at + 1, column.sql_type()))
        .collect();
    let aliases: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let mut sql = Sql::new();
    sql.writing().raw("insert into app.").ident(&entity.name).raw(" as t0 (");
    sql.raw(&names.join(", ")).raw(") select ");
    for (at, column) in found.iter().enumerate() {
        sql.raw(if at == 0 { "" } else { ", " });
        value(&mut sql, at, column);
    }
    sql.raw(&format!(" from unnest({}) as r({})", arrays.join(", "), aliases.join(", ")));
    if let Some((fields, resolution)) = conflict {
        let conflict = OnConflict { fields: conflict_fields(entity, fields)?, resolution };
        let written: Vec<(String, String)> =
            written.iter().map(|name| (name.clone(), String::new())).collect();
        sql.raw(&on_conflict(entity, &conflict, &written, "t0"));
    }
    Ok(Load { sql, columns })
}

impl Load {
    /// The statement; its parameters are the arrays.
    #[must_use]
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// What to send, in order.
    #[must_use]
    pub fn columns(&self) -> &[ColumnType] {
        &self.columns
    }
}

impl ColumnType {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Vector(vector) if vector.form == VectorForm::Vector => Self::Vector,
            Kind::Vector(vector) if vector.form == VectorForm::Halfvec => Self::Halfvec,
            _ => Self::Text,
        }
    }

    fn sql_type(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Vector => "freehold_ext.vector",
            Self::Halfvec => "freehold_ext.halfvec",
        }
    }
}

/// Appends the value to write of the array `r.c{at}`. A key that finds no row becomes the nil UUID, which no row has, so that
/// the reference fails instead of being empty.
fn value(sql: &mut Sql, at: usize, column: &row::Column<'_>) {
    let kind = column.kind();
    if let row::Column::Sealed { .. } = column {
        sql.raw(&format!("r.c{at}::bytea"));
        return;
    }
    let given = match ColumnType::of(&kind) {
        ColumnType::Text if kind.sql_type() != "text" => format!("r.c{at}::{}", kind.sql_type()),
        _ => format!("r.c{at}"),
    };
    match column {
        row::Column::Field(_) | row::Column::Sealed { .. } => sql.raw(&given),
        row::Column::Lookup { target, key, .. } => sql
            .raw(&format!("case when r.c{at} is not null then coalesce((select k.id from "))
            .table(&target.name)
            .raw(" k where k.")
            .ident(&key.name)
            .raw(&format!(" = {given}), '00000000-0000-0000-0000-000000000000'::uuid) end")),
    };
}
