//! The same work done by a queue of jobs that many use, graphile-worker, in node.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::output::Failure;

const SCRIPT: &str = include_str!("peer.mjs");

/// A node that has copied the tenant `pair`, and does what it is told.
pub(super) struct Peer {
    // Ended when it is dropped.
    _node: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Of the package in `folder`, on the database at the operator's `url`.
    pub(super) fn start(folder: &Path, url: &str) -> Result<Self, Failure> {
        let mut command = Command::new("node");
        command.args(["--input-type=module", "--eval", SCRIPT]).env("DATABASE_URL", url);
        // Node finds packages from where it is run.
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut node = command.kill_on_drop(true).spawn()?;
        let pipes = node.stdin.take().zip(node.stdout.take());
        let (commands, answers) =
            pipes.ok_or_else(|| Failure::Machine("node has no pipes".into()))?;
        Ok(Self { _node: node, commands, answers: BufReader::new(answers).lines() })
    }

    /// Changes followed in a second, after so many batches of 1,000 lines.
    pub(super) async fn follow(&mut self, batches: u32) -> Result<Vec<f64>, Failure> {
        self.ask(json!(["follow", batches])).await
    }

    /// Milliseconds from commit to visible, at so many writes a second for so many seconds.
    pub(super) async fn fresh(&mut self, rate: f64, seconds: u64) -> Result<Vec<f64>, Failure> {
        self.ask(json!(["fresh", rate, seconds])).await
    }

    async fn ask(&mut self, command: Value) -> Result<Vec<f64>, Failure> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await?;
        let line = self.answers.next_line().await?;
        let line = line.ok_or_else(|| {
            Failure::Machine("the peer ended; does its folder have graphile-worker?".into())
        })?;
        serde_json::from_str(&line).map_err(|_| Failure::Machine(format!("the peer said {line}")))
    }
}
