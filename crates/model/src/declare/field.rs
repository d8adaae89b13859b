//! One field: what it holds, its default, its bounds.

use super::{
    codes,
    constant::{Wrong, compare, constant, length},
    kind, names,
    report::{Report, Span, a},
    tree::{Data, Pair, Value, Word},
    walk::{Found, walk_named},
};
use crate::{
    entity::{Bounds, DefaultValue, Field, Kind, Scalar},
    names::Name,
};

/// A field as far as it could be read.
#[derive(Debug)]
pub(super) struct Draft<'t> {
    pub(super) word: &'t Word,
    pub(super) found: Option<Found<'t>>,
    pub(super) was: Option<(Name, Span)>,
    /// `None` if something about it is wrong; that is reported.
    pub(super) field: Option<Field>,
}

pub(super) fn read<'t>(pair: &'t Pair, entities: &[&str], report: &mut Report) -> Draft<'t> {
    let name = names::field(&pair.key, report);
    let Some(found) = walk_named(pair, &super::grammar::FIELD, report) else {
        return Draft { word: &pair.key, found: None, was: None, field: None };
    };
    let was = names::was(&found, report);
    let kind = kind::read(&found, entities, report);
    let field = name.zip(kind).map(|(name, kind)| {
        let bounds = bounds(&found, &kind, report);
        let default =
            found.value("default").and_then(|value| default(value, &kind, &bounds, &found, report));
        // A vector made from text is empty until it is made.
        let filled_later = matches!(&kind, Kind::Vector(vector) if !vector.of.is_empty());
        Field {
            name,
            was: was.as_ref().map(|(name, _)| name.clone()),
            about: found.owned("about"),
            optional: found.flag("optional") || filled_later,
            default,
            bounds,
            search: search(&found, &kind, report),
            kind,
            // Known once all entities are.
            privacy: None,
            on_erase: None,
            generalises: None,
        }
    });
    Draft { word: &pair.key, found: Some(found), was, field }
}

fn search(found: &Found, kind: &Kind, report: &mut Report) -> Option<String> {
    let (language, at) = found.text("search")?;
    if !matches!(kind, Kind::Scalar(Scalar::Text)) {
        report
            .error(
                codes::SEARCH_NOT_TEXT,
                at,
                format!("a field of type `{}` cannot be searched by words", spoken(kind)),
            )
            .help("remove `search`, or make the field a `text`");
    }
    Some(language.to_owned())
}

fn default(
    value: &Value,
    kind: &Kind,
    bounds: &Bounds,
    found: &Found,
    report: &mut Report,
) -> Option<DefaultValue> {
    match (&value.data, kind) {
        (Data::Broken, _) => return None,
        (Data::Text(text), Kind::Scalar(Scalar::TimestampTz | Scalar::Date)) if text == "now()" => {
            return Some(DefaultValue::Now);
        }
        (Data::Text(text), Kind::Scalar(Scalar::Uuid)) if text == "new()" => {
            return Some(DefaultValue::NewUuid);
        }
        _ => {}
    }
    match constant(kind, value) {
        Ok(text) => {
            default_within(value, &text, kind, bounds, found, report);
            Some(DefaultValue::Constant(text))
        }
        Err(Wrong { at, message, help }) => {
            report
                .error(
                    codes::DEFAULT_INVALID,
                    &at,
                    format!("this is no default for {}: {message}", a(&spoken(kind))),
                )
                .help(help);
            None
        }
    }
}

/// A default that the field's own bounds forbid would fail at the first row that uses it.
fn default_within(
    value: &Value,
    text: &str,
    kind: &Kind,
    bounds: &Bounds,
    found: &Found,
    report: &mut Report,
) {
    let mut outside = |key: &str, bound: &str, side: &str| {
        let Some(pair) = found.pair(key) else { return };
        report
            .error(
                codes::DEFAULT_OUT_OF_BOUNDS,
                &value.at,
                format!("the default is {side} the field's own `{key}`"),
            )
            .also(
                &pair.value.at,
                format!("{bound} at {}", if key.starts_with("min") { "least" } else { "most" }),
            )
            .help("change one of the two");
    };
    if let Kind::Scalar(scalar) = kind {
        if let Some(min) = bounds
            .min
            .as_deref()
            .filter(|min| compare(*scalar, text, min).is_some_and(std::cmp::Ordering::is_lt))
        {
            outside("min", min, "below");
        }
        if let Some(max) = bounds
            .max
            .as_deref()
            .filter(|max| compare(*scalar, text, max).is_some_and(std::cmp::Ordering::is_gt))
        {
            outside("max", max, "above");
        }
    }
    if bounds.min_length.is_none() && bounds.max_length.is_none() {
        return;
    }
    let length = length(kind, value, text);
    if let Some(min) = bounds.min_length.filter(|min| length < *min as usize) {
        outside("min_length", &min.to_string(), "shorter than");
    }
    if let Some(max) = bounds.max_length.filter(|max| length > *max as usize) {
        outside("max_length", &max.to_string(), "longer than");
    }
}

fn bounds(found: &Found, kind: &Kind, report: &mut Report) -> Bounds {
    // The size of a blob is no bound of its column.
    if matches!(kind, Kind::Blob(_)) {
        return blob_bounds(found, report);
    }
    let [min, max] = ["min", "max"].map(|key| value_bound(key, found, kind, report));
    if let (Kind::Scalar(scalar), Some(least), Some(most)) = (kind, &min, &max)
        && compare(*scalar, least, most).is_some_and(std::cmp::Ordering::is_gt)
    {
        empty("min", "max", found, report);
    }
    let [min_length, max_length] =
        ["min_length", "max_length"].map(|key| length_bound(key, found, kind, report));
    if min_length.zip(max_length).is_some_and(|(least, most)| least > most) {
        empty("min_length", "max_length", found, report);
    }
    Bounds { min, max, min_length, max_length }
}

fn blob_bounds(found: &Found, report: &mut Report) -> Bounds {
    for key in ["min", "min_length", "max_length"] {
        if let Some(pair) = found.pair(key) {
            report
                .error(codes::BOUND_MEANINGLESS, &pair.key.at, format!("a blob has no `{key}`"))
                .help("its greatest size is `max`, such as `max = \"10 MB\"`");
        }
    }
    Bounds::default()
}

fn empty(low: &str, high: &str, found: &Found, report: &mut Report) {
    let (Some(low_pair), Some(high_pair)) = (found.pair(low), found.pair(high)) else { return };
    report
        .error(
            codes::BOUND_EMPTY,
            &low_pair.value.at,
            format!("`{low}` is above `{high}`, so no value fits"),
        )
        .also(&high_pair.value.at, format!("`{high}`"))
        .help("swap the two, or change one");
}

fn value_bound(key: &str, found: &Found, kind: &Kind, report: &mut Report) -> Option<String> {
    let pair = found.pair(key)?;
    if matches!(pair.value.data, Data::Broken) {
        return None;
    }
    let ordered = matches!(
        kind,
        Kind::Scalar(
            Scalar::SmallInt
                | Scalar::Integer
                | Scalar::BigInt
                | Scalar::Numeric(_)
                | Scalar::Double
                | Scalar::TimestampTz
                | Scalar::Date
        )
    );
    if !ordered {
        let help = if has_length(kind) {
            format!(
                "to bound its length, write `{key}_length`; values are bounded for numbers, dates and times only"
            )
        } else {
            "remove it; values are bounded for numbers, dates and times only".into()
        };
        report
            .error(
                codes::BOUND_MEANINGLESS,
                &pair.key.at,
                format!("{} has no `{key}`", a(&spoken(kind))),
            )
            .help(help);
        return None;
    }
    if matches!(&pair.value.data, Data::Text(text) if text == "now()") {
        report
            .error(
                codes::BOUND_INVALID,
                &pair.value.at,
                "a bound cannot be `now()`: rows that fit today would not fit tomorrow",
            )
            .help("write a fixed time");
        return None;
    }
    match constant(kind, &pair.value) {
        Ok(text) => Some(text),
        Err(Wrong { at, message, help }) => {
            report
                .error(
                    codes::BOUND_INVALID,
                    &at,
                    format!("this is no `{key}` for {}: {message}", a(&spoken(kind))),
                )
                .help(help);
            None
        }
    }
}

fn length_bound(key: &str, found: &Found, kind: &Kind, report: &mut Report) -> Option<u32> {
    let pair = found.pair(key)?;
    if !has_length(kind) {
        report
            .error(codes::BOUND_MEANINGLESS, &pair.key.at, format!("{} has no length", a(&spoken(kind))))
            .help(format!("write `{}` to bound its value, if it is a number, date or time; otherwise remove it", &key[..3]));
        return None;
    }
    found.count(key)
}

fn has_length(kind: &Kind) -> bool {
    matches!(kind, Kind::Scalar(Scalar::Text | Scalar::Bytea) | Kind::Array(_))
}

/// The type as the model file says it.
pub(super) fn spoken(kind: &Kind) -> String {
    match kind {
        Kind::Enum(_) => "enum".into(),
        Kind::Ref(_) => "ref".into(),
        Kind::Blob(_) => "blob".into(),
        Kind::Scalar(Scalar::Double) => "double".into(),
        Kind::Array(Scalar::Double) => "double[]".into(),
        other => other.sql_type(),
    }
}
