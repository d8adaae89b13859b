//! Which text a vector stands for.

use freehold_model::entity::{DefaultValue, Entity, Vector};
use serde_json::{Map, Value};

/// The text a vector stands for: its fields' texts, one a line, missing ones left out. `None` if there is none, and
/// then there is no vector either.
pub(crate) fn source_text(vector: &Vector, row: &Map<String, Value>) -> Option<String> {
    let lines = vector.of.iter().filter_map(|field| match row.get(field.as_str())? {
        Value::String(text) => Some(text.trim().to_owned()),
        // A number given for a text is stored as it is written.
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            Some(items.collect::<Vec<_>>().join(" ").trim().to_owned())
        }
        _ => None,
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The same for a row of which some fields are left to their defaults, or, if it merges with one that is there, as
/// they are. `None` also where only the database knows them: then the vector is left to be filled.
pub(crate) fn known_text(
    entity: &Entity,
    vector: &Vector,
    row: &Map<String, Value>,
    merges: bool,
) -> Option<String> {
    if vector.of.iter().all(|name| row.contains_key(name.as_str())) {
        return source_text(vector, row);
    }
    let mut whole = Map::new();
    for name in &vector.of {
        let value = match (row.get(name.as_str()), &entity.field(name)?.default) {
            (Some(value), _) => value.clone(),
            (None, _) if merges => return None,
            (None, None) => continue,
            (None, Some(DefaultValue::Constant(text))) => Value::String(text.clone()),
            (None, Some(_)) => return None,
        };
        whole.insert(name.to_string(), value);
    }
    source_text(vector, &whole)
}
