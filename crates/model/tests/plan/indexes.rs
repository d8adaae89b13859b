//! Joins, junctions, groups and spreads find their rows by index: a page touches rows in proportion to what it gives,
//! however many the tenant has. Generic plans, as servers have them.

use freehold_model::query::{self, Limits};
use serde_json::Value;
use tokio_postgres::Client;

use crate::{
    model,
    rows::{run, start},
};

const MODEL: &str = "
[model]
name = \"films\"
[entity.person.field]
handle = { type = \"text\", unique = true }
[entity.film.field]
title = { type = \"text\" }
year = { type = \"integer\", index = true }
director = { ref = \"person\", optional = true, on_delete = \"unlink\" }
[entity.part]
unique = [[\"film\", \"person\"]]
[entity.part.field]
film = { ref = \"film\", on_delete = \"cascade\" }
person = { ref = \"person\", on_delete = \"cascade\" }
pay = { type = \"integer\" }
";

/// Rows: 2,000 people, 4,000 films, 12,000 parts; three parts to a film, six to a person.
const FILL: &str = "
insert into app.person (id, handle)
  select ('00000000-0000-0000-0001-' || lpad(i::text, 12, '0'))::uuid, 'p' || i from generate_series(0, 1999) i;
insert into app.film (id, title, year, director)
  select ('00000000-0000-0000-0002-' || lpad(i::text, 12, '0'))::uuid, 'f' || i, 1900 + i % 100,
    ('00000000-0000-0000-0001-' || lpad((i % 2000)::text, 12, '0'))::uuid from generate_series(0, 3999) i;
insert into app.part (film, person, pay)
  select ('00000000-0000-0000-0002-' || lpad(i::text, 12, '0'))::uuid,
    ('00000000-0000-0000-0001-' || lpad(((i * 3 + j * 667) % 2000)::text, 12, '0'))::uuid, j
  from generate_series(0, 3999) i, generate_series(0, 2) j;
analyze";

/// Queries, and how many rows may be touched for the page they give.
const CASES: &[(&str, u64)] = &[
    ("film?select=title,person(handle)&limit=10", 40),
    ("film?select=title,director(handle)&director=not.is.null&limit=10", 40),
    ("person?select=handle,film!director(title)&limit=10", 60),
    ("film?select=title,person!part(handle)&limit=10", 120),
    ("person?select=handle,film!part(title)&limit=10", 200),
    ("person?select=handle,film!part(title)&film.limit=1&film.order=title&limit=10", 200),
    // Which rows have one is asked once for the page, and may read all people or films for it.
    (
        "film?select=title,person!part!inner(handle)&id=eq.00000000-0000-0000-0002-000000000005",
        2_200,
    ),
    ("person?select=handle,film!part!inner(title)&handle=eq.p7", 4_800),
    ("person?select=handle,part(count(),pay.sum())&limit=10", 120),
    ("person?select=handle,film!part(count())&limit=10", 250),
    ("person?select=handle,film!director(count)&handle=eq.p7", 10),
    ("film?select=year,count()&director=eq.00000000-0000-0000-0001-000000000007", 10),
    ("part?select=pay,...film(year.max())&person=eq.00000000-0000-0000-0001-000000000007", 30),
    ("film?select=title,...director(handle)&limit=10", 40),
    ("film?select=title,...director(handle)&order=year&limit=10", 60),
    ("person?select=handle,...film!director(title)&limit=10", 60),
    ("person?select=handle,...film!part(title,year)&limit=10", 200),
    ("part?select=pay,...film(title,...director(by:handle)),...person(handle)&limit=10", 80),
];

#[tokio::test]
async fn a_page_touches_no_more_rows_than_it_is_about() {
    let (_ground, client) = start(MODEL).await;
    run(&client, FILL).await;
    run(&client, "set role freehold_app; set plan_cache_mode = force_generic_plan; set jit = off")
        .await;
    let model = model(MODEL);
    let mut wrong = Vec::new();
    for (case, most) in CASES {
        let (entity, query) = case.split_once('?').expect("a query");
        let query = query::parse(&model, entity, query, &Limits::default())
            .unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
        let plan = explain(&client, &query.render()).await;
        let touched = touched(&plan);
        if touched > *most || touched == 0 {
            wrong.push(format!(
                "{case}\n  touches {touched}, may {most}: {}",
                scans(&plan).join(", ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn explain(client: &Client, sql: &freehold_model::Sql) -> Value {
    let given = sql.params().iter().map(|param| {
        param.as_ref().map_or("null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
    });
    let given = given.collect::<Vec<_>>().join(", ");
    let given = if given.is_empty() { given } else { format!("({given})") };
    run(client, &format!("prepare page as {}", sql.text())).await;
    let explain =
        format!("explain (analyze, timing off, summary off, format json) execute page{given}");
    let rows = client.simple_query(&explain).await.expect("a plan");
    run(client, "deallocate page").await;
    let text: String = rows
        .iter()
        .filter_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    plan[0]["Plan"].clone()
}

/// Rows that scans of tables gave or left out, over all their loops.
fn touched(node: &Value) -> u64 {
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let own = if node["Relation Name"].is_string() {
        let rows = number("Actual Rows")
            + number("Rows Removed by Filter")
            + number("Rows Removed by Index Recheck");
        // Rows of a loop are told as their mean.
        (rows * number("Actual Loops")).round() as u64
    } else {
        0
    };
    own + node["Plans"].as_array().into_iter().flatten().map(touched).sum::<u64>()
}

/// The scans that were run, with their loops.
fn scans(node: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(table) = node["Relation Name"].as_str()
        && node["Actual Loops"].as_f64() > Some(0.0)
    {
        all.push(format!("{} on {table} × {}", node["Node Type"], node["Actual Loops"]));
    }
    all.extend(node["Plans"].as_array().into_iter().flatten().flat_map(scans));
    all
}
