//! `query`, `insert`, `update`, `delete`: rows of one tenant from the command line.

use std::io::Read as _;

use freehold_engine::{
    Code, Engine, Refusal,
    read::{After, Manner, Read},
    write::{Operation, Resolution, Verb, Written},
};
use serde_json::{Value, json, value::RawValue};

use super::{Site, model::counted};
use crate::{
    cli,
    config::Config,
    output::{self, Failure},
};

pub(super) async fn query(config: &Config, what: &cli::Query) -> Result<(), Failure> {
    let (entity, query) = split(&what.query);
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = engine.tenant(&what.tenant).await?;
    let purpose = what.purpose.as_deref().map(|said| engine.purpose(said)).transpose()?;
    let read = Read { entity, query, count: what.count };
    let manner = Manner { recall: what.sure.recall, purpose, ..Manner::default() };
    let answer = match &what.after {
        Some(token) => {
            engine.read_after(&tenant, read, &manner, After { token, patience: what.wait }).await?
        }
        None => engine.read_as(&tenant, read, &manner).await?,
    };
    if config.json {
        output::say(answer.body.trim());
    } else {
        say_rows(&answer.body);
        output::note(match answer.total {
            Some(total) => format!("{} of {total} rows", answer.rows),
            None => counted(answer.rows as usize, "row"),
        });
    }
    if let Some(search) = answer.search {
        output::note(format!("search: {}", search.field()));
    }
    Ok(())
}

pub(super) async fn insert(
    config: &Config,
    entity: String,
    rows: &str,
    tenant: &str,
    upsert: bool,
    on_conflict: Option<String>,
) -> Result<(), Failure> {
    let rows = text(rows)?;
    let query = on_conflict.map_or_else(String::new, |fields| format!("on_conflict={fields}"));
    let resolution = upsert.then_some(Resolution::Merge);
    change(config, tenant, |engine| {
        let rows = given(engine, &entity, &rows)?;
        Ok(Operation { entity, verb: Verb::Insert(rows, resolution), query, returning: true })
    })
    .await
}

pub(super) async fn update(
    config: &Config,
    query: &str,
    values: &str,
    tenant: &str,
) -> Result<(), Failure> {
    let (entity, query) = split(query);
    let values = text(values)?;
    change(config, tenant, |engine| {
        let verb = Verb::Update(given(engine, entity, &values)?);
        Ok(Operation { entity: entity.into(), verb, query: query.into(), returning: true })
    })
    .await
}

pub(super) async fn delete(config: &Config, query: &str, tenant: &str) -> Result<(), Failure> {
    let (entity, query) = split(query);
    change(config, tenant, |_| {
        let (entity, query) = (entity.into(), query.into());
        Ok(Operation { entity, verb: Verb::Delete, query, returning: true })
    })
    .await
}

async fn change(
    config: &Config,
    tenant: &str,
    operation: impl FnOnce(&Engine) -> Result<Operation, Refusal>,
) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = engine.tenant(tenant).await?;
    let Written { body, rows, token, .. } = engine.write(&tenant, operation(&engine)?).await?;
    if config.json {
        output::say(body);
        // Beside the answer, which is the rows.
        output::tell(json!({ "rows": rows, "token": token }));
    } else {
        say_rows(&body);
        output::note(format!("{} changed", counted(rows as usize, "row")));
    }
    Ok(())
}

/// Each row of an answer on a line of its own, its numbers as PostgreSQL writes them.
fn say_rows(body: &str) {
    for row in serde_json::from_str::<Vec<&RawValue>>(body).unwrap_or_default() {
        // Lists inside are broken into lines; a text never is.
        output::say(row.get().lines().map(str::trim).collect::<String>());
    }
}

fn split(query: &str) -> (&str, &str) {
    query.split_once('?').unwrap_or((query, ""))
}

/// What is given as it is, in a file (`@file`), or on standard input (`-`).
fn text(text: &str) -> Result<String, Refusal> {
    let unreadable = |error: std::io::Error| {
        Refusal::new(Code::Usage, format!("{text} cannot be read")).detail(error.to_string())
    };
    let bytes = match text.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(unreadable)?,
        None if text == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
            bytes
        }
        None => text.as_bytes().to_vec(),
    };
    String::from_utf8(bytes).map_err(|error| {
        Refusal::new(Code::Body, "the rows are not UTF-8 text")
            .detail(format!("at byte {}", error.utf8_error().valid_up_to()))
    })
}

fn given(engine: &Engine, entity: &str, text: &str) -> Result<Value, Refusal> {
    engine.rows_of_json(entity, text).map_err(|refusal| match refusal.code {
        Code::Body => refusal.hint(json!([{ "field": "value" }]).to_string()),
        _ => refusal,
    })
}
