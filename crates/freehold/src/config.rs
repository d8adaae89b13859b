//! Where things are: the state folder, the root key, the database. The only place that decides it.

use std::path::{Path, PathBuf};

use crate::cli::Global;

/// Settings taken apart once, handed down by value.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) model_file: PathBuf,
    pub(crate) database_url: Option<String>,
    /// Data of the local PostgreSQL.
    pub(crate) data_dir: PathBuf,
    /// Programs of the local PostgreSQL, shared by all of them.
    pub(crate) cache_dir: PathBuf,
    /// The state folder itself.
    pub(crate) state: PathBuf,
    pub(crate) key_file: PathBuf,
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
            key_file: global.key_file.clone().unwrap_or_else(|| global.state.join("root.key")),
            json: global.json,
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

/// PostgreSQL refuses to run as root, and a user it may run as cannot enter every folder of root's: there the data is
/// kept in the system's place, under a name made of the state folder's path.
fn data_dir(state: &Path) -> PathBuf {
    if !freehold_local::is_root() {
        return state.join("postgres");
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
