//! SQL text as a type: only this crate can make it, so no caller's text ever becomes a statement.

use std::{fmt::Write as _, ops::Range};

/// How the name of an entity's table begins.
const TABLE: &[u8] = b"app.\"";

/// A statement and its parameters. Every parameter is sent in text format with its type left for PostgreSQL to
/// infer, `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sql {
    text: String,
    params: Vec<Option<String>>,
    /// Where tables are read from, in the text, and which of their columns; nothing said of those: all.
    tables: Vec<(Range<usize>, String)>,
    /// Where conditions on rows to be changed end, and the rows' alias.
    targets: Vec<(usize, String)>,
    /// Whose tables it reads or changes.
    entities: Vec<String>,
    writes: bool,
    settings: String,
}

impl Sql {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A statement of this crate's own, with `$1`, `$2` … in it.
    pub(crate) fn with(text: &str, params: Vec<Option<String>>) -> Self {
        Self { text: text.to_owned(), params, ..Self::default() }
    }

    /// What has to be set in its transaction before it: statements of their own, separated by `;`, or nothing.
    #[must_use]
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// The same statement in a transaction with these settings.
    pub(crate) fn within(mut self, settings: String) -> Self {
        self.settings = settings;
        self
    }

    /// The statement with `$1`, `$2` … where parameters go.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same statement for one tenant, whose id it names beside the wall wherever it reads or changes a table: it is
    /// planned for the tenant's partitions alone, and locks no others. `tenant` is a UUID in text form.
    #[must_use]
    pub fn text_for(&self, tenant: &str) -> String {
        let is_id = tenant.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        if !is_id {
            return self.text.clone();
        }
        let read = |(table, columns): &(Range<usize>, String)| {
            let name = &self.text[table.clone()];
            let columns = if columns.is_empty() { "*" } else { columns };
            let piece =
                format!("(select {columns} from {name} where tenant_id = '{tenant}'::uuid)");
            (table.clone(), piece)
        };
        let change = |(end, alias): &(usize, String)| {
            (*end..*end, format!(" and {alias}.tenant_id = '{tenant}'::uuid"))
        };
        let mut pieces: Vec<_> = self.tables.iter().map(read).collect();
        pieces.extend(self.targets.iter().map(change));
        pieces.sort_by_key(|(place, _)| place.start);
        let mut text = self.text.clone();
        for (place, piece) in pieces.into_iter().rev() {
            text.replace_range(place, &piece);
        }
        text
    }

    /// The tables that it reads or changes, as [`Sql::text_for`] names a tenant in them; some may be there twice.
    #[must_use]
    pub fn entities(&self) -> &[String] {
        &self.entities
    }

    /// Whether it changes rows of the model's tables, whose references are looked after then.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The parameters in order.
    #[must_use]
    pub fn params(&self) -> &[Option<String>] {
        &self.params
    }

    /// Any text as a statement, for tests of the rooms that run statements.
    #[cfg(feature = "any-sql")]
    #[must_use]
    pub fn any(text: &str, params: Vec<Option<String>>) -> Self {
        Self { text: text.to_owned(), params, ..Self::default() }
    }

    /// The same statement with these parameters.
    #[cfg(test)]
    pub(crate) fn with_params(&self, params: Vec<Option<String>>) -> Self {
        Self { params, ..self.clone() }
    }

    /// Appends text of this crate's own.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a quoted identifier.
    pub(crate) fn ident(&mut self, name: &str) -> &mut Self {
        self.text.push_str(&ident(name));
        self
    }

    /// Appends the table of an entity, to be read from.
    pub(crate) fn table(&mut self, entity: &str) -> &mut Self {
        let begin = self.text.len();
        self.raw("app.").ident(entity);
        self.tables.push((begin..self.text.len(), String::new()));
        self.entities.push(entity.to_owned());
        self
    }

    /// Appends the table of an entity whose rows are changed or locked; where the condition on them ends is to be said.
    pub(crate) fn target(&mut self, entity: &str) -> &mut Self {
        self.entities.push(entity.to_owned());
        self.raw("app.").ident(entity)
    }

    /// The table of an entity that was appended as text, and what follows it, is read from; if it is there.
    pub(crate) fn mark_table(&mut self, entity: &str, followed: &str) {
        let table = format!("app.{}", ident(entity));
        if let Some(begin) = self.text.find(&format!("{table}{followed}")) {
            self.tables.push((begin..begin + table.len(), String::new()));
            self.entities.push(entity.to_owned());
        }
    }

    /// Finds the tables that are read as `app."name" as t1` and so on, outside of quotes; `columns` lists those that may be read of
    /// each, and leaves alone what it does not know.
    pub(crate) fn reading(mut self, columns: impl Fn(&str) -> Option<String>) -> Self {
        let mut at = 0;
        while let Some(byte) = self.text.as_bytes().get(at) {
            // Also of what is quoted within quotes: that is two of them, one behind the other.
            let closed = |from: usize| {
                let end = self.text[from..].find(char::from(*byte));
                end.map_or(self.text.len(), |end| from + end + 1)
            };
            at = match byte {
                b'\'' | b'"' => closed(at + 1),
                _ if self.text.as_bytes()[at..].starts_with(TABLE) => {
                    let from = at + TABLE.len();
                    let end = self.text[from..].find('"').map_or(self.text.len(), |end| from + end);
                    let name = self.text[from..end].to_owned();
                    let read = self.text[end..].starts_with("\" as t").then(|| columns(&name));
                    if let Some(columns) = read.flatten() {
                        self.tables.push((at..end + 1, columns));
                        self.entities.push(name);
                    }
                    end + 1
                }
                _ => at + 1,
            };
        }
        self
    }

    /// Says that rows of the model's tables are changed.
    pub(crate) fn writing(&mut self) -> &mut Self {
        self.writes = true;
        self
    }

    /// Here ends a condition, of one term or several joined by `and`, on the rows called `alias` that are to be changed.
    pub(crate) fn target_ends(&mut self, alias: &str) -> &mut Self {
        self.targets.push((self.text.len(), alias.to_owned()));
        self
    }

    /// Appends a placeholder bound to `value`.
    pub(crate) fn param(&mut self, value: Option<String>) -> &mut Self {
        self.params.push(value);
        let _ = write!(self.text, "${}", self.params.len());
        self
    }
}

/// `name` as an SQL identifier, always quoted.
#[must_use]
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as an SQL string constant that reads the same whatever `standard_conforming_strings` says.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::Sql;

    #[test]
    fn tables_that_are_read_are_found_outside_of_quotes() {
        let text = "with c as (select t1.\"a\" from app.\"one\" as t1 left join app.\"two\" as t2 on t1.\"b\" = 'it''s app.\"one\" as t1' \
                    where \"odd app.\"\"one\"\" as t9\" = E'\\\\' and t2.\"ö\" = 'ü'), put as (insert into app.\"made\" as r (\"a\") select a from c) \
                    select from app.\"one\" as t3";
        let columns = |name: &str| match name {
            "one" => Some("\"a\", \"b\"".to_owned()),
            "two" => Some("\"ö\"".to_owned()),
            _ => None,
        };
        let sql = Sql::with(text, Vec::new()).reading(columns);
        assert_eq!(sql.entities(), ["one", "two", "one"]);
        let id = "00000000-0000-4000-8000-000000000001";
        let one =
            format!("(select \"a\", \"b\" from app.\"one\" where tenant_id = '{id}'::uuid) as t");
        let two =
            format!("(select \"ö\" from app.\"two\" where tenant_id = '{id}'::uuid) as t2 on");
        let named = text
            .replacen("app.\"one\" as t1 left", &format!("{one}1 left"), 1)
            .replacen("app.\"two\" as t2 on", &two, 1)
            .replacen("app.\"one\" as t3", &format!("{one}3"), 1);
        assert_eq!(sql.text_for(id), named);
        assert_eq!(sql.text(), text);
        assert_eq!(sql.text_for("' or true"), text, "what is no id is not named");
    }
}
