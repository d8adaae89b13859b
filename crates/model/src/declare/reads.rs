//! The read models: their SQL is compiled, and what is wrong with it is shown at its place in the file.

use super::{
    codes,
    report::{Report, Span},
    tree::{Data, Pair, Value, Word},
    walk::{Found, items, text, walk_named},
};
use crate::{
    entity::{Entity, Key, Kind, Scalar},
    names::Name,
    view::{Compiled, Fault, ReadModel, Spot, Written, Wrong, compile},
};

/// Read models of a model.
const READS_MAX: usize = 200;

/// Indexes of a read model; each costs every write.
const INDEXES_MAX: usize = 16;

pub(super) fn read(
    file: &str,
    pairs: &[Pair],
    root: &Found,
    entities: &[Entity],
    report: &mut Report,
) -> Vec<ReadModel> {
    let pairs = report.within(pairs, |pair| &pair.key.at, READS_MAX, "a model", "read models");
    // What is wrong with an entity would be said again by everything that reads it.
    let sound = report.is_sound();
    let all: Vec<String> = pairs.iter().map(|pair| pair.key.text.clone()).collect();
    let declared: Vec<&Word> = root.named("entity").iter().map(|pair| &pair.key).collect();
    let mut reads = Vec::new();
    for pair in pairs {
        let name = super::names::read(&pair.key, report);
        let found = walk_named(pair, &super::grammar::READ, report);
        if let Some(entity) = declared.iter().find(|word| word.text == pair.key.text) {
            report
                .error(codes::READ_TAKEN, &pair.key.at, format!("an entity is called `{}` already", pair.key.text))
                .also(&entity.at, "this one")
                .help("give the read model another name: both are tables, and are read by their names");
            continue;
        }
        if let (true, Some(name), Some(found)) = (sound, name, found) {
            reads.extend(one(file, &name, &found, entities, &all, report));
        }
    }
    reads
}

fn one(
    file: &str,
    name: &Name,
    found: &Found,
    entities: &[Entity],
    reads: &[String],
    report: &mut Report,
) -> Option<ReadModel> {
    let sql = found.pair("sql")?;
    let (written, _) = text(&sql.value)?;
    let key: Vec<(&str, &Span)> = found.items("key")?.iter().filter_map(text).collect();
    let names: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
    let search = languages(found);
    let compiled = compile(Written {
        name,
        about: found.owned("about"),
        key: &names,
        sql: written,
        indexes: Vec::new(),
        search: &search,
        entities,
        reads,
    });
    let place = Place { file, value: &sql.value, text: written, key: &sql.key.at };
    match compiled {
        Err(fault) => {
            let keyed = fault.key.and_then(|at| key.get(at)).map(|(_, at)| (*at).clone());
            let whole = || found.pair("key").map(|pair| pair.value.at.clone());
            let at = match fault.key {
                Some(_) => keyed.or_else(whole).unwrap_or_else(|| place.of(fault.at)),
                None => place.of(fault.at),
            };
            report.error(code(&fault), &at, fault.message.clone()).help(fault.help.clone());
            None
        }
        Ok(Compiled { mut model, warning }) => {
            if let Some(warning) = warning {
                let at = found.pair("key").map_or(&sql.key.at, |pair| &pair.value.at);
                report
                    .warn(codes::READ_COARSE, at, warning)
                    .help("keep the missing column in the other entity too, or group by fewer columns, if there are many such rows");
            }
            searched(found, &model, report);
            for entity in entities.iter().filter(|entity| model.source(&entity.name).is_some()) {
                super::slices::read_model(entity, &sql.key.at, report);
            }
            model.shape.indexes = indexes(found, &model, report);
            model.shape.anonymous = found.text("anonymous").is_some();
            Some(model)
        }
    }
}

fn code(fault: &Fault) -> &'static str {
    match fault.wrong {
        Wrong::Syntax => codes::READ_SYNTAX,
        Wrong::Name => codes::READ_NAME,
        Wrong::Type => codes::READ_TYPE,
        Wrong::Function => codes::READ_FUNCTION,
        Wrong::Form => codes::READ_FORM,
        Wrong::Key => codes::READ_KEY,
    }
}

fn languages<'t>(found: &Found<'t>) -> Vec<(&'t str, String)> {
    let language = |pair: &'t Pair| match &pair.value.data {
        Data::Text(language) => Some((pair.key.text.as_str(), language.clone())),
        _ => None,
    };
    found.named("search").iter().filter_map(language).collect()
}

fn searched(found: &Found, model: &ReadModel, report: &mut Report) {
    for pair in found.named("search") {
        let name = &pair.key.text;
        match model.shape.field(name).map(|field| &field.kind) {
            Some(Kind::Scalar(Scalar::Text)) => {}
            Some(_) => {
                report
                    .error(
                        codes::SEARCH_NOT_TEXT,
                        &pair.key.at,
                        format!("the column `{name}` is no text, and cannot be searched by words"),
                    )
                    .help("remove it, or cast the column to `text` in the SQL");
            }
            None => unknown(name, &pair.key.at, model, report),
        }
    }
}

fn unknown(name: &str, at: &Span, model: &ReadModel, report: &mut Report) {
    let known: Vec<&str> = model.shape.fields.iter().map(|field| &*field.name).collect();
    report
        .error(codes::KEY_FIELDS_UNKNOWN, at, format!("the read model has no column `{name}`"))
        .help(super::report::alternatives(name, known.iter().copied()));
}

fn indexes(found: &Found, model: &ReadModel, report: &mut Report) -> Vec<Key> {
    let entries = found.items("index").unwrap_or_default();
    let entries = report.within(entries, |item| &item.at, INDEXES_MAX, "a read model", "indexes");
    let mut keys: Vec<Key> = Vec::new();
    for entry in entries {
        let words: Vec<(&str, &Span)> = match &entry.data {
            Data::Array { .. } => items(entry).iter().filter_map(text).collect(),
            _ => text(entry).into_iter().collect(),
        };
        let mut fields: Vec<Name> = Vec::new();
        for (word, at) in &words {
            match model.shape.field(word) {
                Some(field) if matches!(field.kind, Kind::Vector(_)) => {
                    report
                        .error(
                            codes::KEY_FIELDS_VECTOR,
                            at,
                            format!("the vector `{word}` cannot be part of an index"),
                        )
                        .help("remove it; nearest vectors are found without a declared index");
                }
                Some(field) if fields.contains(&field.name) => {
                    report
                        .error(
                            codes::KEY_FIELDS_REPEATED,
                            at,
                            format!("this index names `{word}` twice"),
                        )
                        .help("remove one of the two");
                }
                Some(field) => fields.push(field.name.clone()),
                None => unknown(word, at, model, report),
            }
        }
        let key = Key { fields };
        if words.is_empty() {
            report
                .error(codes::KEY_FIELDS_EMPTY, &entry.at, "this index names no column")
                .help("name at least one column, or remove it");
        } else if !key.fields.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Finds places of the SQL in the file that it is written in.
struct Place<'f> {
    file: &'f str,
    value: &'f Value,
    /// The SQL, as TOML reads it.
    text: &'f str,
    /// Where to point if no place is known.
    key: &'f Span,
}

impl Place<'_> {
    fn of(&self, spot: Spot) -> Span {
        if spot == Spot::empty() {
            return self.key.clone();
        }
        let from = self.character(spot.start.line, spot.start.column);
        let to = self.character(spot.end.line, spot.end.column).max(from);
        let offsets = self.offsets();
        let last = offsets.last().copied().unwrap_or(self.value.at.start);
        let offset = |at: usize| offsets.get(at).copied().unwrap_or(last);
        let (start, mut end) = (offset(from), offset(to));
        if end <= start {
            let word = self
                .text
                .chars()
                .skip(from)
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .count()
                .max(1);
            end = offset(from + word).max(start);
        }
        start..end
    }

    /// Which character of the text stands in this line and column, which count from one.
    fn character(&self, line: u64, column: u64) -> usize {
        let (mut at_line, mut at_column) = (1, 1);
        for (at, character) in self.text.chars().enumerate() {
            if (at_line, at_column) >= (line, column) {
                return at;
            }
            if character == '\n' {
                (at_line, at_column) = (at_line + 1, 1);
            } else {
                at_column += 1;
            }
        }
        self.text.chars().count()
    }

    /// Where in the file each character of the text begins, and where the text ends.
    fn offsets(&self) -> Vec<usize> {
        let raw = &self.file[self.value.at.clone()];
        let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
        let literal = raw.starts_with('\'');
        let mut at = quotes.min(raw.len());
        if quotes == 3 {
            let rest = &raw[at..];
            at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
        }
        let mut offsets = Vec::new();
        for character in self.text.chars() {
            let mut rest = &raw[at..];
            // A line that ends in a backslash goes on at the next word.
            while !literal
                && rest.starts_with('\\')
                && rest[1..].trim_start_matches([' ', '\t', '\r']).starts_with('\n')
            {
                let skipped = rest[1..].trim_start();
                at += rest.len() - skipped.len();
                rest = skipped;
            }
            if character == '\n' && rest.starts_with("\r\n") {
                at += 1;
                rest = &rest[1..];
            }
            offsets.push(self.value.at.start + at);
            at += match rest.as_bytes() {
                [b'\\', b'x', ..] if !literal => 4,
                [b'\\', b'u', ..] if !literal => 6,
                [b'\\', b'U', ..] if !literal => 10,
                [b'\\', ..] if !literal => 2,
                _ => rest.chars().next().map_or(0, char::len_utf8),
            };
            at = at.min(raw.len());
        }
        offsets.push(self.value.at.start + at);
        offsets
    }
}
