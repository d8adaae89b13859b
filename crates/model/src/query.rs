//! Query text to SQL: PostgREST's grammar, with `nearest` as an ordinary part of it.
//!
//! The text is read ([`parse`]) into what was written, checked against the model, and rendered to one statement that
//! yields one row. PostgreSQL builds the JSON.
//!
//! `*` means `id` and all fields but vectors, which are given when they are named: a page of rows should not carry
//! megabytes of numbers that nobody asked for.

mod aggregate;
mod approach;
mod ast;
mod behind;
pub(crate) mod check;
mod conds;
pub(crate) mod cut;
mod filter;
mod keep;
pub(crate) mod level;
pub(crate) mod lexer;
mod nearest;
mod outputs;
mod parse;
mod probe;
mod rank;
mod relation;
pub(crate) mod render;
pub(crate) mod sealed;
mod select;
pub(crate) mod suspects;
pub(crate) mod value;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod tests;

use self::{ast::Written, level::Anchor, render::Renderer};
use crate::{Code, Model, Name, Refusal, Sql};

pub use approach::{EF_SEARCH, Indexable};
pub use behind::{Behind, Measured};
pub use keep::{ById, Fleeting, Sources};
pub use probe::{kth_nearer, spread};
pub use sealed::Sought;

pub(crate) use nearest::vector_text;
pub(crate) use parse::not_built;

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a level, embeds included, that says no `limit`.
    pub rows_default: u64,
    /// Most rows of a level, and most candidates of `nearest`.
    pub rows_max: u64,
    /// Most rows whose sealed vectors a search opens.
    pub sealed_max: u64,
    /// Most levels of embeds, and of and/or.
    pub depth_max: usize,
    /// Most parameters, items of `select`, conditions of a tree, terms of an order: of each.
    pub parts_max: usize,
    /// Most values of `in.(…)`.
    pub list_max: usize,
    /// Most rows in the body of one write.
    pub body_rows_max: usize,
}

impl Limits {
    /// Rows of a level with `nearest` that says no `limit`.
    pub const NEAREST_DEFAULT: u64 = 10;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows_default: 1_000,
            rows_max: 10_000,
            sealed_max: 100_000,
            depth_max: 8,
            parts_max: 256,
            list_max: 10_000,
            body_rows_max: 10_000,
        }
    }
}

/// A checked query.
///
/// [`Query::render`] yields one row of `body text` (a JSON array), `rows bigint`, `total bigint` (null unless
/// [`Query::count_exact`] was called), `anchor boolean` (null without a `row:` operand; false if such a row, or
/// its vector, is missing); if [`Query::searches`], also of `scanned bigint` (rows that were measured) and
/// `found bigint` (rows that all pages have together).
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub(crate) level: level::Level,
    pub(crate) shape: Shape,
    count: bool,
    /// What marks sealed values in the answer.
    pub(crate) tag: Option<String>,
    /// The tables whose stamp is asked for, as an array of PostgreSQL's.
    stamp: Option<String>,
}

/// How the rows of an answer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// A JSON array of objects.
    #[default]
    Json,
    /// The same without what is null.
    Stripped,
    /// Comma-separated values, a line for each row, without the line of names ([`Query::names`]).
    Csv,
}

impl Shape {
    /// The rows `r` as one text.
    pub(crate) fn body(self) -> &'static str {
        match self {
            Self::Json => "coalesce(json_agg(r.*), '[]')::text",
            Self::Stripped => "coalesce(json_strip_nulls(json_agg(r.*)), '[]')::text",
            // The text form of a row, without the parentheses.
            Self::Csv => {
                "coalesce(string_agg(substring((r.*)::text, 2, length((r.*)::text) - 2), E'\\n'), '')"
            }
        }
    }

    /// No rows as one text.
    pub(crate) fn nothing(self) -> &'static str {
        match self {
            Self::Json | Self::Stripped => "'[]'::text",
            Self::Csv => "''::text",
        }
    }
}

/// The rows a caller wants of an answer, both counted from 0 and both in it; to the end if there is no last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first row.
    pub first: u64,
    /// The last row.
    pub last: Option<u64>,
}

/// A text to embed before the query can be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextOperand<'q> {
    /// Which embedder the vector field declares.
    pub embedder: &'q Name,
    /// Number of dimensions the vector must have.
    pub dimensions: u32,
    /// The text.
    pub text: &'q str,
    /// What to give to [`Query::bind`].
    pub slot: usize,
}

/// Checks `query`, the raw percent-encoded query string, for `entity`.
///
/// # Errors
/// A refusal that names what is wrong and, where there is one, the name that was probably meant.
pub fn parse(model: &Model, entity: &str, query: &str, limits: &Limits) -> Result<Query, Refusal> {
    parse_within(model, entity, query, None, limits)
}

/// The same, within a range of what `limit` and `offset` leave.
///
/// # Errors
/// As [`parse`]; `Range` if the range ends before it begins.
pub fn parse_within(
    model: &Model,
    entity: &str,
    query: &str,
    range: Option<Range>,
    limits: &Limits,
) -> Result<Query, Refusal> {
    check::relation(model, entity)?;
    let mut written = parse::parse(query, limits)?;
    if let Some(range) = range {
        written.cut(range)?;
    }
    for (name, given) in
        [("columns", written.columns.is_some()), ("on_conflict", written.on_conflict.is_some())]
    {
        if given {
            let refusal =
                Refusal::new(crate::Code::Syntax, format!("{name} has no meaning in a read"));
            return Err(
                refusal.hint(format!("a field of this name is written \"{name}\" in quotes"))
            );
        }
    }
    Query::checked(model, entity, written, limits)
}

/// Reads a query string without looking anything up.
pub(crate) fn written(query: &str, limits: &Limits) -> Result<Written, Refusal> {
    parse::parse(query, limits)
}

impl Query {
    pub(crate) fn checked(
        model: &Model,
        entity: &str,
        written: Written,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let level = check::check(model, entity, written, limits)?;
        Ok(Self { level, shape: Shape::default(), count: false, tag: None, stamp: None })
    }

    /// The entity's name.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.level.entity
    }

    /// The names of all relations that it reads besides its own, those between the ends of embeds included, each once.
    #[must_use]
    pub fn embedded(&self) -> Vec<&Name> {
        let mut names: Vec<&Name> =
            self.level.walk().into_iter().flat_map(level::Level::embedded).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The names of all entities and read models it reads, embeds and what is between their ends included, each once.
    #[must_use]
    pub fn reads(&self) -> Vec<&Name> {
        let mut names = self.embedded();
        names.push(&self.level.entity);
        names.sort();
        names.dedup();
        names
    }

    /// Most rows the answer has.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.level.limit.unwrap_or_default()
    }

    /// How many rows are passed over first.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.level.offset
    }

    /// The texts of `nearest.text:` operands; each is to be embedded and given to [`Query::bind`].
    #[must_use]
    pub fn texts(&self) -> Vec<TextOperand<'_>> {
        let nearest = self.level.walk().into_iter().flat_map(|level| &level.nearest);
        nearest
            .filter_map(|nearest| match &nearest.anchor {
                Anchor::Text { slot, text, embedder, .. } => Some(TextOperand {
                    embedder,
                    dimensions: nearest.dimensions,
                    text,
                    slot: *slot,
                }),
                _ => None,
            })
            .collect()
    }

    /// Puts the vector of the text at `slot` in its place.
    pub fn bind(&mut self, slot: usize, vector: &[f32]) {
        self.level.each_nearest(&mut |nearest| {
            let form = nearest.form;
            if let Anchor::Text { slot: at, bound, .. } = &mut nearest.anchor
                && *at == slot
            {
                *bound = Some(vector_text(form, vector));
            }
        });
    }

    /// Calls `visit` with each lookup of sealed values; each is to be bound before the query is rendered.
    pub fn each_lookup(&mut self, visit: &mut dyn FnMut(Sought<'_>)) {
        self.level.each_lookup(visit);
    }

    /// The sealed fields that it shows, by entity and field. If there are any, [`Query::tagged`] is to be called.
    #[must_use]
    pub fn shows(&self) -> Vec<(&Name, &Name)> {
        self.level.shows()
    }

    /// Marks sealed values in the answer with `tag`, which nobody may have been able to guess: as the text
    /// `tag:place:row:owner:value:`, where the place is the hexadecimal digits of the entity's name, a zero byte and the
    /// field's name, and the value the digits of what is sealed. Without a tag sealed values are null.
    pub fn tagged(&mut self, tag: &str) {
        self.tag = Some(tag.to_owned());
    }

    /// Asks for the number of rows that fit the filters, whatever `limit` and `nearest` say.
    pub fn count_exact(&mut self) {
        self.count = true;
    }

    /// What the columns of the answer are called, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.level.names()
    }

    /// Asks for the rows in another shape than a JSON array.
    pub fn shaped(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// The fields of filters and casts that a value may have been for which the database refused so.
    #[must_use]
    pub fn suspects(&self, model: &Model, code: Code) -> Vec<String> {
        suspects::of_query(model, &self.level, code)
    }

    /// The statement.
    ///
    /// # Panics
    /// If a text of [`Query::texts`] has not been bound.
    #[must_use]
    pub fn render(&self) -> Sql {
        let mut renderer = Renderer::tagged(self.tag.as_deref());
        renderer.read(&self.level, self.count, self.shape, self.stamp.as_deref());
        match self.level.index {
            Some(index) => renderer.sql.within(index.settings()),
            None => renderer.sql,
        }
    }
}
