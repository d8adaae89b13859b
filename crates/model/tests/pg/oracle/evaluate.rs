//! What a query must answer, found row by row.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::{Ask, Commit, Cond};

fn order_fits(op: &str, ordering: Ordering) -> bool {
    match op {
        "eq" => ordering.is_eq(),
        "neq" => ordering.is_ne(),
        "gt" => ordering.is_gt(),
        "gte" => ordering.is_ge(),
        "lt" => ordering.is_lt(),
        "lte" => ordering.is_le(),
        other => panic!("{other}"),
    }
}

fn compare<T: Ord>(op: &str, left: Option<&T>, right: &T) -> Option<bool> {
    match op {
        "isdistinct" => Some(left != Some(right)),
        _ => left.map(|left| order_fits(op, left.cmp(right))),
    }
}

fn holds(cond: &Cond, row: &Commit, ask: &Ask) -> Option<bool> {
    match cond {
        Cond::Added(op, value) => compare(op, row.added.as_ref(), value),
        Cond::AddedIn(values) if values.is_empty() => Some(false),
        Cond::AddedIn(values) => row.added.map(|added| values.contains(&added)),
        Cond::Body("like", value) => row.body.as_ref().map(|body| body.starts_with(&value[..1])),
        Cond::Body(op, value) => compare(op, row.body.as_ref(), value),
        Cond::BodyIn(values) if values.is_empty() => Some(false),
        Cond::BodyIn(values) => row.body.as_ref().map(|body| values.contains(body)),
        Cond::Files(op, values) => row.files.as_ref().map(|files| match *op {
            "cs" => values.iter().all(|value| files.contains(value)),
            "cd" => files.iter().all(|file| values.contains(file)),
            _ => files.iter().any(|file| values.contains(file)),
        }),
        Cond::Null(column) => Some(match *column {
            "added" => row.added.is_none(),
            "body" => row.body.is_none(),
            "files" => row.files.is_none(),
            "signed" => row.signed.is_none(),
            "reviewer" => row.reviewer.is_none(),
            "embedding" => row.place.is_none(),
            _ => paths(row, ask).is_empty(),
        }),
        Cond::Signed(value) => Some(row.signed == value.parse().ok()),
        Cond::Distance(op, value) => {
            let square = square(row, ask)?;
            Some(order_fits(op, (4 * square).cmp(&(2 * value + 1).pow(2))))
        }
        Cond::Not(inner) => holds(inner, row, ask).map(|holds| !holds),
        Cond::Group { all, not, parts } => {
            let each: Vec<Option<bool>> = parts.iter().map(|part| holds(part, row, ask)).collect();
            let decided = !*all;
            let value = if each.contains(&Some(decided)) {
                Some(decided)
            } else if each.contains(&None) {
                None
            } else {
                Some(!decided)
            };
            value.map(|value| value != *not)
        }
    }
}

/// The square of the distance, which is a whole number here.
fn square(row: &Commit, ask: &Ask) -> Option<i32> {
    let (place, near) = (row.place?, ask.near?);
    Some((0..3).map(|at| (place[at] - near[at]).pow(2)).sum())
}

fn paths<'r>(row: &'r Commit, ask: &Ask) -> Vec<&'r str> {
    let fits = |lines: &Option<i32>| match ask.file {
        Some((_, least)) => lines.is_some_and(|lines| lines >= least),
        None => true,
    };
    row.paths.iter().filter(|(_, lines)| fits(lines)).map(|(path, _)| &**path).collect()
}

pub(super) fn expected(rows: &[Commit], ask: &Ask) -> (Vec<Value>, usize) {
    let fits = |row: &&Commit| {
        ask.conds.iter().all(|cond| holds(cond, row, ask) == Some(true))
            && ask.author.is_none_or(|(inner, person)| !inner || row.author == person)
            && ask.file.is_none_or(|(inner, _)| !inner || !paths(row, ask).is_empty())
    };
    let mut found: Vec<&Commit> = rows.iter().filter(fits).collect();
    let total = found.len();
    let limit = ask.limit.unwrap_or(if ask.near.is_some() { 10 } else { 1_000 });
    if ask.near.is_some() {
        found.retain(|row| row.place.is_some());
        found.sort_by_key(|row| (square(row, ask), row.id.clone()));
        let k = ask.k.unwrap_or((limit + ask.offset).max(1));
        found.truncate(usize::try_from(k).unwrap());
    }
    if let Some((descending, nulls_first)) = ask.order {
        found.sort_by(|a, b| {
            let nulls_first = nulls_first.unwrap_or(descending);
            let added = match (a.added, b.added) {
                (Some(a), Some(b)) => {
                    if descending {
                        b.cmp(&a)
                    } else {
                        a.cmp(&b)
                    }
                }
                (a, b) => {
                    if nulls_first {
                        a.is_some().cmp(&b.is_some())
                    } else {
                        b.is_some().cmp(&a.is_some())
                    }
                }
            };
            added.then_with(|| a.sha.cmp(&b.sha))
        });
    }
    let page = found
        .into_iter()
        .skip(usize::try_from(ask.offset).unwrap())
        .take(usize::try_from(limit).unwrap());
    let answer = page.map(|row| {
        let mut answer = json!({ "sha": row.sha });
        if let Some((_, person)) = ask.author {
            answer["author"] = if row.author == person {
                json!({ "handle": format!("p{person}") })
            } else {
                Value::Null
            };
        }
        if ask.file.is_some() {
            answer["file"] =
                paths(row, ask).into_iter().map(|path| json!({ "path": path })).collect();
        }
        answer
    });
    (answer.collect(), total)
}
