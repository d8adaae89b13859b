//! Where things are: the state folder, the root key, the database. The only place that decides it.

use std::path::{Path, PathBuf};

use crate::cli::Global;

/// Settings taken apart once, handed down by value.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) model_file: PathBuf,
    pub(crate) database_url: Option<String>,
    pub(crate) state_dir: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) json: bool,
}

impl Config {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            model_file: global.model.clone(),
            database_url: global.database_url.clone().filter(|url| !url.trim().is_empty()),
            state_dir: global.state.clone(),
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
