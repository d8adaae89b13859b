//! Where the root key comes from: a file, the environment, a command; and never from two places.

use std::process::Command;

use crate::harness::{Ended, House, ended};

/// The command as the house would run it, with the root key from elsewhere.
fn without_file(house: &House, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command.current_dir(house.dir.path()).args(arguments);
    command.args(["--database-url", house.db.url()]).env_remove("DATABASE_URL");
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command
}

fn run(mut command: Command) -> Ended {
    ended(command.spawn().unwrap())
}

#[tokio::test]
async fn it_comes_from_the_environment_or_from_whom_a_command_asks() {
    let house = House::new().await;
    let ada = r#"{"handle":"ada"}"#;
    let asked = |set: &dyn Fn(&mut Command)| {
        let mut command = without_file(&house, &["insert", "person", ada, "--tenant", "a"]);
        set(&mut command);
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        house.fine(&["delete", "person?handle=eq.ada", "--tenant", "a"]);
    };
    let digits = "07".repeat(32);
    asked(&|command| {
        command.env("FREEHOLD_KEY", &digits);
    });
    asked(&|command| {
        command.args(["--key-command", "tr -d '\\n' < root.key"]);
    });
    asked(&|command| {
        command.env("FREEHOLD_KEY_COMMAND", "cat root.key");
    });
}

#[tokio::test]
async fn what_is_no_key_is_refused_with_where_it_was_looked_for() {
    let house = House::new().await;
    let refused = |name: &str, value: &str, also: &[&str]| {
        let mut command =
            without_file(&house, &[&["query", "person", "--tenant", "a"], also].concat());
        command.env(name, value);
        let ended = run(command);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.err.contains("0707"), "{ended:?}");
        ended.err
    };
    let digits = "07".repeat(32);
    assert!(refused("FREEHOLD_KEY", "0707", &[]).contains("FREEHOLD_KEY is not 64"));
    for (command, said) in [
        ("exit 3", "failed (exit status: 3)"),
        ("echo 0707", "prints is not 64"),
        ("yes 07", "failed"),
        ("cat nowhere; cat root.key; exit 1", "No such file"),
    ] {
        let told = refused("FREEHOLD_KEY_COMMAND", command, &[]);
        assert!(told.contains(said), "{told}");
    }
    let told = refused("FREEHOLD_KEY", &digits, &["--key-file", "root.key"]);
    assert!(told.contains("two places"), "{told}");
    let told = refused("FREEHOLD_KEY", &digits, &["--key-command", "cat root.key"]);
    assert!(told.contains("two places"), "{told}");

    // There is no file that a new key could take the place of.
    let mut rotate = without_file(&house, &["keys", "rotate", "root"]);
    rotate.env("FREEHOLD_KEY", &digits);
    let ended = run(rotate);
    assert!(ended.code != Some(0) && ended.err.contains("--to FILE"), "{ended:?}");
}
