//! Sealed values and lookups of them to SQL.

use super::{Renderer, Scope, near::no_filters};
use crate::{
    entity::{Entity, Field, Kind, VectorForm, lookup_column},
    query::{
        level::{Form, Level, Operand, Shown},
        sealed,
        value::array_literal,
    },
};

impl Renderer {
    /// A field of a row as a dump gives it, vectors as arrays of numbers.
    pub(crate) fn dumped(&mut self, level: &Level, entity: &Entity, field: &Field, alias: &str) {
        let scope = Scope { level, alias, measured: false };
        if let Some(Form::Sealed(shown)) = sealed::shown(entity, field) {
            return self.sealed(scope, &shown);
        }
        self.operand(scope, &Operand::Column(field.name.to_string()));
        if matches!(&field.kind, Kind::Vector(vector) if matches!(vector.form, VectorForm::Vector | VectorForm::Halfvec))
        {
            self.sql.raw("::text::json");
        }
    }

    /// A sealed value with the mark by which it is found in the answer and where it belongs. Row and owner are said by the
    /// row itself, so that a value that was moved there does not open.
    pub(super) fn sealed(&mut self, scope: Scope, shown: &Shown) {
        let alias = scope.alias;
        let operand = Operand::Column(shown.field.to_string());
        let tag = self.tag.clone();
        self.sql.raw("(");
        match self.tag_param {
            Some(number) => {
                self.sql.raw(&format!("${number}"));
            }
            None => {
                self.sql.param(tag);
                self.tag_param = Some(self.sql.params().len());
            }
        }
        let place: String = format!("{}\0{}", shown.entity, shown.field)
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.sql.raw(&format!("::text || ':{place}:' || {alias}.id || ':' || "));
        self.owner(shown, alias);
        self.sql.raw(" || ':' || encode(");
        self.operand(scope, &operand);
        self.sql.raw(", 'hex') || ':')");
    }

    /// [`crate::query::Query::sealed_page`].
    pub(crate) fn sealed_page(&mut self, level: &Level, shown: &Shown, after: &str, most: u64) {
        let alias = self.alias();
        self.sql.raw("select string_agg(r.line, E'\\n' order by r.id) as body, count(*) as rows from (select ");
        self.sql.raw(&alias).raw(".id, ");
        self.line(level, shown, &alias);
        self.sql.raw(" as line from ");
        self.fitting_sealed(level, shown, &alias);
        self.sql.raw(" and ").raw(&alias).raw(".id > ").param(Some(after.to_owned()));
        self.sql.raw("::uuid order by ").raw(&alias).raw(".id limit ");
        self.sql.param(Some(most.to_string())).raw(") r");
    }

    /// [`crate::query::Query::sealed_count`].
    pub(crate) fn sealed_count(&mut self, level: &Level, shown: &Shown, most: u64) {
        let alias = self.alias();
        self.sql.raw("select count(*) from (select from ");
        self.fitting_sealed(level, shown, &alias);
        self.sql.raw(" limit ").param(Some(most.to_string())).raw(") r");
    }

    /// [`crate::query::Query::sealed_anchor`].
    pub(crate) fn sealed_anchor(
        &mut self,
        level: &Level,
        shown: &Shown,
        column: &str,
        value: &str,
    ) {
        let alias = self.alias();
        self.sql.raw("select ");
        self.line(level, shown, &alias);
        self.sql.raw(" as body from ");
        self.table(level, &alias);
        self.sql.raw(" where ").raw(&alias).raw(".").ident(column).raw(" = ");
        self.sql.param(Some(value.to_owned()));
        for cut in level.cuts.iter().filter(|cut| cut.deletes()) {
            self.sql.raw(" and ").raw(&cut.spares(&alias));
        }
    }

    /// `table where …` of the rows that fit and have a vector that has not expired.
    fn fitting_sealed(&mut self, level: &Level, shown: &Shown, alias: &str) {
        self.table(level, alias);
        let scope = Scope { level, alias, measured: false };
        self.filters(scope, None, false);
        self.and(&mut no_filters(level));
        self.operand(scope, &Operand::Column(shown.field.to_string()));
        self.sql.raw(" is not null");
    }

    /// `id:owner:value`; null without a value.
    fn line(&mut self, level: &Level, shown: &Shown, alias: &str) {
        self.sql.raw(alias).raw(".id::text || ':' || ");
        self.owner(shown, alias);
        self.sql.raw(" || ':' || encode(");
        let scope = Scope { level, alias, measured: false };
        self.operand(scope, &Operand::Column(shown.field.to_string()));
        self.sql.raw(", 'hex')");
    }

    fn owner(&mut self, shown: &Shown, alias: &str) {
        match &shown.owner {
            Some(owner) => {
                self.sql.raw("coalesce(").raw(alias).raw(".").ident(owner).raw("::text, '')");
            }
            None => {
                self.sql.raw("''");
            }
        }
    }

    /// Whether the blind index is among those bound. What has expired is not found by what it was.
    pub(super) fn lookup(&mut self, scope: Scope, operand: &Operand, not: bool, bound: &[String]) {
        let Operand::Column(field) = operand else { return };
        let bound = bound.iter().map(|digits| format!("\\x{digits}"));
        self.sql.raw("(").raw(scope.alias).raw(".").ident(&lookup_column(field));
        self.sql.raw(if not { " <> all (" } else { " = any (" });
        self.sql.param(Some(array_literal(bound))).raw("::bytea[])");
        let cuts: Vec<String> =
            scope.level.cuts_of(field).map(|cut| cut.spares(scope.alias)).collect();
        for spared in cuts {
            self.sql.raw(" and ").raw(&spared);
        }
        self.sql.raw(")");
    }
}
