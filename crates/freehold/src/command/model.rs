//! `init`, `check`, `schema`: the model file itself; nothing here needs a database.

use std::{fs, path::Path};

use freehold_engine::{Code, Refusal};
use freehold_model::declare;
use miette::Severity;
use serde_json::json;

use crate::{
    config::Config,
    output::{self, Failure, REFUSED},
};

pub(super) fn init(config: &Config, force: bool) -> Result<(), Failure> {
    let file = &config.model_file;
    if file.exists() && !force {
        return Err(Refusal::new(Code::Usage, format!("{} is there already", file.display()))
            .hint("--force overwrites it, --model names another file")
            .into());
    }
    fs::write(file, declare::TEMPLATE).map_err(|error| output::at("written", file, &error))?;
    output::note(format!("{} written: read it, change it, then `freehold check`", file.display()));
    Ok(())
}

pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let (text, checked) = read(config)?;
    let file = config.model_file.display().to_string();
    output::diagnostics(&file, &text, &checked.warnings, Severity::Warning, config.json);
    let fields: usize = checked.model.entities().iter().map(|entity| entity.fields.len()).sum();
    let entities = checked.model.entities().len();
    let reads = checked.model.reads().len();
    output::say(if config.json {
        json!({
            "model": checked.model.name(), "entities": entities, "fields": fields, "read_models": reads,
            "warnings": checked.warnings.len(),
        })
            .to_string()
    } else {
        let more = match reads {
            0 => String::new(),
            reads => format!(", {}", counted(reads, "read model")),
        };
        let entities = counted_as(entities, "entity", "entities");
        format!("{file} is right: {entities}, {}{more}", counted(fields, "field"))
    });
    Ok(())
}

pub(super) fn schema() -> Result<(), Failure> {
    output::say(
        serde_json::to_string_pretty(&declare::schema())
            .map_err(|error| Failure::Machine(error.to_string()))?,
    );
    Ok(())
}

/// Reads the model file; shows its problems if there are any.
pub(crate) fn read(config: &Config) -> Result<(String, declare::Checked), Failure> {
    let file = config.model_file.display().to_string();
    let text = text(&config.model_file)?;
    match declare::read(&text) {
        Ok(checked) => Ok((text, checked)),
        Err(problems) => {
            output::diagnostics(&file, &text, &problems, Severity::Error, config.json);
            let summary = format!("{file}: {} to mend", counted(problems.len(), "problem"));
            if config.json {
                let refusal = Refusal::new(Code::Model, summary);
                output::tell(output::refusal_json(&refusal));
            } else {
                output::note(summary);
            }
            Err(Failure::Told(REFUSED))
        }
    }
}

fn text(file: &Path) -> Result<String, Refusal> {
    let bytes = fs::read(file).map_err(|error| {
        Refusal::new(Code::Usage, format!("the model file {} cannot be read", file.display()))
            .detail(error.to_string())
            .hint("`freehold init` writes one to start from; --model names another")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        Refusal::new(Code::Model, format!("{} is not UTF-8 text", file.display()))
            .detail(format!("at byte {}", error.utf8_error().valid_up_to()))
            .hint("save it as UTF-8")
    })
}

/// A number of things whose name takes an `s`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    counted_as(number, what, &format!("{what}s"))
}

fn counted_as(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
