//! docs/sql.md and the examples for drivers: what they show is what happens.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use freehold_local::{Binaries, Major};

use crate::{
    documents::{Shown, blocks, commands, put_on_path},
    harness::{House, ended},
    registry,
};

#[path = "../../../../examples/drivers/rust/report.rs"]
#[allow(dead_code, clippy::print_stdout, reason = "its main is for people")]
mod report;

const PSYCOPG: &str = "psycopg[binary]==3.3.*";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The help desk with its rows, and the examples beside them.
async fn help_desk() -> House {
    let house = House::empty().await;
    for folder in ["helpdesk", "drivers/psql", "drivers/python"] {
        for file in fs::read_dir(root().join("examples").join(folder)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), house.path(&file.file_name().to_string_lossy())).unwrap();
            }
        }
    }
    house.fine(&["apply"]);
    house.fine(&["tenant", "create", "acme"]);
    house.fine(&["tenant", "create", "globex"]);
    house.fine(&["import", "agent", "agents.jsonl", "--tenant", "acme"]);
    house.fine(&["import", "ticket", "tickets.jsonl", "--tenant", "acme"]);
    put_on_path(&house);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_sql_shows_what_happens() {
    let house = help_desk().await;
    let text = fs::read_to_string(root().join("docs/sql.md")).unwrap();
    let path = programs(&house);
    let shown: Vec<Shown> =
        blocks(&text, "console").iter().flat_map(|console| commands(console)).collect();
    assert!(shown.len() > 6, "the page has no consoles");
    for Shown { command, answer } in &shown {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env("PATH", &path).current_dir(house.dir.path());
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = ended(shell.spawn().unwrap());
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
        let lines: Vec<&str> =
            ended.out.lines().chain(ended.err.lines()).map(str::trim_end).collect();
        for line in answer {
            assert!(lines.contains(&line.as_str()), "{command}\nshows  {line}\nsays   {lines:#?}");
        }
    }
    let statements = blocks(&text, "sql");
    assert!(statements.len() > 3, "the page has no statements");
    for statements in statements {
        house.write("page.sql", &statements);
        house.fine(&["sql", "--tenant", "acme", "-f", "page.sql"]);
    }
    let hedy = "select count(*) from app.agent where handle = 'hedy'";
    assert_eq!(house.number(hedy).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_example_does_what_it_says() {
    let house = help_desk().await;
    let url = house.fine(&["login", "--passfile", "pass"]);
    let pass = house.path("pass");
    let signer = || report::Signer::start(house.command(&[])).unwrap();
    let lines = report::report(url.trim(), pass.to_str().unwrap(), "acme", signer()).await.unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "Password reset loops (ada)");
    assert!(lines[2].starts_with("duplicate key"), "{lines:?}");
    assert_eq!(lines[3], "2 agents");
    let other = report::report(url.trim(), pass.to_str().unwrap(), "nobody", signer()).await;
    assert!(other.unwrap_err().to_string().contains("no such tenant"));
}

/// The binary under test, PostgreSQL's programs and a Python with psycopg come first.
fn programs(house: &House) -> std::ffi::OsString {
    let cache = registry::cache();
    let binaries =
        Binaries::ensure(&cache, &mut |_| {}).unwrap_or_else(|e| panic!("{}", e.report()));
    let psql = binaries.program(Major::default(), "psql");
    let python = registry::python("psycopg-3.3", &[PSYCOPG]).join("bin");
    let folders = [house.dir.path().to_owned(), psql.parent().unwrap().to_owned(), python];
    let before = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&before))).unwrap()
}
