//! The house rules that a program can check. Each message says what to do instead.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{markdown, root, rust};

/// A breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Breach {
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// All breaches in the repository, as one text.
pub(crate) fn check() -> Result<(), String> {
    let breaches = breaches(&root());
    if breaches.is_empty() { Ok(()) } else { Err(breaches.join("\n")) }
}

fn breaches(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(root) {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let breaches = match path.extension().and_then(|end| end.to_str()) {
            Some("rs") => rust::check(&name, &text),
            Some("md") => markdown::check(&path, &text),
            _ => continue,
        };
        found.extend(
            breaches
                .into_iter()
                .map(|breach| format!("{name}:{}: {}", breach.line, breach.message)),
        );
    }
    found.extend(unlisted_crates(root));
    found
}

/// The files of the repository: what is built and what is hidden left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let shown = |path: &PathBuf| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        !name.starts_with('.') && name != "target"
    };
    paths
        .into_iter()
        .filter(shown)
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn unlisted_crates(root: &Path) -> Vec<String> {
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let entries = fs::read_dir(root.join("crates")).into_iter().flatten().flatten();
    let crates = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    let names = crates.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let unlisted = names.filter(|name| !map.contains(&format!("| `{name}` |")));
    unlisted.map(|name| format!("ARCHITECTURE.md: crate {name} is not in the table of rooms; say what it is and what it must never do")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn the_whole_house_is_looked_at() {
        let files = files(&root());
        for name in
            ["crates/model/src/names.rs", "crates/local/tests/it/main.rs", "ARCHITECTURE.md"]
        {
            assert!(files.contains(&root().join(name)), "{name}");
        }
        assert!(!files.iter().any(|path| path.starts_with(root().join("target"))));
    }
}
