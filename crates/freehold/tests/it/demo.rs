//! The tour of a newcomer, over the history of a repository made for it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use freehold_testkit::OwnServer;

use crate::harness::{Ended, ended};

fn git(repository: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .current_dir(repository)
        .args(["-c", "user.name=Grace", "-c", "user.email=grace@example.org"])
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "git {arguments:?}");
}

fn commit(repository: &Path, subject: &str) {
    std::fs::write(repository.join("file.txt"), format!("{subject}\n")).unwrap();
    git(repository, &["add", "."]);
    git(repository, &["commit", "-q", "-m", subject]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_shows_what_it_says_and_can_be_taken_again() {
    let server = OwnServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("sails");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "-q"]);
    for subject in ["Hoist the sail", "Mend the sail", "Paint the hull", "Paint the mast"] {
        commit(&repository, subject);
    }
    // A server that Freehold does not run itself, so it makes no key for it.
    let key = dir.path().join("state/demo/root.key");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    std::fs::write(&key, "07".repeat(32)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    let tour = || -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.current_dir(dir.path()).args(["demo", "--once", "--git", "sails"]);
        command.args(["--state", "state"]).env("DATABASE_URL", server.url());
        command.env_remove("FREEHOLD_KEYSTORE").env_remove("FREEHOLD_KEY_FILE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ended(command.spawn().unwrap())
    };
    for commits in ["Grace   2", "Grace   3"] {
        let ended = tour();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let out = ended.out;
        for wanted in [
            commits,
            "runs the select itself and finds the same",
            "memory; PostgreSQL says that it is right",
            "memory; nobody was asked",
            "PostgreSQL; what was kept would have been wrong",
            "→ Ada Lovelace, opened for the newsletter",
            "ADA@EXAMPLE.ORG   → 0 rows",
            "foreign_commits = 0",
            "refused: permission denied for schema freehold_shelf",
            "refused: tenant context refused",
            "refused: ALTER TABLE is not for freehold_app",
        ] {
            assert!(out.contains(wanted), "{wanted} is not in:\n{out}");
        }
        let sealed = out.lines().find(|line| line.trim_start().starts_with("email = ")).unwrap();
        assert!(sealed.contains("\\x"), "{sealed}");
        assert!(!out.contains("→ done"), "an attack has been let through:\n{out}");
        commit(&repository, &format!("After {commits}"));
    }
}
