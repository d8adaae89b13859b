//! The clauses around a `select`: its order and limit, and those that are not read.

use sqlparser::ast::{self, SetExpr};

use crate::view::{
    error::{Checked, Fault, Spot},
    ir::{Expr, Output, Query, Sort},
    scope::{Translator, spot},
    select::unsupported,
    typing::settle,
};

impl<'a> Translator<'a> {
    pub(crate) fn order_by(
        &mut self,
        order: &'a ast::OrderBy,
        outputs: &[Output],
    ) -> Checked<Vec<Sort>> {
        let ast::OrderBy { kind: ast::OrderByKind::Expressions(all), interpolate: None } = order
        else {
            return Err(unsupported(spot(order), "`order by all`"));
        };
        all.iter()
            .map(|one| {
                let expr = self.output_or_input(&one.expr, outputs, false)?;
                sorted(expr, one)
            })
            .collect()
    }

    /// The order inside an aggregate or a window.
    pub(crate) fn sorts(&mut self, all: &'a [ast::OrderByExpr]) -> Checked<Vec<Sort>> {
        all.iter()
            .map(|one| {
                let expr = settle(self.expr(&one.expr)?);
                sorted(expr, one)
            })
            .collect()
    }

    pub(crate) fn limits(
        &mut self,
        clause: Option<&'a ast::LimitClause>,
        fetch: Option<&'a ast::Fetch>,
        query: &mut Query,
        at: Spot,
    ) -> Checked<()> {
        let number = |expr: &ast::Expr| match expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) => digits.parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        };
        let wrong = || Fault::form(at, "`limit` needs a number", "write the number itself");
        if let Some(fetch) = fetch {
            let ast::Fetch { with_ties: false, percent: false, quantity } = fetch else {
                return Err(unsupported(at, "`fetch … with ties`"));
            };
            query.limit = Some(quantity.as_ref().map_or(Some(1), number).ok_or_else(wrong)?);
        }
        match clause {
            None => {}
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by })
                if limit_by.is_empty() =>
            {
                if let Some(limit) = limit {
                    query.limit = Some(number(limit).ok_or_else(wrong)?);
                }
                if let Some(offset) = offset {
                    query.offset = Some(number(&offset.value).ok_or_else(wrong)?);
                }
            }
            Some(_) => return Err(unsupported(at, "this `limit`")),
        }
        Ok(())
    }
}

fn sorted(expr: Expr, written: &ast::OrderByExpr) -> Checked<Sort> {
    let descending = match &written.options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(ast::OrderBySort::Using(_)) => {
            return Err(unsupported(spot(&written.expr), "`order by … using`"));
        }
    };
    crate::view::expr::ordered(&expr.typ, spot(&written.expr))?;
    Ok(Sort { expr, descending, nulls_first: written.options.nulls_first })
}

/// Refuses the clauses of `select` that are not read.
pub(crate) fn plain_select(select: &ast::Select) -> Checked<()> {
    let at = select.select_token.0.span;
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct: _,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection: _,
        exclude: None,
        into,
        from: _,
        lateral_views,
        prewhere: None,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    } = select
    else {
        return Err(unsupported(at, "a clause of this `select`"));
    };
    if into.is_some() {
        return Err(Fault::form(at, "a read model only reads", "remove `into`"));
    }
    if !named_window.is_empty() {
        return Err(Fault::form(
            named_window[0].0.span,
            "windows with names are not supported",
            "write each window in its own `over (…)`",
        ));
    }
    if !(optimizer_hints.is_empty()
        && lateral_views.is_empty()
        && connect_by.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty())
    {
        return Err(unsupported(at, "a clause of this `select`"));
    }
    Ok(())
}

/// That a query is no `select`.
pub(crate) fn not_a_select(body: &SetExpr, at: Spot) -> Box<Fault> {
    match body {
        SetExpr::SetOperation { op, .. } => Fault::form(
            at,
            format!(
                "`{}` puts rows of several queries together, and which of them a change touches cannot be told",
                op.to_string().to_lowercase()
            ),
            "declare a read model for each branch, or join the branches by their common key",
        ),
        SetExpr::Values(_) => Fault::form(
            at,
            "a list of values has nothing to keep up to date",
            "select from an entity",
        ),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Fault::form(at, "a read model only reads", "write a `select`")
        }
        _ => Fault::form(at, "this is no `select`", "write `select … from …`"),
    }
}
