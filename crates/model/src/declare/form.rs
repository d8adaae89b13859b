//! Whether a value has the form its key takes.

use super::{
    codes,
    grammar::{Form, KINDS, Key, LANGUAGES, type_names},
    report::{Report, Span, listed},
    tree::{Data, Pair, Value},
};
use crate::suggest::suggest;

/// Whether the value has the form its key takes; if not, that is reported.
pub(super) fn check(pair: &Pair, key: &Key, report: &mut Report) -> bool {
    let at = &pair.value.at;
    match (key.form, &pair.value.data) {
        (Form::NotBuilt, _) => {
            report
                .error(codes::NOT_BUILT, &pair.key.at, format!("`{}` is not built yet", key.name))
                .help(format!("remove it for now ({})", lower(key.about)));
            false
        }
        (_, Data::Broken) => false,
        (Form::Text | Form::Type, Data::Text(text)) => clean(text, at, report),
        (Form::Choice(known), Data::Text(text)) if !known.contains(&text.as_str()) => {
            let help = match suggest(text, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it is one of {}", listed(known.iter().copied())),
            };
            report
                .error(
                    codes::VALUE_UNKNOWN_CHOICE,
                    at,
                    format!("`{}` cannot be `{text}`", key.name),
                )
                .help(help);
            false
        }
        (Form::Count(min, max), Data::Integer(digits)) => {
            let fits = digits.parse().is_ok_and(|count: u32| (min..=max).contains(&count));
            if !fits {
                let message =
                    format!("`{}` must be between {min} and {max}, but is {digits}", key.name);
                report
                    .error(codes::VALUE_OUT_OF_RANGE, at, message)
                    .help(example(key, &pair.value.data));
            }
            fits
        }
        (Form::Choice(_), Data::Text(_)) | (Form::Flag, Data::Boolean(_)) => true,
        (Form::Texts, Data::Array { items, .. }) => {
            items.iter().for_each(|item| text_item(item, key, report));
            true
        }
        (Form::Keys | Form::KeysOrNames, Data::Array { items, .. }) => {
            items.iter().for_each(|item| key_item(item, key, report));
            true
        }
        (Form::Languages, Data::Table(table)) => {
            table.pairs().iter().for_each(|pair| language(pair, report));
            true
        }
        (Form::Constant, _)
        | (Form::Section(_) | Form::Named(_), Data::Table(_))
        | (Form::Rules(_), Data::Array { .. }) => true,
        (form, data) => {
            let message =
                format!("`{}` takes {}, but this is {}", key.name, wanted(form), data.noun());
            report.error(codes::VALUE_WRONG_TYPE, at, message).help(example(key, data));
            false
        }
    }
}

/// Text goes into PostgreSQL, which cannot hold the character zero.
fn clean(text: &str, at: &Span, report: &mut Report) -> bool {
    if text.contains('\0') {
        report
            .error(codes::VALUE_INVALID, at, "a text cannot contain the character zero")
            .help("remove `\\u0000`");
        return false;
    }
    true
}

fn text_item(item: &Value, key: &Key, report: &mut Report) {
    match &item.data {
        Data::Text(text) => {
            clean(text, &item.at, report);
        }
        Data::Broken => {}
        other => {
            let message = format!("`{}` takes texts, but this is {}", key.name, other.noun());
            report.error(codes::VALUE_WRONG_TYPE, &item.at, message).help(example(key, other));
        }
    }
}

fn language(pair: &Pair, report: &mut Report) {
    let message = match &pair.value.data {
        Data::Broken => return,
        Data::Text(text) if LANGUAGES.contains(&text.as_str()) => return,
        Data::Text(text) => format!("there is no language `{text}`"),
        other => format!("a language is a text, but this is {}", other.noun()),
    };
    report
        .error(codes::VALUE_UNKNOWN_CHOICE, &pair.value.at, message)
        .help(format!("it is one of {}", listed(LANGUAGES)));
}

fn key_item(item: &Value, key: &Key, report: &mut Report) {
    match (&item.data, key.form) {
        (Data::Array { items, .. }, _) => {
            items.iter().for_each(|item| text_item(item, key, report))
        }
        (Data::Text(_), Form::KeysOrNames) => {}
        (Data::Text(_), _) => {
            report
                .error(codes::VALUE_WRONG_TYPE, &item.at, "each unique key is an array of field names")
                .help("write `[[\"a\", \"b\"]]` for two fields together, and `unique = true` at a field that is unique by itself");
        }
        _ => text_item(item, key, report),
    }
}

fn wanted(form: Form) -> String {
    match form {
        Form::Text => "a text".into(),
        Form::Type => "the name of a type".into(),
        Form::Flag => "`true` or `false`".into(),
        Form::Count(min, max) => format!("an integer between {min} and {max}"),
        Form::Choice(known) => format!("one of {}", listed(known.iter().copied())),
        Form::Texts => "an array of texts".into(),
        Form::Keys | Form::KeysOrNames => "an array of arrays of field names".into(),
        Form::Constant => "a value".into(),
        Form::Section(_) => "a table".into(),
        Form::Named(_) => "a table of tables".into(),
        Form::Rules(_) => "an array of tables".into(),
        Form::Languages => "a table of languages".into(),
        Form::NotBuilt => "nothing yet".into(),
    }
}

/// How the key is written right, near to what was written.
fn example(key: &Key, data: &Data) -> String {
    let name = key.name;
    match (key.form, data) {
        (Form::Flag, Data::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            format!("write `{name} = {text}`, without quotes")
        }
        (Form::Flag, _) => format!("write `{name} = true`"),
        (Form::Count(..), Data::Text(text)) if text.parse::<u32>().is_ok() => {
            format!("write `{name} = {text}`, without quotes")
        }
        (Form::Count(..), _) => {
            let number = if KINDS.contains(&name) { 384 } else { 30 };
            format!("write a number such as `{name} = {number}` ({})", lower(key.about))
        }
        (Form::Texts, Data::Text(text)) => format!("write `{name} = [\"{text}\"]`"),
        (Form::Texts, _) => format!("write `{name} = [\"…\", \"…\"]`"),
        (Form::Keys | Form::KeysOrNames, Data::Text(text)) => {
            format!("write `{name} = [[\"{text}\"]]`")
        }
        (Form::Keys | Form::KeysOrNames, Data::Boolean(_)) => format!(
            "`{name} = true` belongs to a single field; here, write `{name} = [[\"…\", \"…\"]]`"
        ),
        (Form::Keys | Form::KeysOrNames, _) => format!("write `{name} = [[\"…\", \"…\"]]`"),
        (Form::Languages, _) => format!("write `{name} = {{ column = \"english\" }}`"),
        (Form::Section(_), _) => format!("begin a table with `[{name}]`"),
        (Form::Named(_), _) if name == "field" => "begin a table with `[entity.NAME.field]`".into(),
        (Form::Named(_), _) => format!("begin a table with `[{name}.NAME]`"),
        (Form::Rules(_), _) => "begin a table with `[[entity.NAME.expire]]`".into(),
        (Form::Type, _) => format!("write `{name} = \"text\"`, or one of {}", listed(type_names())),
        (Form::Choice(known), _) => format!("write `{name} = \"{}\"`", known[0]),
        _ => format!("write `{name} = \"…\"`"),
    }
}

/// A description as the end of a sentence.
pub(super) fn lower(about: &str) -> String {
    let mut chars = about.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
