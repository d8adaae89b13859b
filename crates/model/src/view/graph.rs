//! Which rows come together, and over which equalities a changed row finds the units that it touches.

use std::collections::{BTreeMap, BTreeSet};

use crate::view::{
    ir::{Expr, Kind, TableId},
    scope::Translator,
};

pub(crate) type RegionId = usize;

/// Tables whose rows are there together or not at all: those of a `select`, of the side of an outer join that may be
/// missing, or of a subquery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    pub(crate) parent: Option<RegionId>,
    /// Whether a row of the parent always has one here.
    pub(crate) certain: bool,
    /// Regions beside it that have a row whenever it has one, because a condition compares them.
    pub(crate) needs: Vec<RegionId>,
}

/// Two values, in columns of entities, that are equal wherever the region has a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Equality {
    pub(crate) region: RegionId,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
}

/// A condition between a table and the next one on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    /// In columns of the table itself.
    pub(crate) own: Expr,
    /// In columns of the next one.
    pub(crate) other: Expr,
}

/// The way from a table to the unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Way {
    /// The unit's columns, in columns of the table.
    Here(Vec<Expr>),
    Next {
        table: TableId,
        links: Vec<Link>,
    },
}

/// The regions that have a row whenever `region` has one.
pub(crate) fn present(reader: &Translator<'_>, region: RegionId) -> BTreeSet<RegionId> {
    let mut found = BTreeSet::new();
    let mut open = vec![region];
    loop {
        while let Some(region) = open.pop() {
            if found.insert(region) {
                open.extend(reader.regions[region].parent);
                open.extend(&reader.regions[region].needs);
            }
        }
        let certain = reader.regions.iter().enumerate().filter(|(id, region)| {
            region.certain
                && region.parent.is_some_and(|parent| found.contains(&parent))
                && !found.contains(id)
        });
        open.extend(certain.map(|(id, _)| id));
        if open.is_empty() {
            return found;
        }
    }
}

/// The ways from all tables of entities to the unit, as far as there are any.
pub(crate) fn ways(reader: &Translator<'_>, unit: &[Expr]) -> BTreeMap<TableId, Way> {
    let bases: Vec<TableId> =
        (0..reader.tables.len()).filter(|table| reader.entity_of(*table).is_some()).collect();
    let views: BTreeMap<TableId, View> =
        bases.iter().map(|table| (*table, View::of(reader, *table))).collect();
    let mut ways = BTreeMap::new();
    for table in &bases {
        if let Some(here) = views[table].said_by(*table, unit) {
            ways.insert(*table, Way::Here(here));
        }
    }
    // In rounds, so that each table is given one of its shortest ways. A way goes on with the way of the next table.
    loop {
        let mut found = Vec::new();
        for table in bases.iter().filter(|table| !ways.contains_key(*table)) {
            let view = &views[table];
            let next = ways.keys().filter(|next| view.tables.contains(*next)).find_map(|next| {
                let links = view.links(*table, *next);
                (!links.is_empty()).then_some(Way::Next { table: *next, links })
            });
            found.extend(next.map(|way| (*table, way)));
        }
        if found.is_empty() {
            return ways;
        }
        ways.extend(found);
    }
}

/// What holds wherever a table has a row.
struct View<'r> {
    /// The tables that have one too.
    tables: BTreeSet<TableId>,
    equalities: Vec<&'r Equality>,
    /// Sets of columns that are equal.
    classes: Vec<Vec<&'r Expr>>,
}

impl<'r> View<'r> {
    fn of(reader: &'r Translator<'_>, table: TableId) -> Self {
        let regions = present(reader, reader.tables[table].region);
        let tables = (0..reader.tables.len())
            .filter(|other| regions.contains(&reader.tables[*other].region))
            .collect();
        let equalities: Vec<&Equality> = reader
            .equalities
            .iter()
            .filter(|equality| regions.contains(&equality.region))
            .collect();
        let mut classes: Vec<Vec<&Expr>> = Vec::new();
        for equality in &equalities {
            let (left, right) = (&equality.left, &equality.right);
            let columns =
                matches!((&left.kind, &right.kind), (Kind::Column { .. }, Kind::Column { .. }));
            if !columns || left.typ.base() != right.typ.base() {
                continue;
            }
            let (mut joined, others): (Vec<_>, Vec<_>) =
                classes.into_iter().partition(|class| has(class, left) || has(class, right));
            joined.push(vec![left, right]);
            classes = others;
            classes.push(joined.concat());
        }
        Self { tables, equalities, classes }
    }

    /// `unit` in columns of `table`.
    fn said_by(&self, table: TableId, unit: &[Expr]) -> Option<Vec<Expr>> {
        unit.iter().map(|expr| self.in_columns_of(table, expr)).collect()
    }

    fn in_columns_of(&self, table: TableId, expr: &Expr) -> Option<Expr> {
        if let Kind::Column { table: at, .. } = &expr.kind {
            if *at == table {
                return Some(expr.clone());
            }
            let class = self.classes.iter().find(|class| has(class, expr))?;
            return class.iter().find(|other| of(other, table)).map(|other| (*other).clone());
        }
        expr.map_plain(&|child| self.in_columns_of(table, child))
    }

    /// The equalities between two tables.
    fn links(&self, from: TableId, to: TableId) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let mut add = |own: &Expr, other: &Expr| {
            if !links.iter().any(|link| same(&link.own, own) || same(&link.other, other)) {
                links.push(Link { own: own.clone(), other: other.clone() });
            }
        };
        for class in &self.classes {
            if let (Some(own), Some(other)) =
                (class.iter().find(|one| of(one, from)), class.iter().find(|one| of(one, to)))
            {
                add(own, other);
            }
        }
        for equality in &self.equalities {
            for (own, other) in
                [(&equality.left, &equality.right), (&equality.right, &equality.left)]
            {
                if made_of(own, from) && made_of(other, to) {
                    add(own, other);
                }
            }
        }
        links
    }
}

fn same(one: &Expr, other: &Expr) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Column { table: a, name: b }, Kind::Column { table: c, name: d }) => {
            a == c && b == d
        }
        _ => one == other,
    }
}

fn has(class: &[&Expr], expr: &Expr) -> bool {
    class.iter().any(|one| same(one, expr))
}

fn of(expr: &Expr, table: TableId) -> bool {
    matches!(&expr.kind, Kind::Column { table: at, .. } if *at == table)
}

/// Whether `expr` has columns, and all of them are of `table`.
fn made_of(expr: &Expr, table: TableId) -> bool {
    let columns = expr.columns();
    !columns.is_empty() && columns.iter().all(|(at, _)| *at == table)
}
