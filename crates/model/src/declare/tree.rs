//! TOML as a tree in which everything knows its place and tables keep the order of the file.

use std::collections::BTreeMap;

use super::report::Span;

/// A key as written.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Span,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Word,
    pub(super) value: Value,
}

/// A value; a table that has a header is at its header.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) at: Span,
    pub(super) data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    Text(String),
    /// Decimal digits, perhaps with a minus.
    Integer(String),
    /// As written, without underscores and plus.
    Float(String),
    Boolean(bool),
    /// As written.
    Time(String),
    Array {
        items: Vec<Value>,
        /// Made by `[[headers]]`, and so may grow.
        of_tables: bool,
    },
    Table(Table),
    /// Something that could not be read and is reported already.
    Broken,
}

impl Data {
    /// What it is, with an article.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Time(_) => "a date or time",
            Self::Array { .. } => "an array",
            Self::Table(_) => "a table",
            Self::Broken => "unreadable",
        }
    }
}

/// How a table came to be, which decides what may be added to it where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// By the header of a table inside it.
    Implied,
    Header,
    Dotted,
    Inline,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pairs: Vec<Pair>,
    index: BTreeMap<String, usize>,
}

impl Table {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, pairs: Vec::new(), index: BTreeMap::new() }
    }

    /// In the order of the file.
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    pub(super) fn get(&self, key: &str) -> Option<&Pair> {
        self.index.get(key).map(|&i| &self.pairs[i])
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Pair> {
        self.index.get(key).map(|&i| &mut self.pairs[i])
    }

    /// Adds a pair whose key is not there yet.
    pub(super) fn push(&mut self, key: Word, value: Value) -> &mut Pair {
        let i = self.pairs.len();
        self.index.insert(key.text.clone(), i);
        self.pairs.push(Pair { key, value });
        &mut self.pairs[i]
    }
}
