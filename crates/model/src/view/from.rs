//! `from`, joins and subqueries: which rows come together, and what must hold when they do.

use std::collections::BTreeSet;

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

use crate::{
    entity::{Kind as FieldKind, Scalar},
    view::{
        error::{Checked, Fault, Spot, Wrong},
        expr::{comparable, truth},
        graph::{Equality, Region, RegionId},
        ir::{Distinct, Expr, From, Kind, Query, TableId, Window},
        scope::{DerivedColumn, Item, Translator, What, folded, quoted, spot},
        select::{Use, unsupported},
        typing::{Base, Type},
        unique,
    },
};

impl<'a> Translator<'a> {
    pub(crate) fn from(&mut self, tables: &'a [ast::TableWithJoins]) -> Checked<Vec<From>> {
        tables.iter().map(|table| self.joined(table)).collect()
    }

    fn items(&self) -> usize {
        self.levels.last().map_or(0, |level| level.items.len())
    }

    fn joined(&mut self, tables: &'a ast::TableWithJoins) -> Checked<From> {
        let (items, made) =
            (self.items(), (self.tables.len(), self.regions.len(), self.equalities.len()));
        let mut left = self.factor(&tables.relation)?;
        for join in &tables.joins {
            let middle = self.items();
            let at = spot(&join.relation);
            match &join.join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                    let right = self.factor(&join.relation)?;
                    let on = self.constraint(on, (items, middle), at)?;
                    if let Some(on) = &on {
                        self.note(on, true);
                    }
                    left = From::Join {
                        left: Box::new(left),
                        right: Box::new(right),
                        outer: false,
                        on,
                    };
                }
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => {
                    let (before, first) = (self.region, self.tables.len());
                    self.region = self.region_within(false);
                    let right = self.factor(&join.relation)?;
                    let on = self.constraint(on, (items, middle), at)?;
                    if let Some(on) = &on {
                        self.note(on, false);
                    }
                    self.region = before;
                    self.may_miss(middle, first..self.tables.len());
                    left = From::Join {
                        left: Box::new(left),
                        right: Box::new(right),
                        outer: true,
                        on,
                    };
                }
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => {
                    let inner = self.sink(made);
                    self.may_miss(items, made.0..self.tables.len());
                    for item in &mut self.levels.last_mut().expect("a `select` is being read").items
                        [middle..]
                    {
                        item.nullable = false;
                    }
                    let right = self.factor(&join.relation)?;
                    if matches!(right, From::Derived { lateral: true, .. }) {
                        return Err(Fault::form(
                            at,
                            "`right join lateral` sees nothing to its left",
                            "write `left join lateral`",
                        ));
                    }
                    let before = std::mem::replace(&mut self.region, inner);
                    let on = self.constraint(on, (items, middle), at)?;
                    if let Some(on) = &on {
                        self.note(on, false);
                    }
                    self.region = before;
                    left = From::Join {
                        left: Box::new(right),
                        right: Box::new(left),
                        outer: true,
                        on,
                    };
                }
                JoinOperator::FullOuter(_) => {
                    return Err(Fault::form(
                        at,
                        "a `full join` has rows that belong to no key of either side",
                        "write a `left join` from the side that has the key, or declare two read models",
                    ));
                }
                _ => return Err(unsupported(at, "this kind of join")),
            }
        }
        Ok(left)
    }

    /// Moves what was made since into a region of its own, which need not be there.
    fn sink(&mut self, (tables, regions, equalities): (usize, usize, usize)) -> RegionId {
        let outer = self.region;
        let inner = self.region_within(false);
        for table in self.tables[tables..].iter_mut().filter(|table| table.region == outer) {
            table.region = inner;
        }
        for region in
            self.regions[regions..inner].iter_mut().filter(|region| region.parent == Some(outer))
        {
            region.parent = Some(inner);
        }
        for equality in
            self.equalities[equalities..].iter_mut().filter(|equality| equality.region == outer)
        {
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

    fn constraint(
        &mut self,
        on: &'a JoinConstraint,
        (first, middle): (usize, usize),
        at: Spot,
    ) -> Checked<Option<Expr>> {
        match on {
            JoinConstraint::None => Ok(None),
            JoinConstraint::On(on) => {
                let outer = self.allowed;
                self.allowed = crate::view::scope::Allowed {
                    aggregates: false,
                    windows: false,
                    place: "`on`",
                };
                let level = self.levels.len() - 1;
                let before = std::mem::replace(&mut self.levels[level].from, first);
                let found = self.condition(on);
                self.levels[level].from = before;
                self.allowed = outer;
                found.map(Some)
            }
            JoinConstraint::Using(columns) => {
                let mut all = Vec::new();
                for column in columns {
                    let [ast::ObjectNamePart::Identifier(ident)] = column.0.as_slice() else {
                        return Err(unsupported(at, "this `using`"));
                    };
                    all.push(self.using(ident, first, middle)?);
                }
                Ok(Some(and(all)))
            }
            JoinConstraint::Natural | JoinConstraint::UsingAlias(..) => Err(Fault::form(
                at,
                "a natural join changes with every field that is added",
                "write `on … = …`",
            )),
        }
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
        let (left, right) = comparable(left, right, ident.span)?;
        Ok(truth(Kind::Binary(Box::new(left), "=".into(), Box::new(right)), false))
    }

    /// The condition of `where` or `on`. There, and only there, a null is as good as a no, so that `in (select …)` is
    /// the same as `exists (select … where … = …)`.
    pub(crate) fn condition(&mut self, expr: &'a ast::Expr) -> Checked<Expr> {
        match expr {
            ast::Expr::Nested(inner) => self.condition(inner),
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
                self.depth += 1;
                let both = vec![self.condition(left)?, self.condition(right)?];
                self.depth -= 1;
                Ok(and(both))
            }
            ast::Expr::In {
                expr,
                target: ast::InTarget::Subquery(query),
                negated: false,
                global: false,
            } => self.in_query(expr, query),
            other => self.truth(other),
        }
    }

    fn in_query(&mut self, expr: &'a ast::Expr, query: &'a ast::Query) -> Checked<Expr> {
        let at = spot(expr);
        let value = self.expr(expr)?;
        let outer = self.region;
        self.region = self.region_within(false);
        let found = self.query(query, Use::Value).and_then(|mut found| {
            let plain = found.group.is_none()
                && found.limit.is_none()
                && found.offset.is_none()
                && !matches!(found.distinct, Distinct::On(_));
            let [output] = found.outputs.as_slice() else {
                return Err(Fault::typing(
                    at,
                    "`in (select …)` compares with one column",
                    "select one column",
                ));
            };
            if !plain || !found.windows().is_empty() {
                return Err(Fault::form(
                    at,
                    "`in (select …)` with `group by` or `limit` is not supported",
                    "write `exists (select 1 from … where … = …)`",
                ));
            }
            let (left, right) = comparable(value, output.expr.clone(), at)?;
            let equal = truth(Kind::Binary(Box::new(left), "=".into(), Box::new(right)), true);
            self.note(&equal, false);
            found.filter = Some(and(found.filter.take().into_iter().chain([equal]).collect()));
            found.distinct = Distinct::No;
            Ok(found)
        });
        self.region = outer;
        Ok(truth(Kind::Exists(Box::new(found?)), false))
    }

    fn subquery(&mut self, query: &'a ast::Query) -> Checked<Query> {
        let outer = self.region;
        self.region = self.region_within(false);
        let found = self.query(query, Use::Value);
        self.region = outer;
        found
    }

    pub(crate) fn exists(&mut self, query: &'a ast::Query, not: bool) -> Checked<Expr> {
        let found = truth(Kind::Exists(Box::new(self.subquery(query)?)), false);
        Ok(if not { truth(Kind::Prefix("not ", Box::new(found)), false) } else { found })
    }

    pub(crate) fn scalar_query(&mut self, query: &'a ast::Query, at: Spot) -> Checked<Expr> {
        let found = self.subquery(query)?;
        let [output] = found.outputs.as_slice() else {
            return Err(Fault::typing(
                at,
                "a subquery that is a value has one column",
                "select one column",
            ));
        };
        let always = found.group.as_ref().is_some_and(Vec::is_empty)
            && found.having.is_none()
            && found.limit.is_none()
            && found.offset.is_none();
        if !always && found.limit != Some(1) && !unique::at_most_one(self, &found) {
            return Err(Fault::form(
                at,
                "this subquery may give several rows where one value is needed",
                "look up by `id` or a unique field, sum up with an aggregate, or end it with `order by … limit 1`",
            ));
        }
        let (typ, nullable) = (output.expr.typ.clone(), output.expr.nullable || !always);
        Ok(Expr::new(Kind::Scalar(Box::new(found)), typ, nullable))
    }

    pub(crate) fn array_query(&mut self, query: &'a ast::Query) -> Checked<Expr> {
        let at = spot(query);
        let mut found = self.subquery(query)?;
        let [output] = found.outputs.as_slice() else {
            return Err(Fault::typing(
                at,
                "`array(…)` takes a query of one column",
                "select one column",
            ));
        };
        let Base::Scalar(scalar) = output.expr.typ.base() else {
            return Err(Fault::typing(
                at,
                "an array holds plain values",
                "write `jsonb_agg(…)` in a subquery",
            ));
        };
        if found.limit.is_none() && found.offset.is_none() && matches!(found.distinct, Distinct::No)
        {
            crate::view::group::break_ties(self, &mut found);
        }
        Ok(Expr::new(Kind::ArrayOf(Box::new(found)), Type::Of(FieldKind::Array(scalar)), false))
    }

    /// Takes note of what a condition says of rows that come together. `proves`: rows for which it does not hold are
    /// gone.
    pub(crate) fn note(&mut self, condition: &Expr, proves: bool) {
        for conjunct in condition.conjuncts() {
            if let Kind::Binary(left, op, right) = &conjunct.kind
                && op == "="
                && let (Some(left), Some(right)) = (self.origin(left), self.origin(right))
            {
                self.equalities.push(Equality { region: self.region, left, right });
            }
            for (table, name) in strict_columns(conjunct) {
                self.present(table);
                if proves {
                    self.proven.push((table, name));
                }
            }
        }
    }

    /// Notes that where the current region has a row, the region of `table` has one.
    fn present(&mut self, table: TableId) {
        let other = self.tables[table].region;
        let above = |mut region: RegionId, regions: &[Region]| {
            let mut chain = vec![region];
            while let Some(parent) = regions[region].parent {
                region = parent;
                chain.push(region);
            }
            chain
        };
        let own = above(self.region, &self.regions);
        if own.contains(&other) {
            return;
        }
        let theirs = above(other, &self.regions);
        match theirs.iter().position(|region| *region == self.region) {
            Some(depth) => {
                theirs[..depth].iter().for_each(|region| self.regions[*region].certain = true)
            }
            None => self.regions[self.region].needs.push(other),
        }
    }

    pub(crate) fn window(&mut self, over: &'a ast::WindowType, at: Spot) -> Checked<Window> {
        let ast::WindowType::WindowSpec(ast::WindowSpec {
            window_name: None,
            partition_by,
            order_by,
            window_frame: None,
        }) = over
        else {
            return Err(Fault::form(
                at,
                "windows with names or frames are not supported",
                "write `over (partition by … order by …)`",
            ));
        };
        let partition =
            self.exprs(partition_by)?.into_iter().map(crate::view::typing::settle).collect();
        let order = self.sorts(order_by)?;
        Ok(Window { partition, order })
    }
}

/// Whether all rows behind a row of the result have this value of the output.
pub(crate) fn settled_by_row(query: &Query, windows: &[&Window], output: &Expr) -> bool {
    let distinct = match &query.distinct {
        Distinct::On(on) => on.contains(output),
        _ => true,
    };
    let grouped = query.group.as_ref().is_none_or(|group| group.contains(output));
    distinct
        && grouped
        && query.limit.is_none()
        && query.offset.is_none()
        && windows.iter().all(|window| window.partition.contains(output))
}

/// The columns that are not null where the condition holds.
fn strict_columns(condition: &Expr) -> Vec<(TableId, String)> {
    let column = |expr: &Expr| {
        let mut expr = expr;
        while let Kind::Cast(inner) = &expr.kind {
            expr = inner;
        }
        match &expr.kind {
            Kind::Column { table, name } => Some((*table, name.clone())),
            _ => None,
        }
    };
    match &condition.kind {
        Kind::Binary(left, op, right) if !op.starts_with("is") => {
            [column(left), column(right)].into_iter().flatten().collect()
        }
        Kind::Postfix(one, "is not null" | "is true" | "is false") => {
            column(one).into_iter().collect()
        }
        Kind::In(one, _, false) => column(one).into_iter().collect(),
        Kind::Column { .. } if condition.typ == Type::scalar(Scalar::Boolean) => {
            column(condition).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn and(mut all: Vec<Expr>) -> Expr {
    if all.len() == 1 {
        return all.remove(0);
    }
    let nullable = all.iter().any(|one| one.nullable);
    truth(Kind::And(all), nullable)
}
