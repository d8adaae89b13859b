//! Expressions, but for operators and calls.

use sqlparser::ast::{self, BinaryOperator, CeilFloorKind, DateTimeField};

use crate::{
    entity::{Kind as FieldKind, Scalar},
    view::{
        error::{Checked, Fault, Spot, Wrong},
        ir::{Expr, Kind},
        literal::{explicit, interval_literal, literal},
        scope::{Translator, spot},
        typing::{Base, Type, cast, coerce, common, settle},
    },
};

/// How deep expressions and subqueries may be nested.
const DEPTH_MAX: usize = 150;

impl<'a> Translator<'a> {
    pub(crate) fn expr(&mut self, expr: &'a ast::Expr) -> Checked<Expr> {
        let at = spot(expr);
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::form(
                at,
                "the SQL is nested too deep",
                "write it with fewer levels, or move parts of it to a `with`",
            ));
        }
        let found = self.any(expr, at).map_err(|fault| fault.or_at(at));
        self.depth -= 1;
        found
    }

    /// An expression that says yes or no.
    pub(crate) fn truth(&mut self, expr: &'a ast::Expr) -> Checked<Expr> {
        let at = spot(expr);
        coerce(self.expr(expr)?, &Type::scalar(Scalar::Boolean), at)
    }

    pub(crate) fn exprs(&mut self, all: &'a [ast::Expr]) -> Checked<Vec<Expr>> {
        all.iter().map(|one| self.expr(one)).collect()
    }

    fn any(&mut self, expr: &'a ast::Expr, at: Spot) -> Checked<Expr> {
        use ast::Expr as E;
        match expr {
            E::Identifier(ident) => self.resolve_name(None, ident),
            E::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => self.resolve_name(Some(table), column),
                _ => Err(Fault::new(
                    Wrong::Name,
                    at,
                    "names have no schema here",
                    "write `entity.field`",
                )),
            },
            E::Nested(inner) => self.expr(inner),
            E::Value(value) => literal(&value.value, at),
            E::TypedString(typed) => {
                let typ = self.data_type(&typed.data_type, at)?;
                coerce(literal(&typed.value.value, at)?, &typ, at)
            }
            E::Interval(interval) => interval_literal(interval, at),
            E::IsNull(one) => self.is(one, "is null"),
            E::IsNotNull(one) => self.is(one, "is not null"),
            E::IsTrue(one) => self.is_truth(one, "is true"),
            E::IsNotTrue(one) => self.is_truth(one, "is not true"),
            E::IsFalse(one) => self.is_truth(one, "is false"),
            E::IsNotFalse(one) => self.is_truth(one, "is not false"),
            E::IsUnknown(one) => self.is_truth(one, "is unknown"),
            E::IsNotUnknown(one) => self.is_truth(one, "is not unknown"),
            E::IsDistinctFrom(left, right) => self.distinct(left, right, "is distinct from", at),
            E::IsNotDistinctFrom(left, right) => {
                self.distinct(left, right, "is not distinct from", at)
            }
            E::In { expr, target, negated, global: false } => {
                self.is_in(expr, target, *negated, at)
            }
            E::Between { expr, negated, low, high } => self.between(expr, low, high, *negated, at),
            E::BinaryOp { left, op, right } => self.binary(left, op, right, at),
            E::UnaryOp { op, expr } => self.unary(*op, expr, at),
            E::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, if *negated { "not like" } else { "like" })
            }
            E::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, if *negated { "not ilike" } else { "ilike" })
            }
            E::AnyOp { left, compare_op, right, .. } => {
                self.each(left, compare_op, "any", right, at)
            }
            E::AllOp { left, compare_op, right } => self.each(left, compare_op, "all", right, at),
            E::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let to = self.data_type(data_type, at)?;
                let value = self.expr(expr)?;
                explicit(value, &to, at)
            }
            E::CompoundFieldAccess { root, access_chain } => self.element(root, access_chain, at),
            E::Array(array) => self.array(array, at),
            E::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), at)
            }
            E::Exists { subquery, negated } => self.exists(subquery, *negated),
            E::Subquery(query) => self.scalar_query(query, at),
            E::Function(function) => self.call(function, at),
            other => self.special(other, at),
        }
    }

    /// What has a syntax of its own, but is a function.
    fn special(&mut self, expr: &'a ast::Expr, at: Spot) -> Checked<Expr> {
        use ast::Expr as E;
        let text = |word: &str| settle(Expr::new(Kind::Text(word.into()), Type::Open, false));
        match expr {
            E::AtTimeZone { timestamp, time_zone } => {
                let args = vec![self.expr(time_zone)?, self.expr(timestamp)?];
                self.plain_call("timezone", args, at)
            }
            E::Extract { field, expr, .. } => {
                let field = text(&field.to_string().to_lowercase());
                let args = vec![field, self.expr(expr)?];
                self.plain_call("extract", args, at)
            }
            E::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let args = vec![self.expr(expr)?];
                self.plain_call("ceil", args, at)
            }
            E::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let args = vec![self.expr(expr)?];
                self.plain_call("floor", args, at)
            }
            E::Position { expr, r#in } => {
                let args = vec![self.expr(r#in)?, self.expr(expr)?];
                self.plain_call("strpos", args, at)
            }
            E::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let mut args = vec![self.expr(expr)?, self.expr(from)?];
                if let Some(length) = substring_for {
                    args.push(self.expr(length)?);
                }
                self.plain_call("substr", args, at)
            }
            E::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "btrim",
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                };
                let mut args = vec![self.expr(expr)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what)?);
                }
                self.plain_call(name, args, at)
            }
            E::GroupingSets(_) | E::Cube(_) | E::Rollup(_) => Err(Fault::form(
                at,
                "grouping sets make rows of several groupings at once",
                "declare a read model for each grouping",
            )),
            E::Tuple(_) => Err(Fault::form(
                at,
                "rows cannot be compared here",
                "compare column by column, with `and` between",
            )),
            E::Collate { .. } => Err(Fault::form(at, "`collate` is not supported", "leave it out")),
            E::SimilarTo { .. } => Err(Fault::form(
                at,
                "`similar to` is not supported",
                "write `like`, or a regular expression with `~`",
            )),
            _ => Err(Fault::form(
                at,
                "this form is not supported in a read model",
                "write it with operators, `case` and ordinary functions",
            )),
        }
    }

    fn is(&mut self, expr: &'a ast::Expr, word: &'static str) -> Checked<Expr> {
        let value = settle(self.expr(expr)?);
        Ok(truth(Kind::Postfix(Box::new(value), word), false))
    }

    fn is_truth(&mut self, expr: &'a ast::Expr, word: &'static str) -> Checked<Expr> {
        let value = self.truth(expr)?;
        Ok(truth(Kind::Postfix(Box::new(value), word), false))
    }

    fn distinct(
        &mut self,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        word: &str,
        at: Spot,
    ) -> Checked<Expr> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (left, right) = comparable(left, right, at)?;
        Ok(truth(Kind::Binary(Box::new(left), word.into(), Box::new(right)), false))
    }

    fn is_in(
        &mut self,
        expr: &'a ast::Expr,
        target: &'a ast::InTarget,
        not: bool,
        at: Spot,
    ) -> Checked<Expr> {
        let ast::InTarget::List(list) = target else {
            let help = if not {
                "write `not exists (select 1 from … where … = …)`"
            } else {
                "write `exists (select 1 from … where … = …)`"
            };
            return Err(Fault::form(
                at,
                "`in (select …)` is null, not false, when it meets a null",
                help,
            ));
        };
        let mut all = vec![self.expr(expr)?];
        all.extend(self.exprs(list)?);
        let typ = common(&all.iter().collect::<Vec<_>>(), at)?;
        ordered(&typ, at)?;
        let nullable = all.iter().any(|one| one.nullable);
        let mut all =
            all.into_iter().map(|one| coerce(one, &typ, at)).collect::<Checked<Vec<_>>>()?;
        let first = all.remove(0);
        Ok(truth(Kind::In(Box::new(first), all, not), nullable))
    }

    fn between(
        &mut self,
        expr: &'a ast::Expr,
        low: &'a ast::Expr,
        high: &'a ast::Expr,
        not: bool,
        at: Spot,
    ) -> Checked<Expr> {
        let (value, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
        let (above, below) = if not { ("<", ">") } else { (">=", "<=") };
        let compare = |value: Expr, op: &str, bound: Expr| -> Checked<Expr> {
            let (left, right) = comparable(value, bound, at)?;
            let nullable = left.nullable || right.nullable;
            Ok(truth(Kind::Binary(Box::new(left), op.into(), Box::new(right)), nullable))
        };
        let both = vec![compare(value.clone(), above, low)?, compare(value, below, high)?];
        let nullable = both.iter().any(|one| one.nullable);
        Ok(truth(if not { Kind::Or(both) } else { Kind::And(both) }, nullable))
    }

    fn like(&mut self, expr: &'a ast::Expr, pattern: &'a ast::Expr, word: &str) -> Checked<Expr> {
        let text = Type::scalar(Scalar::Text);
        let left = coerce(self.expr(expr)?, &text, spot(expr))?;
        let right = coerce(self.expr(pattern)?, &text, spot(pattern))?;
        let nullable = left.nullable || right.nullable;
        Ok(truth(Kind::Binary(Box::new(left), word.into(), Box::new(right)), nullable))
    }

    /// `left op any (array)`
    fn each(
        &mut self,
        left: &'a ast::Expr,
        op: &BinaryOperator,
        word: &'static str,
        right: &'a ast::Expr,
        at: Spot,
    ) -> Checked<Expr> {
        let op = match op {
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            _ => {
                return Err(Fault::form(
                    at,
                    format!("this operator cannot stand before `{word}`"),
                    "compare with `=`, `<>`, `<`, `<=`, `>` or `>=`",
                ));
            }
        };
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let Base::Array(scalar) = right.typ.base() else {
            return Err(Fault::form(
                at,
                format!("`{word}` needs an array"),
                "compare with an array field, or write `in (…)` or `exists (…)`",
            ));
        };
        let left = coerce(left, &Type::scalar(scalar), at)?;
        Ok(truth(Kind::Each(Box::new(left), op, word, Box::new(right)), true))
    }

    fn element(
        &mut self,
        root: &'a ast::Expr,
        chain: &'a [ast::AccessExpr],
        at: Spot,
    ) -> Checked<Expr> {
        let [ast::AccessExpr::Subscript(ast::Subscript::Index { index })] = chain else {
            return Err(Fault::form(
                at,
                "only one element of an array can be taken like this",
                "write `array[1]`",
            ));
        };
        let root = self.expr(root)?;
        let Base::Array(scalar) = root.typ.base() else {
            return Err(Fault::typing(
                at,
                "this is no array",
                "take what is inside a `jsonb` with `->` or `->>`",
            ));
        };
        let index = coerce(self.expr(index)?, &Type::scalar(Scalar::Integer), at)?;
        Ok(Expr::new(Kind::Element(Box::new(root), Box::new(index)), Type::scalar(scalar), true))
    }

    fn array(&mut self, array: &'a ast::Array, at: Spot) -> Checked<Expr> {
        let all = self.exprs(&array.elem)?;
        let typ = common(&all.iter().collect::<Vec<_>>(), at)?;
        let Base::Scalar(scalar) = typ.base() else {
            return Err(Fault::typing(
                at,
                "an array holds plain values",
                "put numbers, texts or times into it",
            ));
        };
        let typ = Type::scalar(scalar);
        let all = all.into_iter().map(|one| coerce(one, &typ, at)).collect::<Checked<Vec<_>>>()?;
        let array = Expr::new(Kind::Array(all), Type::Of(FieldKind::Array(scalar)), false);
        let typ = array.typ.clone();
        Ok(cast(array, &typ))
    }

    fn case(
        &mut self,
        operand: Option<&'a ast::Expr>,
        arms: &'a [ast::CaseWhen],
        otherwise: Option<&'a ast::Expr>,
        at: Spot,
    ) -> Checked<Expr> {
        let mut conditions = Vec::new();
        let operand = operand.map(|one| self.expr(one)).transpose()?;
        for arm in arms {
            // `case x when y` is `case when x = y`.
            conditions.push(match &operand {
                None => self.truth(&arm.condition)?,
                Some(operand) => {
                    let value = self.expr(&arm.condition)?;
                    let (left, right) = comparable(operand.clone(), value, spot(&arm.condition))?;
                    truth(Kind::Binary(Box::new(left), "=".into(), Box::new(right)), true)
                }
            });
        }
        let mut values =
            arms.iter().map(|arm| self.expr(&arm.result)).collect::<Checked<Vec<_>>>()?;
        let nothing = Expr::new(Kind::Null, Type::Open, true);
        values.push(otherwise.map_or(Ok(nothing), |one| self.expr(one))?);
        let typ = common(&values.iter().collect::<Vec<_>>(), at)?;
        let nullable = values.iter().any(|one| one.nullable);
        let mut values =
            values.into_iter().map(|one| coerce(one, &typ, at)).collect::<Checked<Vec<_>>>()?;
        let otherwise = values.pop().map(Box::new);
        let arms = conditions.into_iter().zip(values).collect();
        Ok(Expr::new(Kind::Case { arms, otherwise }, typ, nullable))
    }
}

/// An expression that says yes or no.
pub(crate) fn truth(kind: Kind, nullable: bool) -> Expr {
    Expr::new(kind, Type::scalar(Scalar::Boolean), nullable)
}

/// Both sides of a comparison, as values of one type.
pub(crate) fn comparable(left: Expr, right: Expr, at: Spot) -> Checked<(Expr, Expr)> {
    // An enum meets a constant as itself, so that a value it does not have is noticed.
    let typ = common(&[&left, &right], at)?;
    ordered(&typ, at)?;
    Ok((coerce(left, &typ, at)?, coerce(right, &typ, at)?))
}

/// Refuses types whose values cannot be compared.
pub(crate) fn ordered(typ: &Type, at: Spot) -> Checked<()> {
    match typ.base() {
        Base::Vector(_) => Err(Fault::typing(
            at,
            "vectors cannot be compared",
            "compare a distance with a number, such as `a <=> b < 0.2`",
        )),
        _ => Ok(()),
    }
}
