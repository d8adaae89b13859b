//! Statements and their answers, recorded in `answers.txt`; `UPDATE_EXPECT=1` records anew.

use super::session::{Answer, Session};
use crate::{
    mutate::tests::write,
    query::{
        Limits,
        fixture::model,
        parse,
        tests::{golden, shown_refusal},
    },
};

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(row) => {
            let row: Vec<String> =
                row.iter().map(|v| v.as_deref().unwrap_or("null").replace(", \n ", ", ")).collect();
            format!("  {}\n", row.join(" | ").replace('\n', "\n  "))
        }
        Err(state) => format!("  fails with {state}\n"),
    }
}

/// `tenant <digit>`, `get entity?query`, or what writes understand.
fn answer(cases: &[&str]) -> Vec<String> {
    let mut session = Session::default();
    let pending: Vec<Result<usize, String>> = cases
        .iter()
        .map(|case| {
            if let Some(digit) = case.strip_prefix("tenant ") {
                session.tenant(&format!("00000000-0000-0000-0000-0000000000f{digit}"));
                return Err(String::new());
            }
            let sql = match case.strip_prefix("get ") {
                Some(read) => {
                    let (entity, query) = read.split_once('?').unwrap();
                    parse(&model(), entity, query, &Limits::default()).map(|mut query| {
                        let slots: Vec<usize> =
                            query.texts().iter().map(|text| text.slot).collect();
                        slots.into_iter().for_each(|slot| query.bind(slot, &[1.0, 0.0, 0.0]));
                        query.count_exact();
                        query.render()
                    })
                }
                None => write(case),
            };
            sql.map(|sql| session.add(&sql)).map_err(|refusal| shown_refusal(&refusal))
        })
        .collect();
    let answers = session.run();
    pending
        .into_iter()
        .map(|one| one.map_or_else(|text| text, |number| shown(&answers[number])))
        .collect()
}

#[test]
fn answers() {
    golden("tests/pg/answers.txt", answer);
}
