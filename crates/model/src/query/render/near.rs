//! Search: what `nearest` and `rank` find, and the page made of it.
//!
//! What the entity itself is searched for is found first, as CTEs of keys and distances: `"~near0"` for each order, and
//! `"~score"` if several become one. They are narrow, so a sort or a count over all rows of a tenant carries no rows;
//! the rows of the page alone are fetched, by key. Materialised, because bounds and the second sort must not reach the
//! scan that finds candidates: an index is of use for a bare ascending distance with a limit and for nothing else.

use super::{Parent, Renderer, Scope};
use crate::{
    query::{
        ast::Fusion,
        behind::Found,
        level::{By, Embed, Level, Nearest, Operand, Rank, Ranker, Test},
    },
    sql::literal,
};

impl Renderer {
    /// The CTEs that hold what is found, if anything is searched for.
    pub(super) fn search(&mut self, level: &Level) {
        if let Some(nearest) = level.only_nearest() {
            self.with();
            self.sql.raw("\"~near0\" as materialized (");
            self.distances(level, nearest, false);
            self.sql.raw(")");
        }
        let Some(rank) = &level.rank else { return };
        for (at, ranker) in rank.rankers.iter().enumerate() {
            self.with();
            self.sql.raw(&format!("\"~near{at}\" as materialized ("));
            match &ranker.by {
                By::Nearest(index) => self.distances(level, &level.nearest[*index], true),
                By::Words { operand, test } => self.fits(level, operand, test),
            }
            self.sql.raw(")");
        }
        self.with();
        self.scores(level, rank);
    }

    /// `select count(*)` of the rows that fit, up to `most`.
    pub(crate) fn fitting(&mut self, level: &Level, most: u64) {
        let alias = self.alias();
        self.sql.raw("select count(*) from (select from ");
        self.table(level, &alias);
        self.filters(Scope { level, alias: &alias, measured: false }, None, false);
        self.sql.raw(" limit ").param(Some(most.to_string())).raw(") r");
    }

    /// Every row that may be near, with its distance.
    pub(super) fn distances(&mut self, level: &Level, nearest: &Nearest, ranked: bool) {
        let alias = self.alias();
        if nearest.sealed.is_some() {
            // They were measured already: PostgreSQL could not.
            let Found { ids, distances, .. } = nearest.found.clone().unwrap_or_default();
            self.sql
                .raw("select id, \"~distance\" from unnest(")
                .param(Some(ids))
                .raw("::uuid[], ");
            self.sql
                .param(Some(distances))
                .raw("::float8[]) ")
                .raw(&alias)
                .raw(" (id, \"~distance\")");
            return;
        }
        let scope = Scope { level, alias: &alias, measured: false };
        self.join_copy(&alias, nearest, no_filters(level));
        self.sql.raw("select ");
        self.keys(level, &alias);
        self.sql.raw(", ");
        self.distance(&alias, nearest);
        self.sql.raw(" as \"~distance\" from ");
        self.measured_table(level, nearest, &alias);
        // With rank there is no one `nearest` that filters could mean.
        self.filters(scope, None, !ranked);
        if ranked {
            self.and(&mut no_filters(level));
            self.near(scope, nearest, false);
        } else if let Some(index) = &level.index {
            // A tenant that is said outright leaves one partition when the statement is planned, whose index then serves.
            let tenant = index.tenant;
            self.sql.raw(&format!(" and {alias}.tenant_id = '{tenant:032x}' order by "));
            self.distance(&alias, nearest);
            self.sql.raw(" limit ").param(Some(index.candidates.to_string()));
        }
        self.joined = None;
    }

    /// Every row whose words fit, with how badly they do.
    fn fits(&mut self, level: &Level, operand: &Operand, test: &Test) {
        let alias = self.alias();
        let scope = Scope { level, alias: &alias, measured: false };
        let Test::Search { column, language, function, value } = test else { return };
        self.sql.raw("select ");
        self.keys(level, &alias);
        self.sql.raw(", - ts_rank_cd(");
        self.words(scope, operand, column.as_deref(), language);
        self.sql.raw(", ").raw(function).raw("(").raw(&literal(language)).raw(", ");
        self.sql.param(Some(value.clone())).raw("))::float8 as \"~distance\" from ");
        self.table(level, &alias);
        self.filters(scope, None, false);
        self.and(&mut no_filters(level));
        self.test(scope, operand, test);
    }

    /// `"~score" as materialized (…)`: the sum of what each ranker gives its candidates.
    fn scores(&mut self, level: &Level, rank: &Rank) {
        self.sql.raw("\"~score\" as materialized (select ");
        self.keys(level, "u");
        self.sql.raw(", sum(u.\"~part\") as \"~score\" from (");
        for (at, ranker) in rank.rankers.iter().enumerate() {
            self.sql.raw(if at == 0 { "select " } else { " union all select " });
            self.keys(level, "c");
            self.sql.raw(", ");
            let weight = ranker.part.weight.clone().unwrap_or_else(|| "1".into());
            self.sql.param(Some(weight)).raw("::float8 ");
            match rank.fusion {
                Fusion::Reciprocal => {
                    self.sql.raw("/ (").param(Some(rank.c.to_string()));
                    self.sql.raw("::float8 + row_number() over (order by c.\"~distance\"");
                    self.identity(level, "c");
                    self.sql.raw("))");
                }
                Fusion::Weighted => {
                    self.sql.raw(
                        "* coalesce((max(c.\"~distance\") over () - c.\"~distance\") \
                         / nullif(max(c.\"~distance\") over () - min(c.\"~distance\") over (), 0), 1)",
                    );
                }
            }
            self.sql.raw(" as \"~part\" from (");
            self.candidates(level, at, ranker);
            self.sql.raw(") c");
        }
        self.sql.raw(") u group by ");
        self.keys(level, "u");
        self.sql.raw(")");
    }

    /// The best of `"~near…"`, within the bounds.
    fn candidates(&mut self, level: &Level, at: usize, ranker: &Ranker) {
        self.sql.raw(&format!("select * from \"~near{at}\" n"));
        if let By::Nearest(index) = ranker.by {
            self.bounds(&level.nearest[index]);
        }
        self.sql.raw(" order by n.\"~distance\"");
        self.identity(level, "n");
        self.sql.raw(" limit ").param(Some(ranker.part.k.unwrap_or_default().to_string()));
    }

    /// The bounds of the distance, which are applied to what is measured.
    fn bounds(&mut self, nearest: &Nearest) {
        let bounds = nearest.min.iter().map(|min| (">=", min));
        let mut first = true;
        for (op, bound) in bounds.chain(nearest.max.iter().map(|max| ("<=", max))) {
            self.and(&mut first);
            self.sql.raw("n.\"~distance\" ").raw(op).raw(" ").param(Some(bound.clone()));
        }
    }

    /// The page of what was found: its keys first, then its rows.
    pub(super) fn found_page(&mut self, scope: Scope) {
        let Scope { level, alias, .. } = scope;
        let value = if level.rank.is_some() { "\"~score\"" } else { "\"~distance\"" };
        let descending = if level.rank.is_some() { " desc" } else { "" };
        let ordered = level.order.is_empty();
        self.sql.raw("select ").raw(alias).raw(".* from (select * from ");
        match (&level.rank, level.only_nearest()) {
            (Some(rank), _) => {
                self.sql.raw("\"~score\" n");
                let scored = Scope { alias: "n", ..scope };
                let mut first = true;
                for (not, test) in &rank.conds {
                    self.and(&mut first);
                    self.sql.raw(if *not { "not (" } else { "(" });
                    self.test(scored, &Operand::Score, test);
                    self.sql.raw(")");
                }
            }
            (None, Some(nearest)) => {
                self.sql.raw("\"~near0\" n");
                self.bounds(nearest);
            }
            (None, None) => {}
        }
        let limit = level.limit.unwrap_or_default();
        let k = level.only_nearest().and_then(|nearest| nearest.part.k);
        if ordered || k.is_some() {
            self.sql.raw(" order by n.").raw(value).raw(descending);
            self.identity(level, "n");
        }
        // An order of its own is of the candidates; else the page is cut here, and less is fetched.
        match (ordered, k) {
            (true, k) => {
                let left = k.map_or(limit, |k| limit.min(k.saturating_sub(level.offset)));
                self.sql.raw(" limit ").param(Some(left.to_string()));
                if level.offset > 0 {
                    self.sql.raw(" offset ").param(Some(level.offset.to_string()));
                }
            }
            (false, Some(k)) => {
                self.sql.raw(" limit ").param(Some(k.to_string()));
            }
            (false, None) => {}
        }
        let row = self.alias();
        self.sql.raw(") n cross join lateral (select ").raw(&row).raw(".*, n.").raw(value);
        self.sql.raw(" from ");
        self.table(level, &row);
        // The fence makes it a look-up of each key, whatever PostgreSQL expects of their number.
        self.sql.raw(" where ");
        self.same_keys(level, &row, "n");
        self.sql.raw(" offset 0) ").raw(alias);
        if ordered {
            self.sql.raw(" order by ").raw(alias).raw(".").raw(value).raw(descending);
            self.identity(level, alias);
        } else {
            self.order(scope, &level.order);
            self.limits(level);
        }
    }

    /// `, scanned, found` of a search of the entity itself: how many rows were measured, and how many all pages have
    /// together.
    pub(super) fn tally(&mut self, level: &Level) {
        if let Some(rank) = &level.rank {
            let counts: Vec<String> = (0..rank.rankers.len())
                .map(|at| format!("(select count(*) from \"~near{at}\")"))
                .collect();
            self.sql.raw(", (").raw(&counts.join(" + "));
            self.sql.raw(") as scanned, (select count(*) from \"~score\" n");
            let scope = Scope { level, alias: "n", measured: true };
            let mut first = true;
            for (not, test) in &rank.conds {
                self.and(&mut first);
                self.sql.raw(if *not { "not (" } else { "(" });
                self.test(scope, &Operand::Score, test);
                self.sql.raw(")");
            }
            self.sql.raw(") as found");
        } else if let Some(found) = level.only_nearest().and_then(|it| it.found.as_ref()) {
            self.sql.raw(&format!(
                ", {}::bigint as scanned, {}::bigint as found",
                found.scanned, found.all
            ));
        } else if let Some(nearest) = level.only_nearest() {
            self.sql.raw(", (select count(*) from \"~near0\") as scanned, (select ");
            match nearest.part.k.filter(|_| nearest.capped) {
                Some(k) => {
                    self.sql.raw("least(count(*), ").param(Some(k.to_string())).raw("::bigint)")
                }
                None => self.sql.raw("count(*)"),
            };
            self.sql.raw(" from \"~near0\" n");
            self.bounds(nearest);
            self.sql.raw(") as found");
        }
    }

    /// Rows nearest to something among those related to a parent.
    pub(super) fn nearest_below(
        &mut self,
        scope: Scope,
        nearest: &Nearest,
        parent: Option<Parent>,
    ) {
        let Scope { level, alias, .. } = scope;
        let whole = level.order.is_empty() && level.offset == 0 && level.limit == nearest.part.k;
        if !whole {
            self.sql.raw("select ").raw(alias).raw(".* from (");
        }
        self.sql.raw("select ").raw(alias).raw(".*, ");
        self.distance(alias, nearest);
        self.sql.raw(" as \"~distance\" from ");
        self.table(level, alias);
        self.filters(Scope { measured: false, ..scope }, parent, true);
        self.sql.raw(" order by \"~distance\"");
        self.identity(level, alias);
        self.sql.raw(" limit ");
        self.sql.param(Some(nearest.part.k.unwrap_or_default().to_string()));
        if whole {
            return;
        }
        self.sql.raw(") ").raw(alias);
        if level.order.is_empty() {
            self.sql.raw(" order by ").raw(alias).raw(".\"~distance\"");
            self.identity(level, alias);
        } else {
            self.order(scope, &level.order);
        }
        self.limits(level);
    }

    /// The columns that tell rows apart.
    fn keys(&mut self, level: &Level, alias: &str) {
        for (at, column) in level.identity.iter().enumerate() {
            self.sql.raw(if at == 0 { "" } else { ", " }).raw(alias).raw(".");
            self.plain(column);
        }
    }

    fn same_keys(&mut self, level: &Level, left: &str, right: &str) {
        for (at, column) in level.identity.iter().enumerate() {
            self.sql.raw(if at == 0 { "" } else { " and " }).raw(left).raw(".");
            self.plain(column);
            self.sql.raw(" = ").raw(right).raw(".");
            self.plain(column);
        }
    }

    fn plain(&mut self, column: &str) {
        // `id` needs no quotes.
        if column == "id" {
            self.sql.raw(column);
        } else {
            self.sql.ident(column);
        }
    }
}

/// Whether [`Renderer::filters`] writes nothing for the entity itself, without `nearest`.
pub(super) fn no_filters(level: &Level) -> bool {
    level.conds.is_empty()
        && level.cuts.iter().all(|cut| !cut.deletes())
        && !level.embeds.iter().any(Embed::leaves_out)
}
