//! Rules of expiry: what, since when, for how long.

mod coarser;

use super::{
    codes,
    entities::Draft,
    field,
    grammar::{Form, Section, Variants, key},
    report::{Report, Span as Place, alternatives},
    tree::{Data, Value},
    walk::{Found, items, text, walk},
};
use crate::{
    entity::{Expiry, Kind, Remains, Scalar, Span},
    names::Name,
};

/// Rules of one entity.
const RULES_MAX: usize = 16;

pub(super) static EXPIRE: Section = Section {
    noun: "a rule of expiry",
    about: "What becomes of rows by age: they are deleted, or fields of theirs are emptied or say less. From that moment no read shows it.",
    keys: &[
        key(
            "delete",
            Form::Text,
            "When the row is deleted, such as `\"7 years after at\"`; `at` is a time of the row.",
        ),
        key("blank", Form::Texts, "Fields that are emptied, `after` so long."),
        key(
            "generalise",
            Form::Texts,
            "Fields of which less is left, `after` so long: `\"born to year\"`, `\"seen to month\"`, `\"income to 1000\"`, `\"postcode to 2 characters\"`.",
        ),
        key("after", Form::Text, "When that is, such as `\"30 days after last_seen\"`."),
        key(
            "within",
            Form::Text,
            "With `slices`: for how long after it is over, and shown to nobody, a row may lie until all of its slice is over and goes at once, such as `\"2 days\"`.",
        ),
    ],
    variants: Variants::One,
};

/// Reads the rules of all entities.
pub(super) fn check(drafts: &mut [Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let rules = draft.found.as_ref().and_then(|found| found.items("expire"));
        let rules = report.within(
            rules.unwrap_or_default(),
            |rule| &rule.at,
            RULES_MAX,
            "an entity",
            "rules of expiry",
        );
        draft.expires = rules.iter().filter_map(|rule| one(rule, &draft.fields, report)).collect();
        coarser::relied_on(rules, &draft.expires, &draft.uniques, report);
    }
}

fn one(rule: &Value, fields: &[field::Draft<'_>], report: &mut Report) -> Option<Expiry> {
    let Data::Table(table) = &rule.data else {
        report
            .error(
                codes::EXPIRE_RULE,
                &rule.at,
                format!("a rule of expiry is a table, but this is {}", rule.data.noun()),
            )
            .help("begin one with `[[entity.NAME.expire]]`");
        return None;
    };
    let found = walk(table, &rule.at, &EXPIRE, report);
    let [delete, blank, generalise, after] =
        ["delete", "blank", "generalise", "after"].map(|key| found.pair(key));
    let (when, remains) = match (delete, blank, generalise, after) {
        (Some(delete), None, None, None) => (&delete.value, Remains::Nothing),
        (None, Some(blank), None, Some(after)) => {
            (&after.value, Remains::Without(blanked(&blank.value, fields, report)?))
        }
        (None, None, Some(fewer), Some(after)) => {
            let fields = coarser::read(&fewer.value, fields, report)?;
            (&after.value, Remains::Coarser(fields))
        }
        _ => {
            report
                .error(codes::EXPIRE_RULE, &rule.at, "a rule of expiry deletes the row, or empties or generalises fields after a time")
                .help("write `delete = \"7 years after at\"`, or `blank = [\"email\"]` and `after = \"30 days after at\"`, or `generalise = [\"born to year\"]` and `after`");
            return None;
        }
    };
    let (span, since) = moment(when, fields, &found, report)?;
    let within = match found.text("within") {
        None => None,
        Some((written, at)) => match Span::read(written) {
            Ok(within) => Some(within),
            Err(rule) => {
                report.error(codes::EXPIRE_RULE, at, rule).help("write `within = \"2 days\"`");
                return None;
            }
        },
    };
    Some(Expiry { since, span, remains, within })
}

fn moment(
    value: &Value,
    fields: &[field::Draft<'_>],
    _found: &Found<'_>,
    report: &mut Report,
) -> Option<(Span, Name)> {
    let (written, at) = text(value)?;
    let mut wrong = |message: String, help: String| {
        report.error(codes::EXPIRE_RULE, at, message).help(help);
        None
    };
    let Some((span, since)) = written.split_once(" after ") else {
        return wrong(
            format!("`{written}` does not say after what"),
            "write `7 years after at`, where `at` is a time or date of the row".into(),
        );
    };
    let span = match Span::read(span) {
        Ok(span) => span,
        Err(rule) => return wrong(rule.into(), "write `7 years after at`".into()),
    };
    let since = since.trim();
    let timed = |draft: &&field::Draft<'_>| {
        draft.field.as_ref().is_none_or(|field| {
            matches!(field.kind, Kind::Scalar(Scalar::TimestampTz | Scalar::Date))
                && field.sealed().is_none()
        })
    };
    let known: Vec<&str> =
        fields.iter().filter(timed).map(|draft| draft.word.text.as_str()).collect();
    if !known.contains(&since) {
        return wrong(
            format!("there is no time or date `{since}` that a row's age could be counted from"),
            alternatives(since, known.iter().copied()),
        );
    }
    Some((span, Name::new(since).ok()?))
}

fn blanked(value: &Value, fields: &[field::Draft<'_>], report: &mut Report) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    let mut wrong = |at: &Place, message: String, help: String| {
        report.error(codes::EXPIRE_RULE, at, message).help(help);
    };
    if items(value).is_empty() {
        wrong(&value.at, "`blank` names no field".into(), "name those to be emptied".into());
        return None;
    }
    for (name, at) in items(value).iter().filter_map(text) {
        let Some(draft) = fields.iter().find(|draft| draft.word.text == name) else {
            let known: Vec<&str> = fields.iter().map(|draft| draft.word.text.as_str()).collect();
            wrong(at, format!("there is no field `{name}` to empty"), alternatives(name, known));
            continue;
        };
        if draft.field.as_ref().is_some_and(|field| !field.optional) {
            wrong(
                at,
                format!("`{name}` is required, so it cannot be emptied"),
                "make it `optional = true`, or delete the row instead".into(),
            );
            continue;
        }
        if is_searched(draft, fields) {
            wrong(
                at,
                format!(
                    "`{name}` is searched by words or likeness, so it cannot be emptied by age yet"
                ),
                "delete the row instead, or leave it out of `search` and of vectors".into(),
            );
            continue;
        }
        names.extend(Name::new(name).ok());
    }
    (names.len() == items(value).len()).then_some(names)
}

/// Whether it is searched by words or likeness, itself or by what is made of it.
fn is_searched(draft: &field::Draft<'_>, fields: &[field::Draft<'_>]) -> bool {
    let of = |other: &field::Draft<'_>| {
        let of = other.found.as_ref().and_then(|found| found.items("of")).unwrap_or_default();
        of.iter().filter_map(text).any(|(source, _)| source == draft.word.text)
    };
    let itself = draft
        .field
        .as_ref()
        .is_some_and(|field| field.search.is_some() || matches!(field.kind, Kind::Vector(_)));
    itself || fields.iter().any(of)
}
