//! A query as it was written, before anything is known about the model.

use super::{Range, lexer::Word};
use crate::{Code, Refusal};

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

impl Written {
    /// Leaves of the rows that `limit` and `offset` give those in the range.
    pub(crate) fn cut(&mut self, range: Range) -> Result<(), Refusal> {
        if range.last.is_some_and(|last| last < range.first) {
            return Err(Refusal::new(Code::Range, "the range ends before it begins"));
        }
        let own = |parts: &mut Vec<At<u64>>| {
            let at = parts.iter().position(|part| part.path.is_empty());
            at.map(|at| parts.remove(at).it)
        };
        let (offset, limit) = (own(&mut self.offsets).unwrap_or(0), own(&mut self.limits));
        let first = offset.max(range.first);
        let ends = limit.map(|limit| offset.saturating_add(limit));
        let ends = ends.into_iter().chain(range.last.map(|last| last.saturating_add(1))).min();
        // PostgreSQL counts rows in a signed 64-bit number.
        let at = |it: u64| At { path: Vec::new(), it: it.min(i64::MAX.unsigned_abs()) };
        self.offsets.push(at(first));
        self.limits.extend(ends.map(|end| at(end.saturating_sub(first))));
        Ok(())
    }
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
    Column {
        alias: Option<String>,
        operand: Operand,
        cast: Option<String>,
        /// The aggregate over it, and what that is cast to.
        aggregate: Option<(Aggregate, Option<String>)>,
    },
    /// `count()` and what it is cast to.
    Count {
        alias: Option<String>,
        cast: Option<String>,
    },
    Embed(Embed),
    /// `...target(items)`: the items stand among the parent's own.
    Spread(Embed),
}

/// A value made of many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Count,
    Sum,
    Avg,
    Max,
    Min,
}

impl Aggregate {
    pub(crate) const ALL: [Aggregate; 5] =
        [Aggregate::Count, Aggregate::Sum, Aggregate::Avg, Aggregate::Max, Aggregate::Min];

    /// Its name here and in SQL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
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

impl Operand {
    /// Whether it is this word and nothing else.
    pub(crate) fn is_plain(&self, word: &str) -> bool {
        self.column.is(word) && self.steps.is_empty() && self.measure.is_none()
    }
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
