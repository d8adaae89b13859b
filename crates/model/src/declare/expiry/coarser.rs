//! Fields that say less after a time.

use super::super::{
    codes, field,
    less::{self, Wrong},
    report::{Report, Span as Place},
    tree::Value,
    walk::{items, text},
};
use crate::entity::{Coarser, Expiry, Key, Remains};

/// `["born to year", …]`.
pub(super) fn read(
    value: &Value,
    fields: &[field::Draft<'_>],
    report: &mut Report,
) -> Option<Vec<Coarser>> {
    if items(value).is_empty() {
        wrong(
            report,
            &value.at,
            "`generalise` names no field".into(),
            "write `[\"born to year\"]`".into(),
        );
        return None;
    }
    let read: Vec<Coarser> = items(value)
        .iter()
        .filter_map(text)
        .filter_map(|(written, at)| match one(written, fields) {
            Ok(coarser) => coarser,
            Err((message, help)) => {
                wrong(report, at, message, help);
                None
            }
        })
        .collect();
    (read.len() == items(value).len()).then_some(read)
}

/// Refuses to make less of what something else rests on.
pub(super) fn relied_on(rules: &[Value], expires: &[Expiry], uniques: &[Key], report: &mut Report) {
    let Some(at) = rules.first().map(|rule| &rule.at) else { return };
    for rule in expires {
        let Remains::Coarser(fields) = &rule.remains else { continue };
        for Coarser { field, .. } in fields {
            if expires.iter().any(|other| other.since == *field) {
                let message =
                    format!("`{field}` is what an age is counted from, so it cannot say less");
                wrong(report, at, message, "have a time of its own for that".into());
            }
            if uniques.iter().any(|key| key.fields.contains(field)) {
                let message = format!("`{field}` is unique, and what is left of it would not be");
                wrong(report, at, message, "`blank` it, or delete the row".into());
            }
        }
    }
}

/// None where the field itself is wrong, which is said there.
fn one(written: &str, fields: &[field::Draft<'_>]) -> Result<Option<Coarser>, Wrong> {
    let Some(less) = less::read(written, fields)? else { return Ok(None) };
    let (draft, field, name) = (less.draft, less.field, &less.field.name);
    if field.sealed().is_some() {
        return Err((
            format!("`{name}` is sealed, so PostgreSQL cannot make it say less"),
            "`blank` it after that time, and keep a field that says less beside it".into(),
        ));
    }
    let said = |key: &str| draft.found.as_ref().is_some_and(|found| found.pair(key).is_some());
    if let Some(key) = ["min", "max", "min_length"].into_iter().find(|key| said(key)) {
        return Err((
            format!("`{name}` has `{key}`, which what is left of it need not keep to"),
            format!("remove `{key}`, or `blank` the field"),
        ));
    }
    if super::is_searched(draft, fields) {
        return Err((
            format!("`{name}` is searched by words or likeness, so it cannot say less by age yet"),
            "delete the row instead, or leave it out of `search` and of vectors".into(),
        ));
    }
    let none = (
        format!("`{name}` is no date, time, text or exact number, so it cannot say less"),
        "`blank` it after that time".into(),
    );
    less.coarser(none).map(Some)
}

fn wrong(report: &mut Report, at: &Place, message: String, help: String) {
    report.error(codes::EXPIRE_RULE, at, message).help(help);
}
