//! `forms.sql` and what becomes of each form, in `forms.txt`. `UPDATE_EXPECT=1` writes what is now.

use std::{fmt::Write as _, fs};

use freehold_model::{
    Diagnostic,
    declare::{self, Checked},
    view::{Reach, Source},
};

use crate::{Form, Part, file, folder, parts, view};

#[test]
fn forms() {
    let mut shown = String::new();
    for part in parts() {
        let _ = match part {
            Part::Title(title) => writeln!(shown, "## {title}\n"),
            Part::Form(form) => writeln!(shown, "key {}\n{}{}", form.key, form.sql, outcome(&form)),
        };
    }
    let path = folder().join("forms.txt");
    #[allow(clippy::disallowed_methods, reason = "asked for by hand, in tests only")]
    if std::env::var("UPDATE_EXPECT").is_ok() {
        fs::write(&path, &shown).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == shown, "forms.txt differs; UPDATE_EXPECT=1 writes what is now:\n{shown}");
}

fn outcome(form: &Form) -> String {
    let text = file(form);
    match declare::read(&text) {
        Err(errors) => errors.iter().map(|error| refusal(&text, error)).collect(),
        Ok(Checked { model, warnings }) => {
            let view = view(&model);
            let columns: Vec<String> = view
                .shape()
                .fields
                .iter()
                .map(|field| {
                    let null = if field.optional { "?" } else { "" };
                    format!("{} {}{null}", field.name, field.kind.sql_type())
                })
                .collect();
            let unit: Vec<&str> = view.unit().iter().map(|name| &**name).collect();
            let mut shown = format!("  by {} → {}\n", unit.join(", "), columns.join(", "));
            view.sources().iter().for_each(|one| shown.push_str(&source(one)));
            warnings.iter().for_each(|warning| shown.push_str(&refusal(&text, warning)));
            shown
        }
    }
}

fn source(source: &Source) -> String {
    let names = |all: &[freehold_model::Name]| {
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let reach: Vec<String> = source
        .reach
        .iter()
        .map(|reach| match reach {
            Reach::Direct => "direct".into(),
            Reach::Path(path) => format!("over {}", names(path)),
        })
        .collect();
    format!(
        "  {}: {}; links {} of {}\n",
        source.entity,
        reach.join(", and "),
        names(&source.links),
        names(&source.used)
    )
}

fn refusal(text: &str, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.labels[0].span.clone();
    let place = text[span].lines().next().unwrap_or_default();
    format!(
        "  {}: {}\n    at {place}\n    {}\n",
        diagnostic.code,
        diagnostic.message,
        diagnostic.help.as_deref().unwrap_or_default()
    )
}
