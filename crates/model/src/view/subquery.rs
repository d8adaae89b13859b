//! Conditions and subqueries: what they say about rows that come together.

use sqlparser::ast;

use crate::{
    entity::{Kind as FieldKind, Scalar},
    view::{
        error::{Checked, Fault, Spot},
        expr::{comparable, truth},
        graph::{Equality, Region, RegionId},
        ir::{Distinct, Expr, Kind, Query, TableId, Window},
        scope::{Translator, spot},
        select::Use,
        typing::{Base, Type},
        unique,
    },
};

impl<'a> Translator<'a> {
    /// The condition of `where` or `on`. There, and only there, a null is as good as a no, so that `in (select …)` is
    /// the same as `exists (select … where … = …)`.
    pub(crate) fn condition(&mut self, expr: &'a ast::Expr) -> Checked<Expr> {
        match expr {
            ast::Expr::Nested(inner) => self.condition(inner),
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
                self.depth += 1;
                let both = vec![self.condition(left)?, self.condition(right)?];
                self.depth -= 1;
                Ok(and(both))
            }
            ast::Expr::In {
                expr,
                target: ast::InTarget::Subquery(query),
                negated: false,
                global: false,
            } => self.in_query(expr, query),
            other => self.truth(other),
        }
    }

    fn in_query(&mut self, expr: &'a ast::Expr, query: &'a ast::Query) -> Checked<Expr> {
        let at = spot(expr);
        let value = self.expr(expr)?;
        let outer = self.region;
        self.region = self.region_within(false);
        let found = self.query(query, Use::Value).and_then(|mut found| {
            let plain = found.group.is_none()
                && found.limit.is_none()
                && found.offset.is_none()
                && !matches!(found.distinct, Distinct::On(_));
            let [output] = found.outputs.as_slice() else {
                return Err(Fault::typing(
                    at,
                    "`in (select …)` compares with one column",
                    "select one column",
                ));
            };
            if !plain || !found.windows().is_empty() {
                return Err(Fault::form(
                    at,
                    "`in (select …)` with `group by` or `limit` is not supported",
                    "write `exists (select 1 from … where … = …)`",
                ));
            }
            let (left, right) = comparable(value, output.expr.clone(), at)?;
            let equal = truth(Kind::Binary(Box::new(left), "=".into(), Box::new(right)), true);
            self.note(&equal, false);
            found.filter = Some(and(found.filter.take().into_iter().chain([equal]).collect()));
            found.distinct = Distinct::No;
            Ok(found)
        });
        self.region = outer;
        Ok(truth(Kind::Exists(Box::new(found?)), false))
    }

    fn subquery(&mut self, query: &'a ast::Query) -> Checked<Query> {
        let outer = self.region;
        self.region = self.region_within(false);
        let found = self.query(query, Use::Value);
        self.region = outer;
        found
    }

    pub(crate) fn exists(&mut self, query: &'a ast::Query, not: bool) -> Checked<Expr> {
        let found = truth(Kind::Exists(Box::new(self.subquery(query)?)), false);
        Ok(if not { truth(Kind::Prefix("not ", Box::new(found)), false) } else { found })
    }

    pub(crate) fn scalar_query(&mut self, query: &'a ast::Query, at: Spot) -> Checked<Expr> {
        let found = self.subquery(query)?;
        let [output] = found.outputs.as_slice() else {
            return Err(Fault::typing(
                at,
                "a subquery that is a value has one column",
                "select one column",
            ));
        };
        let always = found.group.as_ref().is_some_and(Vec::is_empty)
            && found.having.is_none()
            && found.limit.is_none()
            && found.offset.is_none();
        if !always && found.limit != Some(1) && !unique::at_most_one(self, &found) {
            return Err(Fault::form(
                at,
                "this subquery may give several rows where one value is needed",
                "look up by `id` or a unique field, sum up with an aggregate, or end it with `order by … limit 1`",
            ));
        }
        let (typ, nullable) = (output.expr.typ.clone(), output.expr.nullable || !always);
        Ok(Expr::new(Kind::Scalar(Box::new(found)), typ, nullable))
    }

    pub(crate) fn array_query(&mut self, query: &'a ast::Query) -> Checked<Expr> {
        let at = spot(query);
        let mut found = self.subquery(query)?;
        let [output] = found.outputs.as_slice() else {
            return Err(Fault::typing(
                at,
                "`array(…)` takes a query of one column",
                "select one column",
            ));
        };
        let Base::Scalar(scalar) = output.expr.typ.base() else {
            return Err(Fault::typing(
                at,
                "an array holds plain values",
                "write `jsonb_agg(…)` in a subquery",
            ));
        };
        if found.limit.is_none() && found.offset.is_none() && matches!(found.distinct, Distinct::No)
        {
            crate::view::group::break_ties(self, &mut found);
        }
        Ok(Expr::new(Kind::ArrayOf(Box::new(found)), Type::Of(FieldKind::Array(scalar)), false))
    }

    /// Takes note of what a condition says of rows that come together. `proves`: rows for which it does not hold are
    /// gone.
    pub(crate) fn note(&mut self, condition: &Expr, proves: bool) {
        for conjunct in condition.conjuncts() {
            if let Kind::Binary(left, op, right) = &conjunct.kind
                && op == "="
            {
                let region = self.region;
                match (self.origin(left), self.origin(right)) {
                    (Some(left), Some(right)) => {
                        self.equalities.push(Equality { region, left, right });
                    }
                    _ => {
                        let (left, right) = ((**left).clone(), (**right).clone());
                        self.others.push(Equality { region, left, right });
                    }
                }
            }
            for (table, name) in strict_columns(conjunct) {
                self.present(table);
                if proves {
                    self.proven.push((table, name));
                }
            }
        }
    }

    /// Notes that where the current region has a row, the region of `table` has one.
    fn present(&mut self, table: TableId) {
        let other = self.tables[table].region;
        let above = |mut region: RegionId, regions: &[Region]| {
            let mut chain = vec![region];
            while let Some(parent) = regions[region].parent {
                region = parent;
                chain.push(region);
            }
            chain
        };
        let own = above(self.region, &self.regions);
        if own.contains(&other) {
            return;
        }
        let theirs = above(other, &self.regions);
        match theirs.iter().position(|region| *region == self.region) {
            Some(depth) => {
                theirs[..depth].iter().for_each(|region| self.regions[*region].certain = true)
            }
            None => self.regions[self.region].needs.push(other),
        }
    }
}

/// Whether all rows behind a row of the result have this value of the output.
pub(crate) fn settled_by_row(query: &Query, windows: &[&Window], output: &Expr) -> bool {
    let distinct = match &query.distinct {
        Distinct::On(on) => on.contains(output),
        _ => true,
    };
    let grouped = query.group.as_ref().is_none_or(|group| group.contains(output));
    distinct
        && grouped
        && query.limit.is_none()
        && query.offset.is_none()
        && windows.iter().all(|window| window.partition.contains(output))
}

/// The columns that are not null where the condition holds.
fn strict_columns(condition: &Expr) -> Vec<(TableId, String)> {
    let column = |expr: &Expr| {
        let mut expr = expr;
        while let Kind::Cast(inner) = &expr.kind {
            expr = inner;
        }
        match &expr.kind {
            Kind::Column { table, name } => Some((*table, name.clone())),
            _ => None,
        }
    };
    match &condition.kind {
        Kind::Binary(left, op, right) if !op.starts_with("is") => {
            [column(left), column(right)].into_iter().flatten().collect()
        }
        Kind::Postfix(one, "is not null" | "is true" | "is false") => {
            column(one).into_iter().collect()
        }
        Kind::In(one, _, false) => column(one).into_iter().collect(),
        Kind::Column { .. } if condition.typ == Type::scalar(Scalar::Boolean) => {
            column(condition).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn and(mut all: Vec<Expr>) -> Expr {
    if all.len() == 1 {
        return all.remove(0);
    }
    let nullable = all.iter().any(|one| one.nullable);
    truth(Kind::And(all), nullable)
}
