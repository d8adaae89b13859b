//! Bodies of writes: JSON as its fields keep it; CSV and forms, as the JSON that says the same.

use freehold_model::mutate;
use serde_json::{Map, Value};

use crate::{
    Engine,
    error::{Code, Refusal},
};

mod quoting;

/// The word that stands for null in a cell, as in PostgREST; an empty cell is an empty text.
const NULL: &str = "NULL";

impl Engine {
    /// The row or rows of JSON, for an insert or update of `entity`, with all digits that its fields keep.
    ///
    /// # Errors
    /// `Body` if it is not JSON; `NoSuchEntity`; `InvalidValue` for a number inside a `jsonb` field that would be stored
    /// as another one.
    pub fn rows_of_json(&self, entity: &str, body: &str) -> Result<Value, Refusal> {
        mutate::of_json(&self.snapshot().model, entity, body)
    }

    /// The rows of CSV whose first line names fields, for an insert or update of `entity`.
    ///
    /// # Errors
    /// `Body` if it cannot be read or a line has more or fewer cells than the first; `NoSuchEntity`;
    /// `InvalidValue`.
    pub fn rows_of_csv(&self, entity: &str, body: &str) -> Result<Value, Refusal> {
        quoting::check(body)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body.as_bytes());
        let titles: Vec<String> = match reader.headers() {
            Ok(titles) => {
                titles.iter().map(|title| title.trim_start_matches('\u{feff}').to_owned()).collect()
            }
            Err(error) => return Err(unreadable(&error)),
        };
        if titles.is_empty() {
            return Err(Refusal::new(Code::Body, "the body is empty")
                .hint("the first line of CSV names the fields"));
        }
        if let Some(twice) =
            titles.iter().enumerate().find(|(at, title)| titles[..*at].contains(title))
        {
            return Err(Refusal::new(Code::Body, "two columns of the CSV have the same name")
                .detail(twice.1.clone()));
        }
        let most = self.limits().body_rows_max;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(&error))?;
            if record.len() != titles.len() {
                let line = record.position().map_or(0, csv::Position::line);
                return Err(Refusal::new(Code::Body, "All lines must have same number of fields")
                    .detail(format!(
                        "line {line} has {}, the first line {}",
                        record.len(),
                        titles.len()
                    )));
            }
            if rows.len() == most {
                return Err(Refusal::new(Code::Limit, "the body has too many rows")
                    .detail(format!("at most {most}"))
                    .hint("send them in several requests, or import them"));
            }
            rows.push(row(&titles, &record));
        }
        let rows = mutate::of_texts(&self.snapshot().model, entity, rows)?;
        Ok(rows.into())
    }

    /// The row that a form, percent-encoded, says.
    ///
    /// # Errors
    /// As [`Engine::rows_of_csv`].
    pub fn row_of_form(&self, entity: &str, body: &str) -> Result<Value, Refusal> {
        let row = mutate::form_row(body)?;
        let mut rows = mutate::of_texts(&self.snapshot().model, entity, vec![row])?;
        Ok(rows.pop().unwrap_or_default().into())
    }
}

fn row(titles: &[String], record: &csv::StringRecord) -> Map<String, Value> {
    let value =
        |cell: &str| if cell == NULL { Value::Null } else { Value::String(cell.to_owned()) };
    titles.iter().zip(record).map(|(title, cell)| (title.clone(), value(cell))).collect()
}

fn unreadable(error: &csv::Error) -> Refusal {
    Refusal::new(Code::Body, "the body is not CSV").detail(error.to_string())
}
