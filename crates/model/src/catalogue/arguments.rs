//! Arguments of calls as they were written, and as PostgreSQL is given them.

use serde_json::{Map, Value};

use super::function::{Argument, Function, is_json};
use crate::{
    Code, Refusal,
    query::{
        lexer::{Param, params, shorten},
        value::{array_literal, check_json, check_text},
    },
};

/// Arguments by name, each as often as it was given.
pub(super) type Given<'a> = Vec<(String, Vec<Written<'a>>)>;

/// One argument's value.
pub(super) enum Written<'a> {
    Text(String),
    Json(&'a Value),
}

/// The arguments of a query string, and what of it is about the result.
pub(super) fn in_query<'a>(query: &str) -> Result<(Given<'a>, String), Refusal> {
    let (mut given, mut rest): (Given<'a>, Vec<&str>) = (Vec::new(), Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let param = params(part)?.pop();
        let Some(param) = param.filter(|param| is_argument(&param.key, &param.value)) else {
            rest.push(part);
            continue;
        };
        give(&mut given, param);
    }
    Ok((given, rest.join("&")))
}

/// The fields of a form.
pub(super) fn in_form<'a>(form: &str) -> Result<Given<'a>, Refusal> {
    let fields = params(form).map_err(|refusal| Refusal { code: Code::Body, ..refusal })?;
    let mut given = Vec::new();
    fields.into_iter().for_each(|field| give(&mut given, field));
    Ok(given)
}

fn give(given: &mut Given<'_>, Param { key, value }: Param) {
    match given.iter_mut().find(|(name, _)| *name == key) {
        Some((_, values)) => values.push(Written::Text(value)),
        None => given.push((key, vec![Written::Text(value)])),
    }
}

/// Whether a parameter is an argument: it is not one of the language's own, and its value is no `operator.value`.
fn is_argument(key: &str, value: &str) -> bool {
    const OPERATORS: [&str; 29] = [
        "eq",
        "neq",
        "gt",
        "gte",
        "lt",
        "lte",
        "like",
        "ilike",
        "match",
        "imatch",
        "in",
        "is",
        "isdistinct",
        "fts",
        "plfts",
        "phfts",
        "wfts",
        "cs",
        "cd",
        "ov",
        "sl",
        "sr",
        "nxr",
        "nxl",
        "adj",
        "nearest",
        "not",
        "range",
        "similar",
    ];
    let last = key.rsplit('.').next().unwrap_or(key);
    if matches!(last, "order" | "limit" | "offset" | "and" | "or")
        || matches!(key, "select" | "columns" | "on_conflict")
    {
        return false;
    }
    let word = value.split(['.', '(']).next().unwrap_or_default();
    !(word.len() < value.len() && OPERATORS.contains(&word))
}

/// The arguments of a JSON body.
pub(super) fn in_body<'a>(
    body: Option<&'a Value>,
    may_be_whole: bool,
) -> Result<Given<'a>, Refusal> {
    match body {
        None => Ok(Vec::new()),
        Some(Value::Object(fields)) => Ok(named(fields)),
        Some(_) if may_be_whole => Ok(Vec::new()),
        Some(_) => Err(Refusal::new(Code::Body, "the arguments are not a JSON object")
            .hint("send {\"name\": value, …}")),
    }
}

fn named(fields: &Map<String, Value>) -> Given<'_> {
    fields.iter().map(|(name, value)| (name.clone(), vec![Written::Json(value)])).collect()
}

/// The function's arguments in their order, as text; `None` is null.
pub(super) fn by_name(
    function: &Function,
    given: &Given<'_>,
) -> Result<Vec<(Argument, Option<String>)>, Refusal> {
    let mut values = Vec::new();
    for argument in &function.arguments {
        let Some((_, written)) = given.iter().find(|(name, _)| *name == argument.name) else {
            if argument.variadic && !argument.optional {
                values.push((argument.clone(), Some("{}".to_owned())));
            }
            continue;
        };
        let value = match &written[..] {
            [Written::Json(value)] => json_text(argument, value)?,
            [Written::Text(text)] if !argument.variadic || text.starts_with('{') => {
                Some(plain_text(argument, text)?)
            }
            texts if argument.variadic => {
                Some(array_literal(texts.iter().map(|text| match text {
                    Written::Text(text) => text.as_str(),
                    Written::Json(_) => "",
                })))
            }
            _ => {
                let message = format!("the argument {} is given twice", shorten(&argument.name));
                return Err(Refusal::new(Code::Syntax, message));
            }
        };
        values.push((argument.clone(), value));
    }
    Ok(values)
}

fn plain_text(argument: &Argument, text: &str) -> Result<String, Refusal> {
    if let Some(kind) = &argument.kind {
        check_text(&argument.name, kind, text)?;
    }
    Ok(text.to_owned())
}

fn json_text(argument: &Argument, value: &Value) -> Result<Option<String>, Refusal> {
    if let Some(kind) = &argument.kind {
        check_json(&argument.name, kind, value)?;
    }
    if is_json(&argument.sql_type) {
        return Ok(Some(value.to_string()));
    }
    let is_vector = argument.sql_type.starts_with("freehold_ext.");
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) if is_vector => value.to_string(),
        Value::Array(elements) if argument.sql_type.ends_with("[]") => array_text(elements),
        Value::Array(_) | Value::Object(_) => {
            let message = format!("the argument {} is neither JSON nor a list", argument.name);
            return Err(Refusal::new(Code::InvalidValue, message)
                .detail(format!("it is {}", argument.sql_type))
                .hint("write the value as PostgreSQL writes it, in a text"));
        }
    }))
}

/// A list in PostgreSQL's text form; lists inside are further dimensions.
fn array_text(elements: &[Value]) -> String {
    let texts = elements.iter().map(|element| match element {
        Value::Null => "null".to_owned(),
        Value::Array(inside) => array_text(inside),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    });
    format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
