//! A `select`, clause by clause.

use sqlparser::ast::{self, GroupByExpr, SelectItem, SetExpr};

use crate::view::{
    clause::{not_a_select, plain_select},
    error::{Checked, Fault, Spot, Wrong},
    group,
    ir::{Distinct, Expr, Kind, Output, Query},
    scope::{Allowed, Level, Named, Translator, folded, spot},
    typing::settle,
};

/// What a `select` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The whole definition, or a subquery in `from`: every column needs a name.
    Table,
    /// A value, or a question whether there are rows.
    Value,
}

impl<'a> Translator<'a> {
    pub(crate) fn query(&mut self, query: &'a ast::Query, what: Use) -> Checked<Query> {
        self.depth += 8;
        let ast::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return Err(unsupported(spot(query), "this clause"));
        };
        if !locks.is_empty() || !pipe_operators.is_empty() {
            return Err(unsupported(spot(query), "`for update`"));
        }
        let names = self.named.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        let outer = self.allowed;
        let found = match &**body {
            SetExpr::Select(select) => {
                let proven = self.proven.len();
                self.levels.push(Level::default());
                let found = self.select(select, order_by.as_ref(), what);
                self.levels.pop();
                self.proven.truncate(proven);
                let mut found = found?;
                self.limits(limit_clause.as_ref(), fetch.as_ref(), &mut found, spot(query))?;
                if found.limit.is_some()
                    || found.offset.is_some()
                    || matches!(found.distinct, Distinct::On(_))
                {
                    group::break_ties(self, &mut found);
                }
                Ok(found)
            }
            SetExpr::Query(inner)
                if order_by.is_none() && limit_clause.is_none() && fetch.is_none() =>
            {
                self.query(inner, what)
            }
            other => Err(not_a_select(other, spot(query))),
        };
        self.allowed = outer;
        self.named.truncate(names);
        self.depth -= 8;
        found
    }

    fn with(&mut self, with: &'a ast::With) -> Checked<()> {
        if with.recursive {
            return Err(Fault::form(
                with.with_token.0.span,
                "a recursive query follows references any number of times, and what a change touches cannot be told",
                "keep what it computes (the root, the depth, the path) in fields of the rows themselves",
            ));
        }
        for cte in &with.cte_tables {
            let ast::Cte { alias, query, from: None, .. } = cte else {
                return Err(unsupported(alias_spot(&cte.alias), "this `with`"));
            };
            self.named.push(Named {
                name: folded(&alias.name),
                query,
                columns: &alias.columns,
                levels: self.levels.len(),
            });
        }
        Ok(())
    }

    fn select(
        &mut self,
        select: &'a ast::Select,
        order: Option<&'a ast::OrderBy>,
        what: Use,
    ) -> Checked<Query> {
        plain_select(select)?;
        let grouping =
            matches!(&select.group_by, GroupByExpr::Expressions(all, _) if !all.is_empty());
        let mut query = Query { from: self.from(&select.from)?, ..Query::default() };
        self.level().grouping = grouping;
        self.allow(false, false, "where");
        if let Some(filter) = &select.selection {
            query.filter = Some(self.condition(filter)?);
        }
        if let Some(filter) = &query.filter {
            self.note(filter, true);
        }
        self.allow(true, true, "select");
        query.outputs = self.outputs(&select.projection, what)?;
        self.allow(false, false, "`group by`");
        let group = self.group_by(&select.group_by, &query.outputs)?;
        self.allow(true, false, "`having`");
        if let Some(having) = &select.having {
            query.having = Some(self.truth(having)?);
        }
        self.allow(true, true, "`order by`");
        if let Some(order) = order {
            query.order = self.order_by(order, &query.outputs)?;
        }
        query.distinct = match &select.distinct {
            None | Some(ast::Distinct::All) => Distinct::No,
            Some(ast::Distinct::Distinct) => Distinct::All,
            Some(ast::Distinct::On(on)) => Distinct::On(
                on.iter()
                    .map(|one| self.output_or_input(one, &query.outputs, false))
                    .collect::<Checked<_>>()?,
            ),
        };
        let aggregates = query.outputs.iter().any(|output| output.expr.aggregates())
            || query.having.is_some()
            || query.order.iter().any(|sort| sort.expr.aggregates());
        query.group = (grouping || aggregates).then_some(group);
        group::check(self, &mut query, select.select_token.0.span)?;
        Ok(query)
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("a `select` is being read")
    }

    /// Whether the `select` that is being read has groups, each of which has a row.
    pub(crate) fn grouping(&self) -> bool {
        self.levels.last().is_some_and(|level| level.grouping)
    }

    fn allow(&mut self, aggregates: bool, windows: bool, place: &'static str) {
        self.allowed = Allowed { aggregates, windows, place };
    }

    fn outputs(&mut self, items: &'a [SelectItem], what: Use) -> Checked<Vec<Output>> {
        let mut outputs = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match expr {
                        ast::Expr::Identifier(ident) => folded(ident),
                        ast::Expr::CompoundIdentifier(parts) => {
                            parts.last().map(folded).unwrap_or_default()
                        }
                        _ if what == Use::Value => String::new(),
                        _ => return Err(unnamed(expr)),
                    };
                    outputs.push(Output { name, expr: settle(self.expr(expr)?) });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.push(Output { name: folded(alias), expr: settle(self.expr(expr)?) });
                }
                SelectItem::Wildcard(_) if what == Use::Value => {
                    let one = Expr::new(
                        Kind::Number("1".into()),
                        crate::view::typing::Type::scalar(crate::entity::Scalar::Integer),
                        false,
                    );
                    outputs.push(Output { name: String::new(), expr: one });
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    return Err(Fault::form(
                        spot(item),
                        "`*` would change the columns with every change of the entity",
                        "name the columns",
                    ));
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(unsupported(spot(item), "several names for a column"));
                }
            }
        }
        for (at, output) in outputs.iter().enumerate() {
            if !output.name.is_empty()
                && outputs[..at].iter().any(|other| other.name == output.name)
            {
                return Err(Fault::new(
                    Wrong::Name,
                    spot(&items[at]),
                    format!("two columns are called `{}`", output.name),
                    "give one of them another name with `as`",
                ));
            }
        }
        Ok(outputs)
    }

    fn group_by(&mut self, group: &'a GroupByExpr, outputs: &[Output]) -> Checked<Vec<Expr>> {
        match group {
            GroupByExpr::Expressions(all, modifiers) if modifiers.is_empty() => {
                let mut found: Vec<Expr> = Vec::new();
                for one in all {
                    let expr = self.output_or_input(one, outputs, true)?;
                    if expr.aggregates() || !expr.windows().is_empty() {
                        return Err(Fault::form(
                            spot(one),
                            "a group cannot be made by an aggregate",
                            "compute it in a subquery in `from`, and group by its column",
                        ));
                    }
                    if !found.contains(&expr) {
                        found.push(expr);
                    }
                }
                Ok(found)
            }
            other => Err(Fault::form(
                spot(other),
                "grouping sets and `group by all` are not supported",
                "name the columns; declare a read model for each grouping",
            )),
        }
    }

    /// A column of the result by number or name, or an expression. `input_first`: a name means a column of a table
    /// before it means one of the result.
    pub(crate) fn output_or_input(
        &mut self,
        expr: &'a ast::Expr,
        outputs: &[Output],
        input_first: bool,
    ) -> Checked<Expr> {
        let named = |ident: &ast::Ident| {
            let name = folded(ident);
            outputs.iter().find(|output| output.name == name).map(|output| output.expr.clone())
        };
        match expr {
            ast::Expr::Value(value) => {
                if let ast::Value::Number(digits, _) = &value.value
                    && let Some(output) =
                        digits.parse::<usize>().ok().and_then(|n| outputs.get(n.checked_sub(1)?))
                {
                    return Ok(output.expr.clone());
                }
                Err(Fault::new(
                    Wrong::Name,
                    value.span,
                    "there is no column of this number",
                    "name the column",
                ))
            }
            ast::Expr::Identifier(ident) if input_first => {
                self.resolve_name(None, ident).or_else(|fault| named(ident).ok_or(fault))
            }
            ast::Expr::Identifier(ident) => match named(ident) {
                Some(found) => Ok(found),
                None => self.expr(expr),
            },
            _ => self.expr(expr).map(settle),
        }
    }
}

fn unnamed(expr: &ast::Expr) -> Box<Fault> {
    Fault::new(Wrong::Name, spot(expr), "this column has no name", "give it one: `… as name`")
}

fn alias_spot(alias: &ast::TableAlias) -> Spot {
    alias.name.span
}

pub(crate) fn unsupported(at: Spot, what: &str) -> Box<Fault> {
    Fault::form(at, format!("{what} is not supported in a read model"), "leave it out")
}
