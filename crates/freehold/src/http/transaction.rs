//! Several changes in one transaction: `POST /transaction`.

use axum::{extract::State, http::HeaderMap, response::Response};
use freehold_engine::{
    Code, Engine, Refusal,
    write::{Operation, Resolution, Verb},
};
use freehold_model::mutate;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    auth::Caller,
    consistency,
    error::Answer,
    prefer::{Prefer, Return},
    request::{JsonBody, acceptable},
    rows,
};

/// Body: `{"changes": [{"insert": "person", "rows": […]}, {"upsert": …, "rows": …, "query": "on_conflict=handle"},
/// {"update": "person", "values": {…}, "query": "handle=eq.ada"}, {"delete": "person", "query": "…"}]}`.
/// Answer: one `{"rows": n, "body": […]}` for each. `Prefer` is about all of them together.
pub(super) async fn run(
    State(engine): State<Engine>,
    Caller(tenant): Caller,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Answer> {
    acceptable(&headers)?;
    let mut prefer = Prefer::of(&engine, &tenant, &headers).await?;
    // Each change says its own rows, and an upsert what it does with rows that are there.
    prefer.forget("count");
    prefer.forget("resolution");
    let texts = texts(&body);
    let mut body = rows::json(&body)?;
    let Some(Value::Array(changes)) = body.get_mut("changes").map(Value::take) else {
        return Err(shape("the body has no list `changes`").into());
    };
    let returning = prefer.returns == Return::Representation;
    if prefer.returns == Return::Headers {
        prefer.forget("return");
    }
    let operations = changes.into_iter().enumerate().map(|(index, change)| {
        let mut operation = operation(index, change)?;
        if let (Some(text), Verb::Insert(given, _) | Verb::Update(given)) =
            (texts.get(index).and_then(Payload::text), &mut operation.verb)
        {
            *given = engine.rows_of_json(&operation.entity, text)?;
        }
        Ok::<_, Refusal>(Operation { returning: returning || operation.returning, ..operation })
    });
    let operations = operations.collect::<Result<_, _>>()?;
    let written = engine.write_all_on(&tenant, operations, &prefer.terms).await?;
    let answers: Vec<String> = written
        .iter()
        .map(|one| format!("{{\"rows\":{},\"body\":{}}}", one.rows, one.body))
        .collect();
    let answers = format!("[{}]", answers.join(","));
    let mut response = rows::json_body(axum::http::StatusCode::OK, answers);
    consistency::tell(&mut response, written.first().and_then(|one| one.token.as_deref()));
    if let Some(applied) = prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Payloads<'a> {
    #[serde(borrow)]
    changes: Vec<Payload<'a>>,
}

/// What a change writes, as it is written.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    rows: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

impl Payload<'_> {
    fn text(&self) -> Option<&str> {
        self.rows.or(self.values).map(RawValue::get)
    }
}

/// What the changes write, where numbers in it have more digits than [`Value`] keeps.
fn texts(body: &[u8]) -> Vec<Payload<'_>> {
    let body = std::str::from_utf8(body).unwrap_or_default();
    if mutate::first_rounded(body).is_none() {
        return Vec::new();
    }
    serde_json::from_str::<Payloads>(body).map_or_else(|_| Vec::new(), |body| body.changes)
}

fn operation(index: usize, change: Value) -> Result<Operation, Refusal> {
    let place = |message: String| shape(&message).detail(format!("change {}", index + 1));
    let Value::Object(mut change) = change else {
        return Err(place("a change is an object".into()));
    };
    let verbs: Vec<&str> = ["insert", "upsert", "update", "delete"]
        .into_iter()
        .filter(|verb| change.contains_key(*verb))
        .collect();
    let [verb] = verbs[..] else {
        return Err(place("a change has exactly one of insert, upsert, update, delete".into()));
    };
    let entity =
        text(&mut change, verb).ok_or_else(|| place(format!("`{verb}` names an entity")))?;
    let query = text(&mut change, "query").unwrap_or_default();
    let returning = change.remove("returning").is_some_and(|value| value == Value::Bool(true));
    let wanted = match verb {
        "insert" | "upsert" => Some("rows"),
        "update" => Some("values"),
        _ => None,
    };
    let payload = wanted
        .map(|key| change.remove(key).ok_or_else(|| place(format!("`{verb}` needs `{key}`"))))
        .transpose()?;
    if let Some(unknown) = change.keys().next() {
        return Err(place(format!("a change has no part `{unknown}`")));
    }
    let verb = match (verb, payload) {
        ("insert", Some(rows)) => Verb::Insert(rows, None),
        ("upsert", Some(rows)) => Verb::Insert(rows, Some(Resolution::Merge)),
        ("update", Some(values)) => Verb::Update(values),
        _ => Verb::Delete,
    };
    Ok(Operation { entity, verb, query, returning })
}

fn text(change: &mut Map<String, Value>, key: &str) -> Option<String> {
    match change.remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn shape(message: &str) -> Refusal {
    Refusal::new(Code::Body, message)
        .hint("{\"changes\": [{\"insert\": \"person\", \"rows\": [{…}]}, {\"delete\": \"person\", \"query\": \"id=eq.…\"}]}")
}
