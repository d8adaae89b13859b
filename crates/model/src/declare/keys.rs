//! Unique keys and indexes of an entity.

use super::{
    codes,
    field::Draft,
    report::{Report, Span, alternatives},
    tree::{Data, Value},
    walk::{Found, items, text},
};
use crate::{
    entity::{Key, Kind, Scalar},
    names::Name,
};

/// Columns of an index by PostgreSQL's limit, less the tenant's.
const FIELDS_MAX: usize = 31;

/// Entries of `unique` or `index`; each costs every write.
const KEYS_MAX: usize = 100;

/// The unique keys and the further indexes of an entity.
pub(super) fn read(found: &Found, fields: &[Draft], report: &mut Report) -> (Vec<Key>, Vec<Key>) {
    let uniques = Sort { flag: "unique", noun: "unique key", nouns: "unique keys" }.read(
        found,
        fields,
        &[],
        report,
    );
    let indexes = Sort { flag: "index", noun: "index", nouns: "indexes" }
        .read(found, fields, &uniques, report);
    let keys = |placed: Vec<(Key, Span)>| placed.into_iter().map(|(key, _)| key).collect();
    (keys(uniques), keys(indexes))
}

/// Unique keys or indexes, which are written alike.
struct Sort {
    /// At the field and at the entity.
    flag: &'static str,
    noun: &'static str,
    nouns: &'static str,
}

impl Sort {
    /// Those of single fields first. What `others` do already is left out with a warning.
    fn read(
        &self,
        found: &Found,
        fields: &[Draft],
        others: &[(Key, Span)],
        report: &mut Report,
    ) -> Vec<(Key, Span)> {
        let mut keys: Vec<(Key, Span)> = Vec::new();
        let flagged = fields.iter().filter_map(|draft| {
            let field = draft.field.as_ref()?;
            let found = draft.found.as_ref().filter(|found| found.flag(self.flag))?;
            Some((vec![field.name.clone()], found.pair(self.flag)?.key.at.clone()))
        });
        let listed = found.items(self.flag).unwrap_or_default();
        let listed = report.within(listed, |item| &item.at, KEYS_MAX, "an entity", self.nouns);
        let listed: Vec<(Vec<Name>, Span)> =
            listed.iter().filter_map(|entry| self.fields_of(entry, fields, report)).collect();
        for (names, at) in flagged.chain(listed) {
            let key = Key { fields: names };
            if let Some((_, first)) = keys.iter().chain(others).find(|(other, _)| *other == key) {
                let both = key
                    .fields
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                report
                    .warn(
                        codes::KEY_REDUNDANT,
                        &at,
                        format!("this {} of {both} does nothing that another does not", self.noun),
                    )
                    .also(first, "the other one")
                    .help("remove one of the two");
                continue;
            }
            self.check_kinds(&key, &at, fields, report);
            keys.push((key, at));
        }
        keys
    }

    /// The fields of one entry that names existing ones.
    fn fields_of(
        &self,
        entry: &Value,
        fields: &[Draft],
        report: &mut Report,
    ) -> Option<(Vec<Name>, Span)> {
        let words: Vec<(&str, &Span)> = match &entry.data {
            Data::Array { .. } => items(entry).iter().filter_map(text).collect(),
            _ => text(entry).into_iter().collect(),
        };
        // A single name is one key among indexes; among unique keys it is reported already.
        let sound = match &entry.data {
            Data::Text(_) => self.flag == "index",
            Data::Array { items, .. } => items.len() == words.len(),
            _ => false,
        };
        if !sound {
            return None;
        }
        if words.is_empty() {
            report
                .error(
                    codes::KEY_FIELDS_EMPTY,
                    &entry.at,
                    format!("this {} names no field", self.noun),
                )
                .help("name at least one field, or remove it");
            return None;
        }
        if words.len() > FIELDS_MAX {
            report
                .error(
                    codes::KEY_FIELDS_TOO_MANY,
                    &entry.at,
                    format!(
                        "this {} has {} fields, but at most {FIELDS_MAX} are possible",
                        self.noun,
                        words.len()
                    ),
                )
                .help("name the fields that matter most");
            return None;
        }
        let mut names: Vec<Name> = Vec::new();
        let mut sound = true;
        for (i, (word, at)) in words.iter().enumerate() {
            if let Some((_, first)) = words[..i].iter().find(|(seen, _)| seen == word) {
                report
                    .error(
                        codes::KEY_FIELDS_REPEATED,
                        at,
                        format!("this {} names `{word}` twice", self.noun),
                    )
                    .also(first, "first here")
                    .help("remove one of the two");
                sound = false;
                continue;
            }
            match fields.iter().find(|draft| draft.word.text == **word) {
                Some(draft) => match &draft.field {
                    Some(field) => names.push(field.name.clone()),
                    None => sound = false,
                },
                None => {
                    sound = false;
                    unknown(word, at, fields, self.noun, report);
                }
            }
        }
        sound.then(|| (names, entry.at.clone()))
    }

    fn check_kinds(&self, key: &Key, at: &Span, fields: &[Draft], report: &mut Report) {
        let kind_of = |name: &Name| {
            fields
                .iter()
                .filter_map(|draft| draft.field.as_ref())
                .find(|field| field.name == *name)
                .map(|field| &field.kind)
        };
        for name in &key.fields {
            match kind_of(name) {
                Some(Kind::Vector(_)) => {
                    report
                        .error(
                            codes::KEY_FIELDS_VECTOR,
                            at,
                            format!("the vector `{name}` cannot be part of a {}", self.noun),
                        )
                        .help("remove it; nearest vectors are found without a declared index");
                }
                Some(Kind::Array(_) | Kind::Scalar(Scalar::Jsonb)) if self.flag == "index" => {
                    report
                        .warn(codes::KEY_WHOLE_VALUE, at, format!("an index of `{name}` finds equal whole values only, not what they contain"))
                        .help("remove it unless rows are looked up by the whole value");
                }
                _ => {}
            }
        }
    }
}

fn unknown(word: &str, at: &Span, fields: &[Draft], noun: &str, report: &mut Report) {
    let (message, help) = match word {
        "tenant_id" => (
            "every key and index begins with the tenant without saying so".to_owned(),
            "remove `tenant_id`".to_owned(),
        ),
        "id" => ("`id` is unique and indexed already".to_owned(), "remove `id`".to_owned()),
        _ => {
            let known: Vec<&str> = fields.iter().map(|draft| draft.word.text.as_str()).collect();
            (
                format!("there is no field `{word}` for this {noun}"),
                alternatives(word, known.iter().copied()),
            )
        }
    };
    report.error(codes::KEY_FIELDS_UNKNOWN, at, message).help(help);
}
