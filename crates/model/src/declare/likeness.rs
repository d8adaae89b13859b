//! Vectors of personal data: a vector tells most of the text that it was made from, so it has to say how it is kept.

use super::{
    codes, field,
    report::{Report, Span as Place},
    walk::{Found, text},
};
use crate::entity::{Field, Kind, Personal, Privacy, Stored, Vector, VectorForm};

/// What the field says of how it is kept; told about where it says nothing.
pub(super) fn stored(
    found: &Found<'_>,
    vector: &Vector,
    at: &Place,
    report: &mut Report,
) -> Option<Stored> {
    let why = found.text("stored_why").map(|(why, _)| why.trim()).filter(|why| !why.is_empty());
    match (found.text("stored"), why) {
        (Some(("open", _)), Some(why)) => Some(Stored::Open(why.to_owned())),
        (Some(("open", at)), None) => {
            report
                .error(codes::PERSONAL_VECTOR, at, "a vector of personal data that is kept in the open needs a reason")
                .help("add `stored_why = \"…\"`: it stands in the register, in the audit and in every receipt of an erasure");
            None
        }
        (Some((_, at)), Some(_)) => {
            report
                .error(
                    codes::PERSONAL_VECTOR,
                    at,
                    "`stored_why` is the reason for `stored = \"open\"`",
                )
                .help("remove `stored_why`");
            None
        }
        (Some(("derived", at)), None) => {
            if matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec) {
                return Some(Stored::Derived);
            }
            report
                .error(
                    codes::PERSONAL_VECTOR,
                    at,
                    "only a `vector` or `halfvec` is searched in a copy",
                )
                .help("use one of these, or `stored = \"sealed\"`");
            None
        }
        (Some(_), None) => Some(Stored::Sealed),
        (None, _) => {
            report
                .error(codes::PERSONAL_VECTOR, at, "a vector of personal data tells what it was made from, and does not say how it is kept")
                .help("add `stored = \"derived\"`: it is sealed, and searched in a copy that is in no backup; or `\"sealed\"`: the server opens and measures row by row then; or `\"open\"` with the reason in `stored_why`");
            None
        }
    }
}

/// Vectors that are made from text are what their texts are.
pub(super) fn made(fields: &mut [field::Draft<'_>], report: &mut Report) {
    for at in 0..fields.len() {
        let privacy = one(&fields[at], fields, report);
        if let (Some(privacy), Some(field)) = (privacy, fields[at].field.as_mut()) {
            field.privacy = Some(Privacy::Personal(privacy));
        }
    }
}

fn one(
    draft: &field::Draft<'_>,
    fields: &[field::Draft<'_>],
    report: &mut Report,
) -> Option<Personal> {
    let (Some(found), Some(field)) = (&draft.found, &draft.field) else { return None };
    let Kind::Vector(vector) = &field.kind else { return None };
    let of = found.items("of").unwrap_or_default();
    let sealed: Vec<(&str, &Place, &Personal)> = of
        .iter()
        .filter_map(text)
        .filter_map(|(name, at)| {
            let source = fields.iter().find(|field| field.word.text == name)?;
            Some((name, at, source.field.as_ref().and_then(Field::sealed)?))
        })
        .collect();
    let brought = of.is_empty();
    let personal = brought && found.text("personal").is_some();
    let Some((name, at, first)) = sealed.first().copied() else {
        stray(found, brought, personal, report);
        return None;
    };
    for key in ["personal", "not_personal", "subject"] {
        if let Some(pair) = found.pair(key) {
            report
                .error(
                    codes::PERSONAL_VECTOR,
                    &pair.key.at,
                    format!("a vector is what it is made from, and `{name}` is personal data"),
                )
                .help(format!("remove `{key}`"));
            return None;
        }
    }
    let same = |other: &Personal| (&other.whose, other.kept) == (&first.whose, first.kept);
    if let Some((_, at, _)) = sealed.iter().find(|(_, _, other)| !same(other)) {
        report
            .error(
                codes::PERSONAL_VECTOR,
                at,
                "the vector would be made from the data of several people",
            )
            .help("make a vector of each");
        return None;
    }
    let stored = stored(found, vector, at, report)?;
    Some(Personal { stored, lookup: None, ..first.clone() })
}

/// What belongs to vectors of personal data alone.
fn stray(found: &Found<'_>, brought: bool, personal: bool, report: &mut Report) {
    if let (false, Some(pair)) = (brought, found.pair("personal")) {
        report
            .error(
                codes::PERSONAL_VECTOR,
                &pair.key.at,
                "none of the texts that the vector is made from is personal data",
            )
            .help("remove `personal`; a vector is what its texts are");
        return;
    }
    for key in ["stored", "stored_why"] {
        if let Some(pair) = found.pair(key).filter(|_| !personal) {
            report
                .error(
                    codes::PERSONAL_VECTOR,
                    &pair.key.at,
                    format!("`{key}` says how a vector of personal data is kept, and this is none"),
                )
                .help("remove it, or add `personal = \"…\"`");
        }
    }
}
