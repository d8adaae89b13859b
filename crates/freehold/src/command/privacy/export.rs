//! What is one person's, in a file: encrypted to whom it is for, or in the open.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use freehold_engine::{Engine, Files, Recipients, Tenant};
use serde_json::json;
use uuid::Uuid;

use crate::{
    command::{model::counted, whole::Whole},
    config::Config,
    output::{self, Failure},
};

/// Whose it is.
pub(super) struct Whose<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) entity: &'a str,
    pub(super) person: Uuid,
}

/// Whom it is for; none if it is for whoever has the file.
pub(super) fn recipients(
    mut keys: Vec<String>,
    files: &[PathBuf],
) -> Result<Option<Recipients>, Failure> {
    for file in files {
        let text =
            std::fs::read_to_string(file).map_err(|error| output::at("read", file, &error))?;
        let lines = text.lines().map(str::trim);
        keys.extend(
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
        );
    }
    if keys.is_empty() && files.is_empty() {
        return Ok(None);
    }
    Ok(Some(Recipients::read(keys.iter().map(String::as_str))?))
}

pub(super) async fn encrypted(
    config: &Config,
    engine: &Engine,
    Whose { tenant, entity, person }: Whose<'_>,
    recipients: &Recipients,
    (file, with_files): (&Path, bool),
) -> Result<(), Failure> {
    let mut part = Whole::new(file)?;
    let bar = output::spinner("export");
    let mut writer = BufWriter::new(&mut part);
    let exported = engine
        .export_person_for((tenant, entity, person), recipients, &mut writer, with_files)
        .await;
    bar.finish_and_clear();
    let exported = exported?;
    drop(writer);
    part.put()?;
    if config.json {
        output::say(json!({
            "rows": exported.rows, "file": file.display().to_string(), "encrypted": true,
            "recipients": recipients.texts(), "files": exported.files, "lost": exported.lost,
            "manifest_sha256": exported.manifest_sha256,
        }));
        return Ok(());
    }
    output::say(format!(
        "{} and {} in {}",
        counted(exported.rows as usize, "row"),
        counted(exported.files as usize, "file"),
        file.display()
    ));
    lost(exported.lost);
    nothing(exported.rows);
    output::note(format!(
        "only {} can open it: age -d -i KEYFILE {} | tar x",
        counted(recipients.texts().len(), "recipient"),
        file.display()
    ));
    Ok(())
}

pub(super) async fn in_the_open(
    config: &Config,
    engine: &Engine,
    Whose { tenant, entity, person }: Whose<'_>,
    file: &Path,
    with_files: bool,
) -> Result<(), Failure> {
    let mut part = Whole::new(file)?;
    let mut folder = file.as_os_str().to_owned();
    folder.push(".files");
    let folder = PathBuf::from(folder);
    let mut files = with_files.then(|| Files::in_folder(folder.clone()));
    let bar = output::spinner("export");
    let mut writer = BufWriter::new(&mut part);
    let rows = engine.export_person(tenant, entity, person, &mut writer, files.as_mut()).await;
    bar.finish_and_clear();
    let rows = rows?;
    writer.flush().map_err(|error| output::at("written", file, &error))?;
    drop(writer);
    part.put()?;
    let (written, missing) = files.map_or((0, 0), |files| (files.written, files.lost));
    if config.json {
        output::say(json!({
            "rows": rows, "file": file.display().to_string(), "encrypted": false,
            "files": written, "lost": missing, "folder": (written > 0).then(|| folder.display().to_string()),
        }));
        return Ok(());
    }
    output::say(format!("{} in {}", counted(rows as usize, "row"), file.display()));
    if written > 0 {
        output::say(format!("{} in {}", counted(written as usize, "file"), folder.display()));
    }
    lost(missing);
    nothing(rows);
    output::note("it is not encrypted, `--recipient` does it; only its owner can read it");
    Ok(())
}

fn lost(files: u64) {
    if files > 0 {
        output::note(format!("{} lost: freehold blobs verify", counted(files as usize, "file")));
    }
}

fn nothing(rows: u64) {
    if rows == 0 {
        output::note(
            "nothing of such a person is there: is it the right id, and the right tenant?",
        );
    }
}
