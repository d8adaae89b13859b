//! Queries of the golden files, changed at random: none panics, whatever is taken is a statement, and every refusal
//! says which part of the query it is about, under a code that docs/query.md lists.

use std::path::Path;

use proptest::prelude::*;

use super::{
    Limits,
    fixture::model,
    lexer::{decode, shorten},
    parse,
};
use crate::{Model, Refusal, mutate};

/// What is put into queries: the grammar's own words and signs, and what is none of it.
const PIECES: &[&str] = &[
    "select=",
    "&",
    "=",
    "(",
    ")",
    ",",
    ".",
    ":",
    "::text",
    "!inner",
    "!",
    "->",
    "->>",
    "...",
    "*",
    "not.",
    "eq.",
    "in.(",
    "is.null",
    "fts(",
    "(any)",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "and=(",
    "or(",
    "order=",
    "limit=",
    "offset=",
    "columns=",
    "on_conflict=",
    "rank=rrf(",
    "nearest(",
    "nearest.[1,2,3]",
    "row:",
    "text:",
    "f32:",
    ".distance()",
    "count()",
    ".sum()",
    "count",
    "author",
    "commit",
    "sha",
    "embedding",
    "%",
    "%00",
    "%ff",
    "%2B",
    "+",
    " ",
    "-1",
    "99999999999999999999",
    "1e999",
    "ä",
    "\u{202e}",
    "tenant_id",
    "~",
];

/// One change of a text, at places given in thousandths of its length.
#[derive(Debug, Clone)]
enum Change {
    Insert(usize, &'static str),
    Delete(usize, usize),
    Repeat(usize, usize),
    Swap(usize, usize),
    Graft(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = 0usize..1_000;
    let change = prop_oneof![
        (at.clone(), prop::sample::select(PIECES))
            .prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at.clone(), at.clone()).prop_map(|(a, b)| Change::Delete(a, b)),
        (at.clone(), at.clone()).prop_map(|(a, b)| Change::Repeat(a, b)),
        (at.clone(), at.clone()).prop_map(|(a, b)| Change::Swap(a, b)),
        (at.clone(), at).prop_map(|(a, b)| Change::Graft(a, b)),
    ];
    prop::collection::vec(change, 1..5)
}

/// Entities and queries that were thought of, from the golden files.
fn corpus() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for name in ["reads.txt", "refusals.txt"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query/golden").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let cases = text.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#']));
        all.extend(cases.map(|case| {
            let (entity, query) = case.split_once('?').unwrap();
            (entity.to_owned(), query.to_owned())
        }));
    }
    all
}

fn changed(text: &str, other: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    let other: Vec<char> = other.chars().collect();
    for change in changes {
        let place = |at: usize| at * text.len() / 1_000;
        let pair = |a: usize, b: usize| (place(a.min(b)), place(a.max(b)));
        match *change {
            Change::Insert(at, piece) => {
                let at = place(at);
                text.splice(at..at, piece.chars());
            }
            Change::Delete(a, b) => {
                // A long cut leaves nothing to be wrong.
                let (from, to) = pair(a, b);
                text.drain(from..to.min(from + 12));
            }
            Change::Repeat(a, b) => {
                let (from, to) = pair(a, b);
                let part = text[from..to].to_vec();
                text.splice(to..to, part);
            }
            Change::Swap(a, b) => {
                let (one, two) = pair(a, b);
                if two < text.len() {
                    text.swap(one, two);
                }
            }
            Change::Graft(a, b) => {
                let (from, to) = (a.min(b) * other.len() / 1_000, a.max(b) * other.len() / 1_000);
                let at = place(a);
                text.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    text.into_iter().collect()
}

/// The codes of the table in docs/query.md.
fn listed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/query.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
        .map(|(code, _)| code.to_owned())
        .collect()
}

/// Whether the refusal tells a place: a character of a parameter, or a word that the query has.
fn tells_where(refusal: &Refusal, query: &str) -> bool {
    let said = format!("{} {}", refusal.message, refusal.detail.as_deref().unwrap_or_default());
    // What cannot be decoded is told as it was written.
    let parts = query.split('&').map(|part| decode(part).unwrap_or_else(|_| part.to_owned()));
    let decoded = parts.collect::<Vec<_>>().join("&");
    said.contains("at character")
        || said.contains("at most")
        // The place of what is not there.
        || said.contains("without a filter")
        || query.split('&').any(|part| !part.is_empty() && said.contains(&shorten(part)))
        || decoded
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty())
            .any(|word| said.contains(word))
        // A name need not have a letter.
        || decoded
            .split('&')
            .filter_map(|part| part.split_once('='))
            .any(|(key, _)| !key.is_empty() && said.contains(&shorten(key)))
        || decoded.chars().any(|c| !c.is_alphanumeric() && said.contains(&format!("`{c}")))
}

fn check(model: &Model, entity: &str, query: &str) -> Result<(), TestCaseError> {
    let listed = listed();
    let limits = Limits::default();
    let about = |refusal: Refusal| -> Result<(), TestCaseError> {
        let code = refusal.code.as_str();
        prop_assert!(listed.iter().any(|known| known == code), "{code} is not in docs/query.md");
        prop_assert!(tells_where(&refusal, query), "where? {query:?}: {refusal:?}");
        Ok(())
    };
    match parse(model, entity, query, &limits) {
        Ok(mut read) => {
            let slots: Vec<usize> = read.texts().iter().map(|text| text.slot).collect();
            slots.into_iter().for_each(|slot| read.bind(slot, &[1.0, 2.0, 3.0]));
            prop_assert!(!read.render().text().is_empty());
        }
        Err(refusal) => about(refusal)?,
    }
    let row = serde_json::json!({});
    for refusal in [
        mutate::update(model, entity, &row, query, true, &limits)
            .map(|update| update.render())
            .err(),
        mutate::delete(model, entity, query, true, &limits).map(|delete| delete.render()).err(),
    ] {
        refusal.map_or(Ok(()), about)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn changed_queries_are_taken_or_refused_with_a_place(
        at in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        changes in changes(),
    ) {
        let (model, corpus) = (model(), corpus());
        let (entity, query) = at.get(&corpus);
        let (_, other) = other.get(&corpus);
        // The entity stays: what is wrong with it is about the path.
        if model.entity(entity).is_some() {
            check(&model, entity, &changed(query, other, &changes))?;
        }
    }
}
