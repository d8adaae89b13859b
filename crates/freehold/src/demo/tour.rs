//! The guided tour: what the demo shows, step by step, each with the command that shows it again.

mod beyond;

use std::path::Path;

use freehold_engine::{Engine, Error, Tenant, read::Read};
use freehold_model::entity::{Entity, Kind};
use serde_json::Value;

use crate::output::{self, Failure};

/// A tenant of the demo and what is worth asking it.
pub(super) struct Stop {
    pub(super) tenant: Tenant,
    pub(super) key: String,
}

/// Shows what there is. `url` is where it will be served, `state` the folder that commands have to name.
pub(super) async fn tour(
    engine: &Engine,
    stops: &[Stop],
    url: &str,
    state: &Path,
) -> Result<(), Failure> {
    let (here, there) = (&stops[0], &stops[stops.len() - 1]);
    model(engine);
    let question = question(engine, &here.tenant).await?;
    heading("3", "One statement: similar in meaning, joined, filtered");
    output::say(format!(
        "Commits most like “{}”, with their author, of people seen since 2015, touching source files:\n\n  {}\n",
        question.text, question.query
    ));
    answer(engine, &here.tenant, &question.query).await?;
    heading("4", "The same question, asked as another tenant");
    output::say(format!(
        "Tenant {} asks the same words and sees its own rows only:\n",
        there.tenant.name()
    ));
    answer(engine, &there.tenant, &question.query).await?;
    beyond::read_model(engine, &here.tenant).await?;
    beyond::kept(engine, &here.tenant).await?;
    beyond::personal(engine, &here.tenant).await?;
    heading("8", "Trying to cross the wall");
    output::say(format!(
        "Any SQL, typed inside the session of {} (`freehold sql`):\n",
        here.tenant.name()
    ));
    for attempt in attempts(there) {
        attack(engine, &here.tenant, &attempt).await;
    }
    heading("9", "Go on");
    go_on(here, url, state, &question.query);
    Ok(())
}

fn heading(number: &str, title: &str) {
    output::say(format!(
        "\n── {number}. {title} {}",
        "─".repeat(72_usize.saturating_sub(title.chars().count()))
    ));
}

fn model(engine: &Engine) {
    let snapshot = engine.snapshot();
    heading("1", "The model");
    output::say("One file declares the data (`freehold plan` shows its SQL):\n");
    let rows: Vec<Vec<String>> = snapshot
        .model
        .entities()
        .iter()
        .map(|entity| {
            let fields: Vec<String> = entity
                .fields
                .iter()
                .map(|field| match &field.kind {
                    Kind::Ref(to) => format!("{} → {}", field.name, to.entity),
                    Kind::Vector(vector) => format!(
                        "{} ({}-d of {})",
                        field.name,
                        vector.dimensions,
                        vector.of.join(" + ")
                    ),
                    _ => field.name.to_string(),
                })
                .collect();
            vec![entity.name.to_string(), fields.join(", ")]
        })
        .collect();
    output::table(&["entity", "fields"], &rows);
    heading("2", "The tables it made");
    let names: Vec<String> = snapshot.model.entities().iter().map(table).collect();
    output::say(names.join("\n"));
    output::say(
        "\nEach is partitioned by tenant and has row-level security forced, for its owner too.",
    );
}

fn table(entity: &Entity) -> String {
    let keys: Vec<String> = entity
        .uniques
        .iter()
        .map(|key| format!("unique (tenant_id, {})", key.fields.join(", ")))
        .collect();
    format!("app.\"{}\"  primary key (tenant_id, id)  {}", entity.name, keys.join("  "))
}

struct Question {
    text: String,
    query: String,
}

/// Takes the subject of a commit in the middle of the history: whatever repository it is, there is something like it.
async fn question(engine: &Engine, tenant: &Tenant) -> Result<Question, Error> {
    let count = engine
        .read(tenant, Read { entity: "commit", query: "select=sha&limit=1", count: true })
        .await?;
    let middle = format!(
        "select=subject&order=at.desc,id.desc&limit=1&offset={}",
        count.total.unwrap_or(0) / 2
    );
    let body =
        engine.read(tenant, Read { entity: "commit", query: &middle, count: false }).await?.body;
    let rows: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
    let text =
        rows.first().and_then(|row| row["subject"].as_str()).unwrap_or("fix the tests").to_owned();
    let encoded = encode(&text);
    let query = format!(
        "commit?select=subject,d:embedding.distance(),author!inner(handle),change!inner(file!inner(path))\
         &embedding=nearest.text:{encoded}&author.last_seen=gte.2015-01-01&change.file.path=like.*.*&change.limit=2&limit=5"
    );
    Ok(Question { text, query })
}

async fn answer(engine: &Engine, tenant: &Tenant, query: &str) -> Result<(), Error> {
    let (entity, query) = query.split_once('?').unwrap_or((query, ""));
    let body = engine.read(tenant, Read { entity, query, count: false }).await?.body;
    let rows: Vec<Vec<String>> = serde_json::from_str::<Vec<Value>>(&body)
        .unwrap_or_default()
        .iter()
        .map(|row| {
            let files: Vec<&str> = row["change"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|change| change["file"]["path"].as_str())
                .collect();
            vec![
                format!("{:.3}", row["d"].as_f64().unwrap_or(f64::NAN)),
                cut(row["subject"].as_str().unwrap_or_default(), 48),
                cut(row["author"]["handle"].as_str().unwrap_or_default(), 18),
                cut(&files.join(" "), 40),
            ]
        })
        .collect();
    output::table(&["distance", "subject", "author", "files"], &rows);
    Ok(())
}

fn attempts(other: &Stop) -> Vec<String> {
    vec![
        "select count(*) as own_commits from app.commit".into(),
        "select count(*) as foreign_commits from app.commit where tenant_id <> freehold.tenant()"
            .into(),
        format!("set backtrace_functions = '{}'", other.tenant.id().simple()),
        format!("call freehold.open('v3.0001.{}')", "0".repeat(169)),
        "select * from freehold_shelf.\"commit~0\" limit 1".into(),
        "update app.commit set tenant_id = gen_random_uuid()".into(),
        "alter table app.commit disable row level security".into(),
        "set role freehold_owner".into(),
    ]
}

async fn attack(engine: &Engine, tenant: &Tenant, sql: &str) {
    let outcome = match engine.raw_sql(tenant, sql).await {
        Ok(tables) => tables
            .iter()
            .find_map(|table| {
                Some(format!(
                    "{} = {}",
                    table.columns.first()?,
                    table.rows.first()?.first()?.clone()?
                ))
            })
            .unwrap_or_else(|| "done".into()),
        Err(Error::Refused(refusal)) => format!("refused: {refusal}"),
        Err(error) => format!("refused: {error}"),
    };
    output::say(format!("  {}\n      → {outcome}", cut(sql, 90)));
}

fn go_on(here: &Stop, url: &str, state: &Path, query: &str) {
    let state = state.display();
    output::say(format!(
        "URL   {url}/rest/v1/\nKEY   {}   (tenant {})\n\n  curl -G '{url}/rest/v1/commit' -H 'apikey: {}' -d 'select=subject,author(handle)' -d 'limit=3'",
        here.key,
        here.tenant.name(),
        here.key
    ));
    output::say(format!(
        "\n  freehold --state {state} query --tenant {} '{}'",
        here.tenant.name(),
        query
    ));
    output::say(format!("  freehold --state {state} sql --tenant {}", here.tenant.name()));
    output::say("  freehold init && freehold dev          your own model");
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        text.to_owned()
    } else {
        text.chars().take(width - 1).chain(['…']).collect()
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
