//! The tree a definition is translated to: only what this crate knows the meaning of.

use crate::{Name, view::typing::Type};

/// Tells the tables of a definition apart, those of all its subqueries together.
pub(crate) type TableId = usize;

/// A `select`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Query {
    pub(crate) distinct: Distinct,
    pub(crate) outputs: Vec<Output>,
    /// Joined without a condition of their own.
    pub(crate) from: Vec<From>,
    pub(crate) filter: Option<Expr>,
    /// `Some` and empty: one group of all rows.
    pub(crate) group: Option<Vec<Expr>>,
    pub(crate) having: Option<Expr>,
    pub(crate) order: Vec<Sort>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Distinct {
    #[default]
    No,
    All,
    On(Vec<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) expr: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum From {
    Base { id: TableId, entity: Name },
    Derived { id: TableId, lateral: bool, query: Box<Query> },
    Join { left: Box<From>, right: Box<From>, outer: bool, on: Option<Expr> },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sort {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

/// Something with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) typ: Type,
    /// Whether it may be null, for all that is known.
    pub(crate) nullable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Column {
        table: TableId,
        name: String,
    },
    /// A text constant of the expression's type.
    Text(String),
    /// Digits.
    Number(String),
    Boolean(bool),
    Null,
    /// To the expression's type.
    Cast(Box<Expr>),
    Prefix(&'static str, Box<Expr>),
    Postfix(Box<Expr>, &'static str),
    Binary(Box<Expr>, String, Box<Expr>),
    /// `left op any (right)`, or `all`.
    Each(Box<Expr>, &'static str, &'static str, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    In(Box<Expr>, Vec<Expr>, bool),
    Case {
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Array(Vec<Expr>),
    /// `array[i]`
    Element(Box<Expr>, Box<Expr>),
    Call(Box<Call>),
    Exists(Box<Query>),
    Scalar(Box<Query>),
    ArrayOf(Box<Query>),
}

/// A function, an aggregate or a window function, applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// As PostgreSQL is given it.
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// `count(*)`
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) args: Vec<Expr>,
    pub(crate) order: Vec<Sort>,
    /// Of `within group`.
    pub(crate) within: Vec<Sort>,
    pub(crate) filter: Option<Expr>,
    pub(crate) over: Option<Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Plain,
    Aggregate,
    Window,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Window {
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<Sort>,
}

impl Expr {
    pub(crate) fn new(kind: Kind, typ: Type, nullable: bool) -> Self {
        Self { kind, typ, nullable }
    }

    /// The expressions right below, those in subqueries excepted.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::Column { .. }
            | Kind::Text(_)
            | Kind::Number(_)
            | Kind::Boolean(_)
            | Kind::Null
            | Kind::Exists(_)
            | Kind::Scalar(_)
            | Kind::ArrayOf(_) => Vec::new(),
            Kind::Cast(one) | Kind::Prefix(_, one) | Kind::Postfix(one, _) => vec![one],
            Kind::Binary(left, _, right)
            | Kind::Each(left, _, _, right)
            | Kind::Element(left, right) => {
                vec![left, right]
            }
            Kind::And(all) | Kind::Or(all) | Kind::Array(all) => all.iter().collect(),
            Kind::In(one, list, _) => std::iter::once(&**one).chain(list).collect(),
            Kind::Case { arms, otherwise } => arms
                .iter()
                .flat_map(|(when, then)| [when, then])
                .chain(otherwise.iter().map(|one| &**one))
                .collect(),
            Kind::Call(call) => call.children(),
        }
    }

    /// The subquery, if it is one.
    pub(crate) fn query(&self) -> Option<&Query> {
        match &self.kind {
            Kind::Exists(query) | Kind::Scalar(query) | Kind::ArrayOf(query) => Some(query),
            _ => None,
        }
    }

    /// The columns in it, subqueries included.
    pub(crate) fn columns(&self) -> Vec<(TableId, &str)> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            if let Kind::Column { table, name } = &expr.kind {
                found.push((*table, name.as_str()));
            }
            open.extend(expr.children());
            if let Some(query) = expr.query() {
                open.extend(query.expressions());
            }
        }
        found
    }

    /// Whether a part of it, subqueries excepted, is such a call.
    pub(crate) fn has_call(&self, test: &dyn Fn(&Call) -> bool) -> bool {
        matches!(&self.kind, Kind::Call(call) if test(call))
            || self.children().into_iter().any(|child| child.has_call(test))
    }

    /// Whether it has an aggregate of its own level.
    pub(crate) fn aggregates(&self) -> bool {
        self.has_call(&|call| call.class == Class::Aggregate && call.over.is_none())
    }

    /// The windows in it.
    pub(crate) fn windows(&self) -> Vec<&Window> {
        let own = match &self.kind {
            Kind::Call(call) => call.over.as_ref(),
            _ => None,
        };
        own.into_iter()
            .chain(self.children().into_iter().flat_map(|child| child.windows()))
            .collect()
    }

    /// The conditions that must all hold for it to hold.
    pub(crate) fn conjuncts(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::And(all) => all.iter().flat_map(|one| one.conjuncts()).collect(),
            _ => vec![self],
        }
    }
}

impl Call {
    /// A call with nothing but arguments.
    pub(crate) fn new(name: &'static str, class: Class, args: Vec<Expr>) -> Self {
        Self {
            name,
            class,
            star: false,
            distinct: false,
            args,
            order: Vec::new(),
            within: Vec::new(),
            filter: None,
            over: None,
        }
    }

    fn children(&self) -> Vec<&Expr> {
        let over = self
            .over
            .iter()
            .flat_map(|w| w.partition.iter().chain(w.order.iter().map(|sort| &sort.expr)));
        self.args
            .iter()
            .chain(self.order.iter().chain(&self.within).map(|sort| &sort.expr))
            .chain(&self.filter)
            .chain(over)
            .collect()
    }
}

impl Query {
    /// All expressions of it, those of derived tables included, that of other subqueries excepted.
    pub(crate) fn expressions(&self) -> Vec<&Expr> {
        let mut all: Vec<&Expr> = self.outputs.iter().map(|output| &output.expr).collect();
        if let Distinct::On(on) = &self.distinct {
            all.extend(on);
        }
        self.from.iter().for_each(|from| from.expressions(&mut all));
        all.extend(self.filter.iter().chain(&self.having));
        all.extend(self.group.iter().flatten());
        all.extend(self.order.iter().map(|sort| &sort.expr));
        all
    }

    /// The windows of its own level.
    pub(crate) fn windows(&self) -> Vec<&Window> {
        let order = self.order.iter().map(|sort| &sort.expr);
        self.outputs
            .iter()
            .map(|output| &output.expr)
            .chain(order)
            .flat_map(Expr::windows)
            .collect()
    }
}

impl From {
    fn expressions<'a>(&'a self, all: &mut Vec<&'a Expr>) {
        match self {
            Self::Base { .. } => {}
            Self::Derived { query, .. } => all.extend(query.expressions()),
            Self::Join { left, right, on, .. } => {
                left.expressions(all);
                right.expressions(all);
                all.extend(on);
            }
        }
    }
}

impl Expr {
    /// The same with `change` applied to its parts; `None` if it is no plain function of them, or `change` gives
    /// none.
    pub(crate) fn map_plain(&self, change: &dyn Fn(&Expr) -> Option<Expr>) -> Option<Expr> {
        let one = |expr: &Expr| change(expr).map(Box::new);
        let many = |all: &[Expr]| all.iter().map(change).collect::<Option<Vec<_>>>();
        let kind = match &self.kind {
            Kind::Text(_) | Kind::Number(_) | Kind::Boolean(_) | Kind::Null => self.kind.clone(),
            Kind::Cast(expr) => Kind::Cast(one(expr)?),
            Kind::Prefix(op, expr) => Kind::Prefix(op, one(expr)?),
            Kind::Postfix(expr, op) => Kind::Postfix(one(expr)?, op),
            Kind::Binary(left, op, right) => Kind::Binary(one(left)?, op.clone(), one(right)?),
            Kind::Element(left, right) => Kind::Element(one(left)?, one(right)?),
            Kind::And(all) => Kind::And(many(all)?),
            Kind::Or(all) => Kind::Or(many(all)?),
            Kind::Array(all) => Kind::Array(many(all)?),
            Kind::In(expr, list, not) => Kind::In(one(expr)?, many(list)?, *not),
            Kind::Case { arms, otherwise } => Kind::Case {
                arms: arms
                    .iter()
                    .map(|(when, then)| Some((change(when)?, change(then)?)))
                    .collect::<Option<_>>()?,
                otherwise: otherwise.as_deref().map(|expr| one(expr).ok_or(())).transpose().ok()?,
            },
            Kind::Call(call) if call.class == Class::Plain => {
                Kind::Call(Box::new(Call { args: many(&call.args)?, ..(**call).clone() }))
            }
            _ => return None,
        };
        Some(Expr::new(kind, self.typ.clone(), self.nullable))
    }
}

impl Expr {
    /// Calls `change` with every call of this level, outermost last.
    pub(crate) fn each_call(&mut self, change: &mut dyn FnMut(&mut Call)) {
        match &mut self.kind {
            Kind::Cast(one) | Kind::Prefix(_, one) | Kind::Postfix(one, _) => one.each_call(change),
            Kind::Binary(left, _, right)
            | Kind::Each(left, _, _, right)
            | Kind::Element(left, right) => {
                left.each_call(change);
                right.each_call(change);
            }
            Kind::And(all) | Kind::Or(all) | Kind::Array(all) => {
                all.iter_mut().for_each(|one| one.each_call(change));
            }
            Kind::In(one, list, _) => {
                one.each_call(change);
                list.iter_mut().for_each(|one| one.each_call(change));
            }
            Kind::Case { arms, otherwise } => {
                otherwise.iter_mut().for_each(|one| one.each_call(change));
                for (when, then) in arms {
                    when.each_call(change);
                    then.each_call(change);
                }
            }
            Kind::Call(call) => {
                call.args.iter_mut().for_each(|one| one.each_call(change));
                change(call);
            }
            _ => {}
        }
    }
}
