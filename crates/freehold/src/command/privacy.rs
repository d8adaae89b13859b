//! Privacy duties from the command line: erasing people, holding.

mod export;
mod register;

pub(super) use register::privacy;

use freehold_engine::{
    Code, Refusal,
    erase::{Hold, Planned},
};
use freehold_model::entity::OnErase;
use serde_json::{Value, json};

use super::{Site, model::counted};
use crate::{
    cli,
    config::Config,
    output::{self, Failure},
};

/// Receipts and erasures that are listed at once.
const LISTED: u32 = 10_000;

pub(super) async fn erase(config: &Config, what: &cli::Erase) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    match &what.what {
        Some(cli::EraseList::List) => return list(config, &engine).await,
        Some(cli::EraseList::Receipts) => return receipts(config, &engine).await,
        None => {}
    }
    let (Some(entity), Some(id), Some(tenant)) = (&what.entity, what.id, &what.tenant) else {
        return Err(Refusal::new(Code::Usage, "whom to erase is not said").into());
    };
    let tenant = engine.tenant(tenant).await?;
    if what.dry_run {
        let plan = engine.erasure_plan(&tenant, entity, id).await?;
        show_plan(config, &plan);
        return Ok(());
    }
    let erasure = engine.erase(&tenant, entity, id).await?;
    let receipts = engine.store().receipts(0, LISTED).await?;
    let own = receipts.iter().rev().find(|receipt| receipt.body.contains(&erasure.id.to_string()));
    if config.json {
        output::say(json!({
            "erasure": erasure.id.to_string(), "state": erasure.state.as_str(),
            "receipt": own.map(|receipt| serde_json::from_str::<Value>(&receipt.body).unwrap_or_default()),
        }));
    } else {
        output::say(format!(
            "erased; the receipt is number {}",
            own.map_or(0, |receipt| receipt.number)
        ));
        output::note("`freehold erase receipts` shows it");
    }
    Ok(())
}

fn show_plan(config: &Config, plan: &[Planned]) {
    let way = |part: &Planned| match &part.way {
        OnErase::Delete => "deleted".to_owned(),
        OnErase::Blank => "emptied".to_owned(),
        OnErase::Unlink => "emptied and unlinked".to_owned(),
        OnErase::Keep(keep) => format!("kept {}: {}", keep.span, keep.why),
    };
    if config.json {
        let parts: Vec<Value> = plan
            .iter()
            .map(|part| json!({ "entity": part.entity.as_str(), "reference": part.reference.as_deref(), "rows": part.rows, "way": way(part) }))
            .collect();
        return output::say(json!({ "dry_run": true, "plan": parts }));
    }
    let rows: Vec<Vec<String>> = plan
        .iter()
        .map(|part| {
            let by = part.reference.as_deref().unwrap_or("the person").to_owned();
            vec![part.entity.to_string(), by, part.rows.to_string(), way(part)]
        })
        .collect();
    output::table(&["entity", "by", "rows", "would be"], &rows);
}

async fn list(config: &Config, engine: &freehold_engine::Engine) -> Result<(), Failure> {
    let erasures = engine.store().erasures(LISTED).await?;
    if config.json {
        let all: Vec<Value> = erasures
            .iter()
            .map(|one| json!({ "id": one.id, "tenant": one.tenant, "entity": one.entity, "state": one.state, "requested": one.requested_at, "ended": one.ended_at, "unreadable": one.unreadable_at, "error": one.error }))
            .collect();
        output::say(Value::Array(all));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = erasures
        .into_iter()
        .map(|one| {
            vec![
                one.id,
                one.tenant,
                one.entity,
                one.state,
                one.requested_at,
                one.ended_at.unwrap_or_default(),
                one.unreadable_at.unwrap_or_default(),
                one.error.unwrap_or_default(),
            ]
        })
        .collect();
    output::table(
        &["id", "tenant", "entity", "state", "requested", "ended", "backups unreadable", "error"],
        &rows,
    );
    Ok(())
}

async fn receipts(config: &Config, engine: &freehold_engine::Engine) -> Result<(), Failure> {
    let store = engine.store();
    let key = store.sign_receipt("").public_key;
    let (mut after, mut before, mut broken) = (0, String::new(), 0);
    loop {
        let page = store.receipts(after, LISTED).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for receipt in page {
            let holds = receipt.holds(&key, &before);
            broken += usize::from(!holds);
            output::say(json!({
                "receipt": serde_json::from_str::<Value>(&receipt.body).unwrap_or_default(),
                "hash": receipt.hash, "signature": receipt.signature, "public_key": key, "holds": holds,
            }));
            before = receipt.hash;
        }
    }
    if broken > 0 {
        return Err(Refusal::new(Code::Server, "receipts were changed, or some are missing")
            .detail(counted(broken, "receipt"))
            .hint("those with \"holds\": false; compare with what was given out")
            .into());
    }
    if !config.json {
        output::note("all signatures hold, and none is missing in between");
        let rows = store.rows_without_receipt(true).await?;
        if rows > 0 {
            output::note(super::expire::without_receipt(rows));
        }
    }
    Ok(())
}

pub(super) async fn hold(config: &Config, what: cli::Hold) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let store = engine.store();
    match what {
        cli::Hold::Place { id, tenant, reason, until } => {
            let tenant = engine.tenant(&tenant).await?;
            let hold = store.place_hold(&tenant, id, &reason, until.as_deref()).await?;
            match config.json {
                true => output::say(json!({ "hold": hold })),
                false => output::say(hold),
            }
        }
        cli::Hold::Release { hold } => {
            store.release_hold(hold).await?;
            if !config.json {
                output::say("released; erasures that it held up go on");
            }
        }
        cli::Hold::List { tenant } => {
            let tenant = match &tenant {
                Some(name) => Some(engine.tenant(name).await?),
                None => None,
            };
            let holds = store.holds(tenant.as_ref()).await?;
            if config.json {
                let shown = |one: &Hold| json!({ "id": one.id, "tenant": one.tenant, "person": one.person, "reason": one.reason, "placed": one.placed_at, "until": one.until, "released": one.released_at, "in_force": one.in_force });
                output::say(Value::Array(holds.iter().map(shown).collect()));
                return Ok(());
            }
            let rows: Vec<Vec<String>> = holds
                .into_iter()
                .map(|one| {
                    let whom = one.person.unwrap_or_else(|| "all of it".into());
                    vec![
                        one.id,
                        one.tenant,
                        whom,
                        one.reason,
                        one.placed_at,
                        one.until.unwrap_or_default(),
                        one.released_at.unwrap_or_default(),
                    ]
                })
                .collect();
            output::table(
                &["id", "tenant", "person", "reason", "placed", "until", "released"],
                &rows,
            );
        }
    }
    Ok(())
}
