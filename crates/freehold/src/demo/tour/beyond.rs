//! What a database alone does not do: read models, kept answers, personal data.

use std::time::{Duration, Instant};

use freehold_engine::{
    Engine, Error, Tenant,
    cache::{CacheConfig, Consistency, Status, Wanted},
    read::{Manner, Read},
    write::{Operation, Verb},
};
use serde_json::{Value, json};

use super::{cut, heading};
use crate::{
    command::caught_up,
    output::{self, Failure},
};

/// What the read model is asked for.
const BUSIEST: &str = "select=handle,commits,lines,last&order=commits.desc,handle&limit=5";

/// What is read again and again.
const NEWEST: &str = "select=subject,author(handle)&order=at.desc,id.desc&limit=20";

/// Changes nothing, but PostgreSQL cannot know that.
const WRITE: &str =
    "update app.person set last_seen = last_seen where id in (select id from app.person limit 1)";

const PERSON: &str = "ada@example.org";

pub(super) async fn read_model(engine: &Engine, tenant: &Tenant) -> Result<(), Failure> {
    heading("5", "A read model: SQL whose answer is kept up to date");
    output::say(
        "The model file says `read.activity`: a select that joins and adds up. It is a walled table of its own; workers\n\
         follow the changes of every transaction, whoever writes:\n",
    );
    caught_up(engine).await?;
    let read = Read { entity: "activity", query: BUSIEST, count: false };
    let begun = Instant::now();
    let answer = engine.read(tenant, read).await?;
    let took = begun.elapsed();
    let rows: Vec<Vec<String>> = rows(&answer.body)
        .iter()
        .map(|row| {
            vec![
                cut(row["handle"].as_str().unwrap_or_default(), 30),
                row["commits"].to_string(),
                row["lines"].to_string(),
                row["last"].as_str().unwrap_or_default().chars().take(10).collect(),
            ]
        })
        .collect();
    output::table(&["handle", "commits", "lines", "last"], &rows);
    let compared = engine.check_read(tenant, "activity").await?;
    let right = if compared.is_right() { "the same" } else { "something else" };
    output::say(format!(
        "\nread in {}; `freehold check read activity` runs the select itself and finds {right}",
        millis(took)
    ));
    Ok(())
}

pub(super) async fn kept(engine: &Engine, tenant: &Tenant) -> Result<(), Failure> {
    heading("6", "Answers that are kept, and never wrong");
    output::say(format!(
        "`commit?{NEWEST}`\nas the server answers it: a kept answer is given while PostgreSQL says that nothing it is made of has changed.\n"
    ));
    let engine = engine.clone().keeping(CacheConfig::default(), None);
    let old = Consistency::Bounded(Duration::from_secs(10));
    let mut rows = Vec::new();
    for (asked, consistency) in [
        ("the first time", Consistency::Strong),
        ("again", Consistency::Strong),
        ("again, 10 s old is good enough", old),
    ] {
        rows.push(ask(&engine, tenant, asked, consistency).await?);
    }
    engine.raw_sql(tenant, WRITE).await?;
    rows.push(
        ask(&engine, tenant, "after an UPDATE typed in plain SQL", Consistency::Strong).await?,
    );
    output::table(&["read", "took", "came from"], &rows);
    Ok(())
}

async fn ask(
    engine: &Engine,
    tenant: &Tenant,
    asked: &str,
    consistency: Consistency,
) -> Result<Vec<String>, Error> {
    let read = Read { entity: "commit", query: NEWEST, count: false };
    let wanted = Wanted { consistency, after: None };
    let begun = Instant::now();
    let found = engine.read_kept(tenant, read, &Manner::default(), wanted, &()).await?;
    let took = millis(begun.elapsed());
    let from = match (found.status, consistency) {
        (Status::Hit, Consistency::Bounded(_)) => "memory; nobody was asked",
        (Status::Hit, _) => "memory; PostgreSQL says that it is right",
        (Status::Stale, _) => "PostgreSQL; what was kept would have been wrong",
        _ => "PostgreSQL",
    };
    Ok(vec![asked.into(), took, from.into()])
}

pub(super) async fn personal(engine: &Engine, tenant: &Tenant) -> Result<(), Failure> {
    heading("7", "Personal data: sealed, found, erased");
    let row = json!({ "name": "Ada Lovelace", "email": PERSON });
    let verb = Verb::Insert(row, None);
    let operation =
        Operation { entity: "follower".into(), verb, query: String::new(), returning: false };
    engine.write(tenant, operation).await?;
    output::say(format!(
        "The tour adds a follower, {PERSON}. Somebody who reads the table, a backup or the disk sees:\n"
    ));
    let sql = "select left(email::text, 70) from app.follower limit 1";
    let seen = engine.raw_sql(tenant, sql).await?;
    let sealed = seen.first().and_then(|table| table.rows.first()?.first()?.clone());
    output::say(format!("  email = {}…\n", sealed.unwrap_or_default()));
    let query = format!("follower?email=eq.{}", PERSON.to_uppercase());
    let found = followers(engine, tenant).await?;
    let name = found.first().and_then(|row| row["name"].as_str()).unwrap_or("nobody");
    output::say(format!("  {query}   → {name}, opened for the newsletter"));
    for id in found.iter().filter_map(|row| row["id"].as_str()?.parse().ok()) {
        engine.erase(tenant, "follower", id).await?;
    }
    output::say(
        "  freehold erase follower …              → rows gone, keys destroyed, a signed receipt",
    );
    output::say(format!("  {query}   → {} rows", followers(engine, tenant).await?.len()));
    Ok(())
}

async fn followers(engine: &Engine, tenant: &Tenant) -> Result<Vec<Value>, Error> {
    let query = format!("select=id,name&email=eq.{}", PERSON.to_uppercase());
    let read = Read { entity: "follower", query: &query, count: false };
    Ok(rows(&engine.read(tenant, read).await?.body))
}

fn rows(body: &str) -> Vec<Value> {
    serde_json::from_str(body).unwrap_or_default()
}

fn millis(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..100 => format!("{micros} µs"),
        micros => format!("{:.2} ms", micros as f64 / 1e3),
    }
}
