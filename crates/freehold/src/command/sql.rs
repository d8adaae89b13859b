//! `sql`: plain SQL inside a tenant's wall: one text, a file, standard input, or a prompt.

mod describe;
mod print;
mod prompt;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::Instant,
};

use freehold_engine::{Engine, Tenant, Transaction, Typed, TypedError, script};

use self::print::{Form, Place};
use super::Site;
use crate::{
    cli::Sql,
    config::Config,
    output::{self, Failure},
    stop::Stop,
};

/// The words that statements about transactions begin with.
const CONTROL: [&str; 6] = ["begin", "start", "commit", "end", "rollback", "abort"];

/// A backend of one tenant, and how its answers are shown.
struct Shell {
    engine: Engine,
    tenant: Tenant,
    typed: Typed,
    form: Form,
    timing: bool,
    is_prompt: bool,
}

/// What is to be run.
enum Input {
    Text(String),
    Script(String, Option<PathBuf>),
    Prompt,
}

pub(super) async fn sql(config: &Config, what: Sql) -> Result<(), Failure> {
    // Before anything is held that a stop would have to give back.
    let input = input(&what)?;
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = engine.tenant(&what.tenant).await?.limited_to(what.role.role());
    let typed = engine.typed(&tenant).await?;
    let form = match (config.json, what.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Aligned { cut: false },
    };
    let is_prompt = matches!(input, Input::Prompt);
    let mut shell = Shell { engine, tenant, typed, form, timing: false, is_prompt };
    match input {
        Input::Text(text) if text.starts_with('\\') => {
            shell.meta(&text);
            Ok(())
        }
        Input::Text(text) => shell.whole(&text).await,
        Input::Script(text, file) => {
            shell.script(&text, file.as_deref().and_then(Path::to_str)).await
        }
        Input::Prompt => prompt::run(&mut shell, config).await,
    }
}

fn input(what: &Sql) -> Result<Input, Failure> {
    if what.is_prompt() {
        return Ok(Input::Prompt);
    }
    Ok(match (what.text.as_ref().or(what.command.as_ref()), &what.file) {
        (Some(text), _) => Input::Text(text.clone()),
        (None, Some(file)) => Input::Script(read(file)?, Some(file.clone())),
        (None, None) => Input::Script(read(Path::new("-"))?, None),
    })
}

/// Done when somebody at the prompt wants the statement to stop.
async fn interrupted() {
    // Without signals nothing stops it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let done = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    done.map_err(|error| output::at("read", file, &error))?;
    Ok(text)
}

impl Shell {
    /// All of it as one transaction, unless it says itself where transactions begin and end.
    async fn whole(&mut self, text: &str) -> Result<(), Failure> {
        let (statements, rest) = script::split(text);
        let mut all = statements.into_iter().chain((!rest.is_empty()).then_some(rest));
        let controls = |statement: &str| {
            script::words(statement).first().is_some_and(|word| CONTROL.contains(&word.as_str()))
        };
        if all.clone().nth(1).is_none() || all.any(controls) {
            return self.script(text, None).await;
        }
        self.silent("begin").await?;
        self.script(text, None).await?;
        self.silent("commit").await
    }

    /// Statement by statement, up to the first that fails.
    async fn script(&mut self, text: &str, file: Option<&str>) -> Result<(), Failure> {
        let was = self.typed.transaction();
        let (statements, rest) = script::split(text);
        for statement in statements.into_iter().chain((!rest.is_empty()).then_some(rest)) {
            let lines = text[..offset(text, statement)].matches('\n').count();
            self.run(statement, Place { file, lines }).await?;
        }
        if was == Transaction::None && self.typed.transaction() != Transaction::None {
            output::note("rolled back: the transaction was not committed");
            return Err(Failure::Told(output::REFUSED));
        }
        Ok(())
    }

    /// Runs a statement and shows what comes of it.
    async fn run(&mut self, statement: &str, place: Place<'_>) -> Result<(), Failure> {
        let begun = Instant::now();
        let done = if self.is_prompt {
            self.typed.run(statement, interrupted()).await
        } else {
            self.typed.run(statement, Stop::listen()?.asked()).await
        };
        let time = begun.elapsed();
        match done {
            Ok(done) => {
                for table in &done.tables {
                    print::answer(statement, table, self.form);
                }
                if let Some(note) = done.note {
                    output::note(note);
                }
            }
            Err(TypedError::Other(error)) => return Err(error.into()),
            Err(TypedError::Stopped) if self.is_prompt => {
                output::note("stopped");
                return Err(Failure::Told(output::REFUSED));
            }
            Err(TypedError::Stopped) => return Err(Failure::Told(output::STOPPED)),
            Err(TypedError::Said(complaint)) => {
                print::complaint(statement, &complaint, place, self.form);
                return Err(Failure::Told(output::REFUSED));
            }
        }
        if self.timing {
            output::note(format!("{:.3} ms", time.as_secs_f64() * 1000.0));
        }
        Ok(())
    }

    async fn silent(&mut self, statement: &str) -> Result<(), Failure> {
        match self.typed.run(statement, std::future::pending()).await {
            Err(TypedError::Other(error)) => Err(error.into()),
            Err(TypedError::Said(complaint)) => {
                print::complaint(statement, &complaint, Place::default(), self.form);
                Err(Failure::Told(output::REFUSED))
            }
            _ => Ok(()),
        }
    }

    /// A command of the prompt. Says whether it goes on.
    fn meta(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let (command, name) = (words.next().unwrap_or_default(), words.next());
        let on = |on: bool| if on { "on" } else { "off" };
        match (command, name) {
            ("\\q", _) => return false,
            ("\\x", _) => {
                let cut = self.form != Form::Expanded;
                self.form = if cut { Form::Expanded } else { Form::Aligned { cut: true } };
                output::note(format!("expanded is {}", on(cut)));
            }
            ("\\timing", _) => {
                self.timing = !self.timing;
                output::note(format!("timing is {}", on(self.timing)));
            }
            ("\\d", None) => describe::entities(&self.engine.snapshot().model, self.form),
            ("\\d", Some(name)) => {
                let snapshot = self.engine.snapshot();
                let name = name.trim_end_matches(';');
                let name = name.strip_prefix("app.").unwrap_or(name).trim_matches('"');
                match snapshot.model.entity(name) {
                    Some(entity) => describe::entity(&snapshot.model, entity, self.form),
                    None => output::note(format!("there is no table {name}; \\d lists them")),
                }
            }
            ("\\?" | "\\h", _) => output::note(prompt::HELP),
            _ => output::note(format!("there is no {command}; \\? lists what there is")),
        }
        true
    }

    fn failed(&self, failure: Failure) {
        output::failure(&failure, self.form == Form::Json);
    }
}

fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// Where the lines of the prompt are kept, if there is a state folder.
fn history(config: &Config) -> Option<PathBuf> {
    config.state.is_dir().then(|| config.state.join("sql_history"))
}
