//! Packages of other languages, from their registries, each kept in the cache once it was fetched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use freehold_local::default_cache_dir;

pub(crate) fn cache() -> PathBuf {
    std::env::var_os("FREEHOLD_CACHE").map_or_else(default_cache_dir, PathBuf::from)
}

/// A folder in which node finds this package, such as `name@1.2.3`.
pub(crate) fn node(package: &str) -> PathBuf {
    let name = format!("node-{}", package.replace(['@', '/'], "-"));
    kept(&name, "node_modules", |folder| {
        fs::create_dir(folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", package]);
        done(npm.current_dir(folder));
    })
}

/// A virtual environment with these packages, such as `name==1.2.3`; its programs are in `bin`.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    kept(&format!("python-{name}"), "bin/python", |folder| {
        done(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        done(Command::new(folder.join("bin/python")).args(pip).args(packages));
    })
}

fn kept(name: &str, sign: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let (cache, kept) = (cache(), cache().join(name));
    if !kept.join(sign).exists() {
        fs::create_dir_all(&cache).unwrap();
        let made = tempfile::tempdir_in(&cache).unwrap();
        let folder = made.path().join("made");
        make(&folder);
        // Of two at once, one comes first; python finds its packages by where it lies.
        if let Err(error) = fs::rename(&folder, &kept) {
            assert!(kept.join(sign).exists(), "{error}");
        }
    }
    kept
}

fn done(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
