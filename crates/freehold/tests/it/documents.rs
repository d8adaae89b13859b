//! What the README and the examples show is what happens: their consoles are typed in and their answers compared.

use std::{fmt::Write as _, path::Path, process::Command};

use crate::harness::{House, ended};

#[tokio::test]
async fn the_readme_shows_what_happens() {
    run(Path::new("README.md")).await;
}

#[tokio::test]
async fn the_help_desk_shows_what_happens() {
    run(Path::new("examples/helpdesk/README.md")).await;
}

#[tokio::test]
async fn the_catalogue_shows_what_happens() {
    run(Path::new("examples/catalogue/README.md")).await;
}

#[tokio::test]
async fn the_page_on_read_models_shows_what_happens() {
    run(Path::new("docs/read-models.md")).await;
}

/// A command of a console and the lines it is shown to answer.
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) answer: Vec<String>,
}

async fn run(document: &Path) {
    let house = House::empty().await;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(&document).unwrap();
    let folder = document.parent().unwrap();
    if folder.join("freehold.toml").exists() {
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap()) {
            std::fs::copy(file.path(), house.path(&file.file_name().to_string_lossy())).unwrap();
        }
    } else {
        house.write("freehold.toml", blocks(&text, "toml").first().expect("a model"));
    }
    put_on_path(&house);
    let consoles = blocks(&text, "console");
    let shown: Vec<Shown> = consoles.iter().flat_map(|console| commands(console)).collect();
    assert!(shown.len() > 5, "the document has no consoles");
    for Shown { command, answer } in
        shown.iter().filter(|shown| shown.command.starts_with("freehold "))
    {
        let path = format!(
            "{}:{}",
            house.dir.path().display(),
            std::env::var_os("PATH").unwrap_or_default().to_string_lossy()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env("PATH", path).current_dir(house.dir.path());
        shell
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let ended = ended(shell.spawn().unwrap());
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
        let lines: Vec<&str> =
            ended.out.lines().chain(ended.err.lines()).map(str::trim_end).collect();
        for line in answer {
            assert!(lines.contains(&line.as_str()), "{command}\nshows  {line}\nsays   {lines:#?}");
        }
    }
}

/// `freehold` is the binary on this test's database; it is written out so that a shell finds it.
pub(crate) fn put_on_path(house: &House) {
    let mut script = "#!/bin/sh\nexec".to_owned();
    let typed = house.command(&[]);
    for word in
        [typed.get_program()].into_iter().chain(typed.get_args()).map(|word| word.to_string_lossy())
    {
        let _ = write!(script, " '{word}'");
    }
    house.write("freehold", script + " \"$@\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(house.path("freehold"), mode).unwrap();
}

/// The fenced blocks of a language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts
        .filter_map(|part| part.split_once("\n```").map(|(block, _)| format!("{block}\n")))
        .collect()
}

pub(crate) fn commands(console: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut open = false;
    for line in console.lines() {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) if !open => {
                shown.push(Shown { command: command.to_owned(), answer: Vec::new() })
            }
            (_, Some(last)) if open => {
                last.command.push('\n');
                last.command.push_str(line);
            }
            (_, Some(last)) => last.answer.push(line.trim_end().to_owned()),
            (_, None) => panic!("a console begins with a command: {line}"),
        }
        // A command goes on while a quote is open or its line ends in a backslash.
        open = shown.last().is_some_and(|last| {
            last.answer.is_empty()
                && (last.command.matches('\'').count() % 2 == 1 || last.command.ends_with('\\'))
        });
    }
    shown
}
