//! Random queries on random rows against an evaluator that knows nothing of SQL.

mod evaluate;

use std::fmt::Write as _;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use self::evaluate::expected;
use super::session::Session;
use crate::{
    mutate::insert,
    query::{Limits, fixture::model, parse},
};

const PEOPLE: usize = 6;
const COMMITS: usize = 60;
const QUERIES: usize = 1_500;
const WORDS: [&str; 4] = ["a", "ab", "b", "c,d"];

#[derive(Debug, Clone)]
struct Commit {
    id: String,
    sha: String,
    author: usize,
    reviewer: Option<usize>,
    body: Option<String>,
    files: Option<Vec<String>>,
    added: Option<i32>,
    signed: Option<bool>,
    place: Option<[i32; 3]>,
    paths: Vec<(String, Option<i32>)>,
}

/// A condition; what SQL calls unknown is `None`.
#[derive(Debug, Clone)]
enum Cond {
    Added(&'static str, i32),
    AddedIn(Vec<i32>),
    Body(&'static str, String),
    BodyIn(Vec<String>),
    Files(&'static str, Vec<String>),
    Null(&'static str),
    Signed(&'static str),
    Distance(&'static str, i32),
    Not(Box<Cond>),
    Group { all: bool, not: bool, parts: Vec<Cond> },
}

#[derive(Debug, Clone)]
struct Ask {
    conds: Vec<Cond>,
    near: Option<[i32; 3]>,
    k: Option<u64>,
    author: Option<(bool, usize)>,
    file: Option<(bool, i32)>,
    order: Option<(bool, Option<bool>)>,
    limit: Option<u64>,
    offset: u64,
}

fn id(kind: char, number: usize) -> String {
    format!("00000000-0000-0000-0000-0000000{kind}{number:04}")
}

fn rows() -> impl Strategy<Value = Vec<Commit>> {
    let words = prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..3);
    let words = words.prop_map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let body = prop::option::of(prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned));
    let place = prop::option::weighted(0.8, [-2..3_i32, -2..3, -2..3]);
    let paths = prop::collection::btree_map("[ab]", prop::option::of(0..4_i32), 0..3);
    let reviewer = prop::option::of(0..PEOPLE);
    let values = (
        0..PEOPLE,
        reviewer,
        body,
        prop::option::of(words),
        prop::option::of(0..4_i32),
        any::<Option<bool>>(),
    );
    prop::collection::vec((values, place, paths), COMMITS).prop_map(|rows| {
        let commit = |(number, (values, place, paths))| {
            let (author, reviewer, body, files, added, signed) = values;
            let (id, sha) = (id('c', number), format!("s{number:04}"));
            let paths: std::collections::BTreeMap<String, Option<i32>> = paths;
            Commit {
                id,
                sha,
                author,
                reviewer,
                body,
                files,
                added,
                signed,
                place,
                paths: paths.into_iter().collect(),
            }
        };
        rows.into_iter().enumerate().map(commit).collect()
    })
}

fn cond(near: bool) -> impl Strategy<Value = Cond> {
    let compare =
        || prop::sample::select(vec!["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct"]);
    let word = || prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned);
    let columns = vec!["added", "body", "files", "signed", "reviewer", "file", "embedding"];
    let leaf = prop_oneof![
        (compare(), 0..4).prop_map(|(op, value)| Cond::Added(op, value)),
        prop::collection::vec(0..4, 0..3).prop_map(Cond::AddedIn),
        (prop_oneof![compare(), Just("like")], word())
            .prop_map(|(op, value)| Cond::Body(op, value)),
        prop::collection::vec(word(), 0..3).prop_map(Cond::BodyIn),
        (prop::sample::select(vec!["cs", "cd", "ov"]), prop::collection::vec(word(), 0..3))
            .prop_map(|(op, values)| Cond::Files(op, values)),
        prop::sample::select(columns).prop_map(Cond::Null),
        prop::sample::select(vec!["true", "false", "unknown"]).prop_map(Cond::Signed),
        (prop::sample::select(vec!["lt", "gte"]), 0..6).prop_map(move |(op, value)| {
            if near { Cond::Distance(op, value) } else { Cond::Added(op, value) }
        }),
    ];
    let leaf = (leaf, any::<bool>())
        .prop_map(|(leaf, not)| if not { Cond::Not(Box::new(leaf)) } else { leaf });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (any::<bool>(), any::<bool>(), prop::collection::vec(inner, 1..4))
            .prop_map(|(all, not, parts)| Cond::Group { all, not, parts })
    })
}

fn asks() -> impl Strategy<Value = Ask> {
    let near = prop::option::of([-2..3_i32, -2..3, -2..3]);
    near.prop_flat_map(|near| {
        let conds = prop::collection::vec(cond(near.is_some()), 0..3);
        let author = prop::option::of((any::<bool>(), 0..PEOPLE));
        let file = prop::option::of((any::<bool>(), 0..4));
        let order = prop::option::of((any::<bool>(), any::<Option<bool>>()));
        (
            conds,
            Just(near),
            prop::option::of(1..20_u64),
            author,
            file,
            order,
            prop::option::of(0..20_u64),
            0..4_u64,
        )
            .prop_map(|(conds, near, k, author, file, order, limit, offset)| Ask {
                conds,
                near,
                k,
                author,
                file,
                order,
                limit,
                offset,
            })
    })
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(",")
}

fn text(cond: &Cond) -> String {
    match cond {
        Cond::Added(op, value) => format!("added.{op}.{value}"),
        Cond::AddedIn(values) => format!(
            "added.in.({})",
            values.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
        ),
        Cond::Body("like", value) => format!("body.like.\"{}*\"", &value[..1]),
        Cond::Body(op, value) => format!("body.{op}.\"{value}\""),
        Cond::BodyIn(values) => format!("body.in.({})", quoted(values)),
        Cond::Files(op, values) => format!("files.{op}.{{{}}}", quoted(values)),
        Cond::Null(column) => format!("{column}.is.null"),
        Cond::Signed(value) => format!("signed.is.{value}"),
        Cond::Distance(op, value) => format!("embedding.distance().{op}.{value}.5"),
        Cond::Not(inner) => {
            let text = text(inner);
            match text.strip_prefix("embedding.distance()") {
                Some(rest) => format!("embedding.distance().not{rest}"),
                None => text.replacen('.', ".not.", 1),
            }
        }
        Cond::Group { all, not, parts } => {
            let parts: Vec<String> = parts.iter().map(text).collect();
            format!(
                "{}{}({})",
                if *not { "not." } else { "" },
                if *all { "and" } else { "or" },
                parts.join(",")
            )
        }
    }
}

fn query(ask: &Ask) -> String {
    let inner = |inner: bool| if inner { "!inner" } else { "" };
    let mut query = "select=sha,reviewer()".to_owned();
    let author =
        ask.author.map_or(String::new(), |(only, _)| format!(",author{}(handle)", inner(only)));
    let file = ask.file.map_or(",file()".into(), |(only, _)| format!(",file{}(path)", inner(only)));
    let _ = write!(query, "{author}{file}");
    for cond in &ask.conds {
        let _ = write!(query, "&and=({})", text(cond));
    }
    if let Some([x, y, z]) = ask.near {
        let k = ask.k.map_or(String::new(), |k| format!("k:{k},"));
        let _ = write!(query, "&embedding=nearest({k}l2).[{x},{y},{z}]");
    }
    if let Some((_, person)) = ask.author {
        let _ = write!(query, "&author.handle=eq.p{person}");
    }
    if let Some((_, lines)) = ask.file {
        let _ = write!(query, "&file.lines=gte.{lines}&file.order=path");
    }
    if let Some((descending, nulls_first)) = ask.order {
        let direction = if descending { "desc" } else { "asc" };
        let nulls = match nulls_first {
            Some(true) => ".nullsfirst",
            Some(false) => ".nullslast",
            None => "",
        };
        let _ = write!(query, "&order=added.{direction}{nulls},sha");
    }
    if let Some(limit) = ask.limit {
        let _ = write!(query, "&limit={limit}");
    }
    let _ = write!(query, "&offset={}", ask.offset);
    query
}

fn fill(session: &mut Session, rows: &[Commit]) {
    let limits = Limits::default();
    let mut add = |entity: &str, body: Value| {
        session.add(&insert(&model(), entity, &body, "", None, false, &limits).unwrap().render());
    };
    let people =
        (0..PEOPLE).map(|number| json!({ "id": id('a', number), "handle": format!("p{number}") }));
    add("person", people.collect());
    let commits = rows.iter().map(|row| {
        json!({
            "id": row.id, "sha": row.sha, "author": id('a', row.author), "reviewer": row.reviewer.map(|r| id('a', r)),
            "subject": "x", "body": row.body, "files": row.files, "added": row.added, "signed": row.signed,
            "embedding": row.place,
        })
    });
    add("commit", commits.collect());
    let file = |row: &Commit| {
        let of = row.id.clone();
        let file = move |(path, lines): (String, Option<i32>)| json!({ "commit": of, "path": path, "lines": lines });
        row.paths.clone().into_iter().map(file).collect::<Vec<_>>()
    };
    add("file", rows.iter().flat_map(file).collect());
}

#[test]
fn answers_are_those_of_a_naive_evaluator() {
    let mut runner = TestRunner::deterministic();
    let mut some = || rows().new_tree(&mut runner).unwrap().current();
    let (rows, others) = (some(), some());
    let mut session = Session::default();
    for (tenant, rows) in [
        ("00000000-0000-0000-0000-0000000000e1", &others),
        ("00000000-0000-0000-0000-0000000000e2", &rows),
    ] {
        session.tenant(tenant);
        fill(&mut session, rows);
    }
    let asked: Vec<(usize, Ask)> = (0..QUERIES)
        .map(|_| {
            let ask = asks().new_tree(&mut runner).unwrap().current();
            let mut query = parse(&model(), "commit", &query(&ask), &Limits::default())
                .unwrap_or_else(|refusal| {
                    panic!("{refusal:?}: {}", query(&ask));
                });
            query.count_exact();
            (session.add(&query.render()), ask)
        })
        .collect();
    let answers = session.run();
    let mut answered = 0;
    for (number, ask) in asked {
        let answer =
            answers[number].as_ref().unwrap_or_else(|error| panic!("{error}: {}", query(&ask)));
        let mut body: Vec<Value> = serde_json::from_str(answer[0].as_ref().unwrap()).unwrap();
        let (mut wanted, total) = expected(&rows, &ask);
        if ask.order.is_none() && ask.near.is_none() {
            // Without an order any page is right that has as many of the right rows.
            let everything = Ask { limit: None, offset: 0, ..ask.clone() };
            let all = expected(&rows, &everything).0;
            assert!(body.iter().all(|row| all.contains(row)), "{}: {body:?}", query(&ask));
            assert_eq!(body.len(), wanted.len(), "{}", query(&ask));
            body.clear();
            wanted.clear();
        }
        answered += body.len();
        assert_eq!(body, wanted, "{}", query(&ask));
        assert_eq!(answer[2], Some(total.to_string()), "{}", query(&ask));
    }
    assert!(answered > QUERIES, "the queries found too little to say anything: {answered} rows");
}
