//! A checked query: every name is the model's, every value can be of its field's type.

use super::{
    ast::{Aggregate, Each, Fusion, Step},
    cut::Cut,
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
    /// One at most, unless `rank` makes one order of several.
    pub(crate) nearest: Vec<Nearest>,
    pub(crate) rank: Option<Rank>,
    /// Which index finds the nearest; none if all rows are measured.
    pub(crate) index: Option<Index>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    /// Vector fields whose distance is asked for, and where, until it is known that `nearest` is about them.
    pub(crate) measured: Vec<String>,
    /// Whether `score()` is asked for.
    pub(crate) scored: bool,
    /// The function whose rows these are, in place of the table's.
    pub(crate) call: Option<Invocation>,
    /// What has expired is not shown, whether it is removed yet or not.
    pub(crate) cuts: Vec<Cut>,
}

/// One column of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    Column(OutputColumn),
    /// The embed at this place of [`Level::embeds`].
    Embed(usize),
    /// An output of an embed, given as one of the level's own.
    Spread(SpreadColumn),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpreadColumn {
    /// What it is called here and in the embed.
    pub(crate) name: String,
    /// The embed at this place of [`Level::embeds`].
    pub(crate) index: usize,
    /// Whether its value is of type json, which has no equality to group by.
    pub(crate) json: bool,
    /// The aggregate that the embed was asked for: it is over the rows of this level.
    pub(crate) made: Option<Made>,
    pub(crate) starred: bool,
}

/// An aggregate and what it is cast to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Made {
    pub(crate) aggregate: Aggregate,
    pub(crate) cast: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) operand: Operand,
    pub(crate) form: Form,
    /// The aggregate over it; the other outputs of the level are what rows are grouped by.
    pub(crate) made: Option<Made>,
    /// Whether `*` brought it, so that an item of its own may replace it.
    pub(crate) starred: bool,
}

/// How a column is given to JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// As PostgreSQL does it.
    Plain,
    /// What is known of a blob.
    Blob,
    /// A vector as an array of numbers.
    Numbers,
    /// Cast to this type of PostgreSQL's.
    Cast(&'static str),
    /// Marked, to be opened behind PostgreSQL.
    Sealed(Shown),
}

/// A sealed value that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) entity: Name,
    pub(crate) field: Name,
    /// The column that says whose it is.
    pub(crate) owner: Option<String>,
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
    Json {
        column: String,
        jsonb: bool,
        steps: Vec<Step>,
    },
    /// How far the vector field is from what `nearest` on it asks for.
    Distance(String),
    Similarity(String),
    /// What `rank` gave.
    Score,
    /// The row itself, to be counted.
    Row,
    /// The output at this place, counted from 1, of a level that groups its rows.
    Output(usize),
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
    /// The blind index of the column is, or is not, among those of these values.
    Lookup {
        place: (Name, Name),
        not: bool,
        /// As they were written.
        values: Vec<String>,
        /// As they are looked up.
        sought: Vec<String>,
        /// Their blind indexes.
        bound: Option<Vec<String>>,
    },
    /// Words of a text; `column` is the hidden column that holds them ready.
    Search { column: Option<String>, language: &'static str, function: &'static str, value: String },
}

/// Which rows are nearest to a vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) field: Name,
    /// The table in which it is searched, if that is not the entity's own.
    pub(crate) copy: Option<String>,
    pub(crate) form: VectorForm,
    pub(crate) dimensions: u32,
    pub(crate) metric: Metric,
    /// Whether that is the field's own metric, which an index would have.
    pub(crate) declared: bool,
    /// What `rank` is told of it, and how many candidates.
    pub(crate) part: Part,
    /// Whether that number was said.
    pub(crate) capped: bool,
    /// Bounds on the distance, as PostgreSQL reads them.
    pub(crate) max: Option<String>,
    pub(crate) min: Option<String>,
    pub(crate) anchor: Anchor,
    /// If the vectors are sealed, how they are shown to whoever measures them.
    pub(crate) sealed: Option<Shown>,
    /// What was found of sealed ones.
    pub(crate) found: Option<super::behind::Found>,
}

/// An approximate index of a tenant's own that is to find the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) tenant: u128,
    /// How many rows it is asked for.
    pub(crate) candidates: u64,
    /// Candidates it keeps in mind on its way, as pgvector's `hnsw.ef_search`.
    pub(crate) ef_search: u32,
}

/// What a clause is told so that `rank` can use it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Part {
    pub(crate) label: Option<String>,
    /// As PostgreSQL reads it; 1 unless said.
    pub(crate) weight: Option<String>,
    /// How many candidates.
    pub(crate) k: Option<u64>,
}

/// One order made of several.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rank {
    pub(crate) fusion: Fusion,
    /// The constant of reciprocal rank fusion.
    pub(crate) c: u64,
    pub(crate) rankers: Vec<Ranker>,
    /// Conditions on the score.
    pub(crate) conds: Vec<(bool, Test)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranker {
    pub(crate) by: By,
    pub(crate) part: Part,
}

/// What a ranker orders by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    /// The distance of the `nearest` at this place of [`Level::nearest`].
    Nearest(usize),
    /// How well words fit; the test is a search.
    Words { operand: Operand, test: Test },
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
            nearest: Vec::new(),
            rank: None,
            index: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
            measured: Vec::new(),
            scored: false,
            call: None,
            cuts: Cut::all(entity),
        }
    }

    /// Whether its rows are groups of the table's rows.
    pub(crate) fn is_grouped(&self) -> bool {
        self.outputs.iter().any(|output| output.made().is_some())
    }

    /// What its outputs are called, in their order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.outputs.iter().map(|output| self.name_of(output)).collect()
    }

    /// What one of its outputs is called.
    pub(crate) fn name_of<'l>(&'l self, output: &'l Output) -> &'l str {
        match output {
            Output::Column(column) => &column.name,
            Output::Embed(index) => &self.embeds[*index].name,
            Output::Spread(spread) => &spread.name,
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

    /// What its embeds read: the other ends, and what is between.
    pub(crate) fn embedded(&self) -> impl Iterator<Item = &Name> {
        self.embeds.iter().flat_map(|embed| {
            let between = embed.relation.via.as_ref().map(|via| &via.entity);
            between.into_iter().chain([&embed.level.entity])
        })
    }

    /// The `nearest` that alone decides the order.
    pub(crate) fn only_nearest(&self) -> Option<&Nearest> {
        if self.rank.is_some() { None } else { self.nearest.first() }
    }

    /// The `nearest` on `field`.
    pub(crate) fn nearest_on(&self, field: &str) -> Option<&Nearest> {
        self.nearest.iter().find(|nearest| &*nearest.field == field)
    }

    /// Whether rows are found by likeness rather than by conditions alone.
    pub(crate) fn searches(&self) -> bool {
        !self.nearest.is_empty() || self.rank.is_some()
    }

    /// Calls `visit` with each level's `nearest`.
    pub(crate) fn each_nearest(&mut self, visit: &mut impl FnMut(&mut Nearest)) {
        self.nearest.iter_mut().for_each(&mut *visit);
        for embed in &mut self.embeds {
            embed.level.each_nearest(visit);
        }
    }
}

impl Output {
    /// The aggregate it is.
    pub(crate) fn made(&self) -> Option<Made> {
        match self {
            Self::Column(column) => column.made,
            Self::Spread(spread) => spread.made,
            Self::Embed(_) => None,
        }
    }

    /// Whether its value is of type json.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Column(column) => {
                matches!(column.form, Form::Numbers | Form::Blob | Form::Cast("json"))
            }
            Self::Embed(_) => true,
            Self::Spread(spread) => spread.json,
        }
    }

    /// Whether `*` brought it.
    pub(crate) fn is_starred(&self) -> bool {
        match self {
            Self::Column(column) => column.starred,
            Self::Embed(_) => false,
            Self::Spread(spread) => spread.starred,
        }
    }
}
