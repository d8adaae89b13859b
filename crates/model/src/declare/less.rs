//! `born to year`: a field, and what is left of its value.

use super::{field, report::alternatives};
use crate::{
    entity::{Coarser, Field, Grain, Kind},
    names::Name,
};

/// A message and its mend.
pub(super) type Wrong = (String, String);

/// The field that is named, and what is said to be left of it.
pub(super) struct Less<'f, 't> {
    pub(super) draft: &'f field::Draft<'t>,
    pub(super) field: &'f Field,
    name: Name,
    grain: &'f str,
}

/// Reads it. None where the field itself is wrong, which is said there.
pub(super) fn read<'f, 't>(
    written: &'f str,
    fields: &'f [field::Draft<'t>],
) -> Result<Option<Less<'f, 't>>, Wrong> {
    let Some((name, grain)) = written.split_once(" to ") else {
        return Err((
            format!("`{written}` does not say what is left"),
            "write `born to year`, `income to 1000` or `postcode to 2 characters`".into(),
        ));
    };
    let (name, grain) = (name.trim(), grain.trim());
    let Some(draft) = fields.iter().find(|draft| draft.word.text == name) else {
        let known: Vec<&str> = fields.iter().map(|draft| draft.word.text.as_str()).collect();
        return Err((format!("there is no field `{name}`"), alternatives(name, known)));
    };
    let named = draft.field.as_ref().zip(Name::new(name).ok());
    Ok(named.map(|(field, name)| Less { draft, field, name, grain }))
}

impl Less<'_, '_> {
    /// What is left, if that can be of the field's type; `none` is said if of that type nothing less can be.
    pub(super) fn coarser(self, none: Wrong) -> Result<Coarser, Wrong> {
        let Kind::Scalar(kind) = self.field.kind else { return Err(none) };
        match Grain::read(self.grain, kind) {
            Ok(grain) => Ok(Coarser { field: self.name, kind, grain }),
            Err(None) => Err(none),
            Err(Some(rule)) => {
                let message = format!("nothing like `{}` is left of `{}`", self.grain, self.name);
                Err((message, rule.into()))
            }
        }
    }
}
