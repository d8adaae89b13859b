//! Answers of PostgreSQL, and its words about what was typed.

use std::fmt::Write as _;

use freehold_engine::{Complaint, Table, script};
use serde_json::{Map, Value, json};

use super::super::model::counted;
use crate::output;

/// Longest cell of a table on a terminal, in characters: vectors are longer than a screen.
const CELL_MAX: usize = 100;

/// How rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Columns under their titles.
    Aligned {
        /// Whether long values are cut.
        cut: bool,
    },
    /// A line for each value.
    Expanded,
    Csv,
    /// One object for each statement.
    Json,
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'a> {
    pub(super) file: Option<&'a str>,
    /// Lines before it.
    pub(super) lines: usize,
}

/// Shows what a statement answered.
pub(super) fn answer(statement: &str, table: &Table, form: Form) {
    match form {
        Form::Json => {
            output::say(json!({
                "columns": table.columns, "rows": table.rows, "count": table.count,
            }));
            return;
        }
        _ if table.columns.is_empty() => {}
        Form::Csv => csv(table),
        Form::Expanded => expanded(table),
        Form::Aligned { cut } => {
            let titles: Vec<&str> = table.columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = table
                .rows
                .iter()
                .map(|row| row.iter().map(|cell| shown(cell.as_deref(), cut)).collect())
                .collect();
            output::table(&titles, &rows);
        }
    }
    if form != Form::Csv {
        output::note(tag(statement, table));
    }
}

/// Shows PostgreSQL's own words, with the place they are about.
pub(super) fn complaint(statement: &str, said: &Complaint, place: Place<'_>, form: Form) {
    let at = said.position.map(|position| spot(statement, position));
    let line = at.as_ref().map(|(line, ..)| place.lines + line);
    if form == Form::Json {
        output::tell(json!({
            "code": said.state, "message": said.message, "details": said.detail, "hint": said.hint,
            "line": line, "column": at.map(|(_, column, _)| column),
        }));
        return;
    }
    let mut text = format!("refused: {} [{}]", said.message, said.state);
    if let (Some((_, column, source)), Some(line)) = (at, line) {
        let head = match place.file {
            Some(file) => format!("  {file}:{line}: "),
            None => format!("  line {line}: "),
        };
        let under = " ".repeat(head.chars().count() + column - 1);
        let _ = write!(text, "\n{head}{source}\n{under}^");
    }
    for (title, words) in [("detail", &said.detail), ("hint", &said.hint)] {
        if let Some(words) = words {
            let _ = write!(text, "\n  {title}: {words}");
        }
    }
    output::tell(text);
}

/// Rows of our own, such as those of `\d`.
pub(super) fn rows(titles: &[&str], rows: &[Vec<String>], form: Form) {
    if form == Form::Json {
        for row in rows {
            let object: Map<String, Value> = titles
                .iter()
                .zip(row)
                .map(|(title, cell)| ((*title).to_owned(), cell.as_str().into()))
                .collect();
            output::say(Value::Object(object));
        }
        return;
    }
    output::table(titles, rows);
}

fn csv(table: &Table) {
    let field = |text: &str| match text.contains([',', '"', '\n', '\r']) || text.is_empty() {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let line = |cells: Vec<String>| output::say(cells.join(","));
    line(table.columns.iter().map(|name| field(name)).collect());
    for row in &table.rows {
        // Null is nothing, an empty text is a pair of quotes, as in COPY.
        line(row.iter().map(|cell| cell.as_deref().map_or_else(String::new, field)).collect());
    }
}

fn expanded(table: &Table) {
    let width = table.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (number, row) in table.rows.iter().enumerate() {
        output::say(format!("── {} ──", number + 1));
        for (name, cell) in table.columns.iter().zip(row) {
            let gap = " ".repeat(width - name.chars().count());
            output::say(format!("{name}{gap}  {}", cell.as_deref().unwrap_or("∅")));
        }
    }
}

fn shown(cell: Option<&str>, cut: bool) -> String {
    let Some(cell) = cell else { return "∅".into() };
    let line = cell.replace('\n', "⏎").replace('\r', "").replace('\t', " ");
    if cut && line.chars().count() > CELL_MAX {
        return line.chars().take(CELL_MAX - 1).chain(['…']).collect();
    }
    line
}

/// How many rows, or what was done if it was not about rows.
fn tag(statement: &str, table: &Table) -> String {
    let words = script::words(statement);
    let first = words.first().map_or("", String::as_str);
    let about_rows = matches!(
        first,
        "insert" | "update" | "delete" | "merge" | "with" | "fetch" | "move" | "execute"
    );
    if table.columns.is_empty() && !about_rows {
        return first.to_owned();
    }
    counted(usize::try_from(table.count).unwrap_or(usize::MAX), "row")
}

/// The line and column, from 1, of a character, and the text of that line.
fn spot(statement: &str, position: usize) -> (usize, usize, String) {
    let before: String = statement.chars().take(position.saturating_sub(1)).collect();
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let source = statement.lines().nth(line).unwrap_or_default();
    (line + 1, column, source.replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_characters() {
        assert_eq!(spot("select 'ß',\n  x", 15), (2, 3, "  x".to_owned()));
        assert_eq!(spot("x", 1), (1, 1, "x".to_owned()));
        assert_eq!(spot("x", 2), (1, 2, "x".to_owned()));
    }

    #[test]
    fn a_long_cell_is_cut_on_a_terminal_only() {
        let long = "ä".repeat(300);
        assert_eq!(shown(Some(&long), true).chars().count(), CELL_MAX);
        assert_eq!(shown(Some(&long), false), long);
        assert_eq!(shown(Some("a\nb"), false), "a⏎b");
    }
}
