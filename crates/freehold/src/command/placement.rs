//! `tenant promote`, `demote` and `placement`: where a tenant's rows are.

use freehold_engine::{Code, Limit, Operator, Origin, Policy, Refusal, place};
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
        Place::Placement {
            name,
            keep,
            entity,
            exact_within,
            promote_from,
            demote_below,
            reset,
            most,
        } => {
            let mut operator = site.prepared("tenant placement").await?;
            if let (Some(name), Some(keep), Some(entity)) = (&name, keep, &entity) {
                let pinned = match keep {
                    Keep::Own => Some("own"),
                    Keep::Shelf => Some("shelf"),
                    Keep::Auto => None,
                };
                operator.pin_placement(name, entity, pinned).await?;
            }
            let rows = promote_from.map(|promote| match demote_below {
                Some(demote) => Limit::Rows { promote, demote },
                None => Limit::rows(promote),
            });
            if let Some(limit) = exact_within.map(Limit::Millis).or(rows) {
                demand_apart(limit)?;
                operator.set_placement_limit(limit, Origin::Hand).await?;
            } else if reset {
                operator.set_placement_limit(Limit::DEFAULT, Origin::Default).await?;
            }
            if let Some(most) = most {
                operator.set_placement_most(most).await?;
            }
            show(config, &mut operator, name.as_deref()).await
        }
    }
}

fn demand_apart(limit: Limit) -> Result<(), Failure> {
    match limit {
        Limit::Rows { promote, demote } if demote >= promote => {
            Err(Refusal::new(Code::Usage, "a tenant would be moved to and fro")
                .detail(format!("back below {demote} rows, and from {promote} on to its own"))
                .hint("--demote-below has to be less than --promote-from")
                .into())
        }
        _ => Ok(()),
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
        if let (false, Some(other), false) = (decision.promote, &decision.swaps_with, config.json) {
            output::note(format!("{other} has taken its place"));
        }
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

async fn show(config: &Config, operator: &mut Operator, name: Option<&str>) -> Result<(), Failure> {
    let policy = operator.placement_policy().await?;
    let placed = operator.placed(name).await?;
    if config.json {
        let list: Vec<_> = placed
            .iter()
            .map(|p| {
                json!({
                    "tenant": p.tenant, "entity": p.entity, "placement": p.state, "step": p.step,
                    "decided_by": if p.pinned.is_some() { "operator" } else { "workers" },
                    "pinned": p.pinned, "rows": p.rows, "exact_ms": p.exact_ms, "bytes": p.bytes, "since": p.since, "waits": p.waits,
                })
            })
            .collect();
        let (exact_within, promote, demote) = match policy.limit {
            Limit::Millis(millis) => (Some(millis), None, None),
            Limit::Rows { promote, demote } => (None, Some(promote), Some(demote)),
        };
        output::say(json!({
            "exact_within": exact_within, "promote_from": promote, "demote_below": demote,
            "from": policy.origin.as_str(), "set_at": policy.set_at,
            "most": policy.own_max, "placements": list,
        }));
        return Ok(());
    }
    let count = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let millis = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    let rows: Vec<Vec<String>> = placed
        .into_iter()
        .map(|p| {
            let more = p.step.or_else(|| p.waits.then(|| "waits for a place".to_owned()));
            let place = more.map_or(p.state.clone(), |more| format!("{}: {more}", p.state));
            let by = if p.pinned.is_some() { "operator" } else { "workers" };
            let (rows, exact, bytes) = (count(p.rows), millis(p.exact_ms), count(p.bytes));
            vec![p.tenant, p.entity, place, by.into(), rows, exact, bytes, p.since]
        })
        .collect();
    output::table(
        &["tenant", "entity", "rows are", "decided by", "rows", "exact search", "bytes", "since"],
        &rows,
    );
    output::note(rule(&policy));
    Ok(())
}

/// What workers go by, in a sentence.
pub(crate) fn rule(policy: &Policy) -> String {
    let limit = match policy.limit {
        Limit::Millis(millis) => format!(
            "workers promote tenants whose exact search takes longer than {millis:.1} ms, and demote below 0.4 of that"
        ),
        Limit::Rows { promote, demote } => {
            format!("workers promote from {promote} rows and demote below {demote}")
        }
    };
    let day = policy.set_at.as_deref().and_then(|at| at.get(..10)).unwrap_or_default();
    let origin = match policy.origin {
        Origin::Default => "the default".to_owned(),
        Origin::Measured => format!("measured on {day}"),
        Origin::Hand => format!("set by hand on {day}"),
    };
    format!(
        "{limit} ({origin}); an entity has at most {} such partitions, of which a tenant with {} times the rows takes the smallest one's; \
         all other rows are on shelves",
        policy.own_max,
        place::DISPLACES
    )
}
