//! What an index finds, and what is truly there; see [`crate::query::kth_nearer`].

use super::{Renderer, Scope};
use crate::query::level::{Level, Nearest};

impl Renderer {
    pub(crate) fn probe(&mut self, level: &Level, nearest: &Nearest) {
        self.sql.raw("with n as materialized (");
        self.distances(level, nearest, false);
        self.sql.raw(") select coalesce(json_agg(n.\"~distance\"), '[]')::text from n");
    }

    pub(crate) fn kth_nearer(&mut self, questions: &[(&Level, &Nearest, f64)], k: u64) {
        let alias = self.alias();
        let skipped = k.saturating_sub(1);
        for at in 0..questions.len() {
            self.sql.raw(if at == 0 { "select json_build_array(" } else { ", " });
            // Few are nearer than the bound, so they are sorted here; an order in the aggregate would sort all rows.
            self.sql.raw(&format!(
                "(select d from unnest(r.q{at}) d order by d offset {skipped} limit 1)"
            ));
        }
        self.sql.raw(")::text from (");
        for (at, (level, nearest, bound)) in questions.iter().enumerate() {
            self.sql.raw(if at == 0 { "select array_agg(" } else { ", array_agg(" });
            self.distance(&alias, nearest);
            // The distance first: what else is asked of a row may be dear, and is then asked of few.
            self.sql.raw(") filter (where ");
            self.distance(&alias, nearest);
            self.sql.raw(" < ").param(Some(bound.to_string())).raw("::float8");
            self.own_filters(Scope { level, alias: &alias, measured: false }, &mut false);
            self.sql.raw(&format!(") as q{at}"));
        }
        if let Some((level, ..)) = questions.first() {
            self.sql.raw(" from ");
            self.table(level, &alias);
        }
        self.sql.raw(") r");
    }

    pub(crate) fn spread(&mut self, level: &Level, field: &str, every: u64, from: u64) {
        let alias = self.alias();
        self.sql.raw("select coalesce(json_agg(json_build_array(r.id, r.v::text)), '[]')::text");
        self.sql.raw(" from (select ").raw(&alias).raw(".id, ").raw(&alias).raw(".").ident(field);
        self.sql.raw(" as v, row_number() over () as n from ");
        self.table(level, &alias);
        self.filters(Scope { level, alias: &alias, measured: false }, None, false);
        self.sql.raw(") r where r.n % ").param(Some(every.to_string()));
        self.sql.raw("::bigint = ").param(Some((from % every).to_string())).raw("::bigint");
    }
}
