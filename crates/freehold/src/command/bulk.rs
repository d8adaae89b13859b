//! `import` and `export`: many rows at once, with progress.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use freehold_engine::{
    Code, Engine, Refusal, export,
    import::{self, BadRow, Heard, Imported, OnBad, Precision, VectorFile},
};
use freehold_model::entity::Kind;
use indicatif::ProgressBar;
use serde_json::json;

use super::{Site, model::counted, whole::Whole};
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
    let mut rejects = import.rejects.as_deref().map(Rejects::open).transpose()?;
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
    let imported = imported?;
    rejects.as_mut().map_or(Ok(()), Rejects::begin)?;
    tell(config, import, imported)
}

fn show(
    heard: Heard,
    bar: &ProgressBar,
    rejects: &mut Option<Rejects>,
    as_json: bool,
) -> std::io::Result<()> {
    match heard {
        Heard::Resumed(rows) => {
            if let Some(rejects) = rejects {
                rejects.keep();
            }
            let rows = counted(rows as usize, "row");
            bar.suspend(|| output::note(format!("going on after {rows} loaded before")));
        }
        Heard::Loaded(_, bytes) => bar.inc(bytes),
        Heard::Bad(BadRow { line, refusal, text }) => {
            if let Some(rejects) = rejects {
                let error = output::refusal_json(&refusal);
                rejects.add(&json!({ "line": line, "error": error, "text": text }))?;
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
        let rows = counted(rows as usize, "row");
        output::say(format!("{rows} into {}{before}, {bad} left out", import.entity));
    }
    if bad > 0 { Err(Failure::Told(INCOMPLETE)) } else { Ok(()) }
}

pub(super) async fn export(config: &Config, export: &Export) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let purpose = export.purpose.as_deref().map(|said| engine.purpose(said)).transpose()?;
    let tenant = engine.tenant(&export.tenant).await?;
    let format = format(export.format, &export.file)?;
    let vectors = match export.vectors.as_deref().map(field_and_file).transpose()? {
        Some((field, file)) => Some((field, Precision::of(&file)?, file)),
        None => None,
    };
    let mut output = Output::to(&export.file).await?;
    let mut raw = match &vectors {
        Some((_, _, file)) => Some(Output::to(file).await?),
        None => None,
    };
    let vectors = vectors.as_ref().zip(raw.as_mut());
    let what = export::Export {
        entity: export.entity.clone(),
        output: &mut output,
        format,
        vectors: vectors.map(|((field, precision, _), raw)| {
            (field.clone(), raw as &mut (dyn Write + Send), *precision)
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
        .await;
    bar.finish_and_clear();
    let rows = rows?;
    output.put()?;
    raw.map_or(Ok(()), Output::put)?;
    output::tell(if config.json {
        json!({ "rows": rows }).to_string()
    } else {
        format!("{} of {}", counted(rows as usize, "row"), export.entity)
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

/// Where an export is written to.
enum Output {
    /// Standard output, whose reader may go away when it has enough, as `head` does.
    Reader(std::io::Stdout),
    /// What cannot be replaced: a pipe, a device.
    Stream(File),
    /// A file, which has what was there before until it is whole.
    File(BufWriter<Whole>),
}

impl Output {
    async fn to(file: &Path) -> Result<Self, Failure> {
        if file == Path::new("-") {
            return Ok(Self::Reader(std::io::stdout()));
        }
        match file.metadata() {
            Ok(found) if !found.is_file() => {
                // A pipe opens when somebody reads it.
                let path = file.to_owned();
                let opening = move || File::options().write(true).open(path);
                let opened = tokio::task::spawn_blocking(opening).await.map_err(io::Error::from);
                let stream = opened.and_then(|opened| opened);
                stream.map(Self::Stream).map_err(|error| output::at("written", file, &error))
            }
            _ => Ok(Self::File(BufWriter::new(Whole::over(file)?))),
        }
    }

    /// All of it is written.
    fn put(self) -> Result<(), Failure> {
        match self {
            Self::Reader(_) | Self::Stream(_) => Ok(()),
            Self::File(writer) => {
                writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.put()
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Reader(reader) => reader.write(bytes).or_else(|error| enough(error, bytes.len())),
            Self::Stream(stream) => stream.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Reader(reader) => reader.flush().or_else(|error| enough(error, ())),
            Self::Stream(stream) => stream.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

fn enough<T>(error: std::io::Error, value: T) -> std::io::Result<T> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(value) } else { Err(error) }
}

/// Bad rows with their reasons, as JSON lines.
struct Rejects {
    file: File,
    /// Whether it may have those of another import, which are not told apart from this one's any more.
    stale: bool,
}

impl Rejects {
    fn open(file: &Path) -> Result<Self, Failure> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(file)
            .map_err(|error| output::at("written", file, &error))?;
        Ok(Self { file, stale: true })
    }

    /// The import goes on where it was, so what was left out before is of the same one.
    fn keep(&mut self) {
        self.stale = false;
    }

    /// Forgets what is of another import.
    fn begin(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.stale) { self.file.set_len(0) } else { Ok(()) }
    }

    fn add(&mut self, reject: &serde_json::Value) -> std::io::Result<()> {
        self.begin()?;
        writeln!(self.file, "{reject}")
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::Usage, format!("{} cannot be read", file.display()))
        .detail(error.to_string())
}
