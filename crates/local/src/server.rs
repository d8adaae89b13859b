//! A server over a data folder: started or joined, and stopped by the last who uses it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::error::At;
use crate::folder::Folder;
use crate::postmaster::{self, Postmaster};
use crate::{Binaries, Error, Event, Major, Progress, process};

/// How long a server may take until it answers, the repair after a crash included.
const START_LIMIT: Duration = Duration::from_secs(300);
/// How long a server may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How long what is left of a killed server may take to notice.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(2);
const PORT: u16 = 5432;
const LARGEST_LOG: u64 = 16 << 20;

/// How to run a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; made on first use. Several may use one server by naming the same folder.
    pub data_dir: PathBuf,
    /// The cache folder with the programs, see [`crate::default_cache_dir`].
    pub cache_dir: PathBuf,
    /// Which PostgreSQL. A data folder stays with the one that made it.
    pub major: Major,
    /// Whether a commit survives a power failure. Only tests can do without: a data folder that is not durable and does not start
    /// after a crash is filled anew.
    pub durable: bool,
    /// Settings of PostgreSQL beyond ours, by name and value. They count for whoever starts the server.
    pub settings: Vec<(String, String)>,
}

/// A running server, reached through a Unix socket only. When the last `Server` over a data folder is dropped or stopped, in
/// whichever process, the server is shut down; a process that was killed does not count as using it.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    major: Major,
    folder: Folder,
    postmaster: Postmaster,
    password: String,
    attached: bool,
    child: Option<Child>,
    /// Holds the shared lock that says that we use the server.
    using: Option<File>,
}

impl Server {
    /// Starts the server of the data folder, or joins it if it runs. Fetches PostgreSQL and fills the data folder on first use.
    pub fn start(options: &Options, progress: &mut Progress<'_>) -> Result<Self, Error> {
        let binaries = Binaries::ensure(&options.cache_dir, progress)?;
        let folder = Folder::open(&options.data_dir)?;
        let _turn = folder.turn(progress)?;
        folder.init(&binaries, options, progress)?;
        let (postmaster, child) = match running(&folder, progress)? {
            Some(postmaster) => (postmaster, None),
            None => {
                let launched = launch(&folder, &binaries, options, progress).or_else(|error| {
                    if options.durable || !folder.crashed(&binaries, options.major)? {
                        return Err(error);
                    }
                    folder.clear()?;
                    folder.init(&binaries, options, progress)?;
                    launch(&folder, &binaries, options, progress)
                });
                launched.map(|(postmaster, child)| (postmaster, Some(child)))?
            }
        };
        let attached = child.is_none();
        let password = folder.password()?;
        let using = folder.users()?;
        using.lock_shared().at("lock", &options.data_dir)?;
        progress(Event::Ready { attached });
        Ok(Self {
            binaries,
            major: options.major,
            folder,
            postmaster,
            password,
            attached,
            child,
            using: Some(using),
        })
    }

    /// A URL for the superuser and that database. Keep it to yourself: the password is in it.
    pub fn admin_url(&self, database: &str) -> String {
        let Postmaster { socket_dir, port, .. } = &self.postmaster;
        let (password, database) = (&self.password, percent_encoded(database));
        format!(
            "postgresql://postgres:{password}@/{database}?host={}&port={port}",
            socket_dir.display()
        )
    }

    /// The program `psql` of the same version.
    pub fn psql_path(&self) -> PathBuf {
        self.program("psql")
    }

    /// A program of the same version, such as `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.program(self.major, name)
    }

    /// Whether it was running before we came.
    pub fn attached(&self) -> bool {
        self.attached
    }

    /// The process id of its first process.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file PostgreSQL logs to.
    pub fn log_path(&self) -> PathBuf {
        self.folder.log()
    }

    /// Leaves the server; shuts it down if nobody else uses it. Says whether it did.
    pub fn stop(mut self) -> Result<bool, Error> {
        self.leave()
    }

    /// Ends the server as a crash would, whoever uses it: an immediate shutdown, after which the next start repairs what is
    /// there.
    pub fn crash(mut self) -> Result<(), Error> {
        self.using = None;
        let _turn = self.folder.turn(&mut |_| {})?;
        shut_down(&self.folder, self.postmaster.pid, self.child.as_mut(), Signal::QUIT)
    }

    /// Leaves the server running, used by nobody. [`stop`] ends it.
    pub fn detach(mut self) {
        self.using = None;
    }

    fn leave(&mut self) -> Result<bool, Error> {
        let Some(using) = self.using.take() else { return Ok(false) };
        let _turn = self.folder.turn(&mut |_| {})?;
        // Not just dropped: a child that another thread is starting may hold a copy for a moment.
        using.unlock().at("unlock", self.folder.cluster())?;
        if self.folder.users()?.try_lock().is_err() {
            return Ok(false);
        }
        shut_down(&self.folder, self.postmaster.pid, self.child.as_mut(), Signal::INT)?;
        Ok(true)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell; the next start joins or repairs what is there.
        let _ = self.leave();
    }
}

/// Stops the server of that data folder, whoever uses it. Says whether one was running.
pub fn stop(data_dir: &Path) -> Result<bool, Error> {
    if !data_dir.join("pg").is_dir() {
        return Ok(false);
    }
    let folder = Folder::open(data_dir)?;
    let _turn = folder.turn(&mut |_| {})?;
    let Some(pid) = postmaster::named_in(&folder.cluster())
        .filter(|pid| process::works_in(*pid, &folder.cluster()))
    else {
        return Ok(false);
    };
    shut_down(&folder, pid, None, Signal::INT)?;
    Ok(true)
}

/// The running server, once it answers. One that is stopping is waited for; what is left of a killed one is cleared away.
fn running(folder: &Folder, progress: &mut Progress<'_>) -> Result<Option<Postmaster>, Error> {
    let cluster = folder.cluster();
    let named = postmaster::named_in(&cluster);
    if let Some(pid) = named.filter(|pid| process::works_in(*pid, &cluster)) {
        progress(Event::Starting);
        let mut found = None;
        process::until(START_LIMIT, || {
            found = Postmaster::live(&cluster).filter(|postmaster| postmaster.ready);
            Ok(found.is_some() || !process::works_in(pid, &cluster))
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    end_leftovers(&cluster)?;
    // PostgreSQL itself looks into the file a dead server left, unless somebody else has its process id now: that it takes for a running
    // server.
    if named.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        let file = postmaster::pid_file(&cluster);
        fs::remove_file(&file).at("remove", &file)?;
    }
    Ok(None)
}

/// After the first process was killed the others notice and end; one that is too busy to notice is ended.
fn end_leftovers(cluster: &Path) -> Result<(), Error> {
    for how in [None, Some(Signal::QUIT), Some(Signal::KILL)] {
        for left in process::working_in(cluster) {
            how.map_or(Ok(()), |how| process::signal(left, how))?;
        }
        if process::until(LEFTOVER_LIMIT, || Ok(process::working_in(cluster).is_empty()))? {
            break;
        }
    }
    Ok(())
}

fn launch(
    folder: &Folder,
    binaries: &Binaries,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<(Postmaster, Child), Error> {
    progress(Event::Starting);
    folder.account.reach(binaries.root())?;
    let socket_dir = folder.socket_dir()?;
    for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
        let _ = fs::remove_file(socket_dir.join(name));
    }
    let log = open_log(&folder.log())?;
    let begin = log.metadata().at("look at", folder.log())?.len();
    let program = binaries.program(options.major, "postgres");
    let mut command = folder.account.command(&program);
    command.arg("-D").arg(folder.cluster());
    for (name, value) in settings(options, &socket_dir) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    // A group of its own: Ctrl-C in the terminal is for us, and we stop the server in order.
    command.process_group(0).stdout(log.try_clone().at("open", folder.log())?).stderr(log);
    let mut child = command.spawn().at("run", &program)?;
    let pid = Pid::from_child(&child);
    let mut ended = None;
    let mut found = None;
    process::until(START_LIMIT, || {
        ended = child.try_wait().at("wait for", &program)?;
        found = Postmaster::live(&folder.cluster())
            .filter(|postmaster| postmaster.ready && postmaster.pid == pid);
        Ok(ended.is_some() || found.is_some())
    })?;
    match (found, ended) {
        (Some(postmaster), None) => Ok((postmaster, child)),
        // One that is still busy with repair goes on with it: the next start finds it.
        (_, ended) => Err(did_not_start(&folder.log(), begin, ended)),
    }
}

/// Ours are for a small machine that does other things, too; they are given at every start, so that none sticks in a data folder.
fn settings(options: &Options, socket_dir: &Path) -> Vec<(String, String)> {
    let mut all = vec![
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
        ("unix_socket_directories", socket_dir.display().to_string()),
        ("dynamic_shared_memory_type", shared_memory().into()),
        ("shared_preload_libraries", String::new()),
        ("timezone", "UTC".into()),
        ("log_timezone", "UTC".into()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".into()),
        ("shared_buffers", "256MB".into()),
        ("maintenance_work_mem", "256MB".into()),
        ("work_mem", "16MB".into()),
        ("max_wal_size", "2GB".into()),
        // Every partition that a statement or a model change touches takes a lock.
        ("max_locks_per_transaction", "512".into()),
        ("jit", "off".into()),
    ];
    if !options.durable {
        all.extend(
            ["fsync", "synchronous_commit", "full_page_writes"].map(|name| (name, "off".into())),
        );
    }
    let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
    all.chain(options.settings.iter().cloned()).collect()
}

/// Containers often have 64 MB of `/dev/shm`, which one parallel index build outgrows.
fn shared_memory() -> &'static str {
    let free = rustix::fs::statvfs("/dev/shm").map_or(0, |found| found.f_bavail * found.f_frsize);
    if free >= 1 << 30 { "posix" } else { "mmap" }
}

fn open_log(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LARGEST_LOG) {
        fs::rename(path, path.with_extension("log.old")).at("rename", path)?;
    }
    File::options().create(true).append(true).mode(0o600).open(path).at("open", path)
}

fn did_not_start(log: &Path, begin: u64, ended: Option<ExitStatus>) -> Error {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(begin))?;
        file.read_to_string(&mut text)
    });
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n");
    let status = ended
        .map_or(format!("no answer in {} s", START_LIMIT.as_secs()), |status| status.to_string());
    let said = if read.is_ok() { last } else { "its log cannot be read".into() };
    Error::Failed {
        what: format!("PostgreSQL did not start ({status})"),
        why: format!("{} ends with\n{said}", log.display()),
    }
}

/// With `INT` a fast shutdown: sessions are ended, everything is written out. With `QUIT` an immediate one.
fn shut_down(
    folder: &Folder,
    pid: Pid,
    child: Option<&mut Child>,
    how: Signal,
) -> Result<(), Error> {
    let cluster = folder.cluster();
    if process::works_in(pid, &cluster) {
        process::signal(pid, how)?;
    }
    let mut child = child;
    let gone = process::until(STOP_LIMIT, || {
        if let Some(child) = &mut child {
            return Ok(child.try_wait().at("wait for", "postgres")?.is_some());
        }
        Ok(!process::works_in(pid, &cluster))
    })?;
    if gone {
        return Ok(());
    }
    let why = format!(
        "process {pid} is still there after {} s; see {}",
        STOP_LIMIT.as_secs(),
        folder.log().display()
    );
    Err(Error::Failed { what: "PostgreSQL did not stop".into(), why })
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(
            |byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn database_names_are_encoded() {
        assert_eq!(super::percent_encoded("ground_1"), "ground_1");
        assert_eq!(super::percent_encoded("a b/é?"), "a%20b%2F%C3%A9%3F");
    }
}
