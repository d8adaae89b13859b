//! The tables of the model, for the prompt: PostgreSQL's own catalogue is closed to tenants.

use freehold_model::{
    Model,
    entity::{DefaultValue, Entity, Field, Key, Kind, OnDelete},
};

use super::print::{self, Form};
use crate::output;

/// All tables.
pub(super) fn entities(model: &Model, form: Form) {
    let rows: Vec<Vec<String>> = model
        .entities()
        .iter()
        .map(|entity| vec![entity.name.to_string(), entity.about.clone().unwrap_or_default()])
        .collect();
    print::rows(&["table", "about"], &rows, form);
}

/// The columns of one, its keys, and who refers to it.
pub(super) fn entity(model: &Model, entity: &Entity, form: Form) {
    let own = |name: &str, default: &str, about: &str| {
        [name, "uuid", "no", default, about].map(str::to_owned).to_vec()
    };
    let mut rows = vec![
        own("tenant_id", "freehold.tenant()", "the wall: always the opened tenant's"),
        own("id", "freehold.uuidv7()", ""),
    ];
    rows.extend(entity.fields.iter().map(column));
    for field in &entity.fields {
        if let Some(language) = &field.search {
            let about = format!("the words of {}, {language}", field.name);
            let name = format!("\"{}~search\"", field.name);
            rows.push(vec![name, "tsvector".into(), "yes".into(), String::new(), about]);
        }
    }
    print::rows(&["column", "type", "null", "default", "about"], &rows, form);
    if form == Form::Json {
        return;
    }
    let list =
        |key: &Key| key.fields.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
    for key in &entity.uniques {
        output::say(format!("unique ({})", list(key)));
    }
    for key in &entity.indexes {
        output::say(format!("index ({})", list(key)));
    }
    for other in model.entities() {
        for field in &other.fields {
            if matches!(&field.kind, Kind::Ref(to) if to.entity == entity.name) {
                output::say(format!("referred to by {}.{}", other.name, field.name));
            }
        }
    }
}

fn column(field: &Field) -> Vec<String> {
    let default = match &field.default {
        None => String::new(),
        Some(DefaultValue::Constant(text)) => format!("'{}'", text.replace('\'', "''")),
        Some(DefaultValue::Now) => "now()".into(),
        Some(DefaultValue::NewUuid) => "freehold.uuidv7()".into(),
    };
    let made = matches!(&field.kind, Kind::Vector(vector) if !vector.of.is_empty());
    let null = if field.optional || made { "yes" } else { "no" };
    vec![
        field.name.to_string(),
        field.kind.sql_type().replace("freehold_ext.", ""),
        null.into(),
        default,
        about(field),
    ]
}

fn about(field: &Field) -> String {
    let mut parts = Vec::new();
    match &field.kind {
        Kind::Enum(values) => parts.push(values.join(" | ")),
        Kind::Ref(to) => parts.push(format!(
            "refers to {}{}",
            to.entity,
            match to.on_delete {
                OnDelete::Restrict => "",
                OnDelete::Cascade => ", deleted with it",
                OnDelete::Unlink => ", emptied with it",
            }
        )),
        Kind::Vector(vector) => {
            let operator = vector.metric.operator();
            let operator = operator.trim_start_matches("operator(freehold_ext.");
            parts.push(format!("order by {} {} '…'", field.name, operator.trim_end_matches(')')));
            if !vector.of.is_empty() {
                let of: Vec<&str> = vector.of.iter().map(|name| &**name).collect();
                parts.push(format!("made of {} by {}", of.join(", "), vector.embedder));
            }
        }
        Kind::Blob(blob) => parts.push(format!("a blob of at most {} bytes", blob.max)),
        Kind::Scalar(_) | Kind::Array(_) => {}
    }
    let bounds = &field.bounds;
    let length = |length: Option<u32>| length.map(|length| length.to_string());
    for (title, bound) in [
        ("min", bounds.min.clone()),
        ("max", bounds.max.clone()),
        ("min length", length(bounds.min_length)),
        ("max length", length(bounds.max_length)),
    ] {
        parts.extend(bound.map(|bound| format!("{title} {bound}")));
    }
    parts.extend(field.about.clone());
    parts.join("; ")
}
