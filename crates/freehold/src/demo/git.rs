//! Reads the history of git repositories on this machine: the demo's real data.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use freehold_engine::{Code, Refusal};

/// One commit as git tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) author: String,
    /// ISO 8601 with offset.
    pub(crate) at: String,
    pub(crate) subject: String,
    pub(crate) body: Option<String>,
    pub(crate) changes: Vec<Change>,
}

/// What a commit does to one file; lines are 0 for binary files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) added: u32,
    pub(crate) removed: u32,
}

/// The folder of the repository `path` is in.
pub(crate) fn root(path: &Path) -> Result<PathBuf, Refusal> {
    let shown = run(path, &["rev-parse", "--show-toplevel"])?;
    Ok(PathBuf::from(shown.trim_end()))
}

/// The newest commits of a repository, newest first; only those after `since` if that commit is known there.
pub(crate) fn history(
    repository: &Path,
    newest: u32,
    since: Option<&str>,
) -> Result<Vec<Commit>, Refusal> {
    let count = format!("-n{newest}");
    let format = "--format=%x1e%H%x1f%aN%x1f%aI%x1f%s%x1f%b%x1d";
    let known =
        since.filter(|sha| run(repository, &["merge-base", "--is-ancestor", sha, "HEAD"]).is_ok());
    let range = known.map_or_else(|| "HEAD".to_owned(), |sha| format!("{sha}..HEAD"));
    let log = run(
        repository,
        &["log", &count, "--no-merges", "--no-renames", "--numstat", format, &range],
    )?;
    Ok(log.split('\u{1e}').filter_map(commit).collect())
}

fn run(repository: &Path, arguments: &[&str]) -> Result<String, Refusal> {
    let refused = |detail: String| {
        Refusal::new(Code::Usage, format!("no history can be read at {}", repository.display()))
            .detail(detail)
            .hint("--git PATH names another git repository")
    };
    let output = Command::new("git")
        .args(["-c", "core.quotePath=false", "-C"])
        .arg(repository)
        .args(arguments)
        .output()
        .map_err(|error| refused(format!("git cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    // History may hold any bytes; a text column holds UTF-8 without NUL.
    Ok(String::from_utf8_lossy(&output.stdout).replace('\0', "\u{fffd}"))
}

fn commit(record: &str) -> Option<Commit> {
    let (head, numstat) = record.split_once('\u{1d}')?;
    let mut parts = head.splitn(5, '\u{1f}');
    let mut part = || parts.next().map(str::to_owned);
    let (sha, author, at, subject, body) = (part()?, part()?, part()?, part()?, part()?);
    let body = Some(body.trim().to_owned()).filter(|body| !body.is_empty());
    let author = if author.trim().is_empty() { "unknown".into() } else { author };
    Some(Commit {
        sha,
        author,
        at,
        subject,
        body,
        changes: numstat.lines().filter_map(change).collect(),
    })
}

fn change(line: &str) -> Option<Change> {
    let mut columns = line.splitn(3, '\t');
    let mut lines = || columns.next().map(|number| number.parse().unwrap_or(0));
    let (added, removed) = (lines()?, lines()?);
    Some(Change { path: columns.next()?.to_owned(), added, removed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_git_log_becomes_a_commit() {
        let record = "abc\u{1f}Ada\u{1f}2026-01-02T03:04:05+01:00\u{1f}Fix it\u{1f}Because.\n\u{1d}\n\n3\t1\tsrc/a b.rs\n-\t-\tlogo.png\n";
        let commit = commit(record).expect("a whole record");
        assert_eq!((commit.sha.as_str(), commit.body.as_deref()), ("abc", Some("Because.")));
        let changes: Vec<_> =
            commit.changes.iter().map(|c| (c.path.as_str(), c.added, c.removed)).collect();
        assert_eq!(changes, [("src/a b.rs", 3, 1), ("logo.png", 0, 0)]);
    }

    #[test]
    fn a_folder_without_history_is_refused_with_the_mend() {
        let refusal = root(Path::new("/proc")).expect_err("not a repository");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("--git")));
    }
}
