//! A query as it was written, before anything is known about the model.

use super::lexer::Word;

/// All parameters of one query string.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) select: Option<Vec<Item>>,
    pub(crate) filters: Vec<At<Tree>>,
    pub(crate) orders: Vec<At<Vec<Term>>>,
    pub(crate) limits: Vec<At<u64>>,
    pub(crate) offsets: Vec<At<u64>>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) on_conflict: Option<Vec<String>>,
    pub(crate) rank: Option<Rank>,
}

/// Something that belongs to the embed at `path`; an empty path is the entity itself.
#[derive(Debug)]
pub(crate) struct At<T> {
    pub(crate) path: Vec<String>,
    pub(crate) it: T,
}

/// One item of `select`.
#[derive(Debug)]
pub(crate) enum Item {
    All,
    Column { alias: Option<String>, operand: Operand, cast: Option<String> },
    Embed(Embed),
}

/// `alias:target!hint!inner(items)`
#[derive(Debug)]
pub(crate) struct Embed {
    pub(crate) alias: Option<String>,
    pub(crate) target: String,
    pub(crate) hint: Option<String>,
    pub(crate) inner: bool,
    pub(crate) items: Vec<Item>,
}

/// A column, a place inside a JSON column, or a measure of a vector column.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) column: Word,
    pub(crate) steps: Vec<Step>,
    pub(crate) measure: Option<Measure>,
}

/// One `->key` or `->>key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) as_text: bool,
    pub(crate) key: StepKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepKey {
    Index(i32),
    Name(String),
}

/// `.distance()`, `.similarity()`, and `score()`, which is of no column
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Distance,
    Similarity,
    Score,
}

/// `rank=rrf(t,v,c:60)`
#[derive(Debug)]
pub(crate) struct Rank {
    pub(crate) fusion: Fusion,
    pub(crate) names: Vec<String>,
    /// The constant of reciprocal rank fusion.
    pub(crate) c: Option<u64>,
}

/// How rankings become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fusion {
    /// Sum of weight / (c + rank).
    Reciprocal,
    /// Sum of weight × closeness, which is 0 … 1 among the candidates of a ranker.
    Weighted,
}

/// Conditions and the trees they form.
#[derive(Debug)]
pub(crate) enum Tree {
    Group { all: bool, not: bool, parts: Vec<Tree> },
    Test { operand: Operand, not: bool, test: Test },
}

/// What is asked of an operand.
#[derive(Debug)]
pub(crate) enum Test {
    Compare { op: Op, each: Option<Each>, value: String },
    In(Vec<String>),
    Is(Is),
    Distinct(String),
    Search { function: &'static str, mods: Vec<String>, value: String },
    Nearest { mods: Vec<String>, operand: String },
}

/// Operators with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Like,
    Ilike,
    Match,
    Imatch,
    Contains,
    Contained,
    Overlaps,
}

/// `(any)` and `(all)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    Any,
    All,
}

/// What `is` may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// One term of `order`.
#[derive(Debug)]
pub(crate) struct Term {
    /// The embed whose field it is.
    pub(crate) embed: Option<String>,
    pub(crate) operand: Operand,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}
