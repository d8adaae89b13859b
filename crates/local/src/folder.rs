//! The data folder: what is in it, whose it is, and how it is filled.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::At;
use crate::{Binaries, Error, Event, Major, Options, Progress, process};

/// The longest socket path is 107 bytes on Linux; `/.s.PGSQL.5432` is added to the folder.
const LONGEST_SOCKET_DIR: usize = 107 - 14;

/// A data folder: `pg` (the cluster), `run` (the socket), `password`, `postgresql.log`, and two locks.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    pub(crate) account: Account,
}

impl Folder {
    /// Opens the folder, making it if need be, as whoever may.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        make_open(path)?;
        let path = path.canonicalize().at("find", path)?;
        let account = Account::for_cluster(&path.join("pg"))?;
        account.reach(&path)?;
        Ok(Self { path, account })
    }

    /// The cluster: what PostgreSQL calls its data folder.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.path.join("pg")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("postgresql.log")
    }

    /// Held while a server is started or stopped: one at a time.
    pub(crate) fn turn(&self, progress: &mut Progress<'_>) -> Result<File, Error> {
        process::lock(self.path.join("turn.lock"), progress)
    }

    /// Whoever uses the server has a shared lock on this file.
    pub(crate) fn users(&self) -> Result<File, Error> {
        let path = self.path.join("users.lock");
        File::options().create(true).append(true).open(&path).at("open", &path)
    }

    /// The password of the superuser.
    pub(crate) fn password(&self) -> Result<String, Error> {
        let path = self.path.join("password");
        fs::read_to_string(&path).at("read", &path).map(|text| text.trim().to_owned())
    }

    /// Fills the folder on first use, in a folder beside that is renamed at the end; then checks whose version it is.
    pub(crate) fn init(
        &self,
        binaries: &Binaries,
        options: &Options,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let cluster = self.cluster();
        if !cluster.is_dir() {
            progress(Event::InitDb);
            self.account.reach(binaries.root())?;
            self.write_password()?;
            self.initdb(binaries, options, &cluster)?;
        }
        let found = fs::read_to_string(cluster.join("PG_VERSION"))
            .at("read", cluster.join("PG_VERSION"))?;
        if found.trim() == options.major.number().to_string() {
            return Ok(());
        }
        Err(Error::WrongMajor {
            path: self.path.clone(),
            found: found.trim().into(),
            asked: options.major,
        })
    }

    /// Whether the cluster was not shut down in order, and nothing works on it now.
    pub(crate) fn crashed(&self, binaries: &Binaries, major: Major) -> Result<bool, Error> {
        let program = binaries.program(major, "pg_controldata");
        let mut command = self.account.command(&program);
        let output = command.arg(self.cluster()).env("LC_ALL", "C").output().at("run", &program)?;
        let in_order = String::from_utf8_lossy(&output.stdout).lines().any(|line| {
            line.split_once("cluster state:").is_some_and(|(_, state)| state.trim() == "shut down")
        });
        Ok(!in_order && process::working_in(&self.cluster()).is_empty())
    }

    /// Removes the cluster and all that is in it.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        fs::remove_dir_all(self.cluster()).at("remove", self.cluster())
    }

    fn initdb(&self, binaries: &Binaries, options: &Options, cluster: &Path) -> Result<(), Error> {
        let fresh = self.path.join("pg.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).at("remove", &fresh)?;
        }
        self.closed_folder(&fresh)?;
        let program = binaries.program(options.major, "initdb");
        let mut command = self.account.command(&program);
        command.arg("--pgdata").arg(&fresh).arg("--pwfile").arg(self.path.join("password"));
        command.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        command.args(["--no-sync", "--no-instructions"]);
        if options.major == Major::V18 {
            command.arg("--locale-provider=builtin");
        }
        let output = command.output().at("run", &program)?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Failed {
                what: format!("the data folder {} could not be filled", self.path.display()),
                why,
            });
        }
        if options.durable {
            rustix::fs::syncfs(File::open(&fresh).at("open", &fresh)?).at("write out", &fresh)?;
        }
        fs::rename(&fresh, cluster).at("make", cluster)
    }

    fn write_password(&self) -> Result<(), Error> {
        let mut random = [0; 24];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut random))
            .at("read", "/dev/urandom")?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.path.join("password");
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .at("create", &path)?;
        file.set_permissions(Permissions::from_mode(0o600)).at("set the mode of", &path)?;
        file.write_all(text.as_bytes()).at("write", &path)?;
        self.account.own(&path)
    }

    /// Where the socket goes: into the data folder, or, if a socket's path cannot be that long (or cannot be written into a URL as it
    /// is), into a closed folder under `/tmp` that is named after the data folder.
    pub(crate) fn socket_dir(&self) -> Result<PathBuf, Error> {
        let inside = self.path.join("run");
        let bytes = inside.as_os_str().as_bytes();
        let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte));
        if plain && bytes.len() <= LONGEST_SOCKET_DIR {
            self.closed_folder(&inside)?;
            return Ok(inside);
        }
        let digest = Sha256::digest(self.path.as_os_str().as_bytes());
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let outside = PathBuf::from(format!("/tmp/freehold-{name}"));
        self.closed_folder(&outside)?;
        Ok(outside)
    }

    /// Makes a folder that only the account may enter. One that is there already must be so, since somebody else may have
    /// made it to read what goes through the socket.
    fn closed_folder(&self, path: &Path) -> Result<(), Error> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.account.own(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(path).at("look at", path)?;
                if found.is_dir() && found.uid() == self.account.uid && found.mode() & 0o077 == 0 {
                    return Ok(());
                }
                Err(Error::NotYours { path: path.into(), owner: found.uid() })
            }
            Err(error) => Err(error).at("create", path),
        }
    }
}

/// Makes the folder and those above it that are missing so that the user PostgreSQL runs as can enter, whatever our umask is.
pub(crate) fn make_open(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_open(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
            .at("create", path),
    }
}
