//! `docs/read-forms.md`: the forms of `forms.sql` for whoever writes read models. `UPDATE_EXPECT=1` writes it.

use std::{fmt::Write as _, fs, path::PathBuf};

use freehold_model::declare::{self, Checked};

use crate::{BASE, Form, Part, file, parts, view};

const BEGIN: &str = "# Forms of read models

What SQL a [read model](read-models.md) can be, form by form. This page is made by a test, which also keeps every accepted form
beside random changes of two tenants' rows and compares it with its SQL run plainly.

The forms are about these entities:

```toml
";

/// Mistakes, not forms: `freehold check` says what is wrong with them.
const MISTAKES: [&str; 3] = ["Refused: names", "Refused: types and functions", "Refused: no SQL"];

#[test]
fn forms_are_documented() {
    let mut page = format!("{BEGIN}{BASE}```\n");
    let mut kept = true;
    for part in parts() {
        match part {
            Part::Title(title) => {
                kept = !MISTAKES.contains(&&*title);
                if kept {
                    let _ = write!(page, "\n## {title}\n\n{}", head(title.starts_with("Refused")));
                }
            }
            Part::Form(form) if kept => page.push_str(&row(&form)),
            Part::Form(_) => {}
        }
    }
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/read-forms.md"));
    #[allow(clippy::disallowed_methods, reason = "asked for by hand, in tests only")]
    if std::env::var("UPDATE_EXPECT").is_ok() {
        fs::write(&path, &page).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/read-forms.md differs; UPDATE_EXPECT=1 writes what is now");
}

fn head(refused: bool) -> &'static str {
    if refused {
        "| SQL | why not | instead |\n|---|---|---|\n"
    } else {
        "| key | SQL | recomputed together |\n|---|---|---|\n"
    }
}

fn row(form: &Form) -> String {
    let text = file(form);
    let sql = code(&form.sql);
    match declare::read(&text) {
        Err(errors) => {
            let help = errors[0].help.as_deref().unwrap_or_default();
            format!("| {sql} | {} | {} |\n", plain(&errors[0].message), plain(help))
        }
        Ok(Checked { model, warnings }) => {
            let unit: Vec<&str> = view(&model).unit().iter().map(|name| &**name).collect();
            let with = form.with.lines().fold(String::new(), |mut all, line| {
                let _ = write!(all, "<br>{}", code(line));
                all
            });
            let warned = if warnings.is_empty() { "" } else { "; with a warning" };
            format!("| {} | {sql}{with} | {}{warned} |\n", form.key, unit.join(", "))
        }
    }
}

// In one line, as the cell of a table.
fn code(sql: &str) -> String {
    let line: Vec<&str> = sql.split_whitespace().collect();
    format!("`{}`", plain(&line.join(" ")))
}

fn plain(text: &str) -> String {
    text.replace('|', "\\|")
}
