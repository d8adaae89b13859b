//! Runs the binary, and speaks HTTP to it byte by byte.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use freehold_testkit::TestDb;
use serde_json::Value;

pub(crate) const MODEL: &str = "
[model]
name = \"notes\"
[entity.person.field]
handle = { type = \"text\", unique = true, max_length = 50 }
[entity.note.field]
author = { ref = \"person\", optional = true, on_delete = \"unlink\" }
number = { type = \"integer\", unique = true }
title = { type = \"text\" }
day = { type = \"date\", optional = true }
mark = { vector = 3, optional = true }
embedding = { vector = 64, of = [\"title\"] }
";

/// A folder with a model and a key file, and a database of its own.
pub(crate) struct House {
    pub(crate) db: TestDb,
    pub(crate) dir: tempfile::TempDir,
    /// What the binary's environment has besides this process's own.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl House {
    /// With the model applied, and the tenants `a` and `b`.
    pub(crate) async fn new() -> Self {
        let house = Self::empty().await;
        house.fine(&["apply"]);
        house.fine(&["tenant", "create", "a"]);
        house.fine(&["tenant", "create", "b"]);
        house
    }

    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("freehold.toml"), MODEL).unwrap();
        // All tests share the server and so its roles, whose passwords come from this key.
        std::fs::write(dir.path().join("root.key"), "07".repeat(32) + "\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(dir.path().join("root.key"), mode).unwrap();
        Self { db: TestDb::empty().await, dir, environment: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.current_dir(self.dir.path()).args(arguments);
        command.args(["--database-url", self.db.url(), "--key-file", "root.key"]);
        command.env_remove("DATABASE_URL").env_remove("FREEHOLD_LOG");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).spawn().unwrap())
    }

    /// Runs a command that must succeed; what it answered.
    pub(crate) fn fine(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    }

    pub(crate) fn key(&self, tenant: &str) -> String {
        self.fine(&["key", "create", "--tenant", tenant]).trim().to_owned()
    }

    /// A number from the truth, past the wall.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.db.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, options: &[&str]) -> Served {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], options].concat();
        let mut child = self.command(&arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("serving http://") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the server ended at once");
        }
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        // The log goes on in a pipe that somebody has to empty.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Served { child, address }
    }
}

pub(crate) fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server that runs until the value goes.
pub(crate) struct Served {
    pub(crate) child: Child,
    address: String,
}

impl Served {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        self.head.lines().find(|line| named(line)).map(|line| line[name.len() + 1..].trim())
    }
}

impl Served {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// One request; `headers` are whole lines.
    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        // A server that refuses a long body may close while it is still sent.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }

    pub(crate) fn as_tenant(&self, key: &str, line: &str, body: &str) -> Answer {
        let key = format!("apikey: {key}");
        let prefer = "prefer: return=representation, count=exact";
        self.ask(line, &[&key, prefer], body.as_bytes())
    }
}

pub(crate) fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a long body may close while it is still sent.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        // Polls: the process does not announce what is waited for.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// No words of PostgreSQL's own.
pub(crate) fn is_ours(text: &str) {
    let lower = text.to_ascii_lowercase();
    for word in
        ["relation \"", "violates", "syntax error at or near", "pg_", "sqlstate", "panicked"]
    {
        assert!(!lower.contains(word), "`{word}` in: {text}");
    }
}

/// Largest memory of a process so far, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
