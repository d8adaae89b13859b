//! Vectors that are searched in a copy beside their table.
//!
//! Wherever a plain vector is read as a column, one of these is looked up by the row's key; where all rows are measured, the
//! two tables are joined, or the copy alone is read if nothing else is asked of a row. A copy that is not whole would leave rows out, so every statement that reads one also asks
//! whether it is, in the same snapshot, and fails if it is not.

use super::Renderer;
use crate::{
    ddl::copy::COLUMN,
    query::level::{Level, Nearest},
    sql::{ident, literal},
};

impl Renderer {
    /// The vector of a row that `nearest` is about.
    pub(super) fn vector_of(&mut self, alias: &str, nearest: &Nearest) {
        let Some(copy) = &nearest.copy else {
            self.sql.raw(alias).raw(".").ident(&nearest.field);
            return;
        };
        match &self.joined {
            Some((of, joined)) if of == alias => {
                self.sql.raw(&format!("{joined}.{COLUMN}"));
            }
            _ => {
                self.sql.raw(&format!("(select c.{COLUMN} from ")).table(copy);
                self.sql.raw(&format!(
                    " c where c.tenant_id = {alias}.tenant_id and c.id = {alias}.id)"
                ));
            }
        }
    }

    /// The copy will be joined to the table of this alias; or stand in its place if it is `alone`, and nothing but the vector is
    /// asked of a row.
    pub(super) fn join_copy(&mut self, alias: &str, nearest: &Nearest, alone: bool) {
        self.joined = match (&nearest.copy, alone) {
            (Some(_), true) => Some((alias.to_owned(), alias.to_owned())),
            (Some(_), false) => Some((alias.to_owned(), self.alias())),
            (None, _) => None,
        };
    }

    /// The table whose rows are measured: `app."entity" t0`, with ` join app."copy" t1 on …` behind it, or the copy alone.
    pub(super) fn measured_table(&mut self, level: &Level, nearest: &Nearest, alias: &str) {
        let (Some(copy), Some((_, joined))) = (&nearest.copy, self.joined.clone()) else {
            return self.table(level, alias);
        };
        if joined == alias {
            self.sql.table(copy).raw(" ").raw(alias);
            return;
        }
        self.table(level, alias);
        self.sql.raw(" join ").table(copy);
        self.sql.raw(&format!(
            " {joined} on {joined}.tenant_id = {alias}.tenant_id and {joined}.id = {alias}.id"
        ));
    }

    /// `, … as copies`: that all copies which are read are whole; else the statement fails. It is so if that is noted, or no row
    /// lacks its copy.
    pub(super) fn copies(&mut self, level: &Level) {
        let mut asked: Vec<&str> = Vec::new();
        for level in level.walk() {
            for nearest in &level.nearest {
                let Some(copy) = nearest.copy.as_deref().filter(|copy| !asked.contains(copy))
                else {
                    continue;
                };
                self.sql.raw(if asked.is_empty() { ", (" } else { " and " });
                asked.push(copy);
                let table = literal(&format!("app.{}", ident(copy)));
                self.sql.raw(&format!(
                    "case when freehold.copy_is_whole({table}::regclass) then true when not exists (select from "
                ));
                self.sql.table(&level.entity).raw(" m where m.").ident(&nearest.field);
                self.sql.raw(" is not null and not exists (select from ").table(copy);
                self.sql.raw(
                    " c where c.tenant_id = m.tenant_id and c.id = m.id)) then true else freehold.copy_refused(",
                );
                self.sql.raw(&literal(&level.entity)).raw(", ").raw(&literal(&nearest.field));
                self.sql.raw(") end");
            }
        }
        self.sql.raw(if asked.is_empty() { "" } else { ") as copies" });
    }
}
