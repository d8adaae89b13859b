//! Fields in the open that say less of a sealed one.

use super::{
    codes,
    entities::Draft,
    field,
    less::{self, Wrong},
    report::Report,
};
use crate::entity::{Coarser, Field, Kind, Scalar};

/// Reads what fields are made from, once it is known which are sealed.
pub(super) fn check(drafts: &mut [Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let made: Vec<(usize, Coarser)> = draft
            .fields
            .iter()
            .enumerate()
            .filter_map(|(at, field)| Some((at, one(field, &draft.fields, report)?)))
            .collect();
        for (at, less) in made {
            if let Some(field) = &mut draft.fields[at].field {
                field.generalises = Some(less);
            }
        }
    }
}

fn one(
    draft: &field::Draft<'_>,
    fields: &[field::Draft<'_>],
    report: &mut Report,
) -> Option<Coarser> {
    let (written, at) = draft.found.as_ref()?.text("generalises")?;
    match draft.field.as_ref().map(|field| read(written, field, fields))? {
        Ok(less) => less,
        Err((message, help)) => {
            report.error(codes::PERSONAL_LOOKUP, at, message).help(help);
            None
        }
    }
}

/// None where the other field is wrong itself, which is said there.
fn read(
    written: &str,
    field: &Field,
    fields: &[field::Draft<'_>],
) -> Result<Option<Coarser>, Wrong> {
    let Some(less) = less::read(written, fields)? else { return Ok(None) };
    let (source, name) = (less.field, &less.field.name);
    if source.sealed().is_none() {
        return Err((
            format!("`{name}` is not sealed: ranges and order are had of it as it is"),
            "remove `generalises`, or make it `personal`".into(),
        ));
    }
    if field.sealed().is_some() {
        return Err((
            format!(
                "`{}` is sealed itself, so nothing could be done with it that cannot be done with `{name}`",
                field.name
            ),
            "say with `not_personal` why so little is none".into(),
        ));
    }
    if field.kind != source.kind {
        return Err((
            format!("what is left of `{name}` is of its type, and `{}` is of another", field.name),
            "give both the same `type`".into(),
        ));
    }
    if !field.optional || field.default.is_some() {
        return Err((
            format!("`{}` is made from `{name}`, and empty until that is written", field.name),
            "make it `optional = true`, without a `default`".into(),
        ));
    }
    let none = (
        format!("of `{name}`, which is no date, text or exact number, nothing less can be said"),
        "keep a date, a text or a number beside it, and write it yourself".into(),
    );
    // Times are sealed in the zone that they came in.
    if field.kind == Kind::Scalar(Scalar::TimestampTz) {
        return Err(none);
    }
    less.coarser(none).map(Some)
}
