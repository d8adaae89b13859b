//! The register of processing for people: as JSON, Markdown or HTML.

use serde_json::Value;
#[cfg(test)]
use serde_json::json;

use super::export;
use crate::{
    cli,
    command::Site,
    config::Config,
    output::{self, Failure},
};

/// The tables of the register: a heading, where it is in the JSON, and its columns.
const TABLES: [(&str, &str, &[&str]); 5] = [
    (
        "Classes",
        "classes",
        &["class", "purpose", "basis", "retention", "source", "recipients", "about"],
    ),
    (
        "Fields",
        "fields",
        &["entity", "field", "class", "whose", "stored", "lookup", "kept", "expiry", "opens"],
    ),
    ("Not personal", "not_personal", &["entity", "field", "why", "says_less_of", "expiry"]),
    ("When a person is erased", "people", &["entity", "reference", "on_erase"]),
    (
        "What was handed over",
        "copies",
        &["made", "tenant", "entity", "person", "for", "whole", "rows", "files"],
    ),
];

pub(in crate::command) async fn privacy(
    config: &Config,
    what: cli::Privacy,
) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    match what {
        cli::Privacy::Report { format } => {
            let register = engine.register().await?;
            output::say(match format {
                _ if config.json => register.to_string(),
                cli::ReportFormat::Json => register.to_string(),
                cli::ReportFormat::Markdown => markdown(&register),
                cli::ReportFormat::Html => html(&register),
            });
        }
        cli::Privacy::Export {
            entity,
            id,
            tenant,
            file,
            recipient,
            recipient_file,
            without_files,
        } => {
            let tenant = engine.tenant(&tenant).await?;
            let whose = export::Whose { tenant: &tenant, entity: &entity, person: id };
            return match export::recipients(recipient, &recipient_file)? {
                Some(for_whom) => {
                    export::encrypted(config, &engine, whose, &for_whom, (&file, !without_files))
                        .await
                }
                None => export::in_the_open(config, &engine, whose, &file, !without_files).await,
            };
        }
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join("; "),
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| format!("{name}: {}", cell(value)))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}

fn rows<'r>(register: &'r Value, place: &str) -> &'r [Value] {
    register[place].as_array().map_or(&[], Vec::as_slice)
}

fn summary(register: &Value) -> Vec<String> {
    vec![
        format!("Model: {}", cell(&register["model"])),
        format!(
            "People with keys: {}; the oldest key is of {}",
            cell(&register["keys"]["people"]),
            cell(&register["keys"]["oldest"])
        ),
        format!("Erasures: {}", cell(&register["erasures"])),
        format!("Legal holds in force: {}", cell(&register["holds"])),
        format!("Opens are those of {} days.", cell(&register["days"])),
    ]
}

fn markdown(register: &Value) -> String {
    let escaped = |text: String| text.replace('|', "\\|").replace('\n', " ");
    let mut text = "# Register of processing\n\n".to_owned();
    summary(register).iter().for_each(|line| text.push_str(&format!("- {line}\n")));
    for (heading, place, columns) in TABLES {
        text.push_str(&format!(
            "\n## {heading}\n\n| {} |\n|{}\n",
            columns.join(" | "),
            "---|".repeat(columns.len())
        ));
        for row in rows(register, place) {
            let cells: Vec<String> =
                columns.iter().map(|column| escaped(cell(&row[*column]))).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    text.push_str("\n## To think about\n\n");
    rows(register, "findings")
        .iter()
        .for_each(|line| text.push_str(&format!("- {}\n", cell(line))));
    text.trim_end().to_owned()
}

fn html(register: &Value) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let list = |lines: Vec<String>| {
        let lines: String =
            lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
        format!("<ul>{lines}</ul>")
    };
    let mut text = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Register of processing</title>\
        <style>body{font:15px/1.5 sans-serif;margin:2em;max-width:80em}table{border-collapse:collapse}\
        td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}</style><h1>Register of processing</h1>"
        .to_owned();
    text.push_str(&list(summary(register)));
    for (heading, place, columns) in TABLES {
        let head: String = columns.iter().map(|column| format!("<th>{column}</th>")).collect();
        let body: String = rows(register, place)
            .iter()
            .map(|row| {
                let cells: String = columns
                    .iter()
                    .map(|column| format!("<td>{}</td>", escaped(&cell(&row[*column]))))
                    .collect();
                format!("<tr>{cells}</tr>")
            })
            .collect();
        text.push_str(&format!("<h2>{heading}</h2><table><tr>{head}</tr>{body}</table>"));
    }
    text.push_str("<h2>To think about</h2>");
    text.push_str(&list(rows(register, "findings").iter().map(cell).collect()));
    text + "</html>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_cannot_become_markup() {
        let register = json!({ "model": "<b>|", "classes": [{ "class": "a|b", "purpose": "<script>" }], "findings": ["x & y"] });
        let page = html(&register);
        assert!(
            page.contains("&lt;script&gt;")
                && !page.contains("<script>")
                && page.contains("x &amp; y")
        );
        assert!(markdown(&register).contains("| a\\|b | <script> |"));
    }
}
