//! Query text to SQL, and what is refused: recorded in `src/query/golden/`; `UPDATE_EXPECT=1` records anew.

use std::{fmt::Write as _, path::Path};

use proptest::prelude::*;

use super::{Limits, fixture::model, parse};
use crate::Sql;

pub(crate) fn shown(sql: &Sql) -> String {
    let mut text = format!("  {}\n", sql.text());
    for (at, param) in sql.params().iter().enumerate() {
        let _ = writeln!(text, "  ${} {}", at + 1, param.as_deref().unwrap_or("null"));
    }
    text
}

pub(crate) fn shown_refusal(refusal: &crate::Refusal) -> String {
    let mut text = format!("  {} {}\n", refusal.code.as_str(), refusal.message);
    for (what, line) in [("detail", &refusal.detail), ("hint", &refusal.hint)] {
        if let Some(line) = line {
            let _ = writeln!(text, "  {what}: {line}");
        }
    }
    text
}

/// Gives the cases of a golden file (lines that begin with neither a space nor `#`) to `answer` and compares what it
/// answers to each with the lines after it.
pub(crate) fn golden(path: &str, answer: impl Fn(&[&str]) -> Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let recorded = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = recorded.lines().filter(|line| !line.starts_with(' ')).collect();
    let is_case = |line: &str| !line.is_empty() && !line.starts_with('#');
    let cases: Vec<&str> = kept.iter().copied().filter(|line| is_case(line)).collect();
    let answers = answer(&cases);
    assert_eq!(answers.len(), cases.len());
    let mut answers = answers.into_iter();
    let mut now = String::new();
    for line in kept {
        let answer = if is_case(line) { answers.next().unwrap() } else { String::new() };
        let _ = write!(now, "{line}\n{answer}");
    }
    if updating() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let differs = recorded.lines().zip(now.lines()).find(|(before, after)| before != after);
    assert!(recorded == now, "{}: first difference {differs:#?}", path.display());
}

#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
fn updating() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok()
}

fn read(case: &str) -> String {
    let (entity, query) = case.split_once('?').unwrap();
    let query = query.replace(' ', "%20");
    match parse(&model(), entity, &query, &Limits::default()) {
        Err(refusal) => shown_refusal(&refusal),
        Ok(mut query) => {
            let texts: Vec<usize> = query.texts().iter().map(|text| text.slot).collect();
            for slot in texts {
                query.bind(slot, &[0.5, -0.25, 0.0]);
            }
            if case.contains("count") {
                query.count_exact();
            }
            shown(&query.render())
        }
    }
}

#[test]
fn reads() {
    golden("src/query/golden/reads.txt", |cases| cases.iter().map(|case| read(case)).collect());
}

#[test]
fn refusals() {
    golden("src/query/golden/refusals.txt", |cases| cases.iter().map(|case| read(case)).collect());
}

#[test]
fn every_refusal_is_one() {
    let refusals = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query/golden/refusals.txt"),
    );
    for case in
        refusals.unwrap().lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#']))
    {
        let (entity, query) = case.split_once('?').unwrap();
        assert!(
            parse(&model(), entity, &query.replace(' ', "%20"), &Limits::default()).is_err(),
            "{case}"
        );
    }
}

/// Encodes all but letters and digits.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02x}")
            }
        })
        .collect()
}

fn render(query: &str) -> Option<Sql> {
    let mut query = parse(&model(), "commit", query, &Limits::default()).ok()?;
    let slots: Vec<usize> = query.texts().iter().map(|text| text.slot).collect();
    slots.into_iter().for_each(|slot| query.bind(slot, &[1.0, 2.0, 3.0]));
    Some(query.render())
}

/// Pieces of the grammar, so that random strings come near to it.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "select",
        "=",
        "&",
        "author",
        "file",
        "(",
        ")",
        ",",
        ".",
        "eq",
        "not",
        "and",
        "or",
        "in",
        "is",
        "null",
        "*",
        "::",
        "text",
        "->",
        "->>",
        "!inner",
        "!author",
        ":",
        "embedding",
        "nearest",
        "distance()",
        "[1,2,3]",
        "row:",
        "text:",
        "f32:",
        "limit",
        "offset",
        "order",
        "desc",
        "\"",
        "\\",
        "{",
        "}",
        "-",
        "1",
        "%",
        "%00",
        "%ff",
        "ä",
        "sha",
        "(any)",
        "k:3",
        "max:1",
        "similarity()",
        "status",
        "fts",
        "english",
        " ",
        "$x",
        "...",
        "count()",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_panics(text in "\\PC*", pieces in pieces()) {
        render(&text);
        render(&pieces);
        render(&format!("select={pieces}"));
        render(&format!("and=({pieces}"));
        render(&format!("embedding={pieces}"));
        render(&format!("order={pieces}"));
        render(&format!("sha={pieces}"));
    }

    #[test]
    fn values_become_parameters(value in "[^\0]*") {
        let sql = render(&format!("sha=eq.{}", encode(&value))).unwrap();
        prop_assert_eq!(&sql.params()[0], &Some(value.clone()));
        let quoted = format!("(sha.eq.\"{}\")", value.replace('\\', "\\\\").replace('"', "\\\""));
        let sql = render(&format!("or={}", encode(&quoted))).unwrap();
        prop_assert_eq!(&sql.params()[0], &Some(value.clone()));
        let plain = render("or=(sha.eq.x)").unwrap();
        prop_assert_eq!(sql.text(), plain.text());
    }

    #[test]
    fn places_in_json_become_parameters(key in "[^\0]{1,20}") {
        let quoted = format!("meta->\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        let query = parse(&model(), "person", &format!("{}=eq.1", encode(&quoted)), &Limits::default()).unwrap();
        let sql = query.render();
        prop_assert_eq!(&sql.params()[0], &Some(key));
    }
}
