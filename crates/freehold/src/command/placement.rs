//! `tenant promote`, `demote` and `placement`: where a tenant's rows are.

use freehold_engine::{Operator, Policy, place};
use serde_json::json;

use super::Site;
use crate::{
    cli::{Keep, Place},
    config::Config,
    output::{self, Failure},
};

pub(super) async fn placement(config: &Config, site: &Site, what: Place) -> Result<(), Failure> {
    match what {
        Place::Promote { name, entity } => promote(config, site, &name, entity).await,
        Place::Demote { name, entity } => demote(config, site, &name, entity).await,
        Place::Placement { name, keep, entity, promote_from, demote_below, most } => {
            let mut operator = site.prepared("tenant placement").await?;
            if let (Some(name), Some(keep), Some(entity)) = (&name, keep, &entity) {
                let pinned = match keep {
                    Keep::Own => Some("own"),
                    Keep::Shelf => Some("shelf"),
                    Keep::Auto => None,
                };
                operator.pin_placement(name, entity, pinned).await?;
            }
            let now = operator.placement_policy().await?;
            let policy = Policy {
                promote_rows: promote_from.unwrap_or(now.promote_rows),
                demote_rows: demote_below.unwrap_or(now.demote_rows),
                own_max: most.unwrap_or(now.own_max),
            };
            if policy != now {
                operator.set_placement_policy(policy).await?;
            }
            show(config, &mut operator, name.as_deref(), policy).await
        }
    }
}

/// Moves tenants as workers do, once.
pub(super) async fn once(config: &Config) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let mut operator = site.prepared("work --placement").await?;
    let mut helper = site.operator("work --placement").await?;
    let bar = output::spinner("counting");
    let told = |decision: &place::Decision, moving| bar.set_message(told(&decision.entity, moving));
    let moved = place::once(&mut operator, &mut helper, told).await;
    bar.finish_and_clear();
    for decision in moved? {
        let place = if decision.promote { "own" } else { "shelf" };
        done(config, &decision.tenant, &decision.entity, place, decision.rows);
    }
    Ok(())
}

/// The same until the process ends.
pub(super) async fn forever(site: &Site) -> Result<(), Failure> {
    let mut operator = site.prepared("work --placement").await?;
    let mut helper = site.operator("work --placement").await?;
    Ok(place::forever(&mut operator, &mut helper).await?)
}

async fn promote(
    config: &Config,
    site: &Site,
    name: &str,
    entity: Option<String>,
) -> Result<(), Failure> {
    let mut operator = site.prepared("tenant promote").await?;
    let mut helper = site.operator("tenant promote").await?;
    let entities = match entity {
        Some(entity) => vec![entity],
        None => place::searched(&mut operator).await?,
    };
    for entity in entities {
        let bar = output::spinner(&entity);
        let moved = operator
            .promote(&mut helper, name, &entity, |moving| bar.set_message(told(&entity, moving)))
            .await;
        bar.finish_and_clear();
        let rows = moved?;
        done(config, name, &entity, "own", rows);
    }
    Ok(())
}

async fn demote(
    config: &Config,
    site: &Site,
    name: &str,
    entity: Option<String>,
) -> Result<(), Failure> {
    let mut operator = site.prepared("tenant demote").await?;
    let entities = match entity {
        Some(entity) => vec![entity],
        None => {
            let placed = operator.placed(Some(name)).await?.into_iter();
            placed.filter(|place| place.state != "shelf").map(|place| place.entity).collect()
        }
    };
    for entity in entities {
        let bar = output::spinner(&entity);
        let moved =
            operator.demote(name, &entity, |moving| bar.set_message(told(&entity, moving))).await;
        bar.finish_and_clear();
        let rows = moved?;
        done(config, name, &entity, "shelf", rows);
    }
    Ok(())
}

fn told(entity: &str, moving: place::Moving) -> String {
    let place::Moving { step, done, total, tries } = moving;
    match (total, tries) {
        (0, 0 | 1) => format!("{entity}: {step}"),
        (0, _) => format!("{entity}: {step}, attempt {tries}"),
        _ => format!("{entity}: {step}, {done} of {total}"),
    }
}

fn done(config: &Config, tenant: &str, entity: &str, place: &str, rows: u64) {
    if config.json {
        output::say(
            json!({ "tenant": tenant, "entity": entity, "placement": place, "rows": rows }),
        );
    } else if place == "own" {
        output::say(format!("{rows} rows of {entity} are in a partition of {tenant}'s own"));
    } else {
        output::say(format!("{rows} rows of {entity} of {tenant} are on the shelf"));
    }
}

async fn show(
    config: &Config,
    operator: &mut Operator,
    name: Option<&str>,
    policy: Policy,
) -> Result<(), Failure> {
    let placed = operator.placed(name).await?;
    if config.json {
        let list: Vec<_> = placed
            .iter()
            .map(|p| {
                json!({
                    "tenant": p.tenant, "entity": p.entity, "placement": p.state, "step": p.step,
                    "decided_by": if p.pinned.is_some() { "operator" } else { "workers" },
                    "pinned": p.pinned, "rows": p.rows, "bytes": p.bytes, "since": p.since,
                })
            })
            .collect();
        output::say(json!({
            "promote_from": policy.promote_rows, "demote_below": policy.demote_rows,
            "most": policy.own_max, "placements": list,
        }));
        return Ok(());
    }
    let count = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let rows: Vec<Vec<String>> = placed
        .into_iter()
        .map(|p| {
            let place = p.step.map_or(p.state.clone(), |step| format!("{}: {step}", p.state));
            let by = if p.pinned.is_some() { "operator" } else { "workers" };
            vec![p.tenant, p.entity, place, by.into(), count(p.rows), count(p.bytes), p.since]
        })
        .collect();
    output::table(&["tenant", "entity", "rows are", "decided by", "rows", "bytes", "since"], &rows);
    output::note(format!(
        "workers promote from {} rows, demote below {}, and leave an entity at most {} such partitions; \
         all other rows are on shelves",
        policy.promote_rows, policy.demote_rows, policy.own_max
    ));
    Ok(())
}
