//! Files that are in their place only when they are whole: written beside it, and put there at the end. So what was
//! interrupted is not taken for the whole, and does not cost what was there before.

use std::{
    fs::Permissions,
    io::{self, ErrorKind, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::output::{self, Failure};

/// A file that is being written beside its place; it goes if nothing comes of it.
pub(super) struct Whole {
    part: NamedTempFile,
    place: PathBuf,
    /// Whether what is in its place makes room for it.
    replaces: bool,
}

impl Whole {
    /// A new file, for its owner alone. What is there already is refused, also if it comes meanwhile.
    pub(super) fn new(file: &Path) -> Result<Self, Failure> {
        if file.symlink_metadata().is_ok() {
            return Err(output::at("made", file, &io::Error::from(ErrorKind::AlreadyExists)));
        }
        Self::beside(file, file.to_owned(), Permissions::from_mode(0o600), false)
    }

    /// A file for whom the user's mask says, or for those of the file that makes room for it, which a link may lead to.
    pub(super) fn over(file: &Path) -> Result<Self, Failure> {
        let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let mode = place.metadata().map_or(Permissions::from_mode(0o666), |old| old.permissions());
        Self::beside(file, place, mode, true)
    }

    fn beside(
        file: &Path,
        place: PathBuf,
        mode: Permissions,
        replaces: bool,
    ) -> Result<Self, Failure> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        folder.metadata().map_err(|error| output::at("made", file, &error))?;
        let part = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".part")
            .permissions(mode)
            .tempfile_in(folder)
            // The library's own words name the part, which nobody asked for.
            .map_err(|error| output::at("made", file, &error.kind().into()))?;
        Ok(Self { part, place, replaces })
    }

    /// It is whole: on the disk first, then in its place.
    pub(super) fn put(self) -> Result<(), Failure> {
        let Self { part, place, replaces } = self;
        part.as_file().sync_all().map_err(|error| output::at("written", &place, &error))?;
        let put = if replaces { part.persist(&place) } else { part.persist_noclobber(&place) };
        put.map(drop).map_err(|error| output::at("made", &place, &error.error))
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.flush()
    }
}
