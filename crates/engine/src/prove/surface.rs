//! The engine's own surface: every operation of A with the ids of B. After each, B's rows must be what they were.

use freehold_model::entity::{Entity, Kind};
use serde_json::{Map, Value, json};

use super::{Duel, Finding};
use crate::{
    Engine,
    error::Error,
    export::Export,
    import::{Format, Import, OnBad},
    read::Read,
    write::{Operation, Resolution, Verb},
};

/// How many findings there are.
pub(super) const SURFACES: usize = 7;

const CLASS: &str = "engine";

pub(super) async fn attack(
    engine: &Engine,
    duel: &Duel<'_>,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), Error> {
    found(Finding::of(
        [
            "A01",
            "reads",
            "Reads B's rows by id, through references, as nearest to B's row, by its tenant; counts them.",
            CLASS,
        ],
        "kernel",
        reads(engine, duel).await?,
    ));
    found(Finding::of(
        ["A02", "updates and deletions", "Updates and deletes B's rows by id.", CLASS],
        "kernel",
        changes(engine, duel).await?,
    ));
    found(Finding::of(
        ["A03", "rows with B's ids", "Inserts and upserts rows under the ids of B's rows.", CLASS],
        "schema",
        taken(engine, duel).await?,
    ));
    found(Finding::of(
        ["A04", "references to B's rows", "Makes its own rows refer to B's.", CLASS],
        "kernel",
        references(engine, duel).await?,
    ));
    found(Finding::of(
        ["A05", "transactions", "Does all of it in one transaction.", CLASS],
        "kernel",
        transactions(engine, duel).await?,
    ));
    found(Finding::of(
        [
            "A06",
            "import and export",
            "Exports everything; imports rows under B's ids and with B as their tenant.",
            CLASS,
        ],
        "kernel",
        bulk(engine, duel).await?,
    ));
    found(Finding::of(
        [
            "A07",
            "API keys",
            "Uses keys that are nearly B's; looks whose tenant each key opens.",
            CLASS,
        ],
        "gate",
        keys(engine, duel).await,
    ));
    Ok(())
}

/// B's row as B sees it.
async fn theirs(engine: &Engine, duel: &Duel<'_>, entity: &str, id: &str) -> Result<String, Error> {
    let query = format!("id=eq.{id}");
    let read = Read { entity, query: &query, count: false };
    Ok(engine.read(&duel.b().tenant, read).await?.body)
}

async fn reads(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let snapshot = engine.snapshot();
    let mut leaks = Vec::new();
    for (name, mine, id) in duel.rows() {
        let Some(entity) = snapshot.model.entity(name) else { continue };
        let mut queries = vec![
            format!("id=eq.{id}"),
            format!("id=in.({id},{mine})"),
            format!("or=(id.eq.{id},id.not.is.null)"),
            format!("id=neq.{mine}"),
            format!("tenant_id=eq.{}", duel.b().tenant.id()),
            "select=tenant_id".to_owned(),
            String::new(),
        ];
        for field in &entity.fields {
            match &field.kind {
                Kind::Ref(_) => queries.push(format!("select=*,{}(*)", field.name)),
                Kind::Vector(_) => queries.push(format!("{}=nearest.row:{id}", field.name)),
                _ => {}
            }
        }
        for query in queries {
            let read = Read { entity: name, query: &query, count: true };
            let Ok(answer) = engine.read(&duel.a().tenant, read).await else { continue };
            let only_theirs =
                query.contains(&id) && !query.contains(&mine) && !query.contains("or=");
            if duel.arena.spills(&query, &answer.body)
                || answer.body.contains(&id)
                || only_theirs && (answer.rows > 0 || answer.total.unwrap_or(0) > 0)
                || answer.total.is_some_and(|total| total > 1)
            {
                leaks.push(format!("{name}?{query}"));
            }
        }
    }
    Ok(leaks)
}

/// A change that keeps embedders out of it, as they may be somebody's service.
fn patch(entity: &Entity, row: &Map<String, Value>) -> Option<Value> {
    let embedded = |name: &str| {
        entity.fields.iter().any(|field| match &field.kind {
            Kind::Vector(vector) => vector.of.iter().any(|of| of.as_str() == name),
            _ => false,
        })
    };
    entity
        .fields
        .iter()
        .find(|field| !matches!(field.kind, Kind::Vector(_)) && !embedded(&field.name))
        .and_then(|field| Some(json!({ field.name.as_str(): row.get(field.name.as_str())? })))
}

/// A's row with all its fields, vectors too.
async fn own_row(
    engine: &Engine,
    duel: &Duel<'_>,
    entity: &Entity,
    id: &str,
) -> Map<String, Value> {
    let fields: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
    let query = format!("id=eq.{id}&select=id,{}", fields.join(","));
    let read = Read { entity: entity.name.as_str(), query: &query, count: false };
    let body = engine.read(&duel.a().tenant, read).await.map_or_else(|_| "[]".into(), |a| a.body);
    match serde_json::from_str::<Vec<Map<String, Value>>>(&body) {
        Ok(mut rows) if !rows.is_empty() => rows.swap_remove(0),
        _ => Map::new(),
    }
}

fn change(entity: &str, verb: Verb, id: &str) -> Operation {
    Operation { entity: entity.to_owned(), verb, query: format!("id=eq.{id}"), returning: true }
}

async fn changes(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let snapshot = engine.snapshot();
    let mut leaks = Vec::new();
    for (name, mine, id) in duel.rows() {
        let Some(entity) = snapshot.model.entity(name) else { continue };
        let before = theirs(engine, duel, name, &id).await?;
        let row = own_row(engine, duel, entity, &mine).await;
        let verbs = patch(entity, &row).map(Verb::Update).into_iter().chain([Verb::Delete]);
        for verb in verbs {
            if let Ok(written) = engine.write(&duel.a().tenant, change(name, verb, &id)).await
                && (written.rows > 0 || duel.arena.spills("", &written.body))
            {
                leaks.push(format!("{name}: {} rows", written.rows));
            }
        }
        if theirs(engine, duel, name, &id).await? != before || before == "[]" {
            leaks.push(format!("B's row of {name} changed"));
        }
    }
    Ok(leaks)
}

async fn taken(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let snapshot = engine.snapshot();
    let mut leaks = Vec::new();
    for (name, mine, id) in duel.rows() {
        let Some(entity) = snapshot.model.entity(name) else { continue };
        let before = theirs(engine, duel, name, &id).await?;
        let mut row = own_row(engine, duel, entity, &mine).await;
        row.insert("id".into(), id.clone().into());
        for resolution in [None, Some(Resolution::Merge), Some(Resolution::Ignore)] {
            let verb = Verb::Insert(Value::Object(row.clone()), resolution);
            let operation =
                Operation { entity: name.to_owned(), verb, query: String::new(), returning: true };
            let said = match engine.write(&duel.a().tenant, operation).await {
                Ok(written) => written.body,
                Err(error) => error.to_string(),
            };
            if duel.arena.spills("", &said) {
                leaks.push(format!("{name}: {said}"));
            }
        }
        if theirs(engine, duel, name, &id).await? != before {
            leaks.push(format!("B's row of {name} changed"));
        }
        // A's twin of it is A's alone.
        let _ = engine.write(&duel.a().tenant, change(name, Verb::Delete, &id)).await;
        if theirs(engine, duel, name, &id).await? != before {
            leaks.push(format!("B's row of {name} is gone"));
        }
    }
    Ok(leaks)
}

async fn references(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let snapshot = engine.snapshot();
    let mut leaks = Vec::new();
    for (name, mine, _) in duel.rows() {
        let Some(entity) = snapshot.model.entity(name) else { continue };
        for field in &entity.fields {
            let Kind::Ref(to) = &field.kind else { continue };
            let Some(target) = duel.b().rows.get(to.entity.as_str()) else { continue };
            let verb = Verb::Update(json!({ field.name.as_str(): target.to_string() }));
            if engine.write(&duel.a().tenant, change(name, verb, &mine)).await.is_ok() {
                leaks.push(format!("{name}.{} refers to B's row", field.name));
            }
        }
    }
    Ok(leaks)
}

async fn transactions(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let mut leaks = Vec::new();
    let all: Vec<Operation> =
        duel.rows().take(50).map(|(name, _, id)| change(name, Verb::Delete, &id)).collect();
    let written = engine.write_all(&duel.a().tenant, all).await?;
    for (written, (name, _, id)) in written.iter().zip(duel.rows()) {
        if written.rows > 0 || duel.arena.spills("", &written.body) {
            leaks.push(format!("{name}: {} rows", written.rows));
        }
        if theirs(engine, duel, name, &id).await? == "[]" {
            leaks.push(format!("B's row of {name} is gone"));
        }
    }
    Ok(leaks)
}

async fn bulk(engine: &Engine, duel: &Duel<'_>) -> Result<Vec<String>, Error> {
    let snapshot = engine.snapshot();
    let mut leaks = Vec::new();
    for (name, mine, id) in duel.rows() {
        let Some(entity) = snapshot.model.entity(name) else { continue };
        let before = theirs(engine, duel, name, &id).await?;
        let mut output = Vec::new();
        let export = Export {
            entity: name.to_owned(),
            output: &mut output,
            format: Format::JsonLines,
            vectors: None,
            purpose: None,
        };
        engine.export(&duel.a().tenant, export, &mut |_| {}).await?;
        let exported = String::from_utf8_lossy(&output);
        if duel.arena.spills("", &exported) || exported.contains(&id) {
            leaks.push(format!("export of {name}"));
        }
        let row = own_row(engine, duel, entity, &mine).await;
        for (key, value) in [("id", id.clone()), ("tenant_id", duel.b().tenant.id().to_string())] {
            let mut row = row.clone();
            row.insert(key.into(), value.into());
            let import = Import {
                entity: name.to_owned(),
                input: Box::new(std::io::Cursor::new(format!("{}\n", Value::Object(row)))),
                format: Format::JsonLines,
                vectors: None,
                on_bad: OnBad::Skip,
                upsert: Some(vec!["id".into()]),
                source: None,
                restart: false,
            };
            // Refused or not, what counts is B's row.
            let _ = engine.import(&duel.a().tenant, import, &mut |_| {}).await;
        }
        if theirs(engine, duel, name, &id).await? != before {
            leaks.push(format!("an import changed B's row of {name}"));
        }
        let _ = engine.write(&duel.a().tenant, change(name, Verb::Delete, &id)).await;
    }
    Ok(leaks)
}

async fn keys(engine: &Engine, duel: &Duel<'_>) -> Vec<String> {
    let [a, b] = &duel.keys;
    let mut leaks = Vec::new();
    for (key, tenant) in [(a, &duel.a().tenant), (b, &duel.b().tenant)] {
        match engine.authenticate(key).await {
            Ok(opened) if opened.id() == tenant.id() => {}
            _ => leaks.push(format!("the key of {} opens another", tenant.name())),
        }
    }
    let last = if b.ends_with('0') { '1' } else { '0' };
    let (prefix, secret) = (&b[..b.len().min(11)], a.get(11..).unwrap_or_default());
    for nearly in [
        format!("{}{last}", &b[..b.len() - 1]),
        format!("{prefix}{secret}"),
        prefix.to_owned(),
        format!("{b} "),
        b.to_uppercase(),
        String::new(),
    ] {
        if engine.authenticate(&nearly).await.is_ok() {
            leaks.push("a key that was never made".to_owned());
        }
    }
    leaks
}
