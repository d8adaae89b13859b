//! Fields in the open that say less of a sealed one.

use super::{
    codes,
    entities::Draft,
    field,
    report::{Report, did_you_mean},
};
use crate::{
    entity::{Coarser, Field, Grain, Kind, Scalar},
    names::Name,
};

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
) -> Result<Option<Coarser>, (String, String)> {
    let Some((name, grain)) = written.split_once(" to ") else {
        return Err((
            format!("`{written}` does not say what is left"),
            "write `born to year`, `income to 1000` or `postcode to 2 characters`".into(),
        ));
    };
    let (name, grain) = (name.trim(), grain.trim());
    let Some(source) = fields.iter().find(|draft| draft.word.text == name) else {
        let known: Vec<&str> = fields.iter().map(|draft| draft.word.text.as_str()).collect();
        return Err((format!("there is no field `{name}`"), did_you_mean(name, known)));
    };
    let (Some(source), Ok(named)) = (&source.field, Name::new(name)) else { return Ok(None) };
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
    let Kind::Scalar(kind) = field.kind else { return Err(no_such(name)) };
    match Grain::read(grain, kind) {
        Ok(grain) if kind != Scalar::TimestampTz => Ok(Some(Coarser { field: named, kind, grain })),
        Err(rule)
            if matches!(
                kind,
                Scalar::Date
                    | Scalar::Text
                    | Scalar::SmallInt
                    | Scalar::Integer
                    | Scalar::BigInt
                    | Scalar::Numeric(_)
            ) =>
        {
            Err((format!("nothing like `{grain}` is left of `{name}`"), rule.into()))
        }
        _ => Err(no_such(name)),
    }
}

fn no_such(name: &str) -> (String, String) {
    (
        format!("of `{name}`, which is no date, text or exact number, nothing less can be said"),
        "keep a date, a text or a number beside it, and write it yourself".into(),
    )
}
