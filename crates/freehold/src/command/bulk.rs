//! `import` and `export`: many rows at once, with progress.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use freehold_engine::{
    Code, Engine, Refusal, export,
    import::{self, BadRow, Heard, Imported, OnBad, Precision, VectorFile},
};
use freehold_model::entity::Kind;
use indicatif::ProgressBar;
use serde_json::json;

use super::Site;
use crate::{
    cli::{Export, Format, Import},
    config::Config,
    output::{self, Failure, INCOMPLETE},
};

pub(super) async fn import(config: &Config, import: &Import) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = engine.tenant(&import.tenant).await?;
    let from_stdin = import.file == Path::new("-");
    let size = if from_stdin {
        0
    } else {
        File::open(&import.file)
            .and_then(|file| file.metadata())
            .map_err(|e| unreadable(&import.file, &e))?
            .len()
    };
    let input: Box<dyn Read + Send> = if from_stdin {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&import.file).map_err(|error| unreadable(&import.file, &error))?)
    };
    let what = import::Import {
        entity: import.entity.clone(),
        input: Box::new(BufReader::with_capacity(1 << 20, input)),
        format: format(import.format, &import.file)?,
        vectors: vectors(&engine, &import.entity, import.vectors.as_deref())?,
        on_bad: if import.skip_bad { OnBad::Skip } else { OnBad::Stop },
        upsert: import
            .upsert
            .as_ref()
            .map(|fields| fields.split(',').map(|field| field.trim().to_owned()).collect()),
        source: if from_stdin { None } else { Some(identity(&import.file)?) },
        restart: import.restart,
    };
    let mut rejects = import.rejects.as_deref().map(create).transpose()?;
    let bar = if size > 0 {
        output::bar(size, &import.entity, true)
    } else {
        output::spinner(&import.entity)
    };
    let mut rejected = Ok(());
    let imported = engine
        .import(&tenant, what, &mut |heard| {
            if let Err(error) = show(heard, &bar, &mut rejects, config.json) {
                rejected = Err(error);
            }
        })
        .await;
    bar.finish_and_clear();
    rejected?;
    tell(config, import, imported?)
}

fn show(
    heard: Heard,
    bar: &ProgressBar,
    rejects: &mut Option<File>,
    as_json: bool,
) -> std::io::Result<()> {
    match heard {
        Heard::Resumed(rows) => {
            bar.suspend(|| output::note(format!("going on after {rows} rows loaded before")))
        }
        Heard::Loaded(_, bytes) => bar.inc(bytes),
        Heard::Bad(BadRow { line, refusal, text }) => {
            if let Some(file) = rejects {
                let reject =
                    json!({ "line": line, "error": output::refusal_json(&refusal), "text": text });
                writeln!(file, "{reject}")?;
            } else if as_json {
                output::tell(json!({ "line": line, "error": output::refusal_json(&refusal) }));
            } else {
                bar.suspend(|| output::note(format!("line {line}: {refusal}")));
            }
        }
    }
    Ok(())
}

fn tell(config: &Config, import: &Import, imported: Imported) -> Result<(), Failure> {
    let Imported { rows, bad, resumed } = imported;
    if config.json {
        output::say(json!({ "rows": rows, "bad": bad, "resumed": resumed }));
    } else {
        let before = if resumed > 0 { format!(", {resumed} were there") } else { String::new() };
        output::say(format!("{rows} rows into {}{before}, {bad} left out", import.entity));
    }
    if bad > 0 { Err(Failure::Told(INCOMPLETE)) } else { Ok(()) }
}

pub(super) async fn export(config: &Config, export: &Export) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let purpose = export.purpose.as_deref().map(|said| engine.purpose(said)).transpose()?;
    let tenant = engine.tenant(&export.tenant).await?;
    let to_stdout = export.file == Path::new("-");
    let mut output: Box<dyn Write + Send> = if to_stdout {
        Box::new(Reader(std::io::stdout()))
    } else {
        Box::new(BufWriter::new(create(&export.file)?))
    };
    let mut raw = match export.vectors.as_deref().map(field_and_file).transpose()? {
        Some((field, file)) => Some((field, Precision::of(&file)?, BufWriter::new(create(&file)?))),
        None => None,
    };
    let what = export::Export {
        entity: export.entity.clone(),
        output: &mut *output,
        format: format(export.format, &export.file)?,
        vectors: raw.as_mut().map(|(field, precision, file)| {
            (field.clone(), file as &mut (dyn Write + Send), *precision)
        }),
        purpose,
    };
    let bar = output::spinner(&export.entity);
    let mut written = 0;
    let rows = engine
        .export(&tenant, what, &mut |rows| {
            written += rows;
            bar.set_message(format!("{written} rows"));
        })
        .await?;
    bar.finish_and_clear();
    output::tell(if config.json {
        json!({ "rows": rows }).to_string()
    } else {
        format!("{rows} rows of {}", export.entity)
    });
    Ok(())
}

fn format(format: Option<Format>, file: &Path) -> Result<import::Format, Refusal> {
    let by_name = || match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson" | "json") => Ok(Format::Jsonl),
        _ if file == Path::new("-") => Ok(Format::Jsonl),
        _ => Err(Refusal::new(
            Code::Usage,
            format!("the name {} does not say its format", file.display()),
        )
        .hint("--format jsonl or --format csv")),
    };
    Ok(match format.map_or_else(by_name, Ok)? {
        Format::Jsonl => import::Format::JsonLines,
        Format::Csv => import::Format::Csv,
    })
}

fn vectors(
    engine: &Engine,
    entity: &str,
    given: Option<&str>,
) -> Result<Option<(String, VectorFile)>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    let (field, file) = field_and_file(given)?;
    let snapshot = engine.snapshot();
    let kind = snapshot
        .model
        .entity(entity)
        .and_then(|entity| entity.field(&field))
        .map(|field| field.kind.clone());
    let Some(Kind::Vector(vector)) = kind else {
        return Err(Refusal::new(
            Code::NoSuchField,
            format!("{entity} has no vector field {field}"),
        ));
    };
    Ok(Some((field, VectorFile::open(&file, vector.dimensions)?)))
}

fn field_and_file(given: &str) -> Result<(String, PathBuf), Refusal> {
    let parts = given.split_once('=').filter(|(field, file)| !field.is_empty() && !file.is_empty());
    let (field, file) = parts.ok_or_else(|| {
        Refusal::new(Code::Usage, format!("{given} is not FIELD=FILE"))
            .hint("--vectors embedding=rows.f16")
    })?;
    Ok((field.to_owned(), PathBuf::from(file)))
}

/// What a file is known by when an import of it goes on.
fn identity(file: &Path) -> Result<String, Refusal> {
    let path = file.canonicalize().map_err(|error| unreadable(file, &error))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Standard output, whose reader may go away when it has enough, as `head` does.
struct Reader(std::io::Stdout);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).or_else(|error| enough(error, bytes.len()))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().or_else(|error| enough(error, ()))
    }
}

fn enough<T>(error: std::io::Error, value: T) -> std::io::Result<T> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(value) } else { Err(error) }
}

fn create(file: &Path) -> Result<File, Failure> {
    File::create(file).map_err(|error| output::at("written", file, &error))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::Usage, format!("{} cannot be read", file.display()))
        .detail(error.to_string())
}
