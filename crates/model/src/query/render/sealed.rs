//! Sealed values and lookups of them to SQL.

use super::{Renderer, Scope};
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
        match &shown.owner {
            Some(owner) => {
                self.sql.raw("coalesce(").raw(alias).raw(".").ident(owner).raw("::text, '')");
            }
            None => {
                self.sql.raw("''");
            }
        }
        self.sql.raw(" || ':' || encode(");
        self.operand(scope, &operand);
        self.sql.raw(", 'hex') || ':')");
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
