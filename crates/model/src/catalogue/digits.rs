//! Numbers of a JSON body with more digits than a double has.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::{Code, Model, Refusal, mutate::first_rounded, query::lexer::shorten};

/// Refuses arguments of a function in which a number would be given as another one: that is for types which round by
/// themselves.
///
/// # Errors
/// `InvalidValue` with the number.
pub fn check_digits(model: &Model, function: &str, body: &str) -> Result<(), Refusal> {
    if first_rounded(body).is_none() {
        return Ok(());
    }
    let arguments: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(body).unwrap_or_default();
    for (name, text) in arguments {
        let Some(number) = first_rounded(text.get()) else { continue };
        let functions = model.catalogue().functions().iter().filter(|one| one.name == function);
        let mut types = functions
            .flat_map(|one| &one.arguments)
            .filter(|argument| argument.name == name)
            .map(|argument| argument.sql_type.as_str());
        if !types.all(rounds) {
            return Err(Refusal::new(
                Code::InvalidValue,
                format!("a number of the argument {name} has more digits than are kept"),
            )
            .detail(shorten(number))
            .hint("write it as a text"));
        }
    }
    Ok(())
}

fn rounds(sql_type: &str) -> bool {
    ["double precision", "real", "freehold_ext."].iter().any(|begin| sql_type.starts_with(begin))
}
