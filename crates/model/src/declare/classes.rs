//! The classes of personal data, `[personal.…]`.

use std::collections::BTreeMap;

use super::{
    codes,
    report::Report,
    tree::{Pair, Word},
    walk::{Found, text, walk_named},
};
use crate::{
    entity::{Class, Entity, Privacy, Span},
    names::Name,
};

/// The classes of a model, as far as they could be read.
pub(super) struct Classes<'t> {
    declared: Vec<(&'t Word, Option<Class>)>,
}

/// Reads `[personal.…]`.
pub(super) fn read<'t>(pairs: &'t [Pair], report: &mut Report) -> Classes<'t> {
    let one = |pair: &'t Pair| {
        super::names::read(&pair.key, report);
        let class = walk_named(pair, &super::grammar::PERSONAL, report)
            .and_then(|found| class(&found, report));
        (&pair.key, class)
    };
    Classes { declared: pairs.iter().map(one).collect() }
}

fn class(found: &Found<'_>, report: &mut Report) -> Option<Class> {
    let (retention, at) = found.text("retention")?;
    let retention = match Span::read(retention) {
        Ok(span) => Some(span),
        Err(_) if retention == "until erased" => None,
        Err(rule) => {
            report
                .error(codes::PERSONAL_RETENTION, at, rule)
                .help("write `3 years`, or `until erased`");
            return None;
        }
    };
    let texts = |key: &str| -> Vec<String> {
        let items = found.items(key).unwrap_or_default();
        items.iter().filter_map(text).map(|(text, _)| text.to_owned()).collect()
    };
    Some(Class {
        purpose: found.owned("purpose")?,
        basis: found.owned("basis")?,
        retention,
        about: found.owned("about"),
        source: found.owned("source"),
        recipients: texts("recipients"),
        purposes: texts("purposes"),
    })
}

impl Classes<'_> {
    /// The classes of the model, once every field has been read.
    pub(super) fn finish(self, entities: &[Entity], report: &mut Report) -> BTreeMap<Name, Class> {
        let fields = || entities.iter().flat_map(|entity| &entity.fields);
        let uses = |name: &str| {
            fields().any(|field| matches!(&field.privacy, Some(Privacy::Personal(personal)) if *personal.class == *name))
        };
        if report.is_sound() {
            for (word, _) in self.declared.iter().filter(|(word, _)| !uses(&word.text)) {
                report
                    .warn(
                        codes::PERSONAL_UNUSED,
                        &word.at,
                        format!("no field is of the class `{}`", word.text),
                    )
                    .help(format!("remove it, or write `personal = \"{}\"` at a field", word.text));
            }
        }
        let named =
            |(word, class): (&Word, Option<Class>)| Some((Name::new(&word.text).ok()?, class?));
        self.declared.into_iter().filter_map(named).collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.declared.iter().map(|(word, _)| word.text.as_str())
    }
}
