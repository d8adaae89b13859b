//! Puts a repository's history into a tenant, and on a later run only what is new.

use std::collections::{BTreeMap, BTreeSet};

use freehold_engine::{
    Engine, Error, Tenant,
    read::Read,
    write::{Operation, Resolution, Verb},
};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::git::Commit;

/// Rows in one insert.
const BATCH_ROWS: usize = 500;

/// The newest commit a tenant has, by its sha.
pub(super) async fn newest(engine: &Engine, tenant: &Tenant) -> Result<Option<String>, Error> {
    let read =
        Read { entity: "commit", query: "select=sha&order=at.desc,id.desc&limit=1", count: false };
    let rows: Vec<Value> = parsed(&engine.read(tenant, read).await?.body);
    Ok(rows.first().and_then(|row| row["sha"].as_str()).map(str::to_owned))
}

/// Loads commits with their people and files.
pub(super) async fn load(
    engine: &Engine,
    tenant: &Tenant,
    commits: &[Commit],
    bar: &ProgressBar,
) -> Result<(), Error> {
    let mut last_seen: BTreeMap<&str, &str> = BTreeMap::new();
    for commit in commits.iter().rev() {
        last_seen.insert(&commit.author, &commit.at);
    }
    let people =
        last_seen.iter().map(|(handle, at)| json!({ "handle": handle, "last_seen": at })).collect();
    let people = upsert(engine, tenant, ("person", "handle"), people).await?;
    let paths: BTreeSet<&str> = commits
        .iter()
        .flat_map(|commit| commit.changes.iter().map(|change| change.path.as_str()))
        .collect();
    let files = paths.iter().map(|path| json!({ "path": path })).collect();
    let files = upsert(engine, tenant, ("file", "path"), files).await?;
    // Oldest first, so that an interrupted load goes on where it stopped.
    let oldest_first: Vec<&Commit> = commits.iter().rev().collect();
    for batch in oldest_first.chunks(BATCH_ROWS) {
        let rows = batch.iter().map(|commit| {
            json!({
                "sha": commit.sha, "author": people[&commit.author], "at": commit.at,
                "subject": commit.subject, "body": commit.body,
            })
        });
        let shas = upsert(engine, tenant, ("commit", "sha"), rows.collect()).await?;
        let changes: Vec<Value> = batch
            .iter()
            .flat_map(|commit| {
                let sha = &shas[&commit.sha];
                let files = &files;
                commit.changes.iter().map(move |change| {
                    json!({ "commit": sha, "file": files[&change.path], "added": change.added, "removed": change.removed })
                })
            })
            .collect();
        for rows in changes.chunks(BATCH_ROWS) {
            insert(engine, tenant, "change", rows.to_vec(), (String::new(), None)).await?;
        }
        bar.inc(batch.len() as u64);
    }
    Ok(())
}

/// Inserts rows or updates those whose key is there; gives id by key.
async fn upsert(
    engine: &Engine,
    tenant: &Tenant,
    (entity, key): (&str, &str),
    rows: Vec<Value>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut ids = BTreeMap::new();
    for batch in rows.chunks(BATCH_ROWS) {
        let how = (format!("select=id,{key}&on_conflict={key}"), Some(Resolution::Merge));
        let body = insert(engine, tenant, entity, batch.to_vec(), how).await?;
        for row in parsed(&body) {
            if let (Some(key), Some(id)) = (row[key].as_str(), row["id"].as_str()) {
                ids.insert(key.to_owned(), id.to_owned());
            }
        }
    }
    Ok(ids)
}

async fn insert(
    engine: &Engine,
    tenant: &Tenant,
    entity: &str,
    rows: Vec<Value>,
    (query, resolution): (String, Option<Resolution>),
) -> Result<String, Error> {
    let verb = Verb::Insert(Value::Array(rows), resolution);
    let returning = resolution.is_some();
    Ok(engine
        .write(tenant, Operation { entity: entity.into(), verb, query, returning })
        .await?
        .body)
}

fn parsed(body: &str) -> Vec<Value> {
    serde_json::from_str(body).unwrap_or_default()
}
