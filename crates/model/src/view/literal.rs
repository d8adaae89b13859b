//! Constants, casts and the names of types.

use sqlparser::ast::{self, Value};

use crate::{
    entity::{Kind as FieldKind, Metric, Scalar, Vector, VectorForm, When},
    names::Name,
    view::{
        error::{Checked, Fault, Spot, Wrong},
        expr::truth,
        ir::{Expr, Kind},
        scope::{Translator, folded},
        typing::{Base, Type, cast, coerce, is_interval},
    },
};

/// A constant.
pub(crate) fn literal(value: &Value, at: Spot) -> Checked<Expr> {
    let number = |digits: &str| {
        let typ = if digits.parse::<i32>().is_ok() {
            Scalar::Integer
        } else if digits.parse::<i64>().is_ok() {
            Scalar::BigInt
        } else if digits.len() < 100 && digits.parse::<f64>().is_ok_and(f64::is_finite) {
            Scalar::Numeric(None)
        } else {
            return Err(Fault::typing(at, "this number is not understood", "write it in digits"));
        };
        Ok(Expr::new(Kind::Number(digits.into()), Type::scalar(typ), false))
    };
    match value {
        Value::Number(digits, _) => number(digits),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
            if text.contains('\0') {
                return Err(Fault::typing(
                    at,
                    "a text cannot contain the character zero",
                    "remove it",
                ));
            }
            Ok(Expr::new(Kind::Text(text.clone()), Type::Open, false))
        }
        Value::Boolean(value) => Ok(truth(Kind::Boolean(*value), false)),
        Value::Null => Ok(Expr::new(Kind::Null, Type::Open, true)),
        Value::Placeholder(name) => Err(Fault::form(
            at,
            format!("a read model has no parameters, but here is `{name}`"),
            "write the value itself, or make it part of the key and filter when you read",
        )),
        _ => Err(Fault::new(
            Wrong::Syntax,
            at,
            "this constant is not supported",
            "write it as a number or in single quotes",
        )),
    }
}

/// `interval '…'`
pub(crate) fn interval_literal(interval: &ast::Interval, at: Spot) -> Checked<Expr> {
    if let ast::Expr::Value(value) = &*interval.value
        && let Value::SingleQuotedString(text) = &value.value
        && interval.leading_field.is_none()
        && is_interval(text)
    {
        let text = Expr::new(Kind::Text(text.clone()), Type::Open, false);
        return Ok(cast(text, &Type::Interval));
    }
    Err(Fault::typing(
        at,
        "this interval is not understood",
        "write it like `interval '2 days 3 hours'`",
    ))
}

/// A cast that was asked for.
pub(crate) fn explicit(expr: Expr, to: &Type, at: Spot) -> Checked<Expr> {
    use Base as B;
    use Scalar as S;
    let (from, into) = (expr.typ.base(), to.base());
    if from == B::Open {
        return coerce(expr, to, at);
    }
    let number = |base: Base| base.rank().is_some();
    let right = match (from, into) {
        (a, b) if a == b => true,
        (B::Vector(_), B::Vector(VectorForm::Bit)) | (B::Vector(VectorForm::Bit), B::Vector(_)) => {
            false
        }
        (B::Vector(_), B::Vector(_)) | (B::Array(_), B::Array(_)) => true,
        (B::Array(scalar), B::Vector(VectorForm::Vector | VectorForm::Halfvec)) => {
            B::Scalar(scalar).rank().is_some_and(|rank| rank != 0 && rank != 2)
        }
        (B::Vector(_), B::Scalar(S::Text)) => false,
        (_, B::Scalar(S::Text)) => true,
        (B::Scalar(S::Text), B::Scalar(_) | B::Interval | B::Timestamp | B::Array(_)) => true,
        (B::Scalar(S::Jsonb), B::Scalar(S::Boolean)) => true,
        (B::Scalar(S::Jsonb), b) => number(b),
        (B::Scalar(S::Boolean), B::Scalar(S::Integer))
        | (B::Scalar(S::Integer), B::Scalar(S::Boolean)) => true,
        (
            B::Scalar(S::TimestampTz | S::Date) | B::Timestamp,
            B::Scalar(S::TimestampTz | S::Date) | B::Timestamp,
        ) => true,
        (a, b) => number(a) && number(b),
    };
    if !right {
        return Err(Fault::typing(
            at,
            format!("{} cannot be cast to {}", from.noun(), into.noun()),
            "cast to text first, or leave the cast out",
        ));
    }
    let mut value = cast(expr, to);
    value.nullable |= from == B::Scalar(S::Jsonb);
    Ok(value)
}

impl Translator<'_> {
    /// A type by its name in SQL.
    pub(crate) fn data_type(&self, data_type: &ast::DataType, at: Spot) -> Checked<Type> {
        use ast::{DataType as D, ExactNumberInfo as N, TimezoneInfo as Z};
        let unknown = || {
            Fault::typing(
                at,
                format!("the type `{data_type}` is not supported"),
                "write one of `text`, `smallint`, `integer`, `bigint`, `numeric`, `double precision`, `boolean`, `uuid`, `timestamptz`, `date`, `interval`, `jsonb`, `bytea`, an array of one, or `vector(n)`",
            )
        };
        let scalar = match data_type {
            D::Text => Scalar::Text,
            D::SmallInt(None) | D::Int2(None) => Scalar::SmallInt,
            D::Int(None) | D::Integer(None) | D::Int4(None) => Scalar::Integer,
            D::BigInt(None) | D::Int8(None) => Scalar::BigInt,
            D::Numeric(N::None) | D::Decimal(N::None) => Scalar::Numeric(None),
            D::Numeric(N::PrecisionAndScale(p, s)) | D::Decimal(N::PrecisionAndScale(p, s)) => {
                match (u16::try_from(*p), u16::try_from(*s)) {
                    (Ok(p @ 1..=1000), Ok(s)) if s <= p => Scalar::Numeric(Some((p, s))),
                    _ => return Err(unknown()),
                }
            }
            D::DoublePrecision | D::Float8 | D::Double(N::None) | D::Float(N::None) => {
                Scalar::Double
            }
            D::Boolean | D::Bool => Scalar::Boolean,
            D::Uuid => Scalar::Uuid,
            D::Timestamp(None, Z::Tz | Z::WithTimeZone) => Scalar::TimestampTz,
            D::Timestamp(None, Z::None | Z::WithoutTimeZone) => return Ok(Type::Timestamp),
            D::Interval { fields: None, precision: None } => return Ok(Type::Interval),
            D::Date => Scalar::Date,
            D::JSONB => Scalar::Jsonb,
            D::Bytea => Scalar::Bytea,
            D::Array(ast::ArrayElemTypeDef::SquareBracket(inner, None)) => {
                return match self.data_type(inner, at)? {
                    Type::Of(FieldKind::Scalar(scalar)) => Ok(Type::Of(FieldKind::Array(scalar))),
                    _ => Err(unknown()),
                };
            }
            D::Custom(name, modifiers) => return vector_type(name, modifiers).ok_or_else(unknown),
            _ => return Err(unknown()),
        };
        Ok(Type::scalar(scalar))
    }
}

fn vector_type(name: &ast::ObjectName, modifiers: &[ast::TypeModifier]) -> Option<Type> {
    let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let form = match folded(ident).as_str() {
        "vector" => VectorForm::Vector,
        "halfvec" => VectorForm::Halfvec,
        _ => return None,
    };
    let [modifier] = modifiers else { return None };
    let dimensions = modifier.to_string().parse().ok().filter(|n| (1..=16_000).contains(n))?;
    Some(Type::Of(FieldKind::Vector(Vector {
        form,
        dimensions,
        metric: Metric::Cosine,
        of: Vec::new(),
        embedder: Name::new("lexical").ok()?,
        when: When::Now,
    })))
}
