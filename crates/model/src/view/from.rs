//! `from`: tables and joins.

use std::collections::BTreeSet;

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

use crate::view::{
    error::{Checked, Fault, Spot, Wrong},
    expr::{comparable, truth},
    graph::RegionId,
    ir::{Expr, From, Kind, Query, TableId},
    scope::{Allowed, DerivedColumn, Item, Translator, What, folded, quoted, spot},
    select::{Use, unsupported},
    subquery::{and, settled_by_row},
};

/// How much there was of each.
#[derive(Clone, Copy)]
struct Made {
    tables: usize,
    regions: usize,
    equalities: usize,
    others: usize,
    needs: usize,
}

impl<'a> Translator<'a> {
    pub(crate) fn from(&mut self, tables: &'a [ast::TableWithJoins]) -> Checked<Vec<From>> {
        tables.iter().map(|table| self.joined(table)).collect()
    }

    fn items(&self) -> usize {
        self.levels.last().map_or(0, |level| level.items.len())
    }

    fn joined(&mut self, tables: &'a ast::TableWithJoins) -> Checked<From> {
        let items = self.items();
        let made = Made {
            tables: self.tables.len(),
            regions: self.regions.len(),
            equalities: self.equalities.len(),
            others: self.others.len(),
            needs: self.regions[self.region].needs.len(),
        };
        let mut left = self.factor(&tables.relation)?;
        for join in &tables.joins {
            left = self.join(left, join, items, made)?;
        }
        Ok(left)
    }

    /// Joins another table to `left`, whose tables are `items` and later, and which has `made` what is there since.
    fn join(&mut self, left: From, join: &'a ast::Join, items: usize, made: Made) -> Checked<From> {
        let middle = self.items();
        let at = spot(&join.relation);
        let joined = |left: From, right: From, outer: bool, on: Option<Expr>| From::Join {
            left: Box::new(left),
            right: Box::new(right),
            outer,
            on,
        };
        let before = self.region;
        match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                let right = self.factor(&join.relation)?;
                let on = self.constraint(on, (items, middle), true, at)?;
                Ok(joined(left, right, false, on))
            }
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => {
                let first = self.tables.len();
                self.region = self.region_within(false);
                let right = self.factor(&join.relation)?;
                let on = self.constraint(on, (items, middle), false, at)?;
                self.region = before;
                self.may_miss(middle, first..self.tables.len());
                Ok(joined(left, right, true, on))
            }
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => {
                let inner = self.sink(made);
                self.may_miss(items, made.tables..self.tables.len());
                let right = self.factor(&join.relation)?;
                if matches!(right, From::Derived { lateral: true, .. }) {
                    return Err(Fault::form(
                        at,
                        "`right join lateral` sees nothing to its left",
                        "write `left join lateral`",
                    ));
                }
                self.region = inner;
                let on = self.constraint(on, (items, middle), false, at)?;
                self.region = before;
                Ok(joined(right, left, true, on))
            }
            JoinOperator::FullOuter(_) => Err(Fault::form(
                at,
                "a `full join` has rows that belong to no key of either side",
                "write a `left join` from the side that has the key, or declare two read models",
            )),
            _ => Err(unsupported(at, "this kind of join")),
        }
    }

    /// Moves what was made since into a region of its own, which need not be there.
    fn sink(&mut self, made: Made) -> RegionId {
        let Made { tables, regions, equalities, others, needs } = made;
        let outer = self.region;
        let inner = self.region_within(false);
        self.regions[inner].needs = self.regions[outer].needs.split_off(needs);
        for table in self.tables[tables..].iter_mut().filter(|table| table.region == outer) {
            table.region = inner;
        }
        for region in
            self.regions[regions..inner].iter_mut().filter(|region| region.parent == Some(outer))
        {
            region.parent = Some(inner);
        }
        let moved = self.equalities[equalities..].iter_mut().chain(&mut self.others[others..]);
        for equality in moved.filter(|equality| equality.region == outer) {
            equality.region = inner;
        }
        inner
    }

    /// Notes that an outer join may make these null.
    fn may_miss(&mut self, from: usize, tables: std::ops::Range<TableId>) {
        if let Some(level) = self.levels.last_mut() {
            level.items[from..].iter_mut().for_each(|item| item.nullable = true);
        }
        self.proven.retain(|(table, _)| !tables.contains(table));
    }

    fn factor(&mut self, factor: &'a TableFactor) -> Checked<From> {
        let at = spot(factor);
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_directives,
                inheritance: None,
            } if with_hints.is_empty() && partitions.is_empty() && index_directives.is_empty() => {
                let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
                    return Err(Fault::new(
                        Wrong::Name,
                        at,
                        "entities have no schema here",
                        "write the entity's name alone",
                    ));
                };
                self.named_table(ident, alias.as_ref())
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let Some(alias) = alias else {
                    return Err(Fault::new(
                        Wrong::Name,
                        spot(&**subquery),
                        "a subquery in `from` needs a name",
                        "write `(select …) as name`",
                    ));
                };
                let hidden =
                    if *lateral { self.levels.len() } else { self.levels.len().saturating_sub(1) };
                self.derived(
                    subquery,
                    folded(&alias.name),
                    &alias.columns,
                    hidden,
                    *lateral,
                    alias.name.span,
                )
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined(table_with_joins)
            }
            TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Table { args: Some(_), .. } => Err(Fault::form(
                at,
                "a function in `from` gives several rows, and which of them a change touches cannot be told",
                "make the parts rows of an entity of their own, with a reference to this one",
            )),
            _ => Err(unsupported(at, "this kind of table")),
        }
    }

    fn named_table(
        &mut self,
        ident: &'a ast::Ident,
        alias: Option<&'a ast::TableAlias>,
    ) -> Checked<From> {
        let name = folded(ident);
        let called = alias.map_or_else(|| name.clone(), |alias| folded(&alias.name));
        let at = alias.map_or(ident.span, |alias| alias.name.span);
        if let Some(place) = self.named.iter().rposition(|named| named.name == name) {
            let (query, levels, columns) =
                (self.named[place].query, self.named[place].levels, self.named[place].columns);
            // It sees what was named before it, and nothing of the place it is used in.
            let later = self.named.split_off(place);
            let columns = alias.map_or(columns, |alias| {
                if alias.columns.is_empty() { columns } else { &alias.columns }
            });
            let found = self.derived(query, called, columns, levels, false, at);
            self.named.extend(later);
            return found;
        }
        if alias.is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(unsupported(at, "renaming an entity's columns"));
        }
        let place = self.entity_named(ident)?;
        let id = self.add_table(What::Base(place), ident.span);
        self.add_item(called, id, at)?;
        Ok(From::Base { id, entity: self.entities[place].name.clone() })
    }

    fn add_item(&mut self, alias: String, table: TableId, at: Spot) -> Checked<()> {
        let level = self.levels.last_mut().expect("a `select` is being read");
        if level.items.iter().any(|item| item.alias == alias) {
            return Err(Fault::new(
                Wrong::Name,
                at,
                format!("two tables are called `{alias}`"),
                "give one of them another name, such as `from commit c`",
            ));
        }
        level.items.push(Item { alias, table, nullable: false, merged: BTreeSet::new() });
        Ok(())
    }

    /// A subquery in `from`; it sees the first `sees` levels.
    fn derived(
        &mut self,
        subquery: &'a ast::Query,
        alias: String,
        columns: &'a [ast::TableAliasColumnDef],
        sees: usize,
        lateral: bool,
        at: Spot,
    ) -> Checked<From> {
        let outer = self.region;
        let inner = self.region_within(true);
        self.region = inner;
        let hidden: Vec<bool> = self.levels.iter().map(|level| level.hidden).collect();
        self.levels.iter_mut().skip(sees).for_each(|level| level.hidden = true);
        let query = self.query(subquery, Use::Table);
        self.levels.iter_mut().zip(hidden).for_each(|(level, hidden)| level.hidden = hidden);
        self.region = outer;
        let mut query = query?;
        // One group of all rows is there even if no row is.
        self.regions[inner].certain = query.group.as_ref().is_none_or(|group| !group.is_empty());
        if !columns.is_empty() {
            if columns.len() != query.outputs.len() {
                return Err(Fault::new(
                    Wrong::Name,
                    at,
                    format!(
                        "`{alias}` has {} columns, but {} names",
                        query.outputs.len(),
                        columns.len()
                    ),
                    "give each column one name",
                ));
            }
            for (output, column) in query.outputs.iter_mut().zip(columns) {
                output.name = folded(&column.name);
            }
        }
        let found = self.derived_columns(&query);
        let id = self.add_table(What::Derived(found), at);
        self.add_item(alias, id, at)?;
        Ok(From::Derived { id, lateral, query: Box::new(query) })
    }

    fn derived_columns(&self, query: &Query) -> Vec<DerivedColumn> {
        let windows = query.windows();
        query
            .outputs
            .iter()
            .map(|output| DerivedColumn {
                name: output.name.clone(),
                typ: output.expr.typ.clone(),
                nullable: output.expr.nullable,
                origin: settled_by_row(query, &windows, &output.expr)
                    .then(|| self.origin(&output.expr))
                    .flatten(),
            })
            .collect()
    }

    /// The condition of a join; `proves` as in [`Translator::note`].
    fn constraint(
        &mut self,
        on: &'a JoinConstraint,
        (first, middle): (usize, usize),
        proves: bool,
        at: Spot,
    ) -> Checked<Option<Expr>> {
        let found = match on {
            JoinConstraint::None => return Ok(None),
            JoinConstraint::On(on) => {
                let outer = self.allowed;
                self.allowed = Allowed { aggregates: false, windows: false, place: "`on`" };
                let level = self.levels.len() - 1;
                let before = std::mem::replace(&mut self.levels[level].from, first);
                let found = self.condition(on);
                self.levels[level].from = before;
                self.allowed = outer;
                found?
            }
            JoinConstraint::Using(columns) => {
                let mut all = Vec::new();
                for column in columns {
                    let [ast::ObjectNamePart::Identifier(ident)] = column.0.as_slice() else {
                        return Err(unsupported(at, "this `using`"));
                    };
                    all.push(self.using(ident, first, middle)?);
                }
                and(all)
            }
            JoinConstraint::Natural | JoinConstraint::UsingAlias(..) => {
                return Err(Fault::form(
                    at,
                    "a natural join changes with every field that is added",
                    "write `on … = …`",
                ));
            }
        };
        self.note(&found, proves);
        Ok(Some(found))
    }

    fn using(&mut self, ident: &ast::Ident, first: usize, middle: usize) -> Checked<Expr> {
        let name = folded(ident);
        if name == "tenant_id" {
            return self.resolve_name(None, ident);
        }
        let level = self.levels.len() - 1;
        let side = |from: usize, to: usize| {
            self.levels[level].items[from..to]
                .iter()
                .filter(|item| !item.merged.contains(&name))
                .find_map(|item| self.column(item.table, &name, item.nullable))
        };
        let (Some(left), Some(right)) = (side(first, middle), side(middle, self.items())) else {
            let columns: Vec<String> = self.levels[level]
                .items
                .iter()
                .flat_map(|item| self.columns_of(item.table))
                .collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            return Err(Fault::new(
                Wrong::Name,
                ident.span,
                format!("`{name}` is not a column of both sides"),
                format!("write `on … = …`; there are {}", quoted(&columns)),
            ));
        };
        for item in &mut self.levels[level].items[middle..] {
            item.merged.insert(name.clone());
        }
        self.refuse_sealed(&left, ident.span)?;
        self.refuse_sealed(&right, ident.span)?;
        let (left, right) = comparable(left, right, ident.span)?;
        Ok(truth(Kind::Binary(Box::new(left), "=".into(), Box::new(right)), false))
    }
}
