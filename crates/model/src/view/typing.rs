//! Types of expressions, and how one becomes another.

use crate::{
    declare,
    entity::{Kind, Scalar, VectorForm},
    view::{
        error::{Checked, Fault, Spot},
        ir::{self, Expr},
    },
};

/// What an expression holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    /// A constant in quotes, or null: what it is beside decides.
    Open,
    /// Something that a field can hold.
    Of(Kind),
    Interval,
    /// Without a time zone.
    Timestamp,
}

/// A type as functions and operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Open,
    Scalar(Scalar),
    Array(Scalar),
    Vector(VectorForm),
    Interval,
    Timestamp,
}

impl Type {
    pub(crate) fn scalar(scalar: Scalar) -> Self {
        Self::Of(Kind::Scalar(scalar))
    }

    pub(crate) fn base(&self) -> Base {
        match self {
            Self::Open => Base::Open,
            Self::Interval => Base::Interval,
            Self::Timestamp => Base::Timestamp,
            Self::Of(Kind::Scalar(scalar)) => Base::Scalar(plain(*scalar)),
            Self::Of(Kind::Array(scalar)) => Base::Array(plain(*scalar)),
            Self::Of(Kind::Enum(_)) => Base::Scalar(Scalar::Text),
            Self::Of(Kind::Ref(_) | Kind::Blob(_)) => Base::Scalar(Scalar::Uuid),
            Self::Of(Kind::Vector(vector)) => Base::Vector(vector.form),
        }
    }

    /// PostgreSQL's name of it.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Open => "text".into(),
            Self::Of(kind) => kind.sql_type(),
            Self::Interval => "interval".into(),
            Self::Timestamp => "timestamp".into(),
        }
    }
}

/// Numerics are one type, whatever their precision.
fn plain(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Numeric(_) => Scalar::Numeric(None),
        other => other,
    }
}

impl Base {
    /// The type without what only a field knows.
    pub(crate) fn typ(self) -> Option<Type> {
        match self {
            Self::Open | Self::Vector(_) => None,
            Self::Scalar(scalar) => Some(Type::scalar(scalar)),
            Self::Array(scalar) => Some(Type::Of(Kind::Array(scalar))),
            Self::Interval => Some(Type::Interval),
            Self::Timestamp => Some(Type::Timestamp),
        }
    }

    pub(crate) fn noun(self) -> String {
        match self {
            Self::Open => "a constant".into(),
            Self::Vector(_) => "a vector".into(),
            other => other.typ().map_or_else(String::new, |typ| format!("`{}`", typ.sql())),
        }
    }

    /// Where it stands among numbers, if it is one.
    pub(crate) fn rank(self) -> Option<u8> {
        match self {
            Self::Scalar(Scalar::SmallInt) => Some(0),
            Self::Scalar(Scalar::Integer) => Some(1),
            Self::Scalar(Scalar::BigInt) => Some(2),
            Self::Scalar(Scalar::Numeric(_)) => Some(3),
            Self::Scalar(Scalar::Double) => Some(4),
            _ => None,
        }
    }

    /// Whether PostgreSQL turns it into `to` without being asked.
    fn widens(self, to: Self) -> bool {
        match (self.rank(), to.rank()) {
            (Some(from), Some(to)) => from < to,
            _ => matches!(
                (self, to),
                (Self::Scalar(Scalar::Date), Self::Scalar(Scalar::TimestampTz) | Self::Timestamp)
            ),
        }
    }
}

/// `expr` as a value of `to`, as PostgreSQL would have it without being asked.
pub(crate) fn coerce(expr: Expr, to: &Type, at: Spot) -> Checked<Expr> {
    let (from, into) = (expr.typ.base(), to.base());
    if let ir::Kind::Text(text) = &expr.kind
        && from == Base::Open
    {
        fits(text, to, at)?;
        return Ok(cast(expr, to));
    }
    if from == Base::Open || from.widens(into) {
        return Ok(cast(expr, to));
    }
    if from == into {
        return Ok(expr);
    }
    Err(Fault::typing(
        at,
        format!("this is {}, but {} is needed here", from.noun(), into.noun()),
        format!("add a cast, such as `…::{}`", to.sql()),
    ))
}

/// Says of a constant which type it has; text, if nothing else does.
pub(crate) fn settle(expr: Expr) -> Expr {
    if expr.typ == Type::Open { cast(expr, &Type::scalar(Scalar::Text)) } else { expr }
}

pub(crate) fn cast(expr: Expr, to: &Type) -> Expr {
    let nullable = expr.nullable;
    Expr::new(ir::Kind::Cast(Box::new(expr)), to.clone(), nullable)
}

/// The type that all of these can be.
pub(crate) fn common(all: &[&Expr], at: Spot) -> Checked<Type> {
    let mut found: Option<Type> = None;
    for expr in all.iter().filter(|expr| expr.typ != Type::Open) {
        found = Some(match found {
            None => expr.typ.clone(),
            Some(typ) if typ == expr.typ => typ,
            Some(typ) => {
                let (one, other) = (typ.base(), expr.typ.base());
                if one == other {
                    one.typ().unwrap_or(typ)
                } else if one.widens(other) {
                    expr.typ.clone()
                } else if other.widens(one) {
                    typ
                } else {
                    return Err(Fault::typing(
                        at,
                        format!("{} and {} do not go together", one.noun(), other.noun()),
                        format!("add a cast to one of them, such as `…::{}`", typ.sql()),
                    ));
                }
            }
        });
    }
    Ok(found.unwrap_or_else(|| Type::scalar(Scalar::Text)))
}

/// Whether PostgreSQL would read `text` as a value of `typ`, always to the same effect.
fn fits(text: &str, typ: &Type, at: Spot) -> Checked<()> {
    let (right, example) = match typ.base() {
        Base::Open | Base::Scalar(Scalar::Text) => match typ {
            Type::Of(Kind::Enum(values)) => return one_of(text, values, at),
            _ => (true, ""),
        },
        Base::Scalar(Scalar::SmallInt) => (text.parse::<i16>().is_ok(), "12"),
        Base::Scalar(Scalar::Integer) => (text.parse::<i32>().is_ok(), "12"),
        Base::Scalar(Scalar::BigInt) => (text.parse::<i64>().is_ok(), "12"),
        Base::Scalar(Scalar::Numeric(_) | Scalar::Double) => {
            (text.parse::<f64>().is_ok_and(f64::is_finite), "1.5")
        }
        Base::Scalar(Scalar::Boolean) => (matches!(text, "true" | "false" | "t" | "f"), "true"),
        Base::Scalar(Scalar::Uuid) => (is_uuid(text), "01890a5d-ac96-774b-bcce-b302099a8057"),
        Base::Scalar(Scalar::TimestampTz) => {
            (is_instant(text) || is_date(text), "2024-02-29T12:00:00Z")
        }
        Base::Scalar(Scalar::Date) => (is_date(text), "2024-02-29"),
        Base::Timestamp => (is_date(text), "2024-02-29"),
        Base::Scalar(Scalar::Jsonb) => {
            (serde_json::from_str::<serde_json::Value>(text).is_ok(), "{\"a\": 1}")
        }
        Base::Scalar(Scalar::Bytea) => (is_hex(text), "\\x00ff"),
        Base::Array(_) => (text == "{}", "{}` or `array[…]"),
        Base::Interval => (is_interval(text), "2 days 3 hours"),
        Base::Vector(_) => (is_vector(text), "[0.5,1]"),
    };
    if right {
        return Ok(());
    }
    Err(Fault::typing(
        at,
        format!("`{text}` is no {}", typ.sql()),
        format!("write it like `{example}`"),
    ))
}

fn one_of(text: &str, values: &[String], at: Spot) -> Checked<()> {
    if values.iter().any(|value| value == text) {
        return Ok(());
    }
    let known: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    Err(Fault::typing(
        at,
        format!("the enum has no value `{text}`"),
        format!(
            "it has {}; to compare with another text cast the field, `…::text`",
            known.join(", ")
        ),
    ))
}

fn is_date(text: &str) -> bool {
    declare::date(text).is_ok()
}

fn is_instant(text: &str) -> bool {
    declare::instant(text).is_ok()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_hex(text: &str) -> bool {
    text.strip_prefix("\\x").is_some_and(|digits| {
        digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_vector(text: &str) -> bool {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some_and(|inside| {
        inside.split(',').all(|part| part.trim().parse::<f32>().is_ok_and(f32::is_finite))
    })
}

/// Numbers, each with a unit.
pub(crate) fn is_interval(text: &str) -> bool {
    const UNITS: [&str; 8] =
        ["microsecond", "second", "minute", "hour", "day", "week", "month", "year"];
    let words: Vec<&str> = text.split_whitespace().collect();
    !words.is_empty()
        && words.chunks(2).all(|pair| match pair {
            [number, unit] => {
                number.parse::<i32>().is_ok()
                    && UNITS.contains(&unit.strip_suffix('s').unwrap_or(unit))
            }
            _ => false,
        })
}
