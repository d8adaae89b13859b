//! Plans as data, and plans run on a real PostgreSQL.

mod golden;
mod indexes;
mod postgres;
mod property;
mod rows;
mod statistics;
mod violations;

use std::{fs, path::PathBuf};

use freehold_model::{Model, declare};

/// The pairs of models under `pairs/`: `NAME.old.toml`, which may be missing, and `NAME.new.toml`.
fn pairs() -> Vec<(String, Model, Model)> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("there are pairs")
        .filter_map(|entry| {
            Some(entry.ok()?.file_name().to_str()?.strip_suffix(".new.toml")?.to_owned())
        })
        .collect();
    names.sort();
    let read = |name: &str, side: &str| {
        fs::read_to_string(folder().join(format!("{name}.{side}.toml"))).ok()
    };
    let model = |text: Option<String>| text.map_or_else(Model::default, |text| model(&text));
    names
        .into_iter()
        .map(|name| (name.clone(), model(read(&name, "old")), model(read(&name, "new"))))
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan/pairs"))
}

fn model(text: &str) -> Model {
    declare::read(text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}")).model
}
