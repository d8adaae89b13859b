//! The JSON schema of the file, made from the grammar that the reader walks.

use serde_json::{Map, Value, json};

use super::{
    grammar::{Form, Key, LANGUAGES, ROOT, Section, Variants, type_names, variant_noun},
    kind::NUMERIC_PATTERN,
};
use crate::names::NAME_BYTES_MAX;

/// The JSON schema (draft 2020-12) of a model file, for editors.
#[must_use]
pub fn schema() -> Value {
    let Value::Object(root) = section(&ROOT) else { unreachable!("a section is an object") };
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "Freehold model".into());
    schema.extend(root);
    Value::Object(schema)
}

fn section(section: &Section) -> Value {
    let alternative = |variant: &'static str| {
        let mut one = object(section, Some(variant));
        if let Variants::Value(key, _) = section.variants {
            one["properties"][key]["const"] = variant.into();
        }
        one["title"] = variant_noun(variant).into();
        one
    };
    match section.variants {
        Variants::One => {
            let mut one = object(section, None);
            one["description"] = section.about.into();
            one
        }
        Variants::Key(variants) | Variants::Value(_, variants) => {
            let alternatives: Vec<Value> =
                variants.iter().map(|variant| alternative(variant)).collect();
            json!({ "description": section.about, "type": "object", "oneOf": alternatives })
        }
    }
}

fn object(section: &Section, variant: Option<&str>) -> Value {
    let keys = || {
        section.keys.iter().filter(|key| !matches!(key.form, Form::NotBuilt) && key.fits(variant))
    };
    let properties: Map<String, Value> =
        keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut object =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let required: Vec<&str> = keys().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn property(key: &Key) -> Value {
    let text = || json!({ "type": "string" });
    let names = json!({ "type": "array", "items": text(), "minItems": 1, "uniqueItems": true });
    let mut schema = match key.form {
        Form::Text => text(),
        Form::Type => {
            let plain: Vec<String> = type_names()
                .flat_map(|name| [name.to_owned(), format!("{name}[]")])
                .chain(["blob".to_owned()])
                .collect();
            json!({ "type": "string", "anyOf": [{ "enum": plain }, { "pattern": NUMERIC_PATTERN }] })
        }
        Form::Flag => json!({ "type": "boolean" }),
        Form::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Choice(known) => json!({ "type": "string", "enum": known }),
        Form::Texts => names,
        Form::Keys => json!({ "type": "array", "items": names }),
        Form::KeysOrNames => json!({ "type": "array", "items": { "anyOf": [text(), names] } }),
        Form::Constant => json!({}),
        Form::Section(inner) => section(inner),
        Form::Named(inner) => json!({
            "type": "object",
            "propertyNames": { "minLength": 1, "maxLength": NAME_BYTES_MAX, "pattern": "^[^~\\x00-\\x1f]+$" },
            "additionalProperties": section(inner),
        }),
        Form::Rules(inner) => json!({ "type": "array", "items": section(inner) }),
        Form::Languages => {
            json!({ "type": "object", "additionalProperties": { "type": "string", "enum": LANGUAGES } })
        }
        Form::NotBuilt => json!(false),
    };
    schema["description"] = key.about.into();
    schema
}
