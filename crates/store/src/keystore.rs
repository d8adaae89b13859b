//! The keystore: a folder outside PostgreSQL, and outside its backups, with what must not be in them.
//!
//! For each installation, named by the id that its database has in `freehold.keystore`:
//!
//! ```text
//! ID.keys          the epoch keys and the seed of receipts, each wrapped by a key made of the root key
//! ID.erased/       a file for each erasure: whom, with a MAC (see `ledger`)
//! ID.tenants/      a file for each tenant that was deleted, with a MAC
//! ID.receipts/     a file for each receipt
//! ID.export        the wrapped keys of the database as the last change of epochs left them (see `key_export`)
//! ```
//!
//! A file changes as a whole: it is written beside, made durable and renamed. What it was before is overwritten with zeros,
//! as far as the file system lets one; keep the folder where there are no snapshots.

mod ledger;

pub use ledger::Erased;

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use freehold_model::{Code, Refusal};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    key::{RootKey, hex, unhex},
    seal::wrap,
};

pub(crate) type Key = Zeroizing<[u8; 32]>;

const HEAD: &str = "freehold keystore 1";

/// What wraps an installation's keys in the file: made of a root key.
#[derive(Clone)]
pub(crate) struct Wrapper {
    key: Key,
    fingerprint: String,
}

/// The keystore of one installation.
#[derive(Clone)]
pub(crate) struct Keystore {
    folder: PathBuf,
    id: Uuid,
    by: Wrapper,
    // What receipts are signed with until there is a file.
    receipts: Key,
}

/// What the file holds, open.
pub(crate) struct Content {
    /// What receipts are signed with.
    pub(crate) receipts: Key,
    /// The epoch keys that are not destroyed, by number.
    pub(crate) epochs: BTreeMap<u32, Key>,
}

impl Wrapper {
    pub(crate) fn new(root: &RootKey) -> Self {
        Self { key: root.epochs_key(), fingerprint: root.fingerprint() }
    }
}

impl Content {
    pub(crate) fn newest(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or_default()
    }
}

impl Keystore {
    pub(crate) fn new(folder: PathBuf, id: Uuid, root: &RootKey) -> Self {
        Self { folder, id, by: Wrapper::new(root), receipts: root.report_key() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.keys", self.id))
    }

    /// Whether there is a file.
    pub(crate) fn is_made(&self) -> bool {
        self.file().exists()
    }

    /// Where it is.
    pub(crate) fn place(&self) -> PathBuf {
        self.folder.clone()
    }

    pub(crate) fn folder(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}", self.id))
    }

    /// What it holds; none if there is no file yet.
    pub(crate) fn read(&self) -> Result<Option<Content>, Refusal> {
        let Some(lines) = self.lines()? else { return Ok(None) };
        let (mut receipts, mut epochs) = (None, BTreeMap::new());
        let mut others = None;
        for line in &lines {
            if line.by != self.by.fingerprint {
                others = Some(line.by.clone());
                continue;
            }
            let key = wrap::unwrap(&self.by.key, &self.purpose(&line.what), &line.wrapped);
            let key = key.ok_or_else(|| self.refuse("a key in the keystore does not open"))?;
            match line.what.split_once(' ') {
                Some(("epoch", number)) => {
                    let number = number.parse().map_err(|_| self.refuse(DAMAGED))?;
                    epochs.insert(number, key);
                }
                _ => receipts = Some(key),
            }
        }
        match (receipts, others) {
            (Some(receipts), _) if !epochs.is_empty() => Ok(Some(Content { receipts, epochs })),
            (_, Some(by)) => Err(self
                .refuse("the keystore was sealed with another root key")
                .detail(format!("with the one whose fingerprint is {by}"))),
            _ => Err(self.refuse(DAMAGED)),
        }
    }

    /// Whether there is a file and it holds something for this root key.
    pub(crate) fn opens(&self) -> Result<bool, Refusal> {
        let lines = self.lines()?.unwrap_or_default();
        Ok(lines.iter().any(|line| line.by == self.by.fingerprint))
    }

    /// Makes the file with its first epoch key. If somebody else was quicker, theirs stays.
    pub(crate) fn create(&self) -> Result<(), Refusal> {
        let made = fs::DirBuilder::new().recursive(true).create(&self.folder);
        made.map_err(|error| self.unwritten(&error))?;
        self.locked(|| {
            if self.file().exists() {
                return self.read().map(drop);
            }
            let receipts = self.line("receipts", &self.receipts);
            self.write(&[receipts, self.line("epoch 1", &wrap::random())])
        })
    }

    /// Adds the epoch key of this number if the one before is the newest; else nothing.
    pub(crate) fn add(&self, number: u32) -> Result<(), Refusal> {
        self.change(|content, lines| {
            if content.newest() + 1 == number {
                lines.push(self.line(&format!("epoch {number}"), &wrap::random()));
            }
        })
    }

    /// Destroys the epoch keys before this number, if the file has one of this number.
    pub(crate) fn destroy_before(&self, number: u32) -> Result<(), Refusal> {
        self.change(|content, lines| {
            if content.epochs.contains_key(&number) {
                lines.retain(|line| line.epoch().is_none_or(|epoch| epoch >= number));
            }
        })
    }

    /// Wraps everything for another root key, too.
    pub(crate) fn wrap_also(&self, other: &RootKey) -> Result<(), Refusal> {
        let other = Self { by: Wrapper::new(other), ..self.clone() };
        self.change(|content, lines| {
            lines.retain(|line| line.by != other.by.fingerprint);
            lines.push(other.line("receipts", &content.receipts));
            for (number, key) in &content.epochs {
                lines.push(other.line(&format!("epoch {number}"), key));
            }
        })
    }

    /// Forgets what other root keys than this one open.
    pub(crate) fn only_this_root(&self) -> Result<(), Refusal> {
        self.change(|_, lines| lines.retain(|line| line.by == self.by.fingerprint))
    }

    fn change(&self, change: impl FnOnce(&Content, &mut Vec<Line>)) -> Result<(), Refusal> {
        self.locked(|| {
            let content = self.read()?.ok_or_else(|| self.missing())?;
            let mut lines = self.lines()?.unwrap_or_default();
            let before = lines.len();
            let names = |lines: &[Line]| -> Vec<(String, String)> {
                lines.iter().map(|line| (line.what.clone(), line.by.clone())).collect()
            };
            let was = names(&lines);
            change(&content, &mut lines);
            if lines.len() == before && names(&lines) == was {
                return Ok(());
            }
            self.write(&lines)
        })
    }

    fn locked<T>(&self, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
        let path = self.folder("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let lock = lock.and_then(|file| file.lock().map(|()| file));
        let _held = lock.map_err(|error| self.unwritten(&error))?;
        work()
    }

    fn lines(&self) -> Result<Option<Vec<Line>>, Refusal> {
        // A file that was opened just before another took its place may be wiped already.
        self.lines_once().or_else(|_| self.lines_once())
    }

    fn lines_once(&self) -> Result<Option<Vec<Line>>, Refusal> {
        let path = self.file();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(self.refuse(format!("the keystore cannot be read: {}", error.kind())));
            }
        };
        let mode = file.metadata().map_err(|error| self.refuse(error.to_string()))?;
        if mode.permissions().mode() & 0o077 != 0 {
            return Err(self
                .refuse("others can read the keystore")
                .hint(format!("make it its owner's alone: chmod 600 {}", path.display())));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|_| self.refuse(DAMAGED))?;
        let mut lines = text.lines();
        let headed = lines.next() == Some(HEAD);
        let read: Option<Vec<Line>> = lines.map(Line::read).collect();
        match read.filter(|_| headed) {
            Some(lines) => Ok(Some(lines)),
            None => Err(self.refuse(DAMAGED)),
        }
    }

    fn line(&self, what: &str, key: &[u8; 32]) -> Line {
        let wrapped = wrap::wrap(&self.by.key, &self.purpose(what), key);
        Line { what: what.to_owned(), by: self.by.fingerprint.clone(), wrapped }
    }

    fn purpose<'p>(&'p self, what: &'p str) -> [&'p [u8]; 3] {
        [b"keystore", self.id.as_bytes(), what.as_bytes()]
    }

    fn write(&self, lines: &[Line]) -> Result<(), Refusal> {
        let mut text = format!("{HEAD}\n");
        for Line { what, by, wrapped } in lines {
            text.push_str(&format!("{by} {} {what}\n", hex(wrapped)));
        }
        replace(&self.file(), text.as_bytes()).map_err(|error| self.unwritten(&error))
    }

    pub(crate) fn missing(&self) -> Refusal {
        self.refuse("the keystore has no keys of this database").hint(
            "name the folder that has them: --keystore or FREEHOLD_KEYSTORE; without them nothing that is sealed opens",
        )
    }

    pub(crate) fn unwritten(&self, error: &io::Error) -> Refusal {
        self.refuse(format!("the keystore cannot be written: {error}"))
    }

    fn refuse(&self, what: impl Into<String>) -> Refusal {
        Refusal::new(Code::Usage, what).detail(self.file().display().to_string())
    }
}

const DAMAGED: &str = "the file of the keystore is damaged";

/// A wrapped key in the file: the fingerprint of the root key, the wrapped key, and what it is.
struct Line {
    what: String,
    by: String,
    wrapped: Vec<u8>,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let (by, wrapped, what) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { what: what.to_owned(), by: by.to_owned(), wrapped: unhex(wrapped)? })
    }

    fn epoch(&self) -> Option<u32> {
        self.what.strip_prefix("epoch ")?.parse().ok()
    }
}

/// Writes a file as a whole, for its owner alone, so that it is there after a crash; what it was is overwritten.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        take_place(&beside, path)
    })();
    if written.is_err() {
        // It may not be there; the error that counts is the first.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Puts a file in another's place; what that was is overwritten.
pub(crate) fn take_place(new: &Path, path: &Path) -> io::Result<()> {
    let before = OpenOptions::new().write(true).open(path);
    fs::rename(new, path)?;
    durable(path)?;
    before.map_or(Ok(()), wipe)
}

/// Makes the name of a file durable.
pub(crate) fn durable(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn wipe(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
