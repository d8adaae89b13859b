//! Columns: what a field needs of them, and their grants.

use crate::{
    ddl::{
        anonymous,
        naming::{list, root, search_column},
    },
    entity::{DefaultValue, Field, Kind, Scalar, Vector, lookup_column},
    sql::{ident, literal},
};

/// A column as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) sql_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    pub(crate) generated: Option<String>,
    /// Sealed: its bytes do not get smaller.
    pub(crate) sealed: bool,
    /// Kept in the row as long as the row fits its page. pgvector asks for external storage, which sends a vector out
    /// of line as soon as the row passes 2 kB: an exact search then reads it piece by piece (768 dimensions, 4,000
    /// rows: 11.5 ms instead of 3.3). `plain` would be as fast, but refuses rows wider than a page.
    pub(crate) in_line: bool,
    /// Whether PostgreSQL samples its values for the planner. `explain` shows estimates made from the samples of all
    /// tenants, out of which a value can be read letter by letter: so only where the model lists the values.
    pub(crate) sampled: bool,
}

impl Column {
    /// The column of the field itself.
    pub(crate) fn of(field: &Field) -> Self {
        Self {
            name: field.name.to_string(),
            sql_type: field.sql_type(),
            not_null: !field.optional && made_from(field).is_none(),
            default: field.default.as_ref().map(|value| default(value, &field.kind)),
            generated: None,
            sealed: field.sealed().is_some(),
            in_line: matches!(field.kind, Kind::Vector(_)) && field.sealed().is_none(),
            sampled: matches!(field.kind, Kind::Enum(_) | Kind::Scalar(Scalar::Boolean))
                && field.sealed().is_none(),
        }
    }

    /// The column of the blind index by which a sealed field is found, if it is to be.
    pub(crate) fn lookup_of(field: &Field) -> Option<Self> {
        field.lookup().map(|_| Self {
            name: lookup_column(&field.name),
            sql_type: Scalar::Bytea.sql_type(),
            not_null: !field.optional,
            default: None,
            generated: None,
            sealed: false,
            in_line: false,
            sampled: false,
        })
    }

    /// The hidden columns beside that of the field.
    pub(crate) fn beside(field: &Field) -> impl Iterator<Item = Self> {
        Self::search_of(field).into_iter().chain(Self::lookup_of(field))
    }

    /// The generated column that makes the field searchable by words, if it is to be.
    pub(crate) fn search_of(field: &Field) -> Option<Self> {
        let language = field.search.as_ref()?;
        let config = literal(&format!("pg_catalog.{language}"));
        Some(Self {
            name: search_column(&field.name),
            sql_type: "tsvector".into(),
            not_null: false,
            default: None,
            generated: Some(format!(
                "pg_catalog.to_tsvector({config}::regconfig, coalesce({}, ''))",
                ident(&field.name)
            )),
            sealed: false,
            in_line: false,
            sampled: false,
        })
    }

    /// Its part of `create table` or `add column`.
    pub(crate) fn definition(&self) -> String {
        let mut text = format!("{} {}", ident(&self.name), self.sql_type);
        if self.not_null {
            text.push_str(" not null");
        }
        if let Some(default) = &self.default {
            text.push_str(&format!(" default {default}"));
        }
        if let Some(expression) = &self.generated {
            text.push_str(&format!(" generated always as ({expression}) stored"));
        }
        text
    }

    /// Adds it to a table that exists, with its grants; `open` says whether requests without a key read it, too.
    pub(crate) fn add(&self, entity: &str, open: bool) -> Vec<String> {
        let mut statements =
            vec![format!("alter table {} add column {}", root(entity), self.definition())];
        statements.extend(self.store(entity));
        if !self.sampled {
            statements.push(self.sample(entity));
        }
        statements.push(grant(entity, std::slice::from_ref(self)));
        if open {
            statements.push(anonymous::grant(entity, std::iter::once(&*self.name)));
        }
        statements
    }

    /// How its values are stored, if not in its type's own way.
    pub(crate) fn store(&self, entity: &str) -> Option<String> {
        let storage = match (self.in_line, self.sealed) {
            (true, _) => "main",
            (_, true) => "external",
            _ => return None,
        };
        Some(format!(
            "alter table {} alter column {} set storage {storage}",
            root(entity),
            ident(&self.name)
        ))
    }

    /// Says whether its values are sampled, to the partitions that are there too. What was sampled before stays.
    pub(crate) fn sample(&self, entity: &str) -> String {
        let target = if self.sampled { -1 } else { 0 };
        format!(
            "alter table {} alter column {} set statistics {target}",
            root(entity),
            ident(&self.name)
        )
    }

    /// Removes it.
    pub(crate) fn remove(&self, entity: &str) -> String {
        format!("alter table {} drop column {}", root(entity), ident(&self.name))
    }
}

/// The vector of a field that is made from texts.
pub(crate) fn made_from(field: &Field) -> Option<&Vector> {
    match &field.kind {
        Kind::Vector(vector) if !vector.of.is_empty() => Some(vector),
        _ => None,
    }
}

/// What servers may do with these columns.
pub(crate) fn grant(entity: &str, columns: &[Column]) -> String {
    let all = list(columns.iter().map(|column| &*column.name));
    let writable = list(
        columns.iter().filter(|column| column.generated.is_none()).map(|column| &*column.name),
    );
    let rights = if writable.is_empty() {
        format!("select ({all})")
    } else {
        format!("select ({all}), insert ({writable}), update ({writable})")
    };
    format!("grant {rights} on {} to freehold_app", root(entity))
}

fn default(value: &DefaultValue, kind: &Kind) -> String {
    match value {
        DefaultValue::Constant(text) => format!("{}::{}", literal(text), kind.sql_type()),
        DefaultValue::Now => "pg_catalog.now()".into(),
        DefaultValue::NewUuid => "freehold.uuidv7()".into(),
    }
}
