//! The API's own description: a Swagger 2.0 document in PostgREST's shape, made from the snapshot, and `OPTIONS`.

mod schema;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use freehold_engine::{
    Access, Code, Engine, Refusal, Snapshot, Tenant,
    call::{Function, Returns},
};
use serde_json::{Map, Value, json};

use super::{auth::Caller, error::Answer, request::Entity, rows};

/// `GET /rest/v1/`
pub(super) async fn document(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let media = |one: &str| one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    const SERVED: [&str; 5] =
        ["*/*", "", "application/*", "application/json", "application/openapi+json"];
    if !accept.split(',').any(|one| SERVED.contains(&media(one).as_str())) {
        return Err(Refusal::new(
            Code::NotAcceptable,
            "none of the accepted media types is served",
        )
        .hint("application/openapi+json or application/json")
        .into());
    }
    let body = describe(&engine, &tenant).to_string();
    let kind = "application/openapi+json; charset=utf-8";
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response())
}

pub(super) async fn root_options() -> Response {
    allow("OPTIONS,GET,HEAD")
}

pub(super) async fn relation_options(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(name): Entity,
) -> Result<Response, Answer> {
    let snapshot = engine.snapshot();
    snapshot.permit(&tenant, &name, Access::Read)?;
    if snapshot.model.entity(&name).is_some() && writes(&snapshot, &tenant, &name) {
        return Ok(allow(rows::ALLOWED));
    }
    if snapshot.model.relations().any(|relation| *relation.name == *name) {
        return Ok(allow("OPTIONS,GET,HEAD,QUERY"));
    }
    Err(Refusal::new(Code::NoSuchEntity, "there is no such entity").into())
}

pub(super) async fn function_options(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    Entity(name): Entity,
) -> Result<Response, Answer> {
    let snapshot = engine.snapshot();
    snapshot.permit(&tenant, &name, Access::Call)?;
    let mut named =
        snapshot.model.catalogue().functions().iter().filter(|function| function.name == name);
    match named.next() {
        Some(first) if first.volatile && named.all(|function| function.volatile) => {
            Ok(allow("OPTIONS,POST"))
        }
        Some(_) => Ok(allow("OPTIONS,GET,HEAD,POST")),
        None => Err(Refusal::new(Code::NoSuchFunction, "there is no such function").into()),
    }
}

fn allow(methods: &'static str) -> Response {
    (StatusCode::OK, [(header::ALLOW, methods)]).into_response()
}

/// Whether the caller's key is for writing it, whatever their role.
fn writes(snapshot: &Snapshot, tenant: &Tenant, name: &str) -> bool {
    snapshot.permits(tenant, name, Access::Write)
}

/// What is served of the model to this caller.
fn describe(engine: &Engine, tenant: &Tenant) -> Value {
    let snapshot = engine.snapshot();
    let model = &snapshot.model;
    let (mut paths, mut definitions, mut parameters) = (Map::new(), Map::new(), schema::common());
    for relation in model.relations() {
        let name = relation.name.to_string();
        if !snapshot.permits(tenant, &name, Access::Read) {
            continue;
        }
        let is_entity = model.entity(&name).is_some();
        let definition = schema::definition(relation, is_entity);
        let mut row = definition.clone();
        row.as_object_mut().map(|row| row.remove("required"));
        definitions.entry(schema::row(&name)).or_insert(row);
        definitions.insert(name.clone(), definition);
        schema::filters(relation, &mut parameters);
        let writable = is_entity && writes(&snapshot, tenant, &name);
        paths.insert(format!("/{name}"), schema::relation_path(relation, writable));
    }
    for function in model.catalogue().functions() {
        if !snapshot.permits(tenant, &function.name, Access::Call) {
            continue;
        }
        let path = format!("/rpc/{}", function.name);
        // Overloads share a path; the first one is described.
        paths.entry(path).or_insert_with(|| function_path(function));
    }
    let about = model.about().unwrap_or("Rows of one tenant, whose key the request carries.");
    json!({
        "swagger": "2.0",
        "info": { "title": model.name(), "description": about, "version": snapshot.version.to_string() },
        "basePath": "/rest/v1",
        "schemes": ["http", "https"],
        "consumes": ["application/json", "text/csv"],
        "produces": ["application/json", "application/vnd.pgrst.object+json", "text/csv"],
        "securityDefinitions": { "apikey": { "type": "apiKey", "in": "header", "name": "apikey" } },
        "security": [{ "apikey": [] }],
        "paths": paths,
        "definitions": definitions,
        "parameters": parameters,
    })
}

fn function_path(function: &Function) -> Value {
    let about = function.about.as_deref().unwrap_or_default();
    let good = match function.returns {
        Returns::Nothing => json!({ "204": { "description": "No Content" } }),
        _ => json!({ "200": { "description": "OK" } }),
    };
    let mut responses = good;
    responses["default"] = schema::refused();
    let required: Vec<&str> = function
        .arguments
        .iter()
        .filter(|argument| !argument.optional && !argument.variadic)
        .map(|argument| argument.name.as_str())
        .collect();
    let properties: Map<String, Value> = function
        .arguments
        .iter()
        .map(|argument| {
            let kind = argument.kind.as_ref();
            (argument.name.clone(), schema::value(kind, &argument.sql_type))
        })
        .collect();
    let mut arguments = json!({ "type": "object", "description": about, "properties": properties });
    if !required.is_empty() {
        arguments["required"] = json!(required);
    }
    if function.takes_body() {
        arguments = json!({ "description": about });
    }
    let tags = json!([format!("(rpc) {}", function.name)]);
    let mut path = json!({ "post": {
        "tags": tags, "summary": about, "responses": responses, "consumes": ["application/json"],
        "parameters": [{ "name": "args", "in": "body", "required": true, "schema": arguments }],
    }});
    if !function.volatile && !function.takes_body() {
        let parameters: Vec<Value> =
            function.arguments.iter().map(schema::query_argument).collect();
        path["get"] = json!({ "tags": tags, "summary": about, "responses": responses, "parameters": parameters });
    }
    path
}
