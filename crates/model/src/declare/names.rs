//! Names: what may be one, what was one before, and which are too alike.

use std::{collections::HashMap, ops::RangeInclusive};

use super::{
    codes,
    report::{Report, Span},
    tree::Word,
    walk::Found,
};
use crate::names::{Name, RESERVED_FIELDS};

/// Columns that PostgreSQL gives every table.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// What a query string says that is no filter.
const QUERY_WORDS: [&str; 11] = [
    "select",
    "order",
    "limit",
    "offset",
    "and",
    "or",
    "not.and",
    "not.or",
    "columns",
    "on_conflict",
    "rank",
];

/// Characters that nobody sees, or that turn the text around them about: joiners, marks of direction, soft hyphens.
const UNSEEN: [RangeInclusive<char>; 6] = [
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// The name of an entity or embedder.
pub(super) fn read(word: &Word, report: &mut Report) -> Option<Name> {
    match Name::new(&word.text) {
        Ok(name) => {
            let unseen = |c: &char| UNSEEN.iter().any(|range| range.contains(c));
            if let Some(unseen) = word.text.chars().find(unseen) {
                report
                    .warn(
                        codes::NAME_UNSEEN,
                        &word.at,
                        format!("this name has a character that is not seen, {unseen:?}"),
                    )
                    .help("that is allowed, but who does not know cannot type it; type the name anew, without it");
            }
            Some(name)
        }
        Err(rule) => {
            report
                .error(codes::NAME_INVALID, &word.at, rule)
                .help("choose another name; letters, digits and `_` are always right");
            None
        }
    }
}

/// The name of a field.
pub(super) fn field(word: &Word, report: &mut Report) -> Option<Name> {
    let text = word.text.as_str();
    let own_help = match text {
        "id" => {
            "remove this line: every row has an `id`, a uuid; another key of your own can be called `number` or `code`"
        }
        _ => "remove this line: every row belongs to a tenant without saying so",
    };
    if RESERVED_FIELDS.contains(&text) {
        report
            .error(codes::NAME_RESERVED, &word.at, format!("every entity has `{text}` already"))
            .help(own_help);
        return None;
    }
    if SYSTEM_COLUMNS.contains(&text) {
        report
            .error(
                codes::NAME_RESERVED,
                &word.at,
                format!("PostgreSQL gives every table a column `{text}` of its own"),
            )
            .help(format!("choose another name, such as `{text}_value`"));
        return None;
    }
    if QUERY_WORDS.contains(&text) {
        report
            .warn(codes::NAME_QUERY_WORD, &word.at, format!("`{text}=` has a meaning of its own in a query, so filters by this field are written `\"{text}\"=`"))
            .help(format!("choose another name, such as `{text}_value`"));
    }
    if let Some(own) = RESERVED_FIELDS.iter().find(|own| text.eq_ignore_ascii_case(own)) {
        report.warn(codes::NAME_LOOKALIKE, &word.at, format!("`{text}` differs from `{own}`, which every entity has, in upper and lower case only"))
.help("that is allowed, but people will mix them up");
    }
    read(word, report)
}

/// What something was called before, and where that is said.
pub(super) fn was(found: &Found, report: &mut Report) -> Option<(Name, Span)> {
    let (text, at) = found.text("was")?;
    let name = read(&Word { text: text.to_owned(), at: at.clone() }, report)?;
    Some((name, at.clone()))
}

/// Something that has a name now and perhaps had another before.
pub(super) struct Named<'a> {
    pub(super) word: &'a Word,
    pub(super) was: Option<&'a (Name, Span)>,
}

/// Checks the names of one kind of things among each other. `noun` is what one is called.
pub(super) fn together(all: &[Named], noun: &str, report: &mut Report) {
    let now: HashMap<&str, &Word> =
        all.iter().map(|named| (named.word.text.as_str(), named.word)).collect();
    let mut before: HashMap<&str, &Span> = HashMap::new();
    let mut lowered: HashMap<String, &Word> = HashMap::new();
    for Named { word, was } in all {
        if let Some(first) = lowered.insert(word.text.to_lowercase(), word) {
            report
                .warn(
                    codes::NAME_LOOKALIKE,
                    &word.at,
                    format!(
                        "`{}` and `{}` differ in upper and lower case only",
                        first.text, word.text
                    ),
                )
                .also(&first.at, "the other one")
                .help("that is allowed, but people will mix them up");
        }
        let Some((old, at)) = was else { continue };
        if **old == *word.text {
            report
                .error(
                    codes::RENAME_SELF,
                    at,
                    format!("the {noun} `{old}` was not renamed if it `was` the same"),
                )
                .help("remove `was`, or write its former name");
        } else if let Some(other) = now.get(old.as_str()) {
            report
                .error(codes::RENAME_TAKEN, at, format!("`{old}` cannot have become `{}`, because `{old}` is still there", word.text))
                .also(&other.at, "this one")
                .help("remove `was`; to swap two names, rename one of them to a third name first and apply that");
        }
        if let Some(first) = before.insert(old, at) {
            report
                .error(codes::RENAME_TWICE, at, format!("`{old}` can have become only one {noun}"))
                .also(first, "it became this one already")
                .help("keep one of the two");
        }
    }
}
