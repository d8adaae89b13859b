//! What a folder has of uploads that did not end. The library writes `object#1` and renames it to `object` in the end; its
//! lists leave such files out, and a process that dies leaves them.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Blobs, place};
use crate::error::Error;

/// A file that was begun.
pub(super) struct Unfinished {
    /// The object that it was to become.
    pub(super) object: String,
    /// How long ago something was written to it.
    pub(super) age: Duration,
}

impl Blobs {
    /// Files that were begun in a tenant's folder; none where the bytes are in no folder of a machine.
    pub(super) async fn unfinished(&self, of: &str) -> Result<Vec<Unfinished>, Error> {
        let doing = "looking for what uploads left";
        let Some(folder) = self.local() else { return Ok(Vec::new()) };
        let (folder, of) = (folder.join(of), of.to_owned());
        match tokio::task::spawn_blocking(move || list(&folder, &of)).await {
            Ok(listed) => listed.map_err(|error| place::failed(doing, &error)),
            Err(error) => Err(place::failed(doing, &error)),
        }
    }

    /// Deletes what was begun of an object; false if that fails.
    pub(super) async fn delete_unfinished(&self, object: &str) -> bool {
        let Some(folder) = self.local() else { return true };
        let file = folder.join(object);
        let deleted = tokio::task::spawn_blocking(move || {
            (1..).map(|number| std::fs::remove_file(begun(&file, number))).find_map(Result::err)
        });
        matches!(deleted.await, Ok(Some(error)) if error.kind() == io::ErrorKind::NotFound)
    }
}

fn begun(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!("#{number}"));
    name.into()
}

fn list(folder: &Path, of: &str) -> io::Result<Vec<Unfinished>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let now = SystemTime::now();
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some((object, _)) = name.to_str().and_then(|name| name.split_once('#')) else {
            continue;
        };
        // It may have ended since.
        let Ok(written) = entry.metadata().and_then(|known| known.modified()) else { continue };
        let age = now.duration_since(written).unwrap_or_default();
        all.push(Unfinished { object: format!("{of}/{object}"), age });
    }
    Ok(all)
}
