//! What becomes of rows when a person is erased.

use super::{
    codes,
    entities::Draft,
    field,
    report::{Report, Span as Place},
    walk::Found,
};
use crate::entity::{Field, Keep, Kind, OnErase, Privacy, Span};

/// The reference to a data subject that the field is, and what becomes of its row.
pub(super) fn owner(
    draft: &mut field::Draft<'_>,
    subjects: &[String],
    report: &mut Report,
) -> Option<(String, Option<OnErase>)> {
    let (found, field) = (draft.found.as_ref()?, draft.field.as_mut()?);
    let refers =
        matches!(&field.kind, Kind::Ref(to) if subjects.iter().any(|name| **name == *to.entity));
    let said = found.pair("on_erase");
    if !refers {
        for key in ["on_erase", "keep_for", "keep_why"] {
            if let Some(pair) = found.pair(key) {
                report
                    .error(codes::PERSONAL_ERASE, &pair.key.at, format!("`{key}` means nothing here, because `{}` does not refer to a data subject", draft.word.text))
                    .help("remove it, or write `subject = true` at the entity it refers to");
            }
        }
        return None;
    }
    let Some(said) = said else {
        report
            .error(codes::PERSONAL_ERASE, &draft.word.at, format!("`{}` refers to a data subject and does not say what becomes of the row when that person is erased", draft.word.text))
            .help("add `on_erase = \"delete\"`, `\"blank\"`, `\"unlink\"` or `\"keep\"`");
        return Some((draft.word.text.clone(), None));
    };
    field.on_erase = on_erase(found, field, &said.value.at, report);
    Some((draft.word.text.clone(), field.on_erase.clone()))
}

fn on_erase(found: &Found<'_>, field: &Field, at: &Place, report: &mut Report) -> Option<OnErase> {
    let way = found.text("on_erase")?.0;
    let keeps = ["keep_for", "keep_why"].map(|key| found.pair(key));
    if way != "keep" {
        for pair in keeps.into_iter().flatten() {
            report
                .error(
                    codes::PERSONAL_ERASE,
                    &pair.key.at,
                    format!("`{}` belongs to `on_erase = \"keep\"`", pair.key.text),
                )
                .help("remove one of the two");
        }
    }
    match way {
        "delete" => Some(OnErase::Delete),
        "blank" => Some(OnErase::Blank),
        "unlink" if !field.optional => {
            report
                .error(codes::PERSONAL_ERASE, at, "a reference that is required cannot be emptied")
                .help("make it `optional = true`, or choose `delete` or `blank`");
            None
        }
        "unlink" => Some(OnErase::Unlink),
        _ => {
            let why = found.owned("keep_why").filter(|why| !why.trim().is_empty());
            let span = found.text("keep_for").map(|(text, at)| (Span::read(text), at));
            match (why, span) {
                (Some(why), Some((Ok(span), _))) => Some(OnErase::Keep(Keep { why, span })),
                (_, Some((Err(rule), at))) => {
                    report
                        .error(codes::PERSONAL_ERASE, at, rule)
                        .help("write `keep_for = \"10 years\"`");
                    None
                }
                _ => {
                    report
                        .error(
                            codes::PERSONAL_ERASE,
                            at,
                            "what is kept of an erased person needs a duty and an end",
                        )
                        .help("add `keep_for = \"10 years\"` and `keep_why = \"…\"`");
                    None
                }
            }
        }
    }
}

/// Where rows go on referring to an erased person, the person's own row stays without what is personal in it.
pub(super) fn stubs(drafts: &[Draft<'_>], subjects: &[String], report: &mut Report) {
    let fields = || drafts.iter().flat_map(|draft| &draft.fields);
    for subject in drafts.iter().filter(|draft| subjects.contains(&draft.word.text)) {
        let stays = fields().find(|draft| {
            draft.field.as_ref().is_some_and(|field| {
                matches!(&field.kind, Kind::Ref(to) if *to.entity == *subject.word.text)
                    && matches!(field.on_erase, Some(OnErase::Blank | OnErase::Keep(_)))
            })
        });
        let Some(stays) = stays else { continue };
        let required = subject.fields.iter().find(|draft| {
            draft.field.as_ref().is_some_and(|field| {
                !field.optional && matches!(field.privacy, Some(Privacy::Personal(_)))
            })
        });
        if let Some(required) = required {
            report
                .error(codes::PERSONAL_ERASE, &required.word.at, format!("`{}` is emptied when the person is erased, because rows go on referring to them, but it is required", required.word.text))
                .also(&stays.word.at, "this reference stays")
                .help("make it `optional = true`, or choose `on_erase = \"delete\"` or `\"unlink\"` there");
        }
    }
}
