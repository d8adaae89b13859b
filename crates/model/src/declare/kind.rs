//! What a field holds, as far as its own line says: types by name, enums, references, the shapes of vectors.

use super::{
    blob, codes,
    report::{Report, Span, listed},
    tree::Value,
    walk::{Found, text},
};
use crate::{
    entity::{Kind, Metric, OnDelete, Ref, Scalar, Vector, VectorForm, When},
    names::Name,
    suggest::suggest,
};

/// The plain types by the names a model file uses; `numeric` may be followed by its precision and scale.
pub(super) const TYPES: [(&str, Scalar); 12] = [
    ("text", Scalar::Text),
    ("smallint", Scalar::SmallInt),
    ("integer", Scalar::Integer),
    ("bigint", Scalar::BigInt),
    ("numeric", Scalar::Numeric(None)),
    ("double", Scalar::Double),
    ("boolean", Scalar::Boolean),
    ("uuid", Scalar::Uuid),
    ("timestamptz", Scalar::TimestampTz),
    ("date", Scalar::Date),
    ("jsonb", Scalar::Jsonb),
    ("bytea", Scalar::Bytea),
];

/// Matches every way to write `numeric` with precision and scale, and arrays of that.
pub(super) const NUMERIC_PATTERN: &str = r"^numeric\( *[0-9]+ *(, *[0-9]+ *)?\)(\[\])?$";

/// Digits of a numeric, by PostgreSQL's limit.
const PRECISION_MAX: u16 = 1000;

/// Values of an enum: a check lists them all.
const ENUM_VALUES_MAX: usize = 500;

/// Names of types elsewhere, and what is meant by them here.
const ELSEWHERE: [(&str, &str); 27] = [
    ("string", "text"),
    ("str", "text"),
    ("varchar", "text"),
    ("char", "text"),
    ("citext", "text"),
    ("int", "integer"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("long", "bigint"),
    ("serial", "bigint"),
    ("number", "numeric"),
    ("decimal", "numeric"),
    ("money", "numeric"),
    ("float", "double"),
    ("float4", "double"),
    ("float8", "double"),
    ("real", "double"),
    ("double precision", "double"),
    ("bool", "boolean"),
    ("guid", "uuid"),
    ("timestamp", "timestamptz"),
    ("datetime", "timestamptz"),
    ("time", "timestamptz"),
    ("json", "jsonb"),
    ("bytes", "bytea"),
    ("binary", "bytea"),
];

/// What the field holds, or `None` if that is unclear; the reason is reported.
pub(super) fn read(found: &Found, entities: &[&str], report: &mut Report) -> Option<Kind> {
    match found.variant? {
        "type" => {
            let (text, at) = found.text("type")?;
            if text == "blob" {
                return blob::read(found, report);
            }
            plain(text, at, entities, report)
        }
        "enum" => enumeration(found.value("enum")?, found.items("enum")?, report),
        "ref" => reference(found, entities, report),
        form => vector(found, form),
    }
}

fn plain(text: &str, at: &Span, entities: &[&str], report: &mut Report) -> Option<Kind> {
    let (element, array) = match text.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (text, false),
    };
    let scalar = match element.strip_prefix("numeric(").and_then(|rest| rest.strip_suffix(')')) {
        Some(digits) => numeric(digits, at, report)?,
        None => match TYPES.iter().find(|(name, _)| *name == element) {
            Some((_, scalar)) => *scalar,
            None => {
                unknown_type(text, element, array, at, entities, report);
                return None;
            }
        },
    };
    Some(if array { Kind::Array(scalar) } else { Kind::Scalar(scalar) })
}

fn numeric(digits: &str, at: &Span, report: &mut Report) -> Option<Scalar> {
    let mut numbers = digits.split(',').map(|number| number.trim().parse::<u16>());
    let (precision, scale) = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(precision)), None, _) => (precision, 0),
        (Some(Ok(precision)), Some(Ok(scale)), None) => (precision, scale),
        _ => {
            report
                .error(codes::FIELD_PRECISION, at, "the digits of a numeric are two whole numbers")
                .help("write `numeric(10,2)` for ten digits, two of them after the point");
            return None;
        }
    };
    if !(1..=PRECISION_MAX).contains(&precision) {
        report
            .error(
                codes::FIELD_PRECISION,
                at,
                format!("a numeric has between 1 and {PRECISION_MAX} digits, not {precision}"),
            )
            .help("write plain `numeric` for as many digits as a value has");
        return None;
    }
    if scale > precision {
        report
            .error(
                codes::FIELD_PRECISION,
                at,
                format!("{scale} digits after the point are more than the {precision} in all"),
            )
            .help("the first number counts all digits, those after the point included");
        return None;
    }
    Some(Scalar::Numeric(Some((precision, scale))))
}

fn unknown_type(
    text: &str,
    element: &str,
    array: bool,
    at: &Span,
    entities: &[&str],
    report: &mut Report,
) {
    if element == "blob" {
        report
            .error(codes::FIELD_UNKNOWN_TYPE, at, "there are no arrays of blobs")
            .help("write `type = \"blob\"`, in an entity of its own if a row has several");
        return;
    }
    let lowered = element.to_lowercase();
    let bare = lowered.split('(').next().unwrap_or_default().trim();
    let brackets = if array { "[]" } else { "" };
    let dimensions = lowered
        .split_once('(')
        .and_then(|(_, rest)| rest.trim_end_matches(')').trim().parse::<u32>().ok());
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == bare || *name == lowered);
    let help = if matches!(bare, "vector" | "halfvec" | "sparsevec" | "bit") {
        format!(
            "an embedding says its dimensions instead of a type: `{bare} = {}`",
            dimensions.unwrap_or(384)
        )
    } else if bare == "enum" {
        "an enum lists its values instead of a type: `enum = [\"draft\", \"live\"]`".into()
    } else if element.ends_with("[]") {
        "arrays have one dimension; keep nested ones in a `jsonb`".into()
    } else if let (Some((_, here)), Some(most)) =
        (elsewhere, dimensions.filter(|_| matches!(bare, "varchar" | "char")))
    {
        format!("write `type = \"{here}{brackets}\", max_length = {most}`")
    } else if let Some((_, here)) = elsewhere {
        format!("write `type = \"{here}{brackets}\"`")
    } else if entities.contains(&element) {
        format!("to refer to the entity, write `ref = \"{element}\"` instead")
    } else if let Some(near) = suggest(bare, TYPES.iter().map(|(name, _)| *name)) {
        format!("did you mean `{near}{brackets}`?")
    } else {
        format!(
            "types are {}, and arrays of them with `[]`",
            listed(TYPES.iter().map(|(name, _)| *name))
        )
    };
    report.error(codes::FIELD_UNKNOWN_TYPE, at, format!("there is no type `{text}`")).help(help);
}

fn enumeration(list: &Value, items: &[Value], report: &mut Report) -> Option<Kind> {
    if items.is_empty() {
        report
            .error(codes::ENUM_EMPTY, &list.at, "an enum needs at least one value")
            .help("write `enum = [\"draft\", \"live\"]`");
        return None;
    }
    let items = report.within(items, |item| &item.at, ENUM_VALUES_MAX, "an enum", "values");
    let mut values: Vec<(&str, &Span)> = Vec::new();
    let mut sound = true;
    for (value, at) in items.iter().filter_map(text) {
        if let Err(rule) = Name::new(value) {
            report
                .error(
                    codes::ENUM_INVALID,
                    at,
                    format!(
                        "this cannot be a value of an enum: {}",
                        rule.replace("a name", "a value")
                    ),
                )
                .help("use a short word here; longer texts belong in a text field");
            sound = false;
        }
        if let Some((_, first)) = values.iter().find(|(seen, _)| *seen == value) {
            report
                .error(codes::ENUM_REPEATED, at, format!("`{value}` is listed twice"))
                .here("again here")
                .also(first, "first listed here")
                .help("remove one of the two");
            sound = false;
        }
        values.push((value, at));
    }
    sound.then(|| Kind::Enum(values.iter().map(|(value, _)| (*value).to_owned()).collect()))
}

fn reference(found: &Found, entities: &[&str], report: &mut Report) -> Option<Kind> {
    let (name, at) = found.text("ref")?;
    let on_delete = match found.text("on_delete") {
        Some(("cascade", _)) => OnDelete::Cascade,
        Some(("unlink", place)) => {
            if !found.flag("optional") {
                report
                    .error(
                        codes::REF_UNLINK,
                        place,
                        "`unlink` empties the reference, but this one must not be empty",
                    )
                    .help("add `optional = true`, or use `restrict` or `cascade`");
            }
            OnDelete::Unlink
        }
        _ => OnDelete::Restrict,
    };
    if !entities.contains(&name) {
        let help = match suggest(name, entities.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if TYPES.iter().any(|(scalar, _)| *scalar == name) => {
                format!("that is a type: write `type = \"{name}\"`")
            }
            None => format!(
                "entities are {}; a new one begins with `[entity.{name}]`",
                listed(entities.iter().copied())
            ),
        };
        report.error(codes::REF_UNKNOWN, at, format!("there is no entity `{name}`")).help(help);
        return None;
    }
    let entity = Name::new(name).ok()?;
    Some(Kind::Ref(Ref { entity, on_delete }))
}

/// The shape alone; [`super::vector`] checks what it is made of.
fn vector(found: &Found, form: &str) -> Option<Kind> {
    let dimensions = found.count(form)?;
    let form = match form {
        "vector" => VectorForm::Vector,
        "halfvec" => VectorForm::Halfvec,
        "sparsevec" => VectorForm::Sparsevec,
        _ => VectorForm::Bit,
    };
    let metric = match (found.text("metric").map(|(metric, _)| metric), form) {
        (Some("l2"), _) => Metric::L2,
        (Some("ip"), _) => Metric::Ip,
        (Some("l1"), _) => Metric::L1,
        (Some("jaccard"), _) => Metric::Jaccard,
        (_, VectorForm::Bit) => Metric::Hamming,
        _ => Metric::Cosine,
    };
    let of = found.items("of").unwrap_or_default();
    let of = of.iter().filter_map(text).filter_map(|(name, _)| Name::new(name).ok()).collect();
    let embedder = Name::new(found.text("embed").map_or("lexical", |(name, _)| name)).ok()?;
    let when =
        if matches!(found.text("when"), Some(("later", _))) { When::Later } else { When::Now };
    Some(Kind::Vector(Vector { form, dimensions, metric, of, embedder, when }))
}
