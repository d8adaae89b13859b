//! The tree as SQL text. Tables are called `t1`, `t2` …; everything else is quoted or qualified.

use crate::{
    sql::{ident, literal},
    view::ir::{Call, Distinct, Expr, From, Kind, Query, Sort, TableId},
};

/// The whole definition: columns that are computed are given exactly the type of the table's column.
pub(crate) fn definition(query: &Query) -> String {
    let outputs = query.outputs.iter().map(|output| {
        let value = match &output.expr.kind {
            Kind::Column { .. } => expr(&output.expr),
            _ => format!("({})::{}", expr(&output.expr), output.expr.typ.sql()),
        };
        format!("{value} as {}", ident(&output.name))
    });
    select(query, &outputs.collect::<Vec<_>>().join(", "))
}

pub(crate) fn query(query: &Query) -> String {
    let outputs = query.outputs.iter().map(|output| {
        let value = expr(&output.expr);
        if output.name.is_empty() { value } else { format!("{value} as {}", ident(&output.name)) }
    });
    select(query, &outputs.collect::<Vec<_>>().join(", "))
}

fn select(query: &Query, outputs: &str) -> String {
    let distinct = match &query.distinct {
        Distinct::No => String::new(),
        Distinct::All => "distinct ".into(),
        Distinct::On(on) => format!("distinct on ({}) ", list(on)),
    };
    let mut text = format!("select {distinct}{outputs}");
    if !query.from.is_empty() {
        let from: Vec<String> = query.from.iter().map(|item| table(item, false)).collect();
        text.push_str(&format!(" from {}", from.join(", ")));
    }
    if let Some(filter) = &query.filter {
        text.push_str(&format!(" where {}", expr(filter)));
    }
    match query.group.as_deref() {
        None | Some([]) => {}
        Some(group) => text.push_str(&format!(" group by {}", list(group))),
    }
    if let Some(having) = &query.having {
        text.push_str(&format!(" having {}", expr(having)));
    }
    if !query.order.is_empty() {
        text.push_str(&format!(" order by {}", sorts(&query.order)));
    }
    if let Some(limit) = query.limit {
        text.push_str(&format!(" limit {limit}"));
    }
    if let Some(offset) = query.offset {
        text.push_str(&format!(" offset {offset}"));
    }
    text
}

pub(crate) fn alias(table: TableId) -> String {
    format!("t{}", table + 1)
}

fn table(from: &From, inside: bool) -> String {
    match from {
        From::Base { id, entity } => format!("app.{} as {}", ident(entity), alias(*id)),
        From::Derived { id, lateral, query: inner } => {
            let lateral = if *lateral { "lateral " } else { "" };
            format!("{lateral}({}) as {}", query(inner), alias(*id))
        }
        From::Join { left, right, outer, on } => {
            let (left, right) = (table(left, false), table(right, true));
            let joined = match (outer, on) {
                (true, on) => {
                    let on = on.as_ref().map_or("true".into(), expr);
                    format!("{left} left join {right} on {on}")
                }
                (false, Some(on)) => format!("{left} join {right} on {}", expr(on)),
                (false, None) => format!("{left} cross join {right}"),
            };
            if inside { format!("({joined})") } else { joined }
        }
    }
}

/// An expression, in parentheses where it needs them.
pub(crate) fn expr(one: &Expr) -> String {
    match &one.kind {
        Kind::Column { table, name } => format!("{}.{}", alias(*table), ident(name)),
        Kind::Text(text) => literal(text),
        Kind::Number(digits) => digits.clone(),
        Kind::Boolean(value) => value.to_string(),
        Kind::Null => "null".into(),
        Kind::Cast(inner) => format!("({})::{}", expr(inner), one.typ.sql()),
        Kind::Prefix(op, inner) => format!("({op}{})", spaced(&expr(inner))),
        Kind::Postfix(inner, op) => format!("({} {op})", expr(inner)),
        Kind::Binary(left, op, right) => format!("({} {op} {})", expr(left), expr(right)),
        Kind::Each(left, op, word, right) => {
            format!("({} {op} {word} ({}))", expr(left), expr(right))
        }
        Kind::And(all) => format!("({})", all.iter().map(expr).collect::<Vec<_>>().join(" and ")),
        Kind::Or(all) => format!("({})", all.iter().map(expr).collect::<Vec<_>>().join(" or ")),
        Kind::In(inner, all, not) => {
            format!("({} {}in ({}))", expr(inner), if *not { "not " } else { "" }, list(all))
        }
        Kind::Case { arms, otherwise } => {
            let mut text = String::from("case");
            for (when, then) in arms {
                text.push_str(&format!(" when {} then {}", expr(when), expr(then)));
            }
            if let Some(otherwise) = otherwise {
                text.push_str(&format!(" else {}", expr(otherwise)));
            }
            text + " end"
        }
        Kind::Array(all) => format!("array[{}]", list(all)),
        Kind::Element(array, index) => format!("({})[{}]", expr(array), expr(index)),
        Kind::Call(call) => called(call),
        Kind::Exists(inner) => format!("exists ({})", query(inner)),
        Kind::Scalar(inner) => format!("({})", query(inner)),
        Kind::ArrayOf(inner) => format!("array({})", query(inner)),
    }
}

/// A sign before a sign would begin a comment.
fn spaced(text: &str) -> String {
    if text.starts_with(['-', '+']) { format!(" {text}") } else { text.into() }
}

fn called(call: &Call) -> String {
    let distinct = if call.distinct { "distinct " } else { "" };
    let args = if call.star { "*".into() } else { list(&call.args) };
    let order = if call.order.is_empty() {
        String::new()
    } else {
        format!(" order by {}", sorts(&call.order))
    };
    let mut text = format!("{}({distinct}{args}{order})", call.name);
    if !call.within.is_empty() {
        text.push_str(&format!(" within group (order by {})", sorts(&call.within)));
    }
    if let Some(filter) = &call.filter {
        text.push_str(&format!(" filter (where {})", expr(filter)));
    }
    if let Some(window) = &call.over {
        let mut parts = Vec::new();
        if !window.partition.is_empty() {
            parts.push(format!("partition by {}", list(&window.partition)));
        }
        if !window.order.is_empty() {
            parts.push(format!("order by {}", sorts(&window.order)));
        }
        text.push_str(&format!(" over ({})", parts.join(" ")));
    }
    text
}

pub(crate) fn list(all: &[Expr]) -> String {
    all.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn sorts(all: &[Sort]) -> String {
    let one = |sort: &Sort| {
        let direction = if sort.descending { " desc" } else { "" };
        let nulls = match sort.nulls_first {
            None => "",
            Some(true) => " nulls first",
            Some(false) => " nulls last",
        };
        format!("{}{direction}{nulls}", expr(&sort.expr))
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}
