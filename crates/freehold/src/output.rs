//! What a person or a program sees: tables, JSON, errors, progress.

use std::{
    io::{ErrorKind, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use freehold_engine::{Code, Error, Refusal};
use freehold_model::Diagnostic;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{LabeledSpan, NamedSource, Report, Severity};
use serde_json::{Value, json};

/// What was asked for was refused: bad input, nothing changed.
pub(crate) const REFUSED: u8 = 1;
/// Something failed that is not the caller's doing.
pub(crate) const FAILED: u8 = 3;
/// An import ended with rows left out.
pub(crate) const INCOMPLETE: u8 = 4;

/// It was asked to stop before it was done; run again, it goes on.
pub(crate) const STOPPED: u8 = 130;

/// Whether notes are for a program: set once, when the command line is known.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine's refusal or fault.
    Engine(Error),
    /// The machine's: a file, a port, the local PostgreSQL.
    Machine(String),
    /// It was said already; only the exit code is left.
    Told(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Engine(refusal.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            return Self::Told(0);
        }
        Self::Machine(error.to_string())
    }
}

impl From<freehold_local::Error> for Failure {
    fn from(error: freehold_local::Error) -> Self {
        Self::Machine(error.report())
    }
}

/// Sends the log to standard error: warnings, or more if asked.
pub(crate) fn start_log(verbose: u8, json: bool) {
    use tracing_subscriber::EnvFilter;
    AS_JSON.store(json, Ordering::Relaxed);
    let level = ["warn", "info,freehold=info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_env("FREEHOLD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { builder.json().init() } else { builder.with_target(false).init() }
}

/// Prints an answer: one line of text for a program or a person.
///
/// A reader that has gone away, such as `head`, wants no more of it; the command ends as it would have.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a note that is not part of the answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    if AS_JSON.load(Ordering::Relaxed) {
        tell(json!({ "note": text.to_string().trim() }));
    } else {
        tell(text);
    }
}

/// Prints a line on standard error as it is.
pub(crate) fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Shows what is wrong with the command line itself, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        tell(
            json!({ "code": Code::Usage.as_str(), "message": message, "details": text, "hint": "--help" }),
        );
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FAILED))
}

/// Prints a failure and gives the exit code that says its kind.
pub(crate) fn failure(failure: &Failure, json: bool) -> ExitCode {
    let code = match failure {
        Failure::Told(code) => return ExitCode::from(*code),
        Failure::Engine(Error::Refused(_) | Error::Violated(_)) => REFUSED,
        Failure::Engine(Error::Failed(_)) | Failure::Machine(_) => FAILED,
    };
    match failure {
        Failure::Engine(Error::Refused(refusal)) => tell(shown(refusal, json)),
        Failure::Engine(Error::Violated(violation)) => tell(shown(&violation.refusal(), json)),
        Failure::Engine(Error::Failed(fault)) => {
            let message = fault_chain(fault);
            let hint = match fault {
                _ if fault.is_unavailable() => Some(
                    "the PostgreSQL that --database-url names must run and be reachable; then try again",
                ),
                _ if fault.is_closed() => {
                    Some("`freehold audit` says what is wrong and how to mend it")
                }
                _ => None,
            };
            tell(if json {
                json!({ "code": "FAULT", "message": message, "details": null, "hint": hint })
                    .to_string()
            } else {
                let mend = hint.map_or_else(String::new, |hint| format!("\n  mend:  {hint}"));
                format!("error: {message}{mend}")
            });
        }
        Failure::Machine(message) => {
            tell(if json {
                json!({ "code": "MACHINE", "message": message, "details": null, "hint": null })
                    .to_string()
            } else {
                format!("error: {message}")
            });
        }
        Failure::Told(_) => {}
    }
    ExitCode::from(code)
}

fn fault_chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(crate) fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "code": refusal.code.as_str(), "message": refusal.message, "details": refusal.detail, "hint": refusal.hint,
    })
}

fn shown(refusal: &Refusal, json: bool) -> String {
    if json { refusal_json(refusal).to_string() } else { refusal_text(refusal) }
}

fn refusal_text(refusal: &Refusal) -> String {
    let mut text = format!("refused: {} [{}]", refusal.message, refusal.code.as_str());
    if let Some(detail) = &refusal.detail {
        text = format!("{text}\n  where: {detail}");
    }
    if let Some(hint) = &refusal.hint {
        text = format!("{text}\n  mend:  {hint}");
    }
    text
}

/// Shows the problems of a model file, each at its place.
pub(crate) fn diagnostics(
    file: &str,
    text: &str,
    problems: &[Diagnostic],
    severity: Severity,
    as_json: bool,
) {
    for problem in problems {
        if as_json {
            tell(diagnostic_json(file, text, problem, severity));
            continue;
        }
        let labels = problem.labels.iter().enumerate().map(|(index, label)| {
            let words = (!label.text.is_empty()).then(|| label.text.clone());
            let span = label.span.clone();
            if index == 0 {
                LabeledSpan::new_primary_with_span(words, span)
            } else {
                LabeledSpan::new_with_span(words, span)
            }
        });
        let mut diagnostic = miette::MietteDiagnostic::new(problem.message.clone())
            .with_code(problem.code)
            .with_labels(labels);
        diagnostic.severity = Some(severity);
        diagnostic.help.clone_from(&problem.help);
        note(format!(
            "{:?}",
            Report::new(diagnostic).with_source_code(NamedSource::new(file, text.to_owned()))
        ));
    }
}

fn diagnostic_json(file: &str, text: &str, problem: &Diagnostic, severity: Severity) -> Value {
    let at = problem.labels.first().map_or(0, |label| label.span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let severity = if matches!(severity, Severity::Error) { "error" } else { "warning" };
    json!({
        "file": file, "line": line, "column": column, "severity": severity, "code": problem.code,
        "message": problem.message, "help": problem.help,
    })
}

/// What happened to a file, with its name: the system's own words leave it out.
pub(crate) fn at(doing: &str, file: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Machine(format!("{} cannot be {doing}: {error}", file.display()))
}

/// Prints rows under their titles, each column as wide as it must be.
pub(crate) fn table(titles: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    say(line(titles.to_vec()));
    say(widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("  "));
    for row in rows {
        say(line(row.iter().map(String::as_str).collect()));
    }
}

/// A bar for work whose size is known, hidden where nobody looks.
pub(crate) fn bar(total: u64, what: &str, bytes: bool) -> ProgressBar {
    let units = if bytes {
        "{bytes}/{total_bytes}  {bytes_per_sec}"
    } else {
        "{human_pos}/{human_len}  {per_sec}"
    };
    let template = format!("{{prefix:>12}} {{wide_bar:.cyan/dim}} {units}  {{eta}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_prefix(what.to_owned())
}

/// A spinner with a line of text that changes.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} {spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_prefix(what.to_owned());
    if std::io::stderr().is_terminal() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}
