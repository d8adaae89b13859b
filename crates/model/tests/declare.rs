//! The compiler's front as data: each `declare/NAME.toml` has its diagnostics in `declare/NAME.txt`.
//! `UPDATE_EXPECT=1 cargo test -p freehold-model` writes what is now.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use freehold_model::{
    Diagnostic,
    declare::{CODES, Checked, FILE_BYTES_MAX, TEMPLATE, read, schema},
};

#[test]
fn every_file_has_its_diagnostics() {
    for (name, text) in files() {
        let (verdict, diagnostics) = match read(&text) {
            Ok(Checked { warnings, .. }) => ("sound", warnings),
            Err(errors) => ("not sound", errors),
        };
        let mut shown = format!("{verdict}\n");
        for diagnostic in &diagnostics {
            render(&text, diagnostic, &mut shown);
        }
        expect(&format!("{name}.txt"), &shown);
    }
}

#[test]
fn every_code_is_shown_by_some_file() {
    let mut seen = BTreeSet::from(["file.too-large", "model.too-large"]);
    for (_, text) in files() {
        match read(&text) {
            Ok(checked) => seen.extend(checked.warnings.iter().map(|d| d.code)),
            Err(errors) => seen.extend(errors.iter().map(|d| d.code)),
        }
    }
    let all: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(all.len(), CODES.len(), "a code is listed twice");
    assert_eq!(seen, all);
}

#[test]
fn every_error_says_how_to_mend_it() {
    for (name, text) in files() {
        for error in read(&text).err().unwrap_or_default() {
            assert!(error.help.is_some() || error.code == "toml.syntax", "{name}: {error:?}");
            assert!(!error.message.ends_with('.'), "{name}: {error:?}");
        }
    }
}

#[test]
fn a_file_with_the_line_ends_of_old_macs_is_refused_with_the_mend() {
    let errors = read("[model]\rname = \"x\"\r").err().unwrap();
    assert!(errors.iter().all(|error| error.help.as_ref().is_some_and(|help| help.contains("LF"))));
}

#[test]
fn a_rich_model_is_read_whole() {
    let text = fs::read_to_string(folder().join("rich.toml")).unwrap();
    expect("rich.model", &format!("{:#?}\n", read(&text).unwrap().model));
}

#[test]
fn the_template_is_a_model_without_warnings() {
    let checked = read(TEMPLATE).unwrap();
    assert_eq!(checked.warnings, []);
    let names: Vec<&str> =
        checked.model.entities().iter().map(|entity| entity.name.as_str()).collect();
    assert_eq!(names, ["person", "note"]);
}

#[test]
fn what_the_template_has_in_comments_is_right_too() {
    let tail = TEMPLATE.find("# [embed.minilm]").unwrap();
    let uncommented: String = TEMPLATE[tail..]
        .lines()
        .take_while(|line| !line.starts_with("# To rename"))
        .map(|line| format!("{}\n", line.trim_start_matches("# ").trim_start_matches('#')))
        .collect();
    let checked = read(&format!("{}\n{uncommented}", &TEMPLATE[..tail])).unwrap();
    assert_eq!(checked.model.embedders().len(), 2);
    assert!(checked.warnings.iter().all(|warning| warning.code == "embed.unused"));
}

#[test]
fn the_schema_on_disk_is_the_schema() {
    let shown = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    expect("../../freehold.schema.json", &shown);
}

#[test]
fn a_file_that_is_too_large_is_refused_at_once() {
    let errors = read(&"#".repeat(FILE_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["file.too-large"]);
    assert!(read(&format!("[model]\nname = \"a\"\n{}", "#".repeat(FILE_BYTES_MAX - 20))).is_ok());
}

#[test]
fn limits_are_where_they_are_said_to_be() {
    let entities = |n: usize| {
        (0..n).fold(String::from("[model]\nname = \"a\"\n"), |text, i| {
            text + &format!("[entity.e{i}.field]\nf = {{ type = \"text\" }}\n")
        })
    };
    assert!(read(&entities(500)).is_ok());
    assert_eq!(codes(&entities(501)), ["model.too-large"]);
    let fields = |n: usize| {
        (0..n).fold(String::from("[model]\nname = \"a\"\n[entity.e.field]\n"), |text, i| {
            text + &format!("f{i} = {{ type = \"text\" }}\n")
        })
    };
    assert!(read(&fields(300)).is_ok());
    assert_eq!(codes(&fields(301)), ["model.too-large"]);
}

#[test]
fn depth_is_bounded_however_it_is_written() {
    for text in [
        format!("a = {}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a = {}", "{a=".repeat(10_000)),
        format!("{}a = 1", "a.".repeat(200_000)),
        format!("[{}a]\nb = 1", "a.".repeat(200_000)),
    ] {
        assert!(codes(&text).contains(&"toml.too-deep"), "{}", &text[..20]);
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    read(text).err().unwrap_or_default().iter().map(|error| error.code).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/declare")
}

fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() > 5, "the examples are not where they should be");
    files
}

/// Compares with the file, or writes it if asked to.
#[track_caller]
fn expect(name: &str, shown: &str) {
    let path = folder().join(name);
    #[allow(clippy::disallowed_methods, reason = "asked for by hand, in tests only")]
    if std::env::var("UPDATE_EXPECT").is_ok() {
        fs::write(&path, shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == shown, "{name} differs; UPDATE_EXPECT=1 writes what is now:\n{shown}");
}

fn render(text: &str, diagnostic: &Diagnostic, out: &mut String) {
    let place = |at: usize| {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        format!("{}:{}", before.matches('\n').count() + 1, text[line_start..at].chars().count() + 1)
    };
    let [first, rest @ ..] = diagnostic.labels.as_slice() else {
        panic!("no place: {diagnostic:?}")
    };
    let quoted = |span: &std::ops::Range<usize>| {
        text[span.clone()].lines().next().unwrap_or_default().to_owned()
    };
    let _ = writeln!(
        out,
        "\n{} {}\n  {}",
        place(first.span.start),
        diagnostic.code,
        diagnostic.message
    );
    let _ = writeln!(
        out,
        "  > {}{}{}",
        quoted(&first.span),
        if first.text.is_empty() { "" } else { "  — " },
        first.text
    );
    for label in rest {
        let _ = writeln!(
            out,
            "  {} > {}  — {}",
            place(label.span.start),
            quoted(&label.span),
            label.text
        );
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "  help: {help}");
    }
}
