//! Conditions to SQL.

use super::{Parent, Renderer, Scope};
use crate::{
    query::{
        ast::{Each, Step, StepKey},
        level::{Anchor, Cond, Embed, Nearest, Operand, Test},
        relation::Junction,
    },
    sql::literal,
};

impl Renderer {
    /// ` where …` of everything a row must fit to be of this level: the join with its parent, the conditions, the
    /// inner embeds and, if `near`, what `nearest` demands.
    pub(crate) fn filters(&mut self, scope: Scope, parent: Option<Parent>, near: bool) {
        let mut first = true;
        if let Some(parent) = parent {
            self.and(&mut first);
            self.join(scope.alias, parent);
        }
        self.own_filters(scope, &mut first);
        if let Some(nearest) = scope.level.only_nearest().filter(|_| near) {
            self.and(&mut first);
            self.near(scope, nearest, parent.is_some());
        }
    }

    /// What holds for a row whatever it is related to or near to.
    pub(super) fn own_filters(&mut self, scope: Scope, first: &mut bool) {
        for cut in scope.level.cuts.iter().filter(|cut| cut.deletes()) {
            self.and(first);
            self.sql.raw(&cut.spares(scope.alias));
        }
        for cond in &scope.level.conds {
            self.and(first);
            self.cond(scope, cond);
        }
        for embed in scope.level.embeds.iter().filter(|embed| embed.leaves_out()) {
            self.and(first);
            self.exists(scope, embed);
        }
    }

    pub(super) fn and(&mut self, first: &mut bool) {
        self.sql.raw(if *first { " where " } else { " and " });
        *first = false;
    }

    /// `select` of the ids that a junction joins to the parent's row.
    pub(super) fn joined_to(&mut self, via: &Junction, parent: Parent) {
        self.sql.raw("select j.").ident(&via.far).raw(" from ").table(&via.entity);
        self.sql.raw(&format!(" j where j.tenant_id = {}.tenant_id and j.", parent.alias));
        self.sql.ident(&parent.relation.field).raw(&format!(" = {}.id", parent.alias));
    }

    fn join(&mut self, alias: &str, parent: Parent) {
        let (above, relation) = (parent.alias, parent.relation);
        if let Some(via) = &relation.via {
            self.sql.raw(&format!("{alias}.tenant_id = {above}.tenant_id and {alias}.id in ("));
            self.joined_to(via, parent);
            self.sql.raw(")");
            return;
        }
        self.sql.raw(&format!("{alias}.tenant_id = {above}.tenant_id and "));
        if relation.many {
            self.sql.raw(alias).raw(".").ident(&relation.field).raw(&format!(" = {above}.id"));
        } else {
            self.sql.raw(&format!("{alias}.id = {above}.")).ident(&relation.field);
        }
    }

    /// That a row has a vector, is not the one compared with, and, below a parent, lies within the bounds: there they
    /// also decide whether there is a row at all. Of the entity itself all rows are measured first.
    pub(super) fn near(&mut self, scope: Scope, nearest: &Nearest, below: bool) {
        let alias = scope.alias;
        self.vector_of(alias, nearest);
        self.sql.raw(" is not null");
        if let Anchor::Row { number, .. } = &nearest.anchor {
            self.sql.raw(&format!(" and (select v from \"~anchor{number}\") is not null"));
            self.sql.raw(" and ").raw(alias).raw(".");
            match scope.level.identity.as_slice() {
                [column] if column != "id" => self.sql.ident(column),
                _ => self.sql.raw("id"),
            };
            self.sql.raw(&format!(" <> (select id from \"~anchor{number}\")"));
        }
        let bounds = nearest.min.iter().map(|min| (">=", min));
        let bounds = bounds.chain(nearest.max.iter().map(|max| ("<=", max)));
        for (op, bound) in bounds.filter(|_| below) {
            self.sql.raw(" and ");
            self.distance(alias, nearest);
            self.sql.raw(" ").raw(op).raw(" ").param(Some(bound.clone()));
        }
    }

    fn exists(&mut self, scope: Scope, embed: &Embed) {
        let alias = self.alias();
        self.sql.raw("exists (select from ");
        self.table(&embed.level, &alias);
        let below = Scope { level: &embed.level, alias: &alias, measured: false };
        self.filters(below, Some(Parent { alias: scope.alias, relation: &embed.relation }), true);
        self.sql.raw(")");
    }

    fn cond(&mut self, scope: Scope, cond: &Cond) {
        match cond {
            Cond::Group { all, not, parts } => {
                self.sql.raw(if *not { "not (" } else { "(" });
                for (at, part) in parts.iter().enumerate() {
                    self.sql.raw(match (at, all) {
                        (0, _) => "",
                        (_, true) => " and ",
                        (_, false) => " or ",
                    });
                    self.cond(scope, part);
                }
                self.sql.raw(")");
            }
            Cond::Test { operand, not, test } => {
                self.sql.raw(if *not { "not (" } else { "" });
                self.test(scope, operand, test);
                self.sql.raw(if *not { ")" } else { "" });
            }
            Cond::Embed { index, exists } => {
                self.sql.raw(if *exists { "" } else { "not " });
                self.exists(scope, &scope.level.embeds[*index]);
            }
        }
    }

    pub(super) fn test(&mut self, scope: Scope, operand: &Operand, test: &Test) {
        match test {
            Test::Binary { op, value } => {
                self.operand(scope, operand);
                self.sql.raw(" ").raw(op).raw(" ").param(Some(value.clone()));
            }
            Test::Element { op, value } => {
                self.sql.raw("exists (select from unnest(");
                self.operand(scope, operand);
                self.sql.raw(") e where e ").raw(op).raw(" ").param(Some(value.clone())).raw(")");
            }
            Test::Each { op, each, array } => {
                self.operand(scope, operand);
                self.sql.raw(" ").raw(op).raw(match each {
                    Each::Any => " any (",
                    Each::All => " all (",
                });
                self.sql.param(Some(array.clone())).raw(")");
            }
            Test::Is(what) => {
                self.operand(scope, operand);
                self.sql.raw(" is ").raw(what);
            }
            Test::Distinct(value) => {
                self.operand(scope, operand);
                self.sql.raw(" is distinct from ").param(Some(value.clone()));
            }
            Test::Lookup { not, bound, .. } => {
                self.lookup(scope, operand, *not, bound.as_deref().unwrap_or_default());
            }
            Test::Search { column, language, function, value } => {
                self.words(scope, operand, column.as_deref(), language);
                self.sql.raw(" @@ ").raw(function).raw("(").raw(&literal(language)).raw(", ");
                self.sql.param(Some(value.clone())).raw(")");
            }
        }
    }

    /// The words of an operand, from the column that holds them ready if there is one.
    pub(super) fn words(
        &mut self,
        scope: Scope,
        operand: &Operand,
        column: Option<&str>,
        language: &str,
    ) {
        if let Some(column) = column {
            self.sql.raw(scope.alias).raw(".").ident(column);
            return;
        }
        self.sql.raw("to_tsvector(").raw(&literal(language)).raw(", ");
        self.operand(scope, operand);
        self.sql.raw(")");
    }

    /// One `->key`. The key's type is said, because JSON can be entered by text and by number.
    pub(super) fn step(&mut self, step: &Step) {
        self.sql.raw(if step.as_text { " ->> " } else { " -> " });
        match &step.key {
            StepKey::Index(index) => self.sql.raw(&index.to_string()),
            StepKey::Name(name) => self.sql.param(Some(name.clone())).raw("::text"),
        };
    }
}
