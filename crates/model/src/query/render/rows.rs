//! What is given of each row: columns, embeds, what spreads bring, and groups.

use super::{Parent, Renderer, Scope, Source};
use crate::query::level::{Embed, Form, Level, Made, Operand, Output, OutputColumn};

/// What is shown of a blob: neither its key nor where its bytes are.
const BLOB_BEFORE: &str = "(select json_build_object('id', b.id, 'name', b.name, 'type', b.type, 'size', b.size, \
    'etag', encode(substr(b.hash, 1, 16), 'hex'), 'created', b.created_at) from freehold.blob b where b.id = ";

/// How the outputs of a level are called.
#[derive(Clone, Copy, PartialEq)]
enum Naming {
    /// By their names.
    Own,
    /// By their places, as what a level's groups are made of: JSON as text, which has equality, and what is to be
    /// aggregated as it is.
    Places,
}

impl Renderer {
    /// `select … from …` with the level's outputs as columns.
    pub(crate) fn rows(&mut self, level: &Level, source: Source) {
        if level.is_grouped() {
            self.groups(level, source, true);
        } else {
            self.outputs(level, source, Naming::Own);
        }
    }

    /// The same for a level with aggregates; `cut` is whether its order and limits count.
    pub(super) fn groups(&mut self, level: &Level, source: Source, cut: bool) {
        let alias = self.alias();
        let mut keys = Vec::new();
        for (at, output) in level.outputs.iter().enumerate() {
            self.sql.raw(if at == 0 { "select " } else { ", " });
            let value = format!("{alias}.\"~{at}\"");
            match output.made() {
                Some(Made { aggregate, cast }) => {
                    self.sql.raw(&format!("{}({value})", aggregate.name()));
                    self.sql.raw(cast.map_or("", |_| "::")).raw(cast.unwrap_or_default());
                }
                None => {
                    self.sql.raw(&value).raw(if output.is_json() { "::json" } else { "" });
                    keys.push(value);
                }
            }
            self.sql.raw(" as ").ident(level.name_of(output));
        }
        self.sql.raw(" from (");
        self.outputs(level, source, Naming::Places);
        self.sql.raw(") ").raw(&alias);
        if !keys.is_empty() {
            self.sql.raw(" group by ").raw(&keys.join(", "));
        }
        if cut {
            self.order(Scope { level, alias: &alias, measured: false }, &level.order);
            self.limits(level);
        }
    }

    fn outputs(&mut self, level: &Level, source: Source, naming: Naming) {
        let alias = self.alias();
        let scope = Scope { level, alias: &alias, measured: true };
        let mut joined: Vec<(String, usize)> = Vec::new();
        self.sql.raw("select");
        for (at, output) in level.outputs.iter().enumerate() {
            self.sql.raw(if at == 0 { " " } else { ", " });
            match output {
                Output::Column(column) => self.column(scope, column),
                Output::Embed(index) if level.embeds[*index].relation.many => {
                    self.embed_many(&alias, &level.embeds[*index]);
                }
                Output::Embed(index) => {
                    let below = self.below(&mut joined, *index);
                    self.sql.raw(&format!("row_to_json({below}.*)"));
                }
                Output::Spread(spread) => {
                    let below = self.below(&mut joined, spread.index);
                    self.sql.raw(&below).raw(".").ident(&spread.name);
                }
            }
            if naming == Naming::Own {
                self.sql.raw(" as ").ident(level.name_of(output));
            } else {
                let grouped = output.made().is_none() && output.is_json();
                self.sql.raw(if grouped { "::text" } else { "" }).raw(&format!(" as \"~{at}\""));
            }
        }
        let ordered = self.source(scope, source, !joined.is_empty());
        for (below, index) in joined {
            self.sql.raw(" left join lateral (");
            self.joined(&alias, level, index);
            self.sql.raw(") ").raw(&below).raw(" on true");
        }
        if ordered {
            self.sql.raw(" order by ").raw(&alias).raw(".\"~row\"");
        } else if matches!(source, Source::Written) && !level.is_grouped() {
            self.order(Scope { measured: false, ..scope }, &level.order);
        }
    }

    /// The alias of the embed that is joined to a level's rows.
    fn below(&mut self, joined: &mut Vec<(String, usize)>, index: usize) -> String {
        if let Some((below, _)) = joined.iter().find(|(_, other)| *other == index) {
            return below.clone();
        }
        let below = self.alias();
        joined.push((below.clone(), index));
        below
    }

    /// Where the rows come from, and whether they were numbered.
    fn source(&mut self, scope: Scope, source: Source, joins: bool) -> bool {
        let Scope { level, alias, .. } = scope;
        let Source::Page(parent) = source else {
            self.sql.raw(" from written ").raw(alias);
            return false;
        };
        let one = parent.is_some_and(|parent| !parent.relation.many);
        // A join need not keep the order of the page, so the page's rows are numbered. Groups are ordered afterwards.
        let numbered =
            joins && !one && !level.is_grouped() && (level.searches() || !level.order.is_empty());
        self.sql.raw(" from (");
        if numbered {
            self.sql.raw(&format!("select {alias}.*, row_number() over () as \"~row\" from ("));
        }
        self.page(scope, parent);
        self.sql.raw(if numbered { ") " } else { "" }).raw(if numbered { alias } else { "" });
        self.sql.raw(") ").raw(alias);
        numbered
    }

    /// The rows of the embed at `index` of `level`: the one row, or for a spread of many a row of their arrays.
    fn joined(&mut self, alias: &str, level: &Level, index: usize) {
        let embed: &Embed = &level.embeds[index];
        let source = Source::Page(Some(Parent { alias, relation: &embed.relation }));
        if !embed.relation.many {
            self.rows(&embed.level, source);
            // Without statistics PostgreSQL takes a tenant for small and would read all of its rows to join a page
            // with few of them; a subquery that it cannot flatten is looked up row by row.
            self.sql.raw(if embed.level.is_grouped() { "" } else { " offset 0" });
            return;
        }
        for (at, name) in embed.level.names().into_iter().enumerate() {
            self.sql.raw(if at == 0 {
                "select coalesce(json_agg(r."
            } else {
                ", coalesce(json_agg(r."
            });
            self.sql.ident(name).raw("), '[]') as ").ident(name);
        }
        self.sql.raw(" from (");
        self.rows(&embed.level, source);
        self.sql.raw(") r");
    }

    fn column(&mut self, scope: Scope, column: &OutputColumn) {
        if let Form::Sealed(shown) = &column.form {
            self.sealed(scope, shown);
            return;
        }
        if column.form == Form::Blob {
            self.sql.raw(BLOB_BEFORE);
        }
        let measures = matches!(
            column.operand,
            Operand::Distance(_) | Operand::Similarity(_) | Operand::Score
        );
        // JSON has no number that is none or infinite, and what reads it expects no text here.
        self.sql.raw(if measures { "nullif(nullif(nullif(" } else { "" });
        self.operand(scope, &column.operand);
        self.sql.raw(if measures { ", 'NaN'), 'Infinity'), '-Infinity')" } else { "" });
        match column.form {
            Form::Plain | Form::Sealed(_) => {}
            Form::Blob => {
                self.sql.raw(")");
            }
            Form::Numbers => {
                self.sql.raw("::text::json");
            }
            Form::Cast(sql_type) => {
                self.sql.raw("::").raw(sql_type);
            }
        }
    }

    fn embed_many(&mut self, alias: &str, embed: &Embed) {
        self.sql.raw("(select coalesce(json_agg(r.*), '[]') from (");
        self.rows(&embed.level, Source::Page(Some(Parent { alias, relation: &embed.relation })));
        self.sql.raw(") r)");
    }
}
