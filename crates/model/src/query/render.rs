//! [`Level`] to SQL.
//!
//! A level is a page of its table (filters, order, limit) with what is asked for computed on the page: embeds are
//! joined to, or subqueries of, the rows that are left, so that nothing is built for rows that are not given.
//! Filters on embeds stand inside the page as `exists`. No statement repeats `tenant_id = …`, the policy does;
//! joins repeat it between tables, because references are composite.

mod copy;
mod near;
mod probe;
mod rows;
mod sealed;
mod test;

use super::{
    Shape,
    level::{Anchor, Embed, Level, Nearest, Operand, Order},
    relation::Relation,
};
use crate::{
    Sql,
    entity::{Metric, VectorForm},
    sql::ident,
};

/// Writes one statement.
#[derive(Default)]
pub(crate) struct Renderer {
    pub(crate) sql: Sql,
    aliases: usize,
    /// Vectors that are parameters already, with their number: they are long.
    vectors: Vec<(VectorForm, String, usize)>,
    /// The alias of a table whose copy is joined to it, and the copy's.
    joined: Option<(String, String)>,
    /// CTEs written so far.
    ctes: usize,
    /// What marks sealed values, and the number of its parameter once it is one.
    tag: Option<String>,
    tag_param: Option<usize>,
}

/// Where a level's rows come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A page of the table, of rows related to the parent's if there is one.
    Page(Option<Parent<'a>>),
    /// The rows a write returned, as the CTE `written`.
    Written,
}

/// The row a level's rows are related to.
#[derive(Clone, Copy)]
pub(crate) struct Parent<'a> {
    alias: &'a str,
    relation: &'a Relation,
}

/// The level whose columns an expression is about, and its alias.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) level: &'a Level,
    pub(crate) alias: &'a str,
    /// Whether the distance is there as a column already.
    pub(crate) measured: bool,
}

impl Renderer {
    /// One that marks sealed values with `tag`.
    pub(crate) fn tagged(tag: Option<&str>) -> Self {
        Self { tag: tag.map(str::to_owned), ..Self::default() }
    }

    /// The whole statement of a read.
    pub(crate) fn read(&mut self, level: &Level, count: bool, shape: Shape, stamp: Option<&str>) {
        self.anchors(level);
        self.search(level);
        self.sql.raw(if self.ctes == 0 { "" } else { " " });
        self.sql.raw("select ").raw(shape.body()).raw(" as body, count(*) as rows, ");
        if count {
            let alias = self.alias();
            self.sql.raw("(select count(*) from ");
            if level.is_grouped() {
                self.sql.raw("(");
                self.groups(level, Source::Page(None), false);
                self.sql.raw(") ").raw(&alias);
            } else {
                self.table(level, &alias);
                self.filters(Scope { level, alias: &alias, measured: false }, None, false);
            }
            self.sql.raw(")");
        } else {
            self.sql.raw("null::bigint");
        }
        self.sql.raw(" as total, ");
        self.anchors_found(level);
        self.sql.raw(" as anchor");
        self.tally(level);
        if let Some(tables) = stamp {
            self.sql.raw(", freehold.stamp(").param(Some(tables.to_owned())).raw(") as stamp");
        }
        self.copies(level);
        self.sql.raw(" from (");
        self.rows(level, Source::Page(None));
        self.sql.raw(") r");
    }

    /// A new alias.
    pub(crate) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases - 1)
    }

    /// `app."entity" alias`
    pub(crate) fn table(&mut self, level: &Level, alias: &str) {
        if level.call.is_some() {
            self.sql.raw("\"~call\" ").raw(alias);
            return;
        }
        self.sql.table(&level.entity).raw(" ").raw(alias);
    }

    /// The rows that a junction joins to the parent's, each looked up by its id. A condition `id in (…)` PostgreSQL,
    /// which takes a tenant without statistics for small, may answer by reading all of its rows for each parent.
    fn far_rows(&mut self, level: &Level, alias: &str, parent: Parent) {
        let Some(via) = &parent.relation.via else { return };
        self.sql.raw("(select distinct k.").ident(&via.far).raw(" as id from (");
        self.joined_to(via, parent);
        self.sql.raw(") k) k cross join lateral (select f.* from ");
        self.table(level, "f");
        self.sql.raw(&format!(" where f.tenant_id = {}.tenant_id", parent.alias));
        self.sql.raw(" and f.id = k.id offset 0) ").raw(alias);
    }

    /// The same to be changed or deleted from.
    pub(crate) fn target(&mut self, level: &Level, alias: &str) {
        self.sql.target(&level.entity).raw(" ").raw(alias);
    }

    fn page(&mut self, scope: Scope, parent: Option<Parent>) {
        let Scope { level, alias, .. } = scope;
        match (level.only_nearest(), parent) {
            (_, None) if level.searches() => self.found_page(scope),
            (Some(nearest), _) => self.nearest_below(scope, nearest, parent),
            (None, _) => {
                self.sql.raw("select ").raw(alias).raw(".* from ");
                let parent_left = match parent {
                    Some(parent) if parent.relation.via.is_some() => {
                        self.far_rows(level, alias, parent);
                        None
                    }
                    _ => {
                        self.table(level, alias);
                        parent
                    }
                };
                self.filters(Scope { measured: false, ..scope }, parent_left, true);
                // Of a level that groups its rows, the groups are ordered and cut.
                if level.is_grouped() {
                    return;
                }
                self.order(scope, &level.order);
                // There is one row at most on the one side.
                if parent.is_none_or(|parent| parent.relation.many) {
                    self.limits(level);
                }
            }
        }
    }

    /// What decides between rows that are equally near.
    fn identity(&mut self, level: &Level, alias: &str) {
        for column in &level.identity {
            self.sql.raw(", ").raw(alias).raw(".");
            // Plain where it can be: `id` needs no quotes.
            if column == "id" {
                self.sql.raw(column)
            } else {
                self.sql.ident(column)
            };
        }
    }

    /// The column that tells a row to compare with, called `id`: a read model has such rows only if it has one.
    fn own(&mut self, level: &Level) -> &mut Sql {
        match level.identity.as_slice() {
            [column] if column != "id" => self.sql.ident(column).raw(" as id"),
            _ => self.sql.raw("id"),
        }
    }

    fn limits(&mut self, level: &Level) {
        if let Some(limit) = level.limit {
            self.sql.raw(" limit ").param(Some(limit.to_string()));
        }
        if level.offset > 0 {
            self.sql.raw(" offset ").param(Some(level.offset.to_string()));
        }
    }

    fn order(&mut self, scope: Scope, terms: &[Order]) {
        for (at, term) in terms.iter().enumerate() {
            self.sql.raw(if at == 0 { " order by " } else { ", " });
            match term.embed {
                None => self.operand(scope, &term.operand),
                Some(index) => self.related(scope, &scope.level.embeds[index], &term.operand),
            }
            self.sql.raw(if term.descending { " desc" } else { "" });
            self.sql.raw(match term.nulls_first {
                Some(true) => " nulls first",
                Some(false) => " nulls last",
                None => "",
            });
        }
    }

    /// A value of the related row, or the least of the related rows.
    fn related(&mut self, scope: Scope, embed: &Embed, operand: &Operand) {
        let alias = self.alias();
        let below = Scope { level: &embed.level, alias: &alias, measured: false };
        self.sql.raw(if embed.relation.many { "(select min(" } else { "(select (" });
        self.operand(below, operand);
        self.sql.raw(") from ");
        self.table(&embed.level, &alias);
        self.filters(below, Some(Parent { alias: scope.alias, relation: &embed.relation }), true);
        self.sql.raw(")");
    }

    /// A column, a place inside JSON, or a measure.
    pub(super) fn operand(&mut self, scope: Scope, operand: &Operand) {
        let alias = scope.alias;
        match operand {
            Operand::Column(name) => {
                let column = format!("{alias}.{}", ident(name));
                self.sql.raw(&scope.level.what_is_left(name, alias, column));
            }
            Operand::Json { column, jsonb, steps } => {
                self.sql.raw(if *jsonb { "(" } else { "(to_jsonb(" });
                self.operand(scope, &Operand::Column(column.clone()));
                self.sql.raw(if *jsonb { "" } else { ")" });
                for step in steps {
                    self.step(step);
                }
                self.sql.raw(")");
            }
            Operand::Row => {
                self.sql.raw("1");
            }
            Operand::Output(place) => {
                self.sql.raw(&place.to_string());
            }
            Operand::Score => {
                self.sql.raw(alias).raw(".\"~score\"");
            }
            Operand::Distance(field) => self.measure(scope, field),
            Operand::Similarity(field) => {
                let Some(nearest) = scope.level.nearest_on(field) else { return };
                let (before, after) = match nearest.metric {
                    Metric::Cosine | Metric::Jaccard => ("(1 - ", ")".into()),
                    Metric::Ip => ("(- ", ")".into()),
                    Metric::L2 | Metric::L1 => ("(1 / (1 + ", "))".into()),
                    Metric::Hamming => ("(1 - ", format!(" / {})", nearest.dimensions)),
                };
                self.sql.raw(before);
                self.measure(scope, field);
                self.sql.raw(&after);
            }
        }
    }

    fn measure(&mut self, scope: Scope, field: &str) {
        match scope.level.nearest_on(field) {
            Some(nearest) if !scope.measured || scope.level.rank.is_some() => {
                self.distance(scope.alias, nearest)
            }
            _ => {
                self.sql.raw(scope.alias).raw(".\"~distance\"");
            }
        }
    }

    /// The distance of a row's vector from what `nearest` asks for.
    pub(super) fn distance(&mut self, alias: &str, nearest: &Nearest) {
        self.sql.raw("(");
        self.vector_of(alias, nearest);
        self.sql.raw(" ").raw(nearest.metric.operator()).raw(" ");
        match &nearest.anchor {
            Anchor::Given(vector) => self.vector(nearest.form, vector.clone()),
            Anchor::Text { bound, .. } => {
                let vector =
                    bound.clone().expect("every text operand is bound before a query is rendered");
                self.vector(nearest.form, vector)
            }
            Anchor::Row { number, .. } => {
                self.sql.raw(&format!("(select v from \"~anchor{number}\")"))
            }
        };
        self.sql.raw(")");
    }

    fn vector(&mut self, form: VectorForm, vector: String) -> &mut Sql {
        let same = |(of, text, _): &&(VectorForm, String, usize)| *of == form && *text == vector;
        match self.vectors.iter().find(same) {
            Some((.., number)) => self.sql.raw(&format!("${number}")),
            None => {
                self.sql.param(Some(vector.clone()));
                self.vectors.push((form, vector, self.sql.params().len()));
                &mut self.sql
            }
        }
    }

    /// `with`, or the comma before another CTE.
    fn with(&mut self) {
        self.sql.raw(if self.ctes == 0 { "with " } else { ", " });
        self.ctes += 1;
    }

    /// The function's rows if they are a function's, and the rows that `row:` operands compare with.
    fn anchors(&mut self, level: &Level) {
        if let Some(call) = &level.call {
            // Called once, however often the rows are looked at.
            self.with();
            self.sql.raw("\"~call\" as materialized (select * from ");
            call.write(&mut self.sql);
            self.sql.raw(")");
        }
        for level in level.walk() {
            for nearest in &level.nearest {
                let Anchor::Row { number, column, value } = &nearest.anchor else { continue };
                self.with();
                self.sql.raw(&format!("\"~anchor{number}\" as materialized (select a."));
                self.own(level).raw(", ");
                self.vector_of("a", nearest);
                self.sql
                    .raw(" as v from ")
                    .table(&level.entity)
                    .raw(" a where a.")
                    .ident(column)
                    .raw(" = ");
                self.sql.param(Some(value.clone()));
                // What has expired is not compared with, either.
                for cut in level.cuts.iter().filter(|cut| cut.deletes()) {
                    self.sql.raw(" and ").raw(&cut.spares("a"));
                }
                self.sql.raw(")");
            }
        }
    }

    fn anchors_found(&mut self, level: &Level) {
        let all = level.walk().into_iter().flat_map(|level| &level.nearest);
        let numbers = all.filter_map(|nearest| match &nearest.anchor {
            Anchor::Row { number, .. } => Some(*number),
            _ => None,
        });
        let found = numbers
            .map(|number| format!("exists (select from \"~anchor{number}\" where v is not null)"));
        let found: Vec<String> = found.collect();
        if found.is_empty() {
            self.sql.raw("null::boolean");
        } else {
            self.sql.raw("(").raw(&found.join(" and ")).raw(")");
        }
    }
}
