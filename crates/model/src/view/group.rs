//! Groups: what may be named beside them; and an order for rows that are otherwise alike.

use crate::view::{
    error::{Checked, Fault, Spot},
    ir::{Class, Distinct, Expr, From, Kind, Query, Sort, TableId},
    scope::Translator,
};

/// Checks that everything that is shown of a group is one value in it. What an `id` that is grouped by determines is
/// added to the groups.
pub(crate) fn check(reader: &Translator<'_>, query: &mut Query, at: Spot) -> Checked<()> {
    if let Some(mut group) = query.group.take() {
        let own: Vec<TableId> = reader
            .levels
            .last()
            .map(|level| level.items.iter().map(|item| item.table).collect())
            .unwrap_or_default();
        let mut shown: Vec<&Expr> = query.outputs.iter().map(|output| &output.expr).collect();
        shown.extend(&query.having);
        shown.extend(query.order.iter().map(|sort| &sort.expr));
        if let Distinct::On(on) = &query.distinct {
            shown.extend(on);
        }
        for expr in shown {
            one_value(reader, expr, &own, &mut group, at)?;
        }
        query.group = Some(group);
    }
    let mut outputs = std::mem::take(&mut query.outputs);
    for output in &mut outputs {
        output.expr.each_call(&mut |call| {
            const SEEN: [&str; 6] =
                ["row_number", "ntile", "lag", "lead", "first_value", "last_value"];
            let name = call.name.trim_start_matches("pg_catalog.");
            if call.class == Class::Window
                && SEEN.contains(&name)
                && let Some(window) = &mut call.over
            {
                last_resort(reader, query, &mut window.order);
            }
        });
    }
    query.outputs = outputs;
    Ok(())
}

fn one_value(
    reader: &Translator<'_>,
    expr: &Expr,
    own: &[TableId],
    group: &mut Vec<Expr>,
    at: Spot,
) -> Checked<()> {
    if group.contains(expr) {
        return Ok(());
    }
    let column = |table: TableId, name: &str, group: &mut Vec<Expr>, expr: Option<&Expr>| {
        let is = |one: &Expr, what: &str| matches!(&one.kind, Kind::Column { table: at, name } if *at == table && name == what);
        if group.iter().any(|one| is(one, name)) {
            return Ok(());
        }
        if reader.entity_of(table).is_some() && group.iter().any(|one| is(one, "id")) {
            let found = expr.cloned().or_else(|| reader.column(table, name, true));
            group.extend(found);
            return Ok(());
        }
        Err(Fault::form(
            at,
            format!("`{name}` may have several values in a group"),
            format!("add it to `group by`, or make one value of it, such as `max({name})`"),
        ))
    };
    match &expr.kind {
        Kind::Column { table, name } if own.contains(table) => {
            return column(*table, name, group, Some(expr));
        }
        Kind::Call(call) if call.class == Class::Aggregate && call.over.is_none() => return Ok(()),
        _ => {}
    }
    if expr.query().is_some() {
        for (table, name) in expr.columns() {
            if own.contains(&table) {
                column(table, name, group, None)?;
            }
        }
    }
    expr.children().into_iter().try_for_each(|child| one_value(reader, child, own, group, at))
}

/// Orders rows that are alike in all that is asked for, so that the first of them is always the same one.
pub(crate) fn break_ties(reader: &Translator<'_>, query: &mut Query) {
    let mut order = std::mem::take(&mut query.order);
    last_resort(reader, query, &mut order);
    query.order = order;
}

fn last_resort(reader: &Translator<'_>, query: &Query, order: &mut Vec<Sort>) {
    let mut all: Vec<Expr> = match (&query.group, &query.distinct) {
        (_, Distinct::All) => query.outputs.iter().map(|output| output.expr.clone()).collect(),
        (Some(group), _) => group.clone(),
        (None, _) => {
            let mut all = Vec::new();
            query.from.iter().for_each(|from| identity(reader, from, &mut all));
            all
        }
    };
    all.retain(|expr| !order.iter().any(|sort| sort.expr == *expr));
    order.extend(all.into_iter().map(|expr| Sort { expr, descending: false, nulls_first: None }));
}

/// The columns that tell the rows of a table apart.
fn identity(reader: &Translator<'_>, from: &From, all: &mut Vec<Expr>) {
    match from {
        From::Base { id, .. } => all.extend(reader.column(*id, "id", false)),
        From::Derived { id, .. } => {
            all.extend(
                reader.columns_of(*id).iter().filter_map(|name| reader.column(*id, name, true)),
            );
        }
        From::Join { left, right, .. } => {
            identity(reader, left, all);
            identity(reader, right, all);
        }
    }
}
