//! What is happening, while it happens.

use std::path::PathBuf;

/// A sign of life of something that takes time. Faces draw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another process does what we need, or holds what we need; `lock` is the file we wait for.
    Waiting {
        /// The file that is locked.
        lock: PathBuf,
    },
    /// PostgreSQL is being downloaded.
    Fetching {
        /// Bytes that have arrived.
        bytes: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// PostgreSQL is being unpacked into the cache folder.
    Unpacking {
        /// Files that are done.
        files: usize,
        /// Files there will be.
        total: usize,
    },
    /// A new data folder is being filled.
    InitDb,
    /// The server has been started, or is starting already, and does not answer yet.
    Starting,
    /// The server answers.
    Ready {
        /// It was running before we came.
        attached: bool,
    },
}

/// What is told of each sign of life.
pub type Progress<'a> = dyn FnMut(Event) + 'a;
