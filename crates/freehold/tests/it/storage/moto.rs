//! A server that speaks S3: moto from PyPI, kept in the cache, its objects in its memory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use freehold_local::default_cache_dir;

/// What it needs for S3 alone: less than half of `moto[server]`.
const PACKAGES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.*", "flask-cors==6.*"];

pub(super) const BUCKET: &str = "files";

/// A server with one bucket; it ends with the value.
pub(super) struct Moto {
    pub(super) child: Child,
    pub(super) address: String,
}

impl Moto {
    pub(super) fn start() -> Self {
        let mut python = Command::new(python());
        python.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = python.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Running on http://") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "moto ended at once");
        }
        let address = line.split("http://").nth(1).unwrap().trim().to_owned();
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let moto = Self { child, address };
        moto.ask("PUT", "", b"");
        moto
    }

    /// What the environment of a process that uses it has, by way of `address`.
    pub(super) fn environment(address: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", format!("http://{address}")),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("NO_PROXY", "127.0.0.1".into()),
        ]
    }

    /// One request about the bucket; what stands behind the head of its answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} /{BUCKET}{path} HTTP/1.0\r\nhost: {}\r\nauthorization: AWS test:unchecked\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.") && answer[9] == b'2',
            "{method} {path}: {}",
            String::from_utf8_lossy(&answer[..answer.len().min(2000)])
        );
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        answer.split_off(end + 4)
    }

    /// Names of all objects.
    pub(super) fn objects(&self) -> Vec<String> {
        self.listed("?list-type=2", "Key")
    }

    /// Names of all uploads in parts that were begun and did not end.
    pub(super) fn unfinished(&self) -> Vec<String> {
        self.listed("?uploads", "UploadId")
    }

    fn listed(&self, path: &str, tag: &str) -> Vec<String> {
        let text = String::from_utf8(self.ask("GET", path, b"")).unwrap();
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let found = text.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap());
        found.map(str::to_owned).collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python with the packages, made once in the cache.
fn python() -> PathBuf {
    let cache = std::env::var_os("FREEHOLD_CACHE").map_or_else(default_cache_dir, PathBuf::from);
    let kept = cache.join("python-moto-5.2.5");
    if !kept.join("bin/python").exists() {
        let made = tempfile::tempdir_in(&cache).unwrap();
        let folder = made.path().join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/python"));
        run(pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        // Of two at once, one comes first; python finds its packages by where it lies.
        if let Err(error) = fs::rename(&folder, &kept) {
            assert!(kept.join("bin/python").exists(), "{error}");
        }
    }
    kept.join(Path::new("bin/python"))
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
