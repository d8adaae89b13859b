//! One object on its way into a folder of this machine.
//!
//! Its name is noted and new, and nobody reads it before it is noted as whole: so it is written where it stays. What a death
//! leaves of it goes with its note.
//!
//! Unless it is small it goes to the disk past the page cache, if the file system lets it: that takes a tenth of the processor's time, and does not
//! push out what PostgreSQL on the same machine has there. Its name goes to the disk beside its bytes, not behind them.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use freehold_store::seal::Part;
use tokio::task::JoinHandle;

use super::Blobs;

/// Bytes that go to the disk together. Each time costs as much as sealing several megabytes.
const FLUSHED: u64 = 32 << 20;

/// Bytes from which a file goes past the page cache. A smaller one is on the disk as soon either way, and may be read soon.
const PAST_CACHE: usize = 256 << 10;

/// A file that is being written.
pub(super) struct Writing {
    file: Arc<File>,
    place: PathBuf,
    size: u64,
    // Whether parts go past the page cache, in whole blocks.
    direct: bool,
    flushed: u64,
    // What was written goes to the disk while more is sealed, so that in the end little is waited for.
    flushing: Option<JoinHandle<io::Result<()>>>,
    named: Option<JoinHandle<io::Result<()>>>,
}

impl Writing {
    pub(super) async fn begin(place: PathBuf) -> io::Result<Self> {
        let made = place.clone();
        let (file, named, direct) = away(move || {
            let (file, named) = create(&made)?;
            let direct = past_cache(&file, true).is_ok();
            Ok((Arc::new(file), Some(named), direct))
        })
        .await?;
        Ok(Self { file, place, size: 0, direct, flushed: 0, flushing: None, named })
    }

    /// Writes a part behind those before it; parts may be written at the same time. Gives its memory back.
    pub(super) fn write(
        &mut self,
        part: Part,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send + use<> {
        let (file, at, direct) = (self.file.clone(), self.size, self.direct);
        self.size += part.len() as u64;
        away(move || put(&file, part, at, direct))
    }

    /// Lets what is written go to the disk if it is much, and nothing is on its way there.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.direct {
            return Ok(());
        }
        if let Some(flushing) = self.flushing.take_if(|flushing| flushing.is_finished()) {
            ended(flushing.await)?;
        }
        if self.flushing.is_none() && self.size - self.flushed >= FLUSHED {
            self.flushed = self.size;
            let file = self.file.clone();
            self.flushing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits until all of it is on the disk.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        if let Some(flushing) = self.flushing.take() {
            ended(flushing.await)?;
        }
        let (file, size) = (self.file.clone(), self.size);
        away(move || {
            // The last block was written whole.
            file.set_len(size)?;
            file.sync_all()
        })
        .await?;
        match self.named.take() {
            Some(named) => ended(named.await),
            None => Ok(()),
        }
    }

    /// Deletes it.
    pub(super) async fn abort(self) -> io::Result<()> {
        away(move || std::fs::remove_file(&self.place)).await
    }
}

impl Blobs {
    /// Removes a folder in which nothing is left; services have none.
    pub(super) async fn remove_folder(&self, name: &str) {
        if let Some(folder) = self.file(name) {
            // One in which something is stays.
            let _ = away(move || std::fs::remove_dir(folder)).await;
        }
    }
}

/// Writes all of a file; it is on the disk then.
pub(super) async fn write(place: PathBuf, bytes: Part) -> io::Result<()> {
    let named = away(move || {
        let (file, named) = create(&place)?;
        let direct = bytes.len() >= PAST_CACHE && past_cache(&file, true).is_ok();
        let size = bytes.len() as u64;
        put(&file, bytes, 0, direct)?;
        if direct {
            file.set_len(size)?;
        }
        file.sync_all()?;
        Ok(named)
    })
    .await?;
    ended(named.await)
}

fn put(file: &File, mut part: Part, at: u64, direct: bool) -> io::Result<Vec<u8>> {
    if direct {
        part.pad();
    }
    match file.write_all_at(&part, at) {
        // It took the flag, and does not take blocks of this size.
        Err(error) if direct && error.kind() == io::ErrorKind::InvalidInput => {
            past_cache(file, false)?;
            file.write_all_at(&part, at)?;
        }
        written => written?,
    }
    Ok(part.into_memory())
}

#[cfg(target_os = "linux")]
fn past_cache(file: &File, past: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, past);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn past_cache(_: &File, past: bool) -> io::Result<()> {
    if past { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

/// A new file, and its name on its way to the disk: that waits for no byte of it, and behind the bytes it would be a second wait for
/// the same disk.
fn create(place: &Path) -> io::Result<(File, JoinHandle<io::Result<()>>)> {
    let file = open_new(place)?;
    let folder = parent(place)?.to_owned();
    let named = tokio::task::spawn_blocking(move || File::open(folder)?.sync_all());
    Ok((file, named))
}

fn open_new(place: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create_new(true).open(place);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = parent(place)?;
            std::fs::create_dir_all(folder)?;
            File::open(parent(folder)?)?.sync_all()?;
            open()
        }
        opened => opened,
    }
}

fn parent(place: &Path) -> io::Result<&Path> {
    place.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

async fn away<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    ended(tokio::task::spawn_blocking(work).await)
}

fn ended<T>(work: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    work.unwrap_or_else(|error| Err(io::Error::other(error)))
}
