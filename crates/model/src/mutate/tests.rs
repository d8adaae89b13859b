//! Writes to SQL, and what is refused: recorded in `src/mutate/golden.txt`; `UPDATE_EXPECT=1` records anew.

use serde_json::Value;

use super::{
    Filling, Insert, Made, Resolution, delete, dump, fill_vectors, insert, load, unfilled, update,
};
use crate::{
    Refusal, Sql,
    query::{
        Limits,
        fixture::model,
        tests::{golden, shown, shown_refusal},
    },
};

/// One line of a golden file: a verb, an entity with its query, a body.
pub(crate) fn write(case: &str) -> Result<Sql, Refusal> {
    let mut parts = case.splitn(3, ' ');
    let (verb, target, body) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or("null"));
    let (entity, query) = target.split_once('?').unwrap_or((target, ""));
    let returning = query.contains("select=");
    let (model, limits) = (model(), Limits { body_rows_max: 3, ..Limits::default() });
    let inserted = |resolution| -> Result<Sql, Refusal> {
        let body: Value = serde_json::from_str(body).unwrap();
        let insert = insert(&model, entity, &body, query, resolution, returning, &limits)?;
        Ok(insert.render())
    };
    let words: Vec<&str> = body.split(' ').collect();
    match verb {
        "insert" => inserted(None),
        "merge" => inserted(Some(Resolution::Merge)),
        "ignore" => inserted(Some(Resolution::Ignore)),
        "update" => Ok(update(
            &model,
            entity,
            &serde_json::from_str(body).unwrap(),
            query,
            returning,
            &limits,
        )?
        .render()),
        "touch" => {
            let update = update(
                &model,
                entity,
                &serde_json::from_str(body).unwrap(),
                query,
                returning,
                &limits,
            )?;
            Ok(update.render_watched())
        }
        "delete" => Ok(delete(&model, entity, query, returning, &limits)?.render()),
        "unfilled" => {
            unfilled(&model, entity, words[0], query == "next", words.get(1).copied(), (2, "~tag"))
        }
        "fill" => {
            let vector = [0.5, -1.0, 0.25];
            let fillings: Vec<Filling> = words[1..]
                .iter()
                .map(|word| match word.split_once('@') {
                    Some((id, stamp)) => {
                        Filling { id, vector: Made::Open(&vector), stamp: Some(stamp) }
                    }
                    None => Filling { id: word, vector: Made::Open(&vector), stamp: None },
                })
                .collect();
            fill_vectors(&model, entity, words[0], query == "next", &fillings)
        }
        "load" | "loadmerge" => {
            let (columns, arrays) = body.split_once(' ').unwrap();
            let columns: Vec<&str> = columns.split(',').collect();
            let conflict =
                (verb == "loadmerge").then(|| (Some(vec![query.to_owned()]), Resolution::Merge));
            let load = load(&model, entity, &columns, conflict)?;
            Ok(load
                .sql()
                .with_params(arrays.split(';').map(|array| Some(array.to_owned())).collect()))
        }
        "dump" => {
            dump(&model, entity, words.first().copied().filter(|after| *after != "null"), 2, None)
        }
        other => panic!("no verb {other}"),
    }
}

#[test]
fn writes() {
    golden("src/mutate/golden.txt", |cases| {
        let answer = |case: &&str| {
            write(case).map_or_else(|refusal| shown_refusal(&refusal), |sql| shown(&sql))
        };
        cases.iter().map(answer).collect()
    });
}

fn commit(body: &str, resolution: Option<Resolution>) -> Insert {
    let body = serde_json::from_str(body).unwrap();
    insert(&model(), "commit", &body, "", resolution, false, &Limits::default()).unwrap()
}

#[test]
fn vectors_are_due_where_their_texts_are_known() {
    let whole =
        r#"{"sha":"a","author":"00000000-0000-0000-0000-000000000001","subject":"s","body":"b"}"#;
    let part = r#"{"sha":"a","author":"00000000-0000-0000-0000-000000000001","subject":"s"}"#;
    assert_eq!(commit(whole, Some(Resolution::Merge)).due().len(), 1);
    assert_eq!(commit(part, Some(Resolution::Merge)).due().len(), 0);
    assert_eq!(commit(part, Some(Resolution::Ignore)).due().len(), 1);
    let mut insert = commit(part, None);
    assert_eq!(&**insert.due()[0], "embedding");
    insert.rows_mut()[0].insert("embedding".into(), serde_json::json!([1.0, 2.0, 3.0]));
    assert!(insert.due().is_empty());
    assert!(insert.render().text().contains(r#""embedding" freehold_ext.vector(3)"#));
}

#[test]
fn updates_say_what_they_touch() {
    let patch = serde_json::json!({"subject": "s", "added": 1});
    let update = update(&model(), "commit", &patch, "sha=eq.a", false, &Limits::default()).unwrap();
    assert_eq!(update.touches(), ["subject", "added"]);
    assert_eq!(&**update.watched()[0], "embedding");
    assert!(update.render_again("embedding", &[]).is_none());
    let patch = serde_json::json!({"subject": "s", "embedding": [1, 2, 3]});
    let update =
        super::update(&model(), "commit", &patch, "sha=eq.a", false, &Limits::default()).unwrap();
    assert_eq!(&**update.watched()[0], "embedding");
    assert!(update.render_again("embedding", &[]).is_some());
}
