//! Calls: which function is meant by these arguments, and the statement that calls it.

use serde_json::{Map, Value};

use super::function::{Argument, Function, Returns, is_json};
use crate::{
    Code, Model, Refusal, Sql,
    query::{
        self, Limits, Query,
        lexer::{params, shorten},
        suggest::suggest,
        value::{array_literal, check_json, check_text},
    },
};

/// What a function is called with.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments<'a> {
    /// The query string holds arguments and filters, as in a GET: a parameter is an argument unless its value is
    /// written as a filter is.
    InQuery,
    /// The body, if there is one; all of the query string is about the result.
    Body(Option<&'a Value>),
}

/// A call whose function is found and whose arguments fit it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: Function,
    invocation: Invocation,
    query: Option<Query>,
    limit: u64,
    offset: u64,
}

/// `app."f"("a" := $1::integer)`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invocation {
    name: String,
    arguments: Vec<(Argument, Option<String>)>,
}

/// Arguments by name, each as often as it was given.
type Given<'a> = Vec<(String, Vec<Written<'a>>)>;

enum Written<'a> {
    Text(String),
    Json(&'a Value),
}

/// Finds the function `name` for these arguments and checks `query`, the raw query string, against what it returns.
///
/// # Errors
/// `NoSuchFunction`, `AmbiguousFunction`, or what is wrong with an argument or with the query.
pub fn call(
    model: &Model,
    name: &str,
    arguments: &Arguments<'_>,
    query: &str,
    limits: &Limits,
) -> Result<Call, Refusal> {
    let all: Vec<&Function> =
        model.catalogue().functions().iter().filter(|function| function.name == name).collect();
    if all.is_empty() {
        return Err(no_such_function(model, name));
    }
    let (given, query, whole) = match arguments {
        Arguments::InQuery => {
            let (given, rest) = in_query(query)?;
            (given, rest, None)
        }
        Arguments::Body(body) => {
            let whole = body.filter(|_| all.iter().any(|function| function.takes_body()));
            (in_body(*body, whole.is_some())?, query.to_owned(), whole)
        }
    };
    let names: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    let fitting: Vec<&&Function> = all.iter().filter(|function| fits(function, &names)).collect();
    let (function, values) = match (&fitting[..], whole) {
        ([only], _) => (**only, by_name(only, &given)?),
        ([], Some(body)) => {
            let takes = all.iter().find(|function| function.takes_body());
            let function = *takes.ok_or_else(|| no_such_function(model, name))?;
            (function, vec![(function.arguments[0].clone(), Some(body.to_string()))])
        }
        ([], None) => return Err(wrong_arguments(name, &names, &all)),
        (several, _) => return Err(ambiguous(name, several)),
    };
    let invocation = Invocation { name: name.to_owned(), arguments: values };
    finish(model, function, invocation, &query, limits)
}

fn finish(
    model: &Model,
    function: &Function,
    invocation: Invocation,
    query: &str,
    limits: &Limits,
) -> Result<Call, Refusal> {
    let written = query::written(query, limits)?;
    let mut call = Call {
        function: function.clone(),
        invocation,
        query: None,
        limit: limits.rows_max,
        offset: 0,
    };
    if let Returns::Rows { shape, .. } = &function.returns {
        let mut query = Query::checked(model, shape, written, limits)?;
        query.level.call = Some(call.invocation.clone());
        call.query = Some(query);
        return Ok(call);
    }
    let plain = written.select.is_none() && written.filters.is_empty() && written.orders.is_empty();
    if !plain {
        let message = format!("{} returns no rows with fields to ask for", function.name);
        return Err(Refusal::new(Code::Syntax, message)
            .hint("limit and offset can be asked of a function that returns a set"));
    }
    if let Some(limit) = written.limits.first() {
        call.limit = limit.it.min(limits.rows_max);
    }
    call.offset = written.offsets.first().map_or(0, |offset| offset.it);
    Ok(call)
}

impl Call {
    /// The query over what the function returns, if that is rows.
    pub fn query(&mut self) -> Option<&mut Query> {
        self.query.as_mut()
    }

    /// How many rows are passed over first.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.query.as_ref().map_or(self.offset, Query::offset)
    }

    /// Whether the answer is one value or object, not a list.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match &self.function.returns {
            Returns::Nothing => true,
            Returns::Values { many, .. } | Returns::Rows { many, .. } => !many,
        }
    }

    /// The statement; it yields the row that [`Query::render`] says.
    ///
    /// # Panics
    /// As [`Query::render`].
    #[must_use]
    pub fn render(&self) -> Sql {
        if let Some(query) = &self.query {
            return query.render();
        }
        let mut sql = Sql::new();
        let ends = " as rows, null::bigint as total, null::boolean as anchor from ";
        match &self.function.returns {
            Returns::Nothing => {
                sql.raw("select 'null'::text as body, count(*)").raw(ends);
                self.invocation.write(&mut sql);
                sql.raw(" r");
            }
            Returns::Values { many: false, .. } => {
                sql.raw("select coalesce(to_json(r.r)::text, 'null') as body, 1::bigint").raw(ends);
                self.invocation.write(&mut sql);
                sql.raw(" r");
            }
            Returns::Values { .. } | Returns::Rows { .. } => {
                sql.raw("select coalesce(json_agg(r.r), '[]')::text as body, count(*)").raw(ends);
                sql.raw("(select r.r from ");
                self.invocation.write(&mut sql);
                sql.raw(" r limit ").param(Some(self.limit.to_string()));
                sql.raw(" offset ").param(Some(self.offset.to_string())).raw(") r");
            }
        }
        sql
    }
}

impl Invocation {
    /// Appends the call.
    pub(crate) fn write(&self, sql: &mut Sql) {
        sql.raw("app.").ident(&self.name).raw("(");
        for (at, (argument, value)) in self.arguments.iter().enumerate() {
            sql.raw(if at == 0 { "" } else { ", " });
            sql.raw(if argument.variadic { "variadic " } else { "" });
            if !argument.name.is_empty() {
                sql.ident(&argument.name).raw(" := ");
            }
            sql.param(value.clone()).raw("::").raw(&argument.sql_type);
        }
        sql.raw(")");
    }
}

fn fits(function: &Function, given: &[&str]) -> bool {
    let known = |name: &&str| function.arguments.iter().any(|argument| argument.name == **name);
    let there = |argument: &Argument| {
        argument.optional || argument.variadic || given.contains(&argument.name.as_str())
    };
    given.iter().all(known) && function.arguments.iter().all(there)
}

fn in_query<'a>(query: &str) -> Result<(Given<'a>, String), Refusal> {
    let (mut given, mut rest): (Given<'a>, Vec<&str>) = (Vec::new(), Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let param = params(part)?.pop();
        let Some(param) = param.filter(|param| is_argument(&param.key, &param.value)) else {
            rest.push(part);
            continue;
        };
        match given.iter_mut().find(|(name, _)| *name == param.key) {
            Some((_, values)) => values.push(Written::Text(param.value)),
            None => given.push((param.key, vec![Written::Text(param.value)])),
        }
    }
    Ok((given, rest.join("&")))
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

fn in_body<'a>(body: Option<&'a Value>, may_be_whole: bool) -> Result<Given<'a>, Refusal> {
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

fn by_name(
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

fn signature(function: &Function) -> String {
    let arguments = function.arguments.iter().map(|argument| {
        format!(
            "{} {}{}",
            argument.name,
            argument.sql_type,
            if argument.optional { "?" } else { "" }
        )
    });
    format!("{}({})", function.name, arguments.collect::<Vec<_>>().join(", "))
}

fn no_such_function(model: &Model, name: &str) -> Refusal {
    let refusal =
        Refusal::new(Code::NoSuchFunction, format!("there is no function {}", shorten(name)));
    let known = model.catalogue().functions().iter().map(|function| function.name.as_str());
    match suggest(name, known) {
        Some(near) => refusal.hint(format!("did you mean {near}?")),
        None => refusal,
    }
}

fn wrong_arguments(name: &str, given: &[&str], all: &[&Function]) -> Refusal {
    let detail = match given {
        [] => "it was called without any".to_owned(),
        given => format!("given {}", shorten(&given.join(", "))),
    };
    let known: Vec<String> = all.iter().map(|function| signature(function)).collect();
    Refusal::new(Code::NoSuchFunction, format!("no function {name} takes these arguments"))
        .detail(detail)
        .hint(format!("there is {}", known.join("; ")))
}

fn ambiguous(name: &str, several: &[&&Function]) -> Refusal {
    let known: Vec<String> = several.iter().map(|function| signature(function)).collect();
    Refusal::new(
        Code::AmbiguousFunction,
        format!("more than one function {name} takes these arguments"),
    )
    .detail(known.join("; "))
    .hint("overloads are told apart by the names of their arguments, not by types")
}
