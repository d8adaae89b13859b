//! Where things are: the state folder, the root key, the database. The only place that decides it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod cache;
mod key;
pub(crate) mod server;

pub(crate) use key::KeyAt;

use crate::cli::Global;

/// The file in root's state folder that says where the data of its local PostgreSQL is.
const DATA_PATH: &str = "postgres.path";

/// The file in the state folder that has the root key, if nothing else is said.
const ROOT_KEY: &str = "root.key";

/// Settings taken apart once, handed down by value.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) model_file: PathBuf,
    pub(crate) database_url: Option<String>,
    /// Data of the local PostgreSQL; to be had by `claim_data_dir`.
    data_dir: PathBuf,
    /// Programs of the local PostgreSQL, shared by all of them.
    pub(crate) cache_dir: PathBuf,
    /// The state folder itself.
    pub(crate) state: PathBuf,
    pub(crate) key: KeyAt,
    /// Where the keystore is, or would be.
    pub(crate) keystore: PathBuf,
    /// Where blobs are kept, if that was said.
    pub(crate) blobs: Option<String>,
    /// How long the storage of blobs may take.
    pub(crate) blobs_patience: Duration,
    pub(crate) json: bool,
}

impl Config {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            model_file: global.model.clone(),
            database_url: global.database_url.clone().filter(|url| !url.trim().is_empty()),
            data_dir: data_dir(&global.state),
            cache_dir: freehold_local::default_cache_dir(),
            state: global.state.clone(),
            key: KeyAt::said(
                global.key_file.as_deref(),
                global.key_command.as_deref(),
                global.state.join(ROOT_KEY),
            ),
            keystore: global.keystore.clone().unwrap_or_else(|| global.state.join("keystore")),
            blobs: global.blobs.url.clone().filter(|url| !url.trim().is_empty()),
            blobs_patience: Duration::from_secs(u64::from(global.blobs.patience)),
            json: global.json,
        }
    }

    /// The same with the root key in the state folder, whatever is said of another.
    pub(crate) fn with_own_key(self) -> Self {
        Self { key: KeyAt::File(self.state.join(ROOT_KEY)), ..self }
    }

    /// The folder for the data of the local PostgreSQL, which is this state folder's from now on.
    ///
    /// A state folder that went, perhaps with a whole checkout, took its root key along and left its data in the system's
    /// place, where nobody can open it any more: the state folder that comes after it at the same path begins beside it.
    pub(crate) fn claim_data_dir(&self) -> std::io::Result<PathBuf> {
        let pointer = self.state.join(DATA_PATH);
        if !freehold_local::is_root() || pointer.exists() {
            return Ok(self.data_dir.clone());
        }
        let orphaned = self.key.file().is_some_and(|file| !file.exists());
        let path = if orphaned { unclaimed(self.data_dir.clone()) } else { self.data_dir.clone() };
        std::fs::create_dir_all(&self.state)?;
        match std::fs::File::create_new(&pointer) {
            Ok(mut file) => file.write_all(path.as_os_str().as_encoded_bytes()).map(|()| path),
            // Another process was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(data_dir(&self.state)),
            Err(error) => Err(error),
        }
    }

    /// The folder that paths in the model file are relative to.
    pub(crate) fn base_dir(&self) -> PathBuf {
        match self.model_file.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => Path::new(".").to_owned(),
        }
    }
}

/// Where the local PostgreSQL has its data: in the state folder, but not if we are root. PostgreSQL refuses to run as root,
/// and a user it may run as cannot enter every folder of root's: there the data is in the system's place, under a name
/// made of the state folder's path, and `postgres.path` in the state folder says where.
fn data_dir(state: &Path) -> PathBuf {
    if !freehold_local::is_root() {
        return state.join("postgres");
    }
    if let Ok(path) = std::fs::read_to_string(state.join(DATA_PATH)) {
        return path.trim().into();
    }
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let name: Vec<String> = path
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().replace('-', "--")),
            _ => None,
        })
        .collect();
    freehold_local::default_data_dir().join(name.join("-"))
}

/// `path`, or with a number behind it the first that is not there.
fn unclaimed(path: PathBuf) -> PathBuf {
    let numbered = |number: usize| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        path.with_file_name(name)
    };
    if !path.exists() {
        return path;
    }
    (1..).map(numbered).find(|path| !path.exists()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_somebody_left_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("srv-data");
        assert_eq!(unclaimed(wanted.clone()), wanted);
        std::fs::create_dir(&wanted).unwrap();
        assert_eq!(unclaimed(wanted.clone()), folder.path().join("srv-data.1"));
        std::fs::create_dir(folder.path().join("srv-data.1")).unwrap();
        assert_eq!(unclaimed(wanted), folder.path().join("srv-data.2"));
    }
}
