//! Rows on their way: checked against the entity, and turned into columns for one statement.

use std::collections::BTreeMap;

use freehold_model::{
    Model, Name,
    entity::{Entity, Field, Kind},
    mutate::{self, ColumnType},
};
use freehold_store::Column;
use half::f16;
use serde_json::{Map, Value};

use super::source::SourceRow;
use crate::error::{Code, Refusal};

/// Rows that travel together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// Bytes of the file they took.
    pub(super) bytes: usize,
}

/// One row.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) line: u64,
    /// Its number in the file, from 1.
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) values: Map<String, Value>,
    pub(super) vectors: BTreeMap<String, Vec<f32>>,
    /// Why it cannot be loaded, if that is known already.
    pub(super) bad: Option<Refusal>,
    /// Bytes of the file it took.
    pub(super) bytes: usize,
    /// Digest of the file's rows up to and with this one.
    pub(super) digest: u64,
}

/// What rows of an entity must look like.
pub(super) struct Shape {
    model: Model,
    entity: Entity,
    /// Field whose vectors come from a file.
    vectors: Option<Name>,
}

impl Shape {
    pub(super) fn new(
        model: &Model,
        entity: &Entity,
        vectors: Option<&str>,
    ) -> Result<Self, Refusal> {
        let vectors = match vectors {
            None => None,
            Some(name) => match entity.field(name) {
                Some(Field { name, kind: Kind::Vector(_), .. }) => Some(name.clone()),
                _ => {
                    return Err(Refusal::new(
                        Code::NoSuchField,
                        format!("{} has no vector field {name}", entity.name),
                    ));
                }
            },
        };
        Ok(Self { model: model.clone(), entity: entity.clone(), vectors })
    }

    pub(super) fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Checks a row; what is wrong with it stays with it until its turn comes.
    pub(super) fn row(&self, source: SourceRow, vector: Option<Vec<f32>>) -> Row {
        let SourceRow { line, number, bytes, digest, text, values } = source;
        let mut row = Row {
            line,
            number,
            text,
            values: Map::new(),
            vectors: BTreeMap::new(),
            bad: None,
            bytes,
            digest,
        };
        match values.and_then(|values| mutate::check_row(&self.model, &self.entity, values)) {
            Ok(values) => {
                row.bad = self.incomplete(&values);
                row.values = values;
            }
            Err(refusal) => row.bad = Some(refusal),
        }
        if let (Some(field), Some(vector)) = (&self.vectors, vector) {
            if row.values.contains_key(field.as_str()) {
                row.bad = Some(Refusal::new(
                    Code::Import,
                    format!("{field} is in the row and in the vector file"),
                ));
            } else if vector.iter().any(|x| !x.is_finite()) {
                row.bad = Some(Refusal::new(
                    Code::Vector,
                    format!("{field} has a value that is not finite"),
                ));
            }
            row.vectors.insert(field.to_string(), vector);
        }
        row
    }

    fn incomplete(&self, values: &Map<String, Value>) -> Option<Refusal> {
        let given: Vec<&str> =
            values.keys().map(String::as_str).chain(self.vectors.as_deref()).collect();
        let missing: Vec<&str> =
            mutate::missing(&self.entity, &given).into_iter().map(Name::as_str).collect();
        let what = match missing.len() {
            0 => return None,
            1 => "is required",
            _ => "are required",
        };
        Some(Refusal::new(
            Code::Required,
            format!("{} of {} {what}", missing.join(", "), self.entity.name),
        ))
    }
}

impl Batch {
    pub(super) fn push(&mut self, row: Row) {
        self.bytes += row.bytes;
        self.rows.push(row);
    }

    /// Texts to embed for `field`, with the places of their rows.
    pub(super) fn texts(
        &self,
        field: &str,
        text: impl Fn(&Map<String, Value>) -> Option<String>,
    ) -> (Vec<usize>, Vec<String>) {
        self.rows
            .iter()
            .enumerate()
            .filter(|(_, row)| {
                row.bad.is_none()
                    && !row.vectors.contains_key(field)
                    && !row.values.contains_key(field)
            })
            .filter_map(|(place, row)| Some((place, text(&row.values)?)))
            .unzip()
    }

    pub(super) fn put_vectors(&mut self, field: &str, places: &[usize], vectors: Vec<Vec<f32>>) {
        for (place, vector) in places.iter().zip(vectors) {
            self.rows[*place].vectors.insert(field.to_owned(), vector);
        }
    }
}

/// The rows with the same fields together: a field that a row does not have keeps its default.
pub(super) fn groups<'a>(entity: &Entity, rows: &'a [Row]) -> BTreeMap<Vec<String>, Vec<&'a Row>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(columns(entity, row)).or_default().push(row);
    }
    groups
}

/// A column of these rows, as it is sent.
pub(super) fn array(entity: &Entity, column: &str, sent: ColumnType, rows: &[&Row]) -> Column {
    match sent {
        ColumnType::Text => {
            let text = |row: &&Row| {
                row.values.get(column).and_then(|value| mutate::value_text(entity, column, value))
            };
            Column::Text(rows.iter().map(text).collect())
        }
        ColumnType::Vector => Column::Vector(rows.iter().map(|row| dense(row, column)).collect()),
        ColumnType::Halfvec => {
            let bits = |vector: Vec<f32>| {
                vector.into_iter().map(|number| f16::from_f32(number).to_bits()).collect()
            };
            Column::Halfvec(rows.iter().map(|row| dense(row, column).map(bits)).collect())
        }
    }
}

/// A row's vector, from the raw file, the embedder, or the row itself, where it is an array or pgvector's text.
fn dense(row: &Row, column: &str) -> Option<Vec<f32>> {
    let numbers = |values: &[Value]| {
        values.iter().map(|value| value.as_f64().map(|number| number as f32)).collect()
    };
    match (row.vectors.get(column), row.values.get(column)) {
        (Some(vector), _) => Some(vector.clone()),
        (None, Some(Value::Array(values))) => numbers(values),
        (None, Some(Value::String(text))) => {
            serde_json::from_str::<Vec<Value>>(text).ok().and_then(|values| numbers(&values))
        }
        _ => None,
    }
}

/// The fields a row gives. Optional ones without default are given too, as null, so that rows rarely differ.
fn columns(entity: &Entity, row: &Row) -> Vec<String> {
    let mut columns: Vec<String> = row.values.keys().cloned().collect();
    columns.extend(row.vectors.keys().cloned());
    let named = |field: &Field| {
        columns.iter().any(|column| {
            column.split_once('.').map_or(column.as_str(), |(field, _)| field) == &*field.name
        })
    };
    let absent = entity
        .fields
        .iter()
        .filter(|field| field.optional && field.default.is_none() && !named(field));
    let absent: Vec<String> = absent.map(|field| field.name.to_string()).collect();
    columns.extend(absent);
    columns.sort();
    columns
}
