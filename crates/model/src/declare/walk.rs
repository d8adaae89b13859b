//! Walks a table of the file along its section of the grammar: keys it does not have, keys it lacks, values of the
//! wrong form.

use super::{
    codes, form,
    grammar::{Form, Key, Section, Variants, variant_noun},
    report::{Report, Span, listed},
    tree::{Data, Pair, Table, Value, Word},
};
use crate::suggest::suggest;

/// What a table says, as far as it has the right form.
#[derive(Debug)]
pub(super) struct Found<'t> {
    /// Which variant of its section it is, if that could be told.
    pub(super) variant: Option<&'static str>,
    pairs: Vec<&'t Pair>,
}

impl<'t> Found<'t> {
    pub(super) fn pair(&self, key: &str) -> Option<&'t Pair> {
        self.pairs.iter().find(|pair| pair.key.text == key).copied()
    }

    pub(super) fn value(&self, key: &str) -> Option<&'t Value> {
        self.pair(key).map(|pair| &pair.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<(&'t str, &'t Span)> {
        self.value(key).and_then(text)
    }

    pub(super) fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(|(text, _)| text.to_owned())
    }

    /// A flag; false if it does not say.
    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value { data: Data::Boolean(true), .. }))
    }

    pub(super) fn count(&self, key: &str) -> Option<u32> {
        match self.value(key) {
            Some(Value { data: Data::Integer(digits), .. }) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The items of an array.
    pub(super) fn items(&self, key: &str) -> Option<&'t [Value]> {
        self.value(key).map(items)
    }

    /// The tables of a table of tables; others are reported already.
    pub(super) fn named(&self, key: &str) -> &'t [Pair] {
        match self.value(key) {
            Some(Value { data: Data::Table(table), .. }) => table.pairs(),
            _ => &[],
        }
    }
}

/// A value that is a text, and where it is.
pub(super) fn text(value: &Value) -> Option<(&str, &Span)> {
    match &value.data {
        Data::Text(text) => Some((text, &value.at)),
        _ => None,
    }
}

/// The items of a value that is an array.
pub(super) fn items(value: &Value) -> &[Value] {
    match &value.data {
        Data::Array { items, .. } => items,
        _ => &[],
    }
}

/// Walks one table of a table of tables; `None` if it is none, which is reported.
pub(super) fn walk_named<'t>(
    pair: &'t Pair,
    section: &'static Section,
    report: &mut Report,
) -> Option<Found<'t>> {
    match &pair.value.data {
        Data::Table(table) => Some(walk(table, &pair.value.at, section, report)),
        Data::Broken => None,
        other => {
            let entry = report.error(
                codes::VALUE_WRONG_TYPE,
                &pair.value.at,
                format!(
                    "`{}` must be {}, written as a table, but this is {}",
                    pair.key.text,
                    section.noun,
                    other.noun()
                ),
            );
            match (section.variants, other) {
                (Variants::Key(_), Data::Text(text)) => {
                    entry.help(format!("write `{} = {{ type = \"{text}\" }}`", pair.key.text));
                }
                (Variants::Key(_), _) => {
                    entry.help(format!(
                        "write `{} = {{ type = \"text\" }}`, or another type",
                        pair.key.text
                    ));
                }
                _ => {
                    entry.help(format!("begin a table for it, with its name in the header, and put what {} has below", section.noun));
                }
            }
            None
        }
    }
}

/// Walks `table`, which is at `at`.
pub(super) fn walk<'t>(
    table: &'t Table,
    at: &Span,
    section: &'static Section,
    report: &mut Report,
) -> Found<'t> {
    let variant = variant(table, at, section, report);
    let mut found = Found { variant, pairs: Vec::new() };
    for pair in table.pairs() {
        let named = || section.keys.iter().filter(|key| key.name == pair.key.text);
        match named().find(|key| key.fits(variant)) {
            Some(key) => {
                if form::check(pair, key, report) {
                    found.pairs.push(pair);
                }
            }
            None if named().next().is_none() => unknown(pair, section, variant, report),
            // Two keys that each say what a field holds are reported once, by `variant`.
            None if matches!(section.variants, Variants::Key(keys) if keys.contains(&pair.key.text.as_str())) =>
                {}
            None => misplaced(&pair.key, named().flat_map(|key| key.fits), variant, report),
        }
    }
    // A mistyped key is reported as unknown; that it is also missing would be said twice.
    let mistyped = |name: &'static str| {
        let unknown = |word: &str| section.keys.iter().all(|key| key.name != word);
        table
            .pairs()
            .iter()
            .any(|pair| unknown(&pair.key.text) && suggest(&pair.key.text, [name]).is_some())
    };
    let missing = |key: &&Key| {
        key.required
            && (key.fits.is_empty() || variant.is_some_and(|v| key.fits.contains(&v)))
            && table.get(key.name).is_none()
            && !mistyped(key.name)
    };
    for key in section.keys.iter().filter(missing) {
        let help = match key.form {
            Form::Section(inner) => {
                inner.keys.iter().find(|key| key.required).map_or_else(String::new, |first| {
                    format!(
                        "begin the file with `[{}]` and a line `{} = \"…\"`",
                        key.name, first.name
                    )
                })
            }
            _ => format!("add `{} = …`: {}", key.name, form::lower(key.about)),
        };
        report
            .error(codes::KEY_MISSING, at, format!("{} needs `{}`", section.noun, key.name))
            .help(help);
    }
    found
}

/// Which variant of `section` the table is; `None` also if it has none.
fn variant(
    table: &Table,
    at: &Span,
    section: &'static Section,
    report: &mut Report,
) -> Option<&'static str> {
    match section.variants {
        Variants::One => None,
        Variants::Value(key, known) => match table.get(key).map(|pair| &pair.value.data) {
            Some(Data::Text(text)) => known.iter().find(|name| *name == text).copied(),
            _ => None,
        },
        Variants::Key(known) => {
            let said: Vec<(&'static str, &Pair)> =
                known.iter().filter_map(|key| table.get(key).map(|pair| (*key, pair))).collect();
            match said.as_slice() {
                [(one, _)] => Some(one),
                [] => {
                    // As above: what is mistyped is not missing.
                    let mistyped = table
                        .pairs()
                        .iter()
                        .any(|pair| suggest(&pair.key.text, known.iter().copied()).is_some());
                    if !mistyped {
                        report
                            .error(codes::FIELD_NO_TYPE, at, format!("{} must say what it holds", section.noun))
                            .help("add a type, such as `type = \"text\"`, or `enum = […]`, `ref = \"entity\"` or `vector = 384`");
                    }
                    None
                }
                [(first, place), rest @ ..] => {
                    let keys = listed(said.iter().map(|(key, _)| *key));
                    let mut entry = report
                        .error(
                            codes::FIELD_TWO_TYPES,
                            &rest[0].1.key.at,
                            format!("{} has only one of {keys}", section.noun),
                        )
                        .here(format!("holds {}", held(rest[0].0)))
                        .also(&place.key.at, format!("holds {}", held(first)))
                        .help("keep the one that says what the field holds");
                    for (key, place) in &rest[1..] {
                        entry = entry.also(&place.key.at, format!("holds {}", held(key)));
                    }
                    None
                }
            }
        }
    }
}

fn held(kind: &str) -> &'static str {
    match kind {
        "type" => "a plain value",
        "enum" => "one of some texts",
        "ref" => "a reference",
        _ => "an embedding",
    }
}

fn unknown(pair: &Pair, section: &Section, variant: Option<&str>, report: &mut Report) {
    let word = &pair.key.text;
    let known = || {
        section
            .keys
            .iter()
            .filter(|key| key.fits(variant) && !matches!(key.form, Form::NotBuilt))
            .map(|key| key.name)
    };
    let is_field = |data: &Data| matches!(data, Data::Table(table) if super::grammar::KINDS.iter().any(|kind| table.get(kind).is_some()));
    let help = match suggest(word, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if section.keys.iter().any(|key| key.name == "field")
            && is_field(&pair.value.data) =>
        {
            "fields stand in a table of their own, `[entity.NAME.field]`".into()
        }
        None if section.keys.iter().any(|key| key.name == "entity")
            && matches!(pair.value.data, Data::Table(_)) =>
        {
            format!("an entity begins with `[entity.{word}]`; a model file has {}", listed(known()))
        }
        None => format!("{} has {}", section.noun, listed(known())),
    };
    report
        .error(codes::KEY_UNKNOWN, &pair.key.at, format!("{} has no `{word}`", section.noun))
        .help(help);
}

fn misplaced<'k>(
    key: &Word,
    fits: impl Iterator<Item = &'k &'k str>,
    variant: Option<&str>,
    report: &mut Report,
) {
    let mut owners: Vec<&str> = fits.map(|name| variant_noun(name)).collect();
    owners.dedup();
    let owners = owners.join(" or ");
    let this = variant.map_or("this", variant_noun);
    report
        .error(codes::KEY_MISPLACED, &key.at, format!("`{}` has no meaning for {this}", key.text))
        .help(format!("remove it; `{}` belongs to {owners}", key.text));
}
