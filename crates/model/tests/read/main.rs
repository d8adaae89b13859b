//! Read models: which SQL is accepted and what follows from it, and that this is so on a real PostgreSQL.

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
    pub(crate) sql: String,
}

pub(crate) enum Part {
    Title(String),
    Form(Form),
}

/// `forms.sql`: titles, and forms each of which begins with a line `-- key: a, b`.
pub(crate) fn parts() -> Vec<Part> {
    let mut parts = Vec::new();
    for line in include_str!("forms.sql").lines() {
        if let Some(key) = line.strip_prefix("-- key: ") {
            parts.push(Part::Form(Form { key: key.to_owned(), sql: String::new() }));
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
    let key: Vec<String> = form.key.split(", ").map(|column| format!("\"{column}\"")).collect();
    format!("{BASE}\n[read.view]\nkey = [{}]\nsql = '''\n{}'''\n", key.join(", "), form.sql)
}

pub(crate) fn view(model: &Model) -> &ReadModel {
    model.read("view").expect("the form is a read model")
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read"))
}
