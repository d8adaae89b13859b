//! Which types turn into which, and at what cost.

use crate::{
    entity::{Kind, Scalar, VectorForm},
    sql::ident,
};

/// How the values of a column get a new type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// The new value, given the old one.
    pub(crate) using: String,
    /// Settings of the transaction on which the text form of the old values depends.
    pub(crate) settings: Vec<&'static str>,
    /// Whether rows are written anew; else only the catalogue changes.
    pub(crate) rewrites: bool,
    /// What is lost without a word, if anything.
    pub(crate) loses: Option<&'static str>,
    /// Which values make it fail, if any can.
    pub(crate) fails: Option<&'static str>,
}

/// The conversion of a column from one kind to another whose SQL type differs; `None` if there is none.
pub(crate) fn between(old: &Kind, new: &Kind, column: &str) -> Option<Conversion> {
    let column = ident(column);
    let cost = match (element(old)?, element(new)?) {
        (Element::One(a), Element::One(b)) => scalar(a, b, matches!(old, Kind::Enum(_)))?,
        (Element::Many(a), Element::Many(b)) if b != Scalar::Jsonb => scalar(a, b, false)?,
        (Element::Many(_), Element::One(Scalar::Jsonb)) => Cost::free(Way::ToJson),
        (Element::One(a), Element::Many(b)) if a == b => Cost::free(Way::Wrap),
        (Element::Vector(a, n), Element::Vector(b, m)) if n == m => vector(a, b)?,
        _ => return None,
    };
    let new_type = new.sql_type();
    let using = match cost.way {
        Way::Cast => format!("{column}::{new_type}"),
        Way::CastThrough(between) => {
            let array = if matches!(new, Kind::Array(_)) { "[]" } else { "" };
            format!("{column}::{between}{array}::{new_type}")
        }
        Way::ToJson => format!("pg_catalog.to_jsonb({column})"),
        Way::Wrap => format!("case when {column} is not null then array[{column}] end"),
    };
    let settings =
        [old, new].into_iter().flat_map(settings).copied().fold(Vec::new(), |mut all, setting| {
            if !all.contains(&setting) {
                all.push(setting);
            }
            all
        });
    Some(Conversion {
        using,
        settings,
        rewrites: cost.rewrites,
        loses: cost.loses,
        fails: cost.fails,
    })
}

enum Element {
    One(Scalar),
    Many(Scalar),
    Vector(VectorForm, u32),
}

fn element(kind: &Kind) -> Option<Element> {
    Some(match kind {
        Kind::Scalar(scalar) => Element::One(*scalar),
        Kind::Enum(_) => Element::One(Scalar::Text),
        Kind::Ref(_) => Element::One(Scalar::Uuid),
        Kind::Array(scalar) => Element::Many(*scalar),
        Kind::Blob(_) => return None,
        Kind::Vector(vector) if vector.form == VectorForm::Bit => return None,
        Kind::Vector(vector) => Element::Vector(vector.form, vector.dimensions),
    })
}

struct Cost {
    way: Way,
    rewrites: bool,
    loses: Option<&'static str>,
    fails: Option<&'static str>,
}

enum Way {
    Cast,
    CastThrough(&'static str),
    ToJson,
    Wrap,
}

impl Cost {
    fn free(way: Way) -> Self {
        Self { way, rewrites: true, loses: None, fails: None }
    }

    fn in_place(self) -> Self {
        Self { rewrites: false, ..self }
    }

    fn loses(self, what: &'static str) -> Self {
        Self { loses: Some(what), ..self }
    }

    fn fails(self, when: &'static str) -> Self {
        Self { fails: Some(when), ..self }
    }
}

const RANGE: &str = "fails if a value is out of the new type's range";
const FORM: &str = "fails if a text does not have the new type's form";

fn scalar(old: Scalar, new: Scalar, listed: bool) -> Option<Cost> {
    use Scalar::{
        BigInt, Boolean, Bytea, Date, Double, Integer, Jsonb, Numeric, SmallInt, Text, TimestampTz,
        Uuid,
    };
    let cast = Cost::free(Way::Cast);
    Some(match (old, new) {
        (SmallInt, Integer | BigInt) | (Integer, BigInt) => cast,
        (BigInt, Integer | SmallInt) | (Integer, SmallInt) => cast.fails(RANGE),
        (SmallInt | Integer, Double) | (SmallInt | Integer | BigInt, Numeric(None)) => cast,
        (BigInt, Double) => cast.loses("digits beyond the fifteenth"),
        (SmallInt | Integer | BigInt, Numeric(Some(_))) => cast.fails(RANGE),
        (Numeric(Some((_, 0))), SmallInt | Integer | BigInt) => cast.fails(RANGE),
        (Numeric(_) | Double, SmallInt | Integer | BigInt) => {
            cast.loses("digits after the point").fails(RANGE)
        }
        (Numeric(old), Numeric(new)) => numeric(old, new),
        (Numeric(_), Double) => cast.loses("digits beyond the fifteenth").fails(RANGE),
        (Double, Numeric(None)) => Cost::free(Way::CastThrough("text")),
        (Double, Numeric(Some(_))) => {
            Cost::free(Way::CastThrough("text")).loses("digits after the point").fails(RANGE)
        }
        (Boolean, Integer) => cast,
        (Boolean, SmallInt | BigInt) => Cost::free(Way::CastThrough("integer")),
        (Date, TimestampTz) => cast.fails(RANGE),
        (TimestampTz, Date) => cast.loses("the time of day"),
        (
            SmallInt | Integer | BigInt | Numeric(_) | Double | Boolean | Uuid | TimestampTz | Date
            | Jsonb | Bytea,
            Text,
        ) => cast,
        (Text, Jsonb) if listed => Cost::free(Way::ToJson),
        (Text, Double) => cast.loses("digits beyond the fifteenth").fails(FORM),
        (Text, Numeric(Some(_))) => cast.loses("digits after the point").fails(FORM),
        (Text, Date) => cast.loses("the time of day").fails(FORM),
        (
            Text,
            SmallInt | Integer | BigInt | Numeric(None) | Boolean | Uuid | TimestampTz | Jsonb
            | Bytea,
        ) => cast.fails(FORM),
        (
            SmallInt | Integer | BigInt | Numeric(_) | Double | Boolean | Uuid | TimestampTz | Date,
            Jsonb,
        ) => Cost::free(Way::ToJson),
        _ => return None,
    })
}

fn numeric(old: Option<(u16, u16)>, new: Option<(u16, u16)>) -> Cost {
    let cast = Cost::free(Way::Cast);
    match (old, new) {
        (_, None) => cast.in_place(),
        (None, Some(_)) => cast.loses("digits after the point").fails(RANGE),
        (Some((_, from)), Some((_, to))) if to < from => {
            cast.loses("digits after the point").fails(RANGE)
        }
        (Some((old, from)), Some((new, to))) if new - to < old - from => cast.fails(RANGE),
        (Some((_, from)), Some((_, to))) if from == to => cast.in_place(),
        _ => cast,
    }
}

fn vector(old: VectorForm, new: VectorForm) -> Option<Cost> {
    let cast = Cost::free(Way::Cast);
    Some(match new {
        VectorForm::Halfvec if old != new => cast.loses("half of each number's bits").fails(RANGE),
        VectorForm::Vector | VectorForm::Sparsevec => cast,
        _ => return None,
    })
}

fn settings(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Scalar(Scalar::TimestampTz | Scalar::Date)
        | Kind::Array(Scalar::TimestampTz | Scalar::Date) => {
            &["set local timezone to 'UTC'", "set local datestyle to 'ISO'"]
        }
        Kind::Scalar(Scalar::Double) | Kind::Array(Scalar::Double) => {
            &["set local extra_float_digits to 1"]
        }
        Kind::Scalar(Scalar::Bytea) | Kind::Array(Scalar::Bytea) => {
            &["set local bytea_output to 'hex'"]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(old: Scalar, new: Scalar) -> Option<Conversion> {
        between(&Kind::Scalar(old), &Kind::Scalar(new), "f")
    }

    #[test]
    fn what_loses_digits_says_so() {
        assert_eq!(of(Scalar::Integer, Scalar::BigInt).unwrap().loses, None);
        assert!(of(Scalar::Numeric(Some((10, 2))), Scalar::Integer).unwrap().loses.is_some());
        assert!(
            of(Scalar::Numeric(Some((10, 2))), Scalar::Numeric(Some((10, 1))))
                .unwrap()
                .loses
                .is_some()
        );
        assert_eq!(
            of(Scalar::Double, Scalar::Numeric(None)).unwrap().using,
            r#""f"::text::numeric"#
        );
    }

    #[test]
    fn a_wider_numeric_is_not_rewritten() {
        let wider = of(Scalar::Numeric(Some((10, 2))), Scalar::Numeric(Some((12, 2)))).unwrap();
        assert!(!wider.rewrites && wider.fails.is_none());
        let scaled = of(Scalar::Numeric(Some((10, 2))), Scalar::Numeric(Some((10, 4)))).unwrap();
        assert!(scaled.rewrites && scaled.fails.is_some());
    }

    #[test]
    fn what_cannot_be_read_as_the_other_is_none() {
        assert_eq!(of(Scalar::Jsonb, Scalar::Integer), None);
        assert_eq!(of(Scalar::Uuid, Scalar::Date), None);
        assert_eq!(between(&Kind::Array(Scalar::Text), &Kind::Scalar(Scalar::Text), "f"), None);
    }
}
