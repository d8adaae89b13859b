//! The register of processing for people: as JSON, Markdown or HTML; and what is one person's, in a file.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use freehold_engine::{Engine, Files, Tenant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cli,
    command::{Site, model::counted},
    config::Config,
    output::{self, Failure},
};

/// The tables of the register: a heading, where it is in the JSON, and its columns.
const TABLES: [(&str, &str, &[&str]); 4] = [
    ("Classes", "classes", &["class", "purpose", "basis", "retention", "recipients", "about"]),
    (
        "Fields",
        "fields",
        &["entity", "field", "class", "whose", "stored", "lookup", "kept", "expiry", "opens"],
    ),
    ("Not personal", "not_personal", &["entity", "field", "why", "says_less_of", "expiry"]),
    ("When a person is erased", "people", &["entity", "reference", "on_erase"]),
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
        cli::Privacy::Export { entity, id, tenant, file, without_files } => {
            let tenant = engine.tenant(&tenant).await?;
            return export(config, &engine, &tenant, (&entity, id), &file, !without_files).await;
        }
    }
    Ok(())
}

async fn export(
    config: &Config,
    engine: &Engine,
    tenant: &Tenant,
    (entity, person): (&str, Uuid),
    file: &Path,
    with_files: bool,
) -> Result<(), Failure> {
    // For its owner alone: it is in the clear.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let made = opened.map_err(|error| output::at("made", file, &error))?;
    let mut writer = BufWriter::new(made);
    let mut folder = file.as_os_str().to_owned();
    folder.push(".files");
    let folder = PathBuf::from(folder);
    let mut files = with_files.then(|| Files::in_folder(folder.clone()));
    let rows = engine.export_person(tenant, entity, person, &mut writer, files.as_mut()).await?;
    writer.flush().map_err(|error| output::at("written", file, &error))?;
    let (written, lost) = files.map_or((0, 0), |files| (files.written, files.lost));
    if config.json {
        output::say(json!({
            "rows": rows, "file": file.display().to_string(), "encrypted": false,
            "files": written, "lost": lost, "folder": (written > 0).then(|| folder.display().to_string()),
        }));
    } else {
        output::say(format!("{} in {}", counted(rows as usize, "row"), file.display()));
        if written > 0 {
            output::say(format!("{} in {}", counted(written as usize, "file"), folder.display()));
        }
        if lost > 0 {
            output::note(format!("{} lost: freehold blobs verify", counted(lost as usize, "file")));
        }
        output::note("it is not encrypted; only its owner can read it");
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
