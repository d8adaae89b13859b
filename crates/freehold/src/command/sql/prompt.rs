//! The prompt: lines become statements, statements become answers, until the input ends.

use freehold_engine::{Transaction, script};
use rustyline::{DefaultEditor, error::ReadlineError};

use super::{Form, Place, Shell, history};
use crate::{
    config::Config,
    output::{self, Failure},
};

pub(super) const HELP: &str = "\
\\d          the tables        \\d NAME   one of them
\\x          a line for each value, or tables again
\\timing     how long each statement takes
\\q          leave             Ctrl-C     stop the statement, or forget what was typed
A statement ends with ; and is a transaction of its own, but between begin; and commit; all are one.";

pub(super) async fn run(shell: &mut Shell, config: &Config) -> Result<(), Failure> {
    if matches!(shell.form, Form::Aligned { .. }) {
        shell.form = Form::Aligned { cut: true };
    }
    let broken = |error: ReadlineError| Failure::Machine(format!("the terminal: {error}"));
    let settings = rustyline::Config::builder()
        .max_history_size(2000)
        .and_then(|settings| settings.history_ignore_dups(true))
        .map_err(broken)?
        .history_ignore_space(true)
        .build();
    let mut editor = DefaultEditor::with_config(settings).map_err(broken)?;
    let kept = history(config);
    if let Some(file) = &kept {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    output::note("inside the wall of one tenant; \\? for help");
    let mut typed = String::new();
    loop {
        match editor.readline(&sign(shell, typed.is_empty())) {
            Ok(line) if typed.is_empty() && is_command(&line) => {
                let _ = editor.add_history_entry(line.trim());
                if matches!(line.trim(), "exit" | "quit") || !shell.meta(line.trim()) {
                    break;
                }
            }
            Ok(line) => {
                typed += &line;
                typed.push('\n');
                typed = statements(shell, &mut editor, &typed).await;
            }
            Err(ReadlineError::Interrupted) => typed.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        }
    }
    if shell.typed.transaction() != Transaction::None {
        output::note("rolled back: the transaction was not committed");
    }
    if let Some(file) = &kept
        && let Err(error) = editor.save_history(file)
    {
        tracing::warn!(%error, "what was typed is not kept");
    }
    Ok(())
}

/// Runs the statements that are whole, up to the first that fails; what is left.
async fn statements(shell: &mut Shell, editor: &mut DefaultEditor, typed: &str) -> String {
    let (whole, rest) = script::split(typed);
    for statement in whole {
        let _ = editor.add_history_entry(statement);
        if let Err(failure) = shell.run(statement, Place::default()).await {
            shell.failed(failure);
            return String::new();
        }
    }
    rest.to_owned()
}

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\') || matches!(line.trim(), "exit" | "quit")
}

/// As psql shows it: `=>`, `=*>` in a transaction, `=!>` in one that failed, `->` within a statement.
fn sign(shell: &Shell, fresh: bool) -> String {
    let state = match shell.typed.transaction() {
        Transaction::None => "",
        Transaction::Open => "*",
        Transaction::Failed => "!",
    };
    format!("{}{}{state}> ", shell.tenant.name(), if fresh { "=" } else { "-" })
}
