//! Operators: which types they take and what they give.

use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use crate::{
    entity::{Kind as FieldKind, Scalar},
    view::{
        error::{Checked, Fault, Spot},
        expr::{comparable, truth},
        ir::{Expr, Kind},
        scope::{Translator, spot},
        typing::{Base, Type, cast, coerce, settle},
    },
};

const JSONB: Base = Base::Scalar(Scalar::Jsonb);
const TEXT: Base = Base::Scalar(Scalar::Text);
const DATE: Base = Base::Scalar(Scalar::Date);
const TIME: Base = Base::Scalar(Scalar::TimestampTz);

impl<'a> Translator<'a> {
    pub(crate) fn binary(
        &mut self,
        left: &'a ast::Expr,
        op: &BinaryOperator,
        right: &'a ast::Expr,
        at: Spot,
    ) -> Checked<Expr> {
        use BinaryOperator as B;
        if matches!(op, B::And | B::Or) {
            let both = vec![self.truth(left)?, self.truth(right)?];
            let nullable = both.iter().any(|one| one.nullable);
            return Ok(truth(
                if *op == B::And { Kind::And(both) } else { Kind::Or(both) },
                nullable,
            ));
        }
        let places = (spot(left), spot(right));
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        match op {
            B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                let (left, right) = comparable(left, right, at)?;
                Ok(joined(left, &op.to_string(), right, Type::scalar(Scalar::Boolean), false))
            }
            B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo => {
                arithmetic(left, &op.to_string(), right, at)
            }
            B::PGExp => {
                let double = Type::scalar(Scalar::Double);
                let (left, right) =
                    (coerce(left, &double, places.0)?, coerce(right, &double, places.1)?);
                Ok(joined(left, "^", right, double, false))
            }
            B::StringConcat => concatenate(left, right, at),
            B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow => {
                inside(left, op, right, at)
            }
            B::AtArrow | B::ArrowAt | B::PGOverlap => contains(left, op, right, at),
            B::Question => {
                let (left, right) = (
                    coerce(left, &Type::scalar(Scalar::Jsonb), places.0)?,
                    coerce(right, &Type::scalar(Scalar::Text), places.1)?,
                );
                Ok(joined(left, "?", right, Type::scalar(Scalar::Boolean), false))
            }
            B::PGRegexMatch
            | B::PGRegexIMatch
            | B::PGRegexNotMatch
            | B::PGRegexNotIMatch
            | B::PGStartsWith => {
                let text = Type::scalar(Scalar::Text);
                let (left, right) =
                    (coerce(left, &text, places.0)?, coerce(right, &text, places.1)?);
                Ok(joined(left, &op.to_string(), right, Type::scalar(Scalar::Boolean), false))
            }
            B::Spaceship | B::LtDashGt => distance(left, op, right, at),
            B::AtAt => Err(Fault::form(
                at,
                "search by words is not supported in a read model's own SQL",
                "let the read model carry the text, and say `search = { column = \"english\" }` beside `sql`",
            )),
            _ => Err(Fault::form(
                at,
                format!("the operator `{op}` is not supported"),
                "write it with other operators or functions",
            )),
        }
    }

    pub(crate) fn unary(
        &mut self,
        op: UnaryOperator,
        expr: &'a ast::Expr,
        at: Spot,
    ) -> Checked<Expr> {
        match op {
            UnaryOperator::Not => {
                let value = self.truth(expr)?;
                let nullable = value.nullable;
                Ok(truth(Kind::Prefix("not ", Box::new(value)), nullable))
            }
            UnaryOperator::Minus | UnaryOperator::Plus => {
                let value = self.expr(expr)?;
                if value.typ.base().rank().is_none() && value.typ.base() != Base::Interval {
                    return Err(Fault::typing(
                        at,
                        format!("{} has no sign", value.typ.base().noun()),
                        "write a number here",
                    ));
                }
                let (typ, nullable) = (value.typ.clone(), value.nullable);
                let sign = if op == UnaryOperator::Minus { "-" } else { "+" };
                Ok(Expr::new(Kind::Prefix(sign, Box::new(value)), typ, nullable))
            }
            _ => Err(Fault::form(
                at,
                format!("the operator `{op}` is not supported"),
                "write it with other operators or functions",
            )),
        }
    }
}

fn joined(left: Expr, op: &str, right: Expr, typ: Type, may_miss: bool) -> Expr {
    let nullable = left.nullable || right.nullable || may_miss;
    Expr::new(Kind::Binary(Box::new(left), op.into(), Box::new(right)), typ, nullable)
}

fn arithmetic(left: Expr, op: &str, right: Expr, at: Spot) -> Checked<Expr> {
    let (mut left, mut right) = (left, right);
    // A constant in quotes is what it is beside; beside a time it is a length of time.
    let beside = [right.typ.clone(), left.typ.clone()];
    for (one, other) in [&mut left, &mut right].into_iter().zip(beside) {
        if one.typ == Type::Open {
            let typ = match other.base() {
                TIME | Base::Timestamp | DATE if op != "-" => Type::Interval,
                _ => other,
            };
            *one = coerce(one.clone(), &typ, at)?;
        }
    }
    let (l, r) = (left.typ.base(), right.typ.base());
    if let (Some(one), Some(other)) = (l.rank(), r.rank()) {
        let wider = if one >= other { l } else { r };
        if op == "%" && wider == Base::Scalar(Scalar::Double) {
            return Err(Fault::typing(
                at,
                "`%` has no meaning for `double precision`",
                "cast to `numeric` first",
            ));
        }
        let typ = wider.typ().unwrap_or(Type::Open);
        let wide = |value: Expr| if value.typ.base() == wider { value } else { cast(value, &typ) };
        return Ok(joined(wide(left), op, wide(right), typ.clone(), false));
    }
    let typ = match (l, op, r) {
        (DATE, "-", DATE) => Type::scalar(Scalar::Integer),
        (DATE, "+" | "-", Base::Scalar(Scalar::Integer | Scalar::SmallInt))
        | (Base::Scalar(Scalar::Integer), "+", DATE) => Type::scalar(Scalar::Date),
        (DATE, "+" | "-", Base::Interval) => Type::Timestamp,
        (TIME, "-", TIME) | (Base::Timestamp, "-", Base::Timestamp) => Type::Interval,
        (TIME, "-", DATE) | (DATE, "-", TIME) => Type::Interval,
        (TIME | Base::Timestamp, "+" | "-", Base::Interval) => left.typ.clone(),
        (Base::Interval, "+", TIME | Base::Timestamp) => right.typ.clone(),
        (Base::Interval, "+" | "-", Base::Interval) => Type::Interval,
        (Base::Interval, "*" | "/", number) if number.rank().is_some() => {
            right = coerce(right, &Type::scalar(Scalar::Double), at)?;
            Type::Interval
        }
        (JSONB, "-", TEXT | Base::Scalar(Scalar::Integer)) => Type::scalar(Scalar::Jsonb),
        (Base::Vector(_), "+" | "-" | "*", other) if other == l && left.typ == right.typ => {
            let typ = left.typ.clone();
            let op = format!("operator(freehold_ext.{op})");
            return Ok(joined(left, &op, right, typ, false));
        }
        _ => {
            return Err(Fault::typing(
                at,
                format!("`{op}` does not take {} and {}", l.noun(), r.noun()),
                "add a cast to one of them",
            ));
        }
    };
    Ok(joined(left, op, right, typ, false))
}

fn concatenate(left: Expr, right: Expr, at: Spot) -> Checked<Expr> {
    let (l, r) = (left.typ.base(), right.typ.base());
    let text = Type::scalar(Scalar::Text);
    match (l, r) {
        (JSONB, JSONB) => Ok(joined(left, "||", right, Type::scalar(Scalar::Jsonb), false)),
        (Base::Array(one), Base::Array(other)) if one == other => {
            let typ = Type::Of(FieldKind::Array(one));
            Ok(joined(left, "||", right, typ, false))
        }
        (Base::Array(one), _) => {
            let typ = Type::Of(FieldKind::Array(one));
            let right = coerce(right, &Type::scalar(one), at)?;
            Ok(joined(left, "||", right, typ, false))
        }
        (TEXT | Base::Open, Base::Scalar(_) | Base::Open)
        | (Base::Scalar(_), TEXT | Base::Open) => {
            let as_text =
                |value: Expr| if value.typ.base() == TEXT { value } else { cast(value, &text) };
            Ok(joined(as_text(left), "||", as_text(right), text.clone(), false))
        }
        _ => Err(Fault::typing(
            at,
            format!("`||` does not take {} and {}", l.noun(), r.noun()),
            "cast one of them, to `text` if a text is meant",
        )),
    }
}

/// What is inside a `jsonb`.
fn inside(left: Expr, op: &BinaryOperator, right: Expr, at: Spot) -> Checked<Expr> {
    let left = coerce(left, &Type::scalar(Scalar::Jsonb), at)?;
    let path = matches!(op, BinaryOperator::HashArrow | BinaryOperator::HashLongArrow);
    let right = match right.typ.base() {
        Base::Array(Scalar::Text) if path => right,
        Base::Scalar(Scalar::Integer | Scalar::SmallInt) if !path => {
            coerce(right, &Type::scalar(Scalar::Integer), at)?
        }
        TEXT | Base::Open if !path => settle(right),
        _ if path => {
            return Err(Fault::typing(
                at,
                "a path is an array of texts",
                format!("write `{op} array['a', 'b']`"),
            ));
        }
        _ => {
            return Err(Fault::typing(
                at,
                "what is inside a `jsonb` has a name or a number",
                format!("write `{op} 'name'`"),
            ));
        }
    };
    let as_text = matches!(op, BinaryOperator::LongArrow | BinaryOperator::HashLongArrow);
    let typ = Type::scalar(if as_text { Scalar::Text } else { Scalar::Jsonb });
    Ok(joined(left, &op.to_string(), right, typ, true))
}

fn contains(left: Expr, op: &BinaryOperator, right: Expr, at: Spot) -> Checked<Expr> {
    let (left, right) = match (left.typ.base(), right.typ.base()) {
        (Base::Open, other) => match other.typ() {
            Some(typ) => (coerce(left, &typ, at)?, right),
            None => (left, right),
        },
        (other, Base::Open) => match other.typ() {
            Some(typ) => (left, coerce(right, &typ, at)?),
            None => (left, right),
        },
        _ => (left, right),
    };
    match (left.typ.base(), right.typ.base()) {
        (Base::Array(one), Base::Array(other)) if one == other => {}
        (JSONB, JSONB) if *op != BinaryOperator::PGOverlap => {}
        (l, r) => {
            return Err(Fault::typing(
                at,
                format!("`{op}` does not take {} and {}", l.noun(), r.noun()),
                "compare two arrays of one type, or two `jsonb`",
            ));
        }
    }
    Ok(joined(left, &op.to_string(), right, Type::scalar(Scalar::Boolean), false))
}

fn distance(left: Expr, op: &BinaryOperator, right: Expr, at: Spot) -> Checked<Expr> {
    let (left, right) = match (&left.typ, &right.typ) {
        (Type::Of(FieldKind::Vector(_)), Type::Open) => {
            let typ = left.typ.clone();
            (left, coerce(right, &typ, at)?)
        }
        _ => (left, right),
    };
    match (&left.typ, &right.typ) {
        (Type::Of(FieldKind::Vector(one)), Type::Of(FieldKind::Vector(other)))
            if one.form == other.form && one.dimensions == other.dimensions =>
        {
            let op = format!("operator(freehold_ext.{op})");
            Ok(joined(left, &op, right, Type::scalar(Scalar::Double), false))
        }
        (one, other) => Err(Fault::typing(
            at,
            format!("`{op}` does not take {} and {}", one.base().noun(), other.base().noun()),
            "a distance is between two vectors of the same kind and size",
        )),
    }
}
