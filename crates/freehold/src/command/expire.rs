//! `expire`, and what tends slices: what is over by the model's rules is removed, by whole slices where it can be.

use freehold_engine::{
    Code, Engine, Error, Operator,
    expire::Expired,
    slice::{self, SliceDone, SliceInfo},
};
use serde_json::{Value, json};

use super::{Site, model::counted};
use crate::{
    cli,
    config::Config,
    output::{self, Failure},
};

pub(super) async fn expire(config: &Config, what: &cli::Expire) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let engine = site.engine(config).await?;
    let tenant = match &what.tenant {
        Some(name) => Some(engine.tenant(name).await?),
        None => None,
    };
    let mut slices = Vec::new();
    // A slice has rows of all tenants.
    if tenant.is_none() && sliced(&engine) {
        let mut operator = site.prepared("expire").await?;
        if what.dry_run {
            let holds = engine.store().holds(None).await?;
            let held = holds.iter().any(|hold| hold.in_force);
            slices = planned(&mut operator, held).await?;
        } else {
            slices = tended(&mut operator, false).await?;
        }
    }
    let expired = match what.dry_run {
        true => engine.expired(tenant.as_ref()).await?,
        false => engine.expire(tenant.as_ref()).await?,
    };
    // What was removed is told also when its receipts cannot be written.
    let receipts = match what.dry_run {
        true => Ok(None),
        false => receipted(&engine, what.receipts).await.map(Some),
    };
    let told = receipts.as_ref().ok().and_then(Option::as_ref);
    show(config, what.dry_run, &slices, expired, told);
    Ok(receipts.map(drop)?)
}

async fn receipted(engine: &Engine, today: bool) -> Result<Receipts, Error> {
    Ok(Receipts {
        written: engine.receipt_expired(today).await?,
        rows_without: engine.store().rows_without_receipt(true).await?,
    })
}

/// Makes and drops slices, and says what was done.
pub(super) async fn tend(config: &Config) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let mut operator = site.prepared("work --slices").await?;
    let slices = tended(&mut operator, false).await?;
    site.engine(config).await?.receipt_slices().await?;
    if config.json {
        output::say(json!({ "slices": slices.iter().map(as_json).collect::<Vec<_>>() }));
    } else if !slices.is_empty() {
        table(&slices);
    }
    Ok(())
}

/// The same until the process ends.
pub(super) async fn forever(site: &Site) -> Result<(), Failure> {
    let mut operator = site.prepared("work --slices").await?;
    Err(slice::forever(&mut operator).await.into())
}

fn sliced(engine: &Engine) -> bool {
    engine.snapshot().model.entities().iter().any(|entity| entity.slices.is_some())
}

/// What was receipted after an expiry.
struct Receipts {
    written: usize,
    rows_without: u64,
}

/// What is, or would be, done with a slice: its stable word.
type Told = (SliceInfo, &'static str);

async fn planned(operator: &mut Operator, held: bool) -> Result<Vec<Told>, Failure> {
    let slices = operator.slices().await?.into_iter();
    let told = |slice: SliceInfo| {
        let what = match (slice.over, slice.ending) {
            (true, _) if held => "drop_unless_held",
            (true, _) => "drop",
            (false, true) => "rows",
            (false, false) => return None,
        };
        Some((slice, what))
    };
    Ok(slices.filter_map(told).collect())
}

/// Shows each as it is done; `only_make` drops none.
async fn tended(operator: &mut Operator, only_make: bool) -> Result<Vec<Told>, Error> {
    let bar = output::spinner("slices");
    let mut all = Vec::new();
    let told = |slice: &SliceInfo, done: SliceDone| {
        bar.set_message(format!("{} {}: {}", slice.entity, slice.from, in_words(done.as_str())));
        all.push((slice.clone(), done.as_str()));
    };
    let tended = match only_make {
        true => slice::make(operator, told).await,
        false => slice::tend(operator, told).await,
    };
    bar.finish_and_clear();
    match tended {
        Err(Error::Refused(refusal)) if refusal.code == Code::ApplyConflict => {
            output::note(format!("slices are left as they are: {refusal}"));
        }
        tended => tended?,
    }
    Ok(all)
}

/// What is done with a slice, for people.
fn in_words(what: &'static str) -> &'static str {
    match what {
        "drop_unless_held" => "drop, unless a hold keeps a row of it",
        "rows" => "what is over goes row by row",
        "held" => "kept: a legal hold is on a row of it",
        "occupied" => "not made: rows of its time go row by row",
        "busy" => "left for the next time: others were in the way",
        what => what,
    }
}

/// Makes slices after an apply; says what was not as it should be.
pub(super) async fn after_apply(operator: &mut Operator) {
    let made = match tended(operator, true).await {
        Ok(made) => made,
        // The model is applied all the same.
        Err(error) => {
            return output::note(format!(
                "slices were not made, `freehold work --slices` does it: {error}"
            ));
        }
    };
    for (slice, what) in made {
        if what != SliceDone::Made.as_str() {
            output::note(format!(
                "{} from {} to {}: {}",
                slice.entity,
                slice.from,
                slice.to,
                in_words(what)
            ));
        }
    }
}

fn show(
    config: &Config,
    dry_run: bool,
    slices: &[Told],
    expired: Vec<Expired>,
    receipts: Option<&Receipts>,
) {
    if config.json {
        let shown = |one: &Expired| json!({ "tenant": one.tenant, "entity": one.entity.as_str(), "rule": one.rule, "rows": one.rows, "late_s": one.late_s });
        return output::say(json!({
            "dry_run": dry_run,
            "slices": slices.iter().map(as_json).collect::<Vec<_>>(),
            "expired": expired.iter().map(shown).collect::<Vec<_>>(),
            "receipts": receipts.map(|receipts| json!({ "written": receipts.written, "rows_without": receipts.rows_without })),
        }));
    }
    if !slices.is_empty() {
        table(slices);
    }
    let rows: Vec<Vec<String>> = expired
        .into_iter()
        .map(|one| vec![one.tenant, one.entity.to_string(), one.rule, one.rows.to_string()])
        .collect();
    if !rows.is_empty() {
        output::table(
            &["tenant", "entity", "rule", if dry_run { "over" } else { "removed" }],
            &rows,
        );
    } else if slices.is_empty() {
        output::say("nothing is over that is not removed");
    }
    if let Some(&Receipts { written, rows_without }) = receipts {
        if written > 0 {
            output::note(format!(
                "{} written; `freehold erase receipts` shows them",
                counted(written, "receipt")
            ));
        }
        if rows_without > 0 {
            output::note(without_receipt(rows_without));
        }
    }
}

/// What is said of rows that were removed and not receipted yet.
pub(super) fn without_receipt(rows: u64) -> String {
    let rows = counted(usize::try_from(rows).unwrap_or(usize::MAX), "expired row");
    format!(
        "no receipt yet of {rows}; it comes when the day is over, by UTC, and now by `freehold expire --once --receipts`"
    )
}

fn table(slices: &[Told]) {
    let cells = |(slice, what): &Told| {
        vec![
            slice.entity.clone(),
            slice.from.clone(),
            slice.to.clone(),
            slice.rows.to_string(),
            slice.bytes.to_string(),
            in_words(what).to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = slices.iter().map(cells).collect();
    output::table(&["entity", "from", "to", "about rows", "bytes", "slice"], &rows);
}

fn as_json((slice, what): &Told) -> Value {
    json!({ "entity": slice.entity, "from": slice.from, "to": slice.to, "about_rows": slice.rows, "bytes": slice.bytes, "slice": what })
}
