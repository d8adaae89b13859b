//! What can go wrong, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::Major;

/// Why PostgreSQL could not be fetched or run. `Display` says what is wrong, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The package has no programs for this machine.
    #[error("there is no packaged PostgreSQL for {os} on {arch}")]
    UnsupportedPlatform {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// It is not in the cache, and downloading it failed.
    #[error("PostgreSQL is not in the cache folder {} and could not be fetched: {why}", cache.display())]
    NotFetched {
        /// The cache folder.
        cache: PathBuf,
        /// What the download said.
        why: String,
        /// What to do first, if the cause is known.
        first: Option<&'static str>,
        /// The command that puts it into the cache.
        command: String,
    },
    /// The file is not the one that was pinned.
    #[error("{} is not the pinned file: its SHA-256 is {found}, not {expected}", path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The hash it has.
        found: String,
        /// The hash it should have.
        expected: &'static str,
    },
    /// The programs do not run here.
    #[error("the fetched PostgreSQL does not run on this machine: {why}")]
    CannotRun {
        /// What the system said.
        why: String,
    },
    /// Started by root, PostgreSQL runs as another user, and that user cannot enter the folder.
    #[error("PostgreSQL runs as user {user}, who cannot reach {}: {} is closed to others", path.display(), closed.display())]
    Unreachable {
        /// Who cannot.
        user: String,
        /// What cannot be reached.
        path: PathBuf,
        /// The folder on the way that is closed.
        closed: PathBuf,
    },
    /// The data folder is another user's.
    #[error("the data folder {} belongs to another user (uid {owner})", path.display())]
    NotYours {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The data folder was made by another major version.
    #[error("the data folder {} was made by PostgreSQL {found}, not {asked}", path.display())]
    WrongMajor {
        /// The folder.
        path: PathBuf,
        /// The version that made it.
        found: String,
        /// The version that was asked for.
        asked: Major,
    },
    /// A program of PostgreSQL failed.
    #[error("{what}: {why}")]
    Failed {
        /// What failed.
        what: String,
        /// What the program or the log said.
        why: String,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const OWN_SERVER: &str = "use a PostgreSQL server of your own (15 or newer, with pgvector) with --database-url or DATABASE_URL";
const ROOM: &str = "make room on the disk: 110 MB for the programs, 60 MB for an empty data folder";

impl Error {
    /// What to do about it, in one or several lines.
    pub fn hint(&self) -> String {
        match self {
            Self::UnsupportedPlatform { .. } => OWN_SERVER.into(),
            Self::NotFetched { first, command, .. } => {
                let first = first.map(|first| format!("{first},\n")).unwrap_or_default();
                format!(
                    "{first}or fetch it by hand, where there is a network:\n    {command}\nor {OWN_SERVER}"
                )
            }
            Self::WrongHash { path, .. } => {
                format!(
                    "remove {} and try again; if it comes back, the package index is not to be trusted",
                    path.display()
                )
            }
            Self::CannotRun { .. } => {
                format!("it needs glibc 2.28 or newer and zlib (libz.so.1); or {OWN_SERVER}")
            }
            Self::Unreachable { user, closed, .. } => format!(
                "choose a folder that {user} can reach (such as one under /var/lib/freehold), or open the way: chmod o+x {}",
                closed.display()
            ),
            Self::NotYours { .. } => "choose another data folder, or run as its owner".into(),
            Self::WrongMajor { found, .. } => {
                format!(
                    "choose another data folder, or go on with PostgreSQL {found}; the files of one major version mean nothing to another"
                )
            }
            Self::Failed { why, .. } if why.contains("No space left on device") => ROOM.into(),
            Self::Failed { .. } => {
                format!(
                    "if the data folder is of no value, remove it and start again; or {OWN_SERVER}"
                )
            }
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ROOM,
                io::ErrorKind::PermissionDenied => {
                    "choose a folder you may write to, or run as its owner"
                }
                io::ErrorKind::ReadOnlyFilesystem => "choose a folder you may write to",
                _ => "see what the system says about it",
            }
            .into(),
        }
    }

    /// The whole of it: what is wrong, and what to do.
    pub fn report(&self) -> String {
        format!("{self}\n{}", self.hint())
    }
}

/// Says what was tried, with which file, when the system refuses.
pub(crate) trait At<T> {
    /// The error with its place.
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            doing,
            path: path.as_ref().to_owned(),
            source: source.into(),
        })
    }
}
