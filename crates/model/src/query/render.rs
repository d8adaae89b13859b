//! [`Level`] to SQL.
//!
//! A level is a page of its table (filters, order, limit) with what is asked for computed on the page: embeds are
//! joined to, or subqueries of, the rows that are left, so that nothing is built for rows that are not given.
//! Filters on embeds stand inside the page as `exists`. No statement repeats `tenant_id = …`, the policy does;
//! joins repeat it between tables, because references are composite.

mod test;

use super::{
    level::{Anchor, Embed, Form, Level, Nearest, Operand, Order, Output, OutputColumn},
    relation::Relation,
};
use crate::{Sql, entity::Metric};

/// Writes one statement.
#[derive(Default)]
pub(crate) struct Renderer {
    pub(crate) sql: Sql,
    aliases: usize,
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
    /// The whole statement of a read.
    pub(crate) fn read(&mut self, level: &Level, count: bool) {
        self.anchors(level);
        self.sql.raw("select coalesce(json_agg(r.*), '[]')::text as body, count(*) as rows, ");
        if count {
            let alias = self.alias();
            self.sql.raw("(select count(*) from ");
            self.table(level, &alias);
            self.filters(Scope { level, alias: &alias, measured: false }, None, false);
            self.sql.raw(")");
        } else {
            self.sql.raw("null::bigint");
        }
        self.sql.raw(" as total, ");
        self.anchors_found(level);
        self.sql.raw(" as anchor from (");
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
        self.sql.raw("app.").ident(&level.entity).raw(" ").raw(alias);
    }

    /// `select … from …` with the level's outputs as columns.
    pub(crate) fn rows(&mut self, level: &Level, source: Source) {
        let alias = self.alias();
        let scope = Scope { level, alias: &alias, measured: true };
        let mut joined: Vec<(String, &Embed)> = Vec::new();
        self.sql.raw("select");
        for (at, output) in level.outputs.iter().enumerate() {
            self.sql.raw(if at == 0 { " " } else { ", " });
            match output {
                Output::Column(column) => self.column(scope, column),
                Output::Embed(index) if level.embeds[*index].relation.many => {
                    self.embed_many(&alias, &level.embeds[*index]);
                }
                Output::Embed(index) => {
                    let embed = &level.embeds[*index];
                    let below = self.alias();
                    self.sql.raw(&format!("row_to_json({below}.*) as ")).ident(&embed.name);
                    joined.push((below, embed));
                }
            }
        }
        let ordered = match source {
            Source::Written => {
                self.sql.raw(" from written ").raw(&alias);
                false
            }
            Source::Page(parent) => {
                let one = parent.is_some_and(|parent| !parent.relation.many);
                // A join need not keep the order of the page, so the page's rows are numbered.
                let numbered = !joined.is_empty()
                    && !one
                    && (level.nearest.is_some() || !level.order.is_empty());
                self.sql.raw(" from (");
                if numbered {
                    self.sql
                        .raw(&format!("select {alias}.*, row_number() over () as \"~row\" from ("));
                }
                self.page(scope, parent);
                self.sql.raw(if numbered { ") " } else { "" }).raw(if numbered {
                    &alias
                } else {
                    ""
                });
                self.sql.raw(") ").raw(&alias);
                numbered
            }
        };
        for (below, embed) in joined {
            self.sql.raw(" left join lateral (");
            self.rows(
                &embed.level,
                Source::Page(Some(Parent { alias: &alias, relation: &embed.relation })),
            );
            self.sql.raw(") ").raw(&below).raw(" on true");
        }
        if ordered {
            self.sql.raw(" order by ").raw(&alias).raw(".\"~row\"");
        }
    }

    fn column(&mut self, scope: Scope, column: &OutputColumn) {
        self.operand(scope, &column.operand);
        match column.form {
            Form::Plain => {}
            Form::Numbers => {
                self.sql.raw("::text::json");
            }
            Form::Cast(sql_type) => {
                self.sql.raw("::").raw(sql_type);
            }
        }
        self.sql.raw(" as ").ident(&column.name);
    }

    fn embed_many(&mut self, alias: &str, embed: &Embed) {
        self.sql.raw("(select coalesce(json_agg(r.*), '[]') from (");
        self.rows(&embed.level, Source::Page(Some(Parent { alias, relation: &embed.relation })));
        self.sql.raw(") r) as ").ident(&embed.name);
    }

    fn page(&mut self, scope: Scope, parent: Option<Parent>) {
        let Scope { level, alias, .. } = scope;
        let Some(nearest) = &level.nearest else {
            self.sql.raw("select ").raw(alias).raw(".* from ");
            self.table(level, alias);
            self.filters(Scope { measured: false, ..scope }, parent, true);
            self.order(scope, &level.order);
            // There is one row at most on the one side.
            if parent.is_none_or(|parent| parent.relation.many) {
                self.limits(level);
            }
            return;
        };
        let max = nearest.max.as_ref().filter(|_| parent.is_none());
        let whole = level.order.is_empty()
            && max.is_none()
            && level.offset == 0
            && level.limit == nearest.k;
        if whole {
            return self.candidates(scope, nearest, parent);
        }
        self.sql.raw("select ").raw(alias).raw(".* from (");
        self.candidates(scope, nearest, parent);
        self.sql.raw(") ").raw(alias);
        if let Some(max) = max {
            self.sql.raw(" where ").raw(alias).raw(".\"~distance\" <= ").param(Some(max.clone()));
        }
        if level.order.is_empty() {
            self.sql.raw(" order by ").raw(alias).raw(".\"~distance\"");
            self.identity(level, alias);
        } else {
            self.order(scope, &level.order);
        }
        self.limits(level);
    }

    /// The `k` rows nearest of those that fit the filters, with their distance.
    fn candidates(&mut self, scope: Scope, nearest: &Nearest, parent: Option<Parent>) {
        let Scope { level, alias, .. } = scope;
        self.sql.raw("select ").raw(alias).raw(".*, ");
        self.distance(alias, nearest);
        self.sql.raw(" as \"~distance\" from ");
        self.table(level, alias);
        self.filters(Scope { measured: false, ..scope }, parent, true);
        self.sql.raw(" order by \"~distance\"");
        self.identity(level, alias);
        self.sql.raw(" limit ");
        self.sql.param(Some(nearest.k.unwrap_or_default().to_string()));
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
                self.sql.raw(alias).raw(".").ident(name);
            }
            Operand::Json { column, jsonb, steps } => {
                self.sql
                    .raw(if *jsonb { "(" } else { "(to_jsonb(" })
                    .raw(alias)
                    .raw(".")
                    .ident(column);
                self.sql.raw(if *jsonb { "" } else { ")" });
                for step in steps {
                    self.step(step);
                }
                self.sql.raw(")");
            }
            Operand::Distance => self.measure(scope),
            Operand::Similarity => {
                let Some(nearest) = &scope.level.nearest else { return };
                let (before, after) = match nearest.metric {
                    Metric::Cosine | Metric::Jaccard => ("(1 - ", ")".into()),
                    Metric::Ip => ("(- ", ")".into()),
                    Metric::L2 | Metric::L1 => ("(1 / (1 + ", "))".into()),
                    Metric::Hamming => ("(1 - ", format!(" / {})", nearest.dimensions)),
                };
                self.sql.raw(before);
                self.measure(scope);
                self.sql.raw(&after);
            }
        }
    }

    fn measure(&mut self, scope: Scope) {
        match &scope.level.nearest {
            Some(nearest) if !scope.measured => self.distance(scope.alias, nearest),
            _ => {
                self.sql.raw(scope.alias).raw(".\"~distance\"");
            }
        }
    }

    /// The distance of a row's vector from what `nearest` asks for.
    pub(super) fn distance(&mut self, alias: &str, nearest: &Nearest) {
        self.sql
            .raw("(")
            .raw(alias)
            .raw(".")
            .ident(&nearest.field)
            .raw(" ")
            .raw(nearest.metric.operator())
            .raw(" ");
        match &nearest.anchor {
            Anchor::Given(vector) => self.sql.param(Some(vector.clone())),
            Anchor::Text { bound, .. } => {
                let vector =
                    bound.clone().expect("every text operand is bound before a query is rendered");
                self.sql.param(Some(vector))
            }
            Anchor::Row { number, .. } => {
                self.sql.raw(&format!("(select v from \"~anchor{number}\")"))
            }
        };
        self.sql.raw(")");
    }

    /// `with`, the function's rows if they are a function's, and the rows that `row:` operands compare with.
    fn anchors(&mut self, level: &Level) {
        let mut first = true;
        if let Some(call) = &level.call {
            // Called once, however often the rows are looked at.
            self.sql.raw("with \"~call\" as materialized (select * from ");
            call.write(&mut self.sql);
            self.sql.raw(")");
            first = false;
        }
        for level in level.walk() {
            let Some(Nearest { field, anchor: Anchor::Row { number, column, value }, .. }) =
                &level.nearest
            else {
                continue;
            };
            self.sql.raw(if first { "with " } else { ", " });
            first = false;
            self.sql.raw(&format!("\"~anchor{number}\" as materialized (select a."));
            self.own(level).raw(", a.").ident(field);
            self.sql
                .raw(" as v from app.")
                .ident(&level.entity)
                .raw(" a where a.")
                .ident(column)
                .raw(" = ");
            self.sql.param(Some(value.clone())).raw(")");
        }
        self.sql.raw(if first { "" } else { " " });
    }

    fn anchors_found(&mut self, level: &Level) {
        let numbers = level.walk().into_iter().filter_map(|level| match &level.nearest {
            Some(Nearest { anchor: Anchor::Row { number, .. }, .. }) => Some(*number),
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
