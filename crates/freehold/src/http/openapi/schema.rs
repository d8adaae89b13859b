//! Relations and types in the words of Swagger 2.0.

use freehold_engine::call::Argument;
use freehold_model::entity::{DefaultValue, Entity, Field, Kind, Scalar};
use serde_json::{Map, Number, Value, json};

/// Parameters that all relations share.
pub(super) fn common() -> Map<String, Value> {
    let query = |name: &str, about: &str| json!({ "name": name, "in": "query", "required": false, "type": "string", "description": about });
    let prefer = |values: &[&str]| json!({ "name": "Prefer", "in": "header", "required": false, "type": "string", "description": "Preference", "enum": values });
    let all = [
        ("select", query("select", "Fields and embeds")),
        ("order", query("order", "Ordering")),
        ("limit", query("limit", "Most rows")),
        ("offset", query("offset", "Rows passed over")),
        ("on_conflict", query("on_conflict", "The unique key of an upsert")),
        ("columns", query("columns", "The fields taken from the body")),
        ("preferCount", prefer(&["count=exact"])),
        ("preferReturn", prefer(&["return=representation", "return=minimal"])),
        (
            "preferPost",
            prefer(&[
                "return=representation",
                "return=minimal",
                "resolution=merge-duplicates",
                "resolution=ignore-duplicates",
            ]),
        ),
    ];
    all.into_iter().map(|(name, parameter)| (name.to_owned(), parameter)).collect()
}

/// The fields of a relation as a JSON schema, with PostgREST's marks of keys and references; `required` is what a new row has to
/// have. Of what is not an entity any value may be null.
pub(super) fn definition(relation: &Entity, is_entity: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if relation.key.is_none() {
        let about = "Note:\nThis is a Primary Key.<pk/>";
        properties.insert(
            "id".into(),
            json!({ "type": "string", "format": "uuid", "description": about }),
        );
    }
    for field in &relation.fields {
        let mut schema = value(Some(&field.kind), &field.kind.sql_type());
        bounds(field, &mut schema);
        if let Some(default) = field.default.as_ref().and_then(|default| given(field, default)) {
            schema["default"] = default;
        }
        if field.optional || field.sealed().is_some() || !is_entity {
            schema["x-nullable"] = json!(true);
        }
        if field.generalises.is_some() {
            schema["readOnly"] = json!(true);
        }
        if let Some(about) = about(relation, field) {
            schema["description"] = json!(about);
        }
        properties.insert(field.name.to_string(), schema);
        let made = matches!(&field.kind, Kind::Vector(vector) if !vector.of.is_empty());
        if !field.optional && field.default.is_none() && !made && relation.key.is_none() {
            required.push(field.name.to_string());
        }
    }
    let mut definition = json!({ "type": "object", "properties": properties });
    if let Some(about) = &relation.about {
        definition["description"] = json!(about);
    }
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    definition
}

/// The name of the definition of rows that are read. They have the fields that `select` says, so none is required.
pub(super) fn row(name: &str) -> String {
    format!("{name}.row")
}

/// What its value may be at least and at most.
fn bounds(field: &Field, schema: &mut Value) {
    let bounds = &field.bounds;
    let (least, most) = match &field.kind {
        Kind::Scalar(Scalar::Text) => ("minLength", "maxLength"),
        Kind::Array(_) => ("minItems", "maxItems"),
        // Of bytes, whose text is another length.
        _ => ("", ""),
    };
    for (name, length) in [(least, bounds.min_length), (most, bounds.max_length)] {
        if let Some(length) = length.filter(|_| !name.is_empty()) {
            schema[name] = json!(length);
        }
    }
    for (name, bound) in [("minimum", &bounds.min), ("maximum", &bounds.max)] {
        if let Some(bound) = bound.as_ref().and_then(|bound| number(&field.kind, bound)) {
            schema[name] = Value::Number(bound);
        }
    }
}

fn number(kind: &Kind, text: &str) -> Option<Number> {
    let of = match kind {
        Kind::Scalar(of) => scalar(*of)?,
        _ => return None,
    };
    (of == "integer" || of == "number").then(|| serde_json::from_str(text).ok()).flatten()
}

/// The value of rows that do not say one, as a row has it; of what is not the same each time, how it is made.
fn given(field: &Field, default: &DefaultValue) -> Option<Value> {
    let text = match default {
        DefaultValue::Constant(text) => text,
        DefaultValue::Now => return Some(json!("now()")),
        DefaultValue::NewUuid => return Some(json!("uuidv7()")),
    };
    match &field.kind {
        Kind::Scalar(Scalar::Boolean | Scalar::Jsonb) => serde_json::from_str(text).ok(),
        Kind::Array(_) => (text == "{}").then(|| json!([])),
        Kind::Scalar(of) if scalar(*of) != Some("string") => {
            number(&field.kind, text).map(Value::Number)
        }
        _ => Some(json!(text)),
    }
}

fn about(relation: &Entity, field: &Field) -> Option<String> {
    let mut parts: Vec<String> = field.about.iter().cloned().collect();
    if relation.key.as_ref().is_some_and(|key| key.contains(&field.name)) {
        parts.push("Note:\nThis is a Primary Key.<pk/>".to_owned());
    }
    if let Kind::Ref(reference) = &field.kind {
        let to = &reference.entity;
        parts.push(format!(
            "Note:\nThis is a Foreign Key to `{to}.id`.<fk table='{to}' column='id'/>"
        ));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// A value of this kind.
pub(super) fn value(kind: Option<&Kind>, sql_type: &str) -> Value {
    match kind {
        Some(Kind::Scalar(of)) => json!({ "format": sql_type, "type": scalar(*of) })
            .as_object()
            // JSON may be anything.
            .map(|schema| {
                schema
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            })
            .unwrap_or_default(),
        Some(Kind::Array(of)) => {
            let items = scalar(*of).map_or_else(|| json!({}), |of| json!({ "type": of }));
            json!({ "format": sql_type, "type": "array", "items": items })
        }
        Some(Kind::Enum(values)) => json!({ "format": "text", "type": "string", "enum": values }),
        Some(Kind::Ref(_)) => json!({ "format": "uuid", "type": "string" }),
        Some(Kind::Vector(_) | Kind::Blob(_)) | None => json!({ "format": sql_type }),
    }
}

fn scalar(of: Scalar) -> Option<&'static str> {
    match of {
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => Some("integer"),
        Scalar::Numeric(_) | Scalar::Double => Some("number"),
        Scalar::Boolean => Some("boolean"),
        Scalar::Jsonb => None,
        Scalar::Text | Scalar::Uuid | Scalar::TimestampTz | Scalar::Date | Scalar::Bytea => {
            Some("string")
        }
    }
}

/// An argument of a function in a query string.
pub(super) fn query_argument(argument: &Argument) -> Value {
    let required = !argument.optional && !argument.variadic;
    json!({ "name": argument.name, "in": "query", "required": required, "type": "string", "format": argument.sql_type })
}

/// Adds the filters of a relation's fields to the shared parameters.
pub(super) fn filters(relation: &Entity, parameters: &mut Map<String, Value>) {
    for name in names(relation) {
        let filter = json!({
            "name": name, "in": "query", "required": false, "type": "string",
            "description": "operator.value", "x-example": "not.is.null",
        });
        parameters.insert(format!("rowFilter.{}.{name}", relation.name), filter);
    }
    let name = relation.name.to_string();
    let body = json!({
        "name": name, "in": "body", "required": false, "description": name, "schema": of(&name),
    });
    parameters.insert(format!("body.{name}"), body);
}

fn names(relation: &Entity) -> Vec<String> {
    let id = relation.key.is_none().then(|| "id".to_owned());
    id.into_iter().chain(relation.fields.iter().map(|field| field.name.to_string())).collect()
}

/// What is defined under this name.
fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{}", pointer(name)) })
}

// A name in a JSON pointer in a URI.
fn pointer(name: &str) -> String {
    name.replace('~', "~0")
        .replace('/', "~1")
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('#', "%23")
}

/// What every path answers when it refuses.
pub(super) fn refused() -> Value {
    json!({ "description": "Refused", "schema": {
        "type": "object", "required": ["code", "message"],
        "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
    }})
}

/// The operations on a relation.
pub(super) fn relation_path(relation: &Entity, writable: bool) -> Value {
    let name = relation.name.to_string();
    let common = |name: &str| json!({ "$ref": format!("#/parameters/{name}") });
    let own = |prefix: &str| common(&pointer(&format!("{prefix}.{name}")));
    let filters: Vec<Value> = names(relation)
        .iter()
        .map(|field| common(&pointer(&format!("rowFilter.{name}.{field}"))))
        .collect();
    let rows = json!({ "type": "array", "items": of(&row(&name)) });
    let with = |more: &[Value]| filters.iter().chain(more).cloned().collect::<Vec<_>>();
    let summary = relation.about.as_deref().unwrap_or_default();
    let operation = |parameters: Vec<Value>, responses: Value| {
        let mut responses = responses;
        responses["default"] = refused();
        json!({ "tags": [name], "summary": summary, "parameters": parameters, "responses": responses })
    };
    let read = ["select", "order", "limit", "offset", "preferCount"].map(common);
    let mut path = json!({ "get": operation(with(&read), json!({
        "200": { "description": "OK", "schema": rows },
        "206": { "description": "Partial Content", "schema": rows },
    }))});
    if writable {
        let post = vec![
            own("body"),
            common("select"),
            common("columns"),
            common("on_conflict"),
            common("preferPost"),
        ];
        path["post"] = operation(
            post,
            json!({
                "200": { "description": "OK" }, "201": { "description": "Created" },
            }),
        );
        let done =
            json!({ "200": { "description": "OK" }, "204": { "description": "No Content" } });
        path["patch"] = operation(with(&[own("body"), common("preferReturn")]), done.clone());
        path["delete"] = operation(with(&[common("preferReturn")]), done);
    }
    path
}
