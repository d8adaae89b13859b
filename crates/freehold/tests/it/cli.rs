//! What the command line promises: its help, its pipes, how it stops.

use std::process::{Command, Stdio};

use freehold_model::Code;

use crate::harness::{House, ended};

/// Compares with a file beside the tests; `UPDATE_EXPECT=1` writes it.
fn expect(name: &str, text: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/expect").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{name} is not as recorded; UPDATE_EXPECT=1 records it:\n{text}");
}

#[test]
fn the_help_of_every_command_is_as_recorded() {
    let help = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.args(arguments).arg("--help").env("COLUMNS", "100");
        for name in [
            "DATABASE_URL",
            "FREEHOLD_MODEL",
            "FREEHOLD_STATE",
            "FREEHOLD_KEY_FILE",
            "FREEHOLD_LISTEN",
            "FREEHOLD_METRICS",
        ] {
            command.env_remove(name);
        }
        let ended = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    };
    let mut text = help(&[]);
    for command in [
        &["init"][..],
        &["check"],
        &["check", "read"],
        &["schema"],
        &["plan"],
        &["apply"],
        &["tenant"],
        &["tenant", "create"],
        &["tenant", "delete"],
        &["key"],
        &["key", "create"],
        &["key", "revoke"],
        &["query"],
        &["insert"],
        &["update"],
        &["delete"],
        &["import"],
        &["export"],
        &["sql"],
        &["token"],
        &["login"],
        &["serve"],
        &["work"],
        &["status"],
        &["replay"],
        &["dev"],
        &["audit"],
        &["demo"],
        &["bench"],
    ] {
        text += &format!("\n$ freehold {} --help\n{}", command.join(" "), help(command));
    }
    expect("help.txt", &text);
}

#[test]
fn the_codes_of_errors_are_as_recorded() {
    let line = |code: &Code| format!("{} {} {code:?}\n", code.as_str(), code.http_status());
    expect("codes.txt", &Code::ALL.iter().map(line).collect::<String>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_fault() {
    let house = House::new().await;
    house.fine(&["insert", "note", r#"{"number":1,"title":"x"}"#, "--tenant", "a"]);
    for arguments in
        [&["export", "note", "--tenant", "a"][..], &["query", "note", "--tenant", "a"], &["schema"]]
    {
        let mut child = house.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ended = ended(child);
        assert!(
            ended.code == Some(0) && !ended.err.contains("panicked"),
            "{arguments:?}: {ended:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_stops() {
    let house = House::new().await;
    let mut server = house.serve();
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_model_serves_no_entity() {
    let house = House::empty().await;
    house.fine(&["tenant", "create", "a"]);
    let (server, key) = (house.serve(), house.key("a"));
    assert_eq!(server.as_tenant(&key, "GET /rest/v1/note", "").status, 404);
    house.fine(&["apply"]);
    crate::harness::until("the model is taken over", async || {
        server.as_tenant(&key, "GET /rest/v1/note", "").status == 200
    })
    .await;
}
