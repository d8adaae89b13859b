//! Whether rows are told apart by what is known of them.
//!
//! Knowledge spreads: from an `id` or a unique key to its whole row, over equalities to other tables. An equality of an
//! outer join says something about the side that may be missing, and nothing about the other.

use std::collections::BTreeSet;

use crate::view::{
    ir::{Distinct, Expr, From, Kind, Query, TableId},
    scope::Translator,
};

/// Whether `query` has at most one row for each row of the queries around it.
pub(crate) fn at_most_one(reader: &Translator<'_>, query: &Query) -> bool {
    let mut knowledge = Knowledge::new(reader, query);
    knowledge.spread(query);
    knowledge.query(query, None)
}

/// Whether the columns called `key` tell the rows of `query` apart.
pub(crate) fn told_apart(reader: &Translator<'_>, query: &Query, key: &[&str]) -> bool {
    let mut knowledge = Knowledge::new(reader, query);
    for output in query.outputs.iter().filter(|output| key.contains(&output.name.as_str())) {
        knowledge.given.push(output.expr.clone());
        for expr in [Some(output.expr.clone()), reader.origin(&output.expr)].into_iter().flatten() {
            if let Kind::Column { table, name } = expr.kind {
                knowledge.known.insert((table, name));
            }
        }
    }
    knowledge.spread(query);
    knowledge.query(query, None)
}

struct Knowledge<'r, 'a> {
    reader: &'r Translator<'a>,
    /// All tables of the query's `from`, those inside its derived tables included.
    own: BTreeSet<TableId>,
    known: BTreeSet<(TableId, String)>,
    /// Expressions whose value is known as a whole.
    given: Vec<Expr>,
    /// Tables with at most one row.
    single: BTreeSet<TableId>,
}

impl<'r, 'a> Knowledge<'r, 'a> {
    fn new(reader: &'r Translator<'a>, query: &Query) -> Self {
        let mut own = BTreeSet::new();
        tables(query, &mut own);
        Self { reader, own, known: BTreeSet::new(), given: Vec::new(), single: BTreeSet::new() }
    }

    fn spread(&mut self, query: &Query) {
        loop {
            let before = (self.known.len(), self.single.len());
            self.equalities();
            for table in self.own.clone() {
                self.base(table);
            }
            query.from.iter().for_each(|from| self.derived(from));
            if before == (self.known.len(), self.single.len()) {
                return;
            }
        }
    }

    fn equalities(&mut self) {
        let regions: BTreeSet<usize> =
            self.own.iter().map(|table| self.reader.tables[*table].region).collect();
        let all = self.reader.equalities.iter().chain(&self.reader.others);
        for equality in all.filter(|equality| regions.contains(&equality.region)) {
            for (to, from) in [(&equality.left, &equality.right), (&equality.right, &equality.left)]
            {
                if let Kind::Column { table, name } = &to.kind
                    && self.own.contains(table)
                    && self.knows(from)
                    && self.reaches(equality.region, *table)
                {
                    self.known.insert((*table, name.clone()));
                }
            }
        }
    }

    /// Whether an equality of `region` says something about all rows of `table`.
    fn reaches(&self, region: usize, table: TableId) -> bool {
        let mut inner = Some(self.reader.tables[table].region);
        while let Some(at) = inner {
            if at == region {
                return true;
            }
            inner = self.reader.regions[at].parent;
        }
        let mut outer = region;
        while self.reader.regions[outer].certain {
            match self.reader.regions[outer].parent {
                Some(parent) => outer = parent,
                None => return true,
            }
            if outer == self.reader.tables[table].region {
                return true;
            }
        }
        false
    }

    fn base(&mut self, table: TableId) {
        let Some(entity) = self.reader.entity_of(table) else { return };
        if self.single.contains(&table) {
            return;
        }
        let knows = |name: &str| self.known.contains(&(table, name.to_owned()));
        let whole = knows("id")
            || entity.uniques.iter().any(|key| key.fields.iter().all(|field| knows(field)));
        if whole {
            self.single.insert(table);
            let columns = self.reader.columns_of(table);
            self.known.extend(columns.into_iter().map(|name| (table, name)));
        }
    }

    fn derived(&mut self, from: &From) {
        match from {
            From::Base { .. } => {}
            From::Join { left, right, .. } => {
                self.derived(left);
                self.derived(right);
            }
            From::Derived { id, query, .. } => {
                for output in &query.outputs {
                    if let Kind::Column { table, name } = &output.expr.kind
                        && self.known.contains(&(*id, output.name.clone()))
                    {
                        self.known.insert((*table, name.clone()));
                    }
                }
                query.from.iter().for_each(|from| self.derived(from));
                if !self.single.contains(id) && self.query(query, Some(*id)) {
                    self.single.insert(*id);
                    let columns = self.reader.columns_of(*id);
                    self.known.extend(columns.into_iter().map(|name| (*id, name)));
                }
            }
        }
    }

    fn from(&self, from: &From) -> bool {
        match from {
            From::Base { id, .. } | From::Derived { id, .. } => self.single.contains(id),
            From::Join { left, right, .. } => self.from(left) && self.from(right),
        }
    }

    /// Whether the query has at most one row; `id` is what it is as a table.
    fn query(&self, query: &Query, id: Option<TableId>) -> bool {
        let known_output = |name: &str, expr: &Expr| {
            self.given.contains(expr)
                || id.is_some_and(|id| self.known.contains(&(id, name.to_owned())))
        };
        let knows = |expr: &Expr| {
            let shown = query
                .outputs
                .iter()
                .any(|output| output.expr == *expr && known_output(&output.name, expr));
            shown || self.knows(expr)
        };
        let numbered = query.outputs.iter().any(|output| match &output.expr.kind {
            Kind::Call(call) => {
                call.name == "pg_catalog.row_number"
                    && known_output(&output.name, &output.expr)
                    && call.over.as_ref().is_some_and(|window| window.partition.iter().all(knows))
            }
            _ => false,
        });
        if query.limit == Some(1) || numbered {
            return true;
        }
        let apart = match (&query.distinct, &query.group) {
            (Distinct::On(on), _) => on.iter().all(knows),
            (Distinct::All, _) => query.outputs.iter().all(|output| knows(&output.expr)),
            (Distinct::No, Some(group)) => group.iter().all(knows),
            (Distinct::No, None) => false,
        };
        apart || (query.group.is_none() && query.from.iter().all(|from| self.from(from)))
    }

    /// Whether the value of `expr` is known.
    fn knows(&self, expr: &Expr) -> bool {
        if self.given.contains(expr) {
            return true;
        }
        if expr.query().is_some() || !expr.windows().is_empty() || expr.aggregates() {
            return false;
        }
        match &expr.kind {
            Kind::Column { table, name } if self.own.contains(table) => {
                self.known.contains(&(*table, name.clone()))
                    || self
                        .reader
                        .origin(expr)
                        .is_some_and(|origin| origin != *expr && self.knows(&origin))
            }
            Kind::Column { .. } => true,
            _ => expr.children().into_iter().all(|child| self.knows(child)),
        }
    }
}

fn tables(query: &Query, own: &mut BTreeSet<TableId>) {
    fn from_tables(from: &From, own: &mut BTreeSet<TableId>) {
        match from {
            From::Base { id, .. } => {
                own.insert(*id);
            }
            From::Derived { id, query, .. } => {
                own.insert(*id);
                tables(query, own);
            }
            From::Join { left, right, .. } => {
                from_tables(left, own);
                from_tables(right, own);
            }
        }
    }
    query.from.iter().for_each(|from| from_tables(from, own));
}
