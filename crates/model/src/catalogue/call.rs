//! Calls: which function is meant by these arguments, and the statement that calls it.

use serde_json::Value;

use super::{
    arguments::{by_name, in_body, in_form, in_query},
    function::{Argument, Function, Returns},
};
use crate::{
    Code, Model, Refusal, Sql,
    query::{self, Limits, Query, Shape, lexer::shorten, sealed},
    suggest::did_you_mean,
};

/// One value as a line of CSV: the text form of a row, without the parentheses.
const CSV_OF_ONE: &str = "substring(row(r.r)::text, 2, length(row(r.r)::text) - 2)";

/// What a function is called with.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments<'a> {
    /// The query string holds arguments and filters, as in a GET: a parameter is an argument unless its value is
    /// written as a filter is.
    InQuery,
    /// The body, if there is one; all of the query string is about the result.
    Body(Option<&'a Value>),
    /// The body is a form, percent-encoded, whose fields are arguments.
    Form(&'a str),
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
    shape: Shape,
}

/// `app."f"("a" := $1::integer)`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invocation {
    name: String,
    arguments: Vec<(Argument, Option<String>)>,
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
        Arguments::Form(form) => (in_form(form)?, query.to_owned(), None),
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
        shape: Shape::default(),
    };
    if let Returns::Rows { shape, .. } = &function.returns {
        let mut query = Query::checked(model, shape, written, limits)?;
        query.level.call = Some(call.invocation.clone());
        // A function may give rows that no table holds, and then no key keeps what they refer to.
        query.level.embeds.iter_mut().for_each(|embed| embed.relation.kept = false);
        sealed::unsearched(&query.level)?;
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

    /// Asks for the values or rows in another shape than JSON.
    pub fn shaped(&mut self, shape: Shape) {
        self.shape = shape;
        if let Some(query) = &mut self.query {
            query.shaped(shape);
        }
    }

    /// What the columns of the answer are called: of plain values it is the function's name.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.query.as_ref().map_or_else(|| vec![self.function.name.as_str()], Query::names)
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
                sql.raw("select ").raw(match self.shape {
                    Shape::Csv => CSV_OF_ONE,
                    Shape::Json | Shape::Stripped => "coalesce(to_json(r.r)::text, 'null')",
                });
                sql.raw(" as body, 1::bigint").raw(ends);
                self.invocation.write(&mut sql);
                sql.raw(" r");
            }
            Returns::Values { .. } | Returns::Rows { .. } => {
                sql.raw("select ").raw(match self.shape {
                    Shape::Csv => self.shape.body(),
                    Shape::Json | Shape::Stripped => "coalesce(json_agg(r.r), '[]')::text",
                });
                sql.raw(" as body, count(*)").raw(ends);
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
    Refusal { hint: did_you_mean(name, known), ..refusal }
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
