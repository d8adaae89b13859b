//! Where the root key is: in a file, in the environment, or with somebody whom a command asks.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use freehold_engine::{Code, Refusal, RootKey};
use tokio::{io::AsyncReadExt as _, process::Command};

/// The variable that has the key itself.
const VARIABLE: &str = "FREEHOLD_KEY";

/// How long a command may take: people may have to touch a token for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// More than a key and a line break; what is longer is something else.
const ANSWER_MAX: u64 = 4096;

/// Who has the root key.
#[derive(Debug, Clone)]
pub(crate) enum KeyAt {
    /// A file of its owner's.
    File(PathBuf),
    /// The variable `FREEHOLD_KEY`.
    Environment,
    /// A command of the shell that prints it: the way to a KMS, an HSM, a vault.
    Command(String),
    /// Two of them are said.
    Unsure([&'static str; 2]),
}

impl KeyAt {
    /// What is said on the command line or in variables, or the file that is usual.
    pub(crate) fn said(file: Option<&Path>, command: Option<&str>, usual: PathBuf) -> Self {
        let command = command.filter(|command| !command.trim().is_empty());
        let variable = std::env::var_os(VARIABLE).is_some_and(|key| !key.is_empty());
        match (file, command, variable) {
            (Some(_), Some(_), _) => Self::Unsure(["a file", "a command"]),
            (Some(_), None, true) => Self::Unsure(["a file", VARIABLE]),
            (None, Some(_), true) => Self::Unsure(["a command", VARIABLE]),
            (Some(file), None, false) => Self::File(file.to_owned()),
            (None, Some(command), false) => Self::Command(command.to_owned()),
            (None, None, true) => Self::Environment,
            (None, None, false) => Self::File(usual),
        }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Environment | Self::Command(_) | Self::Unsure(_) => None,
        }
    }

    /// The key.
    ///
    /// # Errors
    /// `Usage` if it is not there, or is none.
    pub(crate) async fn read(&self) -> Result<RootKey, Refusal> {
        match self {
            Self::File(path) => RootKey::read(path),
            Self::Environment => in_environment().ok_or_else(|| wrong(VARIABLE)),
            Self::Command(command) => {
                let digits = answer(command).await?;
                RootKey::of_digits(&digits)
                    .ok_or_else(|| wrong("what the command of the root key prints"))
            }
            Self::Unsure([one, other]) => Err(Refusal::new(
                Code::Usage,
                format!("the root key is said to be in two places: {one} and {other}"),
            )
            .hint("say one of --key-file, --key-command and FREEHOLD_KEY")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where configuration is read")]
fn in_environment() -> Option<RootKey> {
    RootKey::of_digits(&std::env::var(VARIABLE).ok()?)
}

fn wrong(what: &str) -> Refusal {
    Refusal::new(Code::Usage, format!("{what} is not 64 hexadecimal digits"))
}

/// What the command prints; what it says on standard error is shown as it is. It is ended if it takes too long.
async fn answer(command: &str) -> Result<String, Refusal> {
    let failed = |what: String| {
        Refusal::new(Code::Usage, format!("the command of the root key {what}")).detail(command)
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    let mut printed = String::new();
    let ended = tokio::time::timeout(PATIENCE, async {
        if let Some(output) = child.stdout.take() {
            output.take(ANSWER_MAX).read_to_string(&mut printed).await?;
        }
        child.wait().await
    });
    match ended.await {
        Err(_) => Err(failed(format!("took longer than {} seconds", PATIENCE.as_secs()))),
        Ok(Err(error)) => Err(failed(format!("cannot be read: {error}"))),
        Ok(Ok(status)) if !status.success() => Err(failed(format!("failed ({status})"))),
        Ok(Ok(_)) => Ok(printed),
    }
}
