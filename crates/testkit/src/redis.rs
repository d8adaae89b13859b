//! A Redis for one test alone.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use freehold_local::default_cache_dir;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::server::variable;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Redis on a port of its own, which keeps nothing on disk. Killed when it is dropped.
pub struct OwnRedis {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    tls_port: Option<u16>,
    log: Arc<Mutex<String>>,
}

impl OwnRedis {
    /// Starts it.
    ///
    /// # Panics
    /// If there is no Redis, or it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with lines of `redis.conf`.
    ///
    /// # Panics
    /// As above.
    pub async fn start_with(lines: &[&str]) -> Self {
        Self::begin(lines, false).await
    }

    /// The same, on another port with TLS, too, and a certificate for 127.0.0.1 ([`OwnRedis::ca_file`]); `None` on a
    /// machine without the program `openssl`, which makes it.
    ///
    /// # Panics
    /// As above.
    pub async fn start_with_tls() -> Option<Self> {
        let found = Command::new("openssl").arg("version").output().await.is_ok();
        if found { Some(Self::begin(&[], true).await) } else { None }
    }

    async fn begin(lines: &[&str], tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, tls_port) = (free_port(), tls.then(free_port));
        let own = Self { child: None, folder, port, tls_port, log: Arc::default() };
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\nloglevel verbose\n",
            own.folder.path().display()
        );
        if let Some(port) = tls_port {
            own.certify().await;
            let (certificate, key) = (own.ca_file(), own.folder.path().join("key.pem"));
            text += &format!(
                "tls-port {port}\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\n",
                certificate.display(),
                key.display()
            );
        }
        text += &lines.join("\n");
        std::fs::write(own.folder.path().join("redis.conf"), text).expect("written");
        let mut own = own;
        own.restart().await;
        own
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `rediss://127.0.0.1:port`.
    ///
    /// # Panics
    /// If it was started without.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.expect("it was started with TLS"))
    }

    /// Its certificate, which stands for itself.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Ends it as a crash would, with all it had.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            timeout(PATIENCE, child.kill()).await.expect("it ends in time").expect("it ends");
        }
    }

    /// Starts it again, empty, at the same place; kills it before if need be.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.kill().await;
        let mut command = program();
        command.arg("redis.conf").current_dir(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let log = self.log.clone();
        let mut next = async move || {
            let line = lines.next_line().await.ok().flatten()?;
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
            Some(line)
        };
        let ready = timeout(PATIENCE, async {
            while let Some(line) = next().await {
                if line.contains("Ready to accept connections") {
                    return true;
                }
            }
            false
        });
        assert_eq!(ready.await, Ok(true), "Redis does not start:\n{}", self.log());
        tokio::spawn(async move { while next().await.is_some() {} });
        self.child = Some(child);
    }

    /// Stops it where it is; who is connected stays so, and hears nothing.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn pause(&self) {
        let pid = self.signal(Signal::STOP);
        // The state stands behind the name, in parentheses.
        let stopped = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        let wait = async {
            while !stopped() {
                // Polls: nobody is told of the state of a process.
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it stops in time");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Removes all that is in it.
    pub async fn flush(&self) {
        assert_eq!(self.command(&[b"FLUSHALL"]).await, "+OK");
    }

    /// What it answers to a command as its superuser, as it comes: `+OK`, `-ERR …`, `:1`, `$-1`, or a text after its length
    /// in a line of its own; of lists the length only.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn command(&self, words: &[&[u8]]) -> String {
        let asked = timeout(PATIENCE, self.ask(words)).await;
        asked.expect("it answers in time").expect("it answers")
    }

    async fn ask(&self, words: &[&[u8]]) -> std::io::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        stream.write_all(&bytes).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let head = line.trim_end().to_owned();
        let length = head.strip_prefix('$').and_then(|digits| digits.parse().ok());
        let Some(length) = length else { return Ok(head) };
        let mut text = vec![0; length];
        stream.read_exact(&mut text).await?;
        Ok(format!("{head}\n{}", String::from_utf8_lossy(&text)))
    }

    /// What it wrote to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn signal(&self, signal: Signal) -> Pid {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        let pid = Pid::from_raw(i32::try_from(id).expect("a process id")).expect("a process id");
        kill_process(pid, signal).expect("it can be signalled");
        pid
    }

    async fn certify(&self) {
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=redis \
             -config request.cnf -extensions leaf -keyout key.pem -out certificate.pem";
        let request = "[req]\ndistinguished_name = name\n[name]\n[leaf]\nsubjectAltName = IP:127.0.0.1\n\
             basicConstraints = critical, CA:FALSE\n";
        std::fs::write(self.folder.path().join("request.cnf"), request).expect("written");
        let mut openssl = Command::new("openssl");
        openssl.args(words.split_whitespace()).current_dir(self.folder.path());
        let made = openssl.output().await.expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

const MISSING: &str = "there is no Redis for the tests: `cargo xtask redis` fetches it on Debian and Ubuntu; elsewhere \
    install Redis 6 or newer, so that redis-server is on the PATH";

// As crates/xtask/src/redis.rs, which has fetched it.
fn program() -> Command {
    let cache = variable("FREEHOLD_CACHE").map_or_else(default_cache_dir, Into::into);
    let folder = cache.join("redis");
    let path = variable("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists());
    if installed || !folder.exists() {
        return Command::new("redis-server");
    }
    let mut command = Command::new(folder.join("usr/bin/redis-server"));
    let libraries = ["usr/lib", "lib"].map(|lib| triplets(&folder.join(lib))).concat();
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).expect("no colon in a folder"));
    command
}

fn triplets(lib: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect()
}

// Below those that connections get, so that nobody takes it while Redis is away.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 12_000).unwrap_or(0);
    let ports = std::iter::repeat_with(|| {
        20_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(97)) % 12_000
    });
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(12_000).find(free).expect("a port is free")
}
