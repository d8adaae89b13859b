//! A checked query: every name is the model's, every value can be of its field's type.

use super::{
    ast::{Each, Step},
    relation::Relation,
};
use crate::{
    Name,
    catalogue::Invocation,
    entity::{Entity, Metric, VectorForm},
};

/// One entity's part of a query, with the embeds under it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    pub(crate) entity: Name,
    /// The columns that tell its rows apart.
    pub(crate) identity: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) embeds: Vec<Embed>,
    pub(crate) conds: Vec<Cond>,
    pub(crate) nearest: Option<Nearest>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    /// Vector fields whose distance is asked for, and where, until it is known that `nearest` is about them.
    pub(crate) measured: Vec<String>,
    /// The function whose rows these are, in place of the table's.
    pub(crate) call: Option<Invocation>,
}

/// One column of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    Column(OutputColumn),
    /// The embed at this place of [`Level::embeds`].
    Embed(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) operand: Operand,
    pub(crate) form: Form,
    /// Whether `*` brought it, so that an item of its own may replace it.
    pub(crate) starred: bool,
}

/// How a column is given to JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// As PostgreSQL does it.
    Plain,
    /// A vector as an array of numbers.
    Numbers,
    /// Cast to this type of PostgreSQL's.
    Cast(&'static str),
}

/// Rows of a related entity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embed {
    /// Its name in the answer.
    pub(crate) name: String,
    /// The name it was written with, which filters may use too.
    pub(crate) target: String,
    pub(crate) relation: Relation,
    /// Whether rows without it are left out.
    pub(crate) inner: bool,
    pub(crate) level: Level,
}

/// Something that has a value in each row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Column(String),
    Json { column: String, jsonb: bool, steps: Vec<Step> },
    Distance,
    Similarity,
}

/// A condition on rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cond {
    Group {
        all: bool,
        not: bool,
        parts: Vec<Cond>,
    },
    Test {
        operand: Operand,
        not: bool,
        test: Test,
    },
    /// Whether the embed at this place has rows.
    Embed {
        index: usize,
        exists: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// `operand <op> $1`
    Binary { op: &'static str, value: String },
    /// `x <op> $1` for some element `x` of an array
    Element { op: &'static str, value: String },
    /// `operand <op> any ($1)`
    Each { op: &'static str, each: Each, array: String },
    /// `operand is …`
    Is(&'static str),
    /// `operand is distinct from $1`
    Distinct(String),
    /// Words of a text; `column` is the hidden column that holds them ready.
    Search { column: Option<String>, language: &'static str, function: &'static str, value: String },
}

/// Which rows are nearest to a vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) field: Name,
    pub(crate) form: VectorForm,
    pub(crate) dimensions: u32,
    pub(crate) metric: Metric,
    /// How many candidates.
    pub(crate) k: Option<u64>,
    /// Bounds on the distance, as PostgreSQL reads them.
    pub(crate) max: Option<String>,
    pub(crate) min: Option<String>,
    pub(crate) anchor: Anchor,
}

/// What rows are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Anchor {
    /// A vector in its type's text form.
    Given(String),
    /// A text to be embedded first.
    Text { slot: usize, text: String, embedder: Name, bound: Option<String> },
    /// The vector of the row whose `column` is `value`; `number` tells the row operands of a query apart.
    Row { number: usize, column: String, value: String },
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// The embed at this place, or the level itself.
    pub(crate) embed: Option<usize>,
    pub(crate) operand: Operand,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

impl Level {
    pub(crate) fn new(entity: &Entity) -> Self {
        Self {
            entity: entity.name.clone(),
            identity: entity.identity().into_iter().map(str::to_owned).collect(),
            outputs: Vec::new(),
            embeds: Vec::new(),
            conds: Vec::new(),
            nearest: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
            measured: Vec::new(),
            call: None,
        }
    }

    /// The level itself and all under it, parents first.
    pub(crate) fn walk(&self) -> Vec<&Level> {
        let mut levels = vec![self];
        for embed in &self.embeds {
            levels.extend(embed.level.walk());
        }
        levels
    }

    /// Calls `visit` with each level's `nearest`.
    pub(crate) fn each_nearest(&mut self, visit: &mut impl FnMut(&mut Nearest)) {
        if let Some(nearest) = &mut self.nearest {
            visit(nearest);
        }
        for embed in &mut self.embeds {
            embed.level.each_nearest(visit);
        }
    }
}
