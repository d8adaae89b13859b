//! Who we are, who PostgreSQL runs as, and which folders follow from that.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::error::At;

/// The cache folder when none is given: `/var/cache/freehold` for root (PostgreSQL, which refuses root, must be able to
/// read it), else `$XDG_CACHE_HOME/freehold` or `~/.cache/freehold`.
pub fn default_cache_dir() -> PathBuf {
    folder_of_user("/var/cache", "XDG_CACHE_HOME", ".cache")
}

/// The folder for data when none is given: `/var/lib/freehold` for root, else `$XDG_DATA_HOME/freehold` or
/// `~/.local/share/freehold`.
pub fn default_data_dir() -> PathBuf {
    folder_of_user("/var/lib", "XDG_DATA_HOME", ".local/share")
}

fn folder_of_user(for_root: &str, variable: &str, below_home: &str) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return Path::new(for_root).join("freehold");
    }
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable)
        .unwrap_or_else(|| std::env::home_dir().unwrap_or_else(|| "/".into()).join(below_home));
    base.join("freehold")
}

/// The user PostgreSQL runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// We are root, so it has to be changed into.
    change: bool,
}

impl Account {
    /// Ourselves; or, if we are root, the owner of the cluster in `data`, else the first of the users `freehold`, `postgres` and
    /// `nobody` that exists.
    pub(crate) fn for_cluster(data: &Path) -> Result<Self, Error> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = fs::metadata(data).ok().map(|found| (found.uid(), found.gid()));
        match owner {
            _ if uid == 0 => Ok(Self::for_root(owner.filter(|(owner, _)| *owner != 0))),
            Some((owner, _)) if owner != uid => {
                Err(Error::NotYours { path: data.to_owned(), owner })
            }
            _ => Ok(Self { name: format!("uid {uid}"), uid, gid, change: false }),
        }
    }

    fn for_root(owner: Option<(u32, u32)>) -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let users: Vec<_> = users.lines().filter_map(Self::parse).collect();
        if let Some((uid, gid)) = owner {
            let name = users
                .iter()
                .find(|user| user.uid == uid)
                .map_or(format!("uid {uid}"), |user| user.name.clone());
            return Self { name, uid, gid, change: true };
        }
        let named =
            |name: &str| users.iter().find(|user| user.name == name && user.uid != 0).cloned();
        ["freehold", "postgres"].into_iter().find_map(named).unwrap_or(Self {
            name: "nobody".into(),
            uid: 65534,
            gid: 65534,
            change: true,
        })
    }

    /// A line of `/etc/passwd`.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        let &[name, _, uid, gid, ..] = fields.as_slice() else { return None };
        Some(Self {
            name: name.into(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            change: true,
        })
    }

    /// Gives the file or folder to the account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        if !self.change {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)).at("give away", path)
    }

    /// A program of PostgreSQL as this account, with nothing of our environment that could change what it does. Changing
    /// the user drops our supplementary groups.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::null());
        if self.change {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Refuses a folder that the account cannot enter, with the one on the way that is closed.
    pub(crate) fn reach(&self, path: &Path) -> Result<(), Error> {
        if !self.change {
            return Ok(());
        }
        for folder in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let found = fs::metadata(folder).at("look at", folder)?;
            let bit = match (found.uid() == self.uid, found.gid() == self.gid) {
                (true, _) => 0o100,
                (_, true) => 0o010,
                _ => 0o001,
            };
            if found.mode() & bit == 0 {
                return Err(Error::Unreachable {
                    user: self.name.clone(),
                    path: path.into(),
                    closed: folder.into(),
                });
            }
        }
        Ok(())
    }
}
