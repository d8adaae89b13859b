//! Where a test works, and the example program as another process.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use freehold_local::{Major, Options, Server, default_cache_dir};
use tempfile::TempDir;

/// A folder that the user PostgreSQL runs as can enter. Dropped after the servers in it.
pub(crate) fn place() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("a folder")
}

/// Options for a server in that folder, with the programs of the real cache folder.
pub(crate) fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.into(),
        cache_dir: default_cache_dir(),
        major: Major::V18,
        durable: false,
        settings: Vec::new(),
    }
}

/// What one statement answers, asked as the superuser.
pub(crate) fn ask(server: &Server, sql: &str) -> Result<String, String> {
    psql(&server.psql_path(), &server.admin_url("postgres"), sql)
}

pub(crate) fn psql(program: &Path, url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(program).args(["-XAtqc", sql, url]).output().expect("psql runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The example program over a data folder, in a process of its own.
pub(crate) struct Other {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Other {
    pub(crate) fn start(data: &Path, cache: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program());
        command
            .args([data, cache, Path::new("throwaway")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the example runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, out, err }
    }

    /// The URL it prints when the server answers.
    pub(crate) fn url(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("readable");
        if line.is_empty() {
            panic!("no server: {}", self.said());
        }
        line.trim().to_owned()
    }

    /// The next step it reports.
    pub(crate) fn step(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).expect("readable");
        line.trim().to_owned()
    }

    /// Everything else it reports, until it ends.
    pub(crate) fn said(&mut self) -> String {
        let mut text = String::new();
        self.err.read_to_string(&mut text).expect("readable");
        text
    }

    /// Ends its input, so that it leaves the server; says whether it ended well.
    pub(crate) fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().expect("ends").success()
    }
}

/// Examples lie beside the folder of the test programs.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a program");
    let target = tests.ancestors().nth(2).expect("target/debug/deps/program");
    target.join("examples/postgres")
}
