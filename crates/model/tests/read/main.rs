//! Read models: which SQL is accepted and what follows from it, and that this is so on a real PostgreSQL.

mod documented;
mod forms;
mod maintained;
mod postgres;
mod tables;
mod world;

use std::path::PathBuf;

use freehold_model::{Model, ReadModel};

/// The entities that the forms read.
const BASE: &str = include_str!("base.toml");

/// A `select` with its key, as `forms.sql` has it.
pub(crate) struct Form {
    pub(crate) key: String,
    /// More lines of its declaration.
    pub(crate) with: String,
    pub(crate) sql: String,
}

impl Form {
    /// Its declaration in a model file.
    fn declared(&self, name: &str) -> String {
        let key: Vec<String> = self.key.split(", ").map(|column| format!("\"{column}\"")).collect();
        let (with, sql) = (&self.with, &self.sql);
        format!("\n[read.{name}]\nkey = [{}]\n{with}sql = '''\n{sql}'''\n", key.join(", "))
    }
}

pub(crate) enum Part {
    Title(String),
    Form(Form),
}

/// `forms.sql`: titles, and forms each of which begins with a line `-- key: a, b`, and may go on with `-- with: …`.
pub(crate) fn parts() -> Vec<Part> {
    let mut parts = Vec::new();
    for line in include_str!("forms.sql").lines() {
        if let Some(key) = line.strip_prefix("-- key: ") {
            parts.push(Part::Form(Form {
                key: key.to_owned(),
                with: String::new(),
                sql: String::new(),
            }));
        } else if let (Some(with), Some(Part::Form(form))) =
            (line.strip_prefix("-- with: "), parts.last_mut())
        {
            form.with.push_str(with);
            form.with.push('\n');
        } else if let Some(title) = line.strip_prefix("-- ") {
            parts.push(Part::Title(title.to_owned()));
        } else if let Some(Part::Form(form)) = parts.last_mut() {
            form.sql.push_str(line);
            form.sql.push('\n');
        }
    }
    parts
}

/// The model file with the form as its read model, called `view`.
pub(crate) fn file(form: &Form) -> String {
    format!("{BASE}{}", form.declared("view"))
}

pub(crate) fn view(model: &Model) -> &ReadModel {
    model.read("view").expect("the form is a read model")
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read"))
}
