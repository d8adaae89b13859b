//! `plan` and `apply`: what the file says becomes what the database is.

use freehold_engine::{
    Code, Error,
    apply::{self, Progress, Proposal},
};
use freehold_model::plan::Effect;
use serde_json::json;

use super::{Site, model};
use crate::{
    config::Config,
    output::{self, Failure},
};

pub(super) async fn plan(config: &Config) -> Result<(), Failure> {
    let (text, _) = model::read(config)?;
    let site = Site::open(config).await?;
    let mut operator = site.operator("plan").await?;
    let proposal = apply::propose(&mut operator, text).await?;
    if config.json {
        output::say(as_json(&proposal));
    } else if proposal.plan.is_empty() {
        output::note("nothing to do: the database is what the model says");
    } else {
        output::say(proposal.plan.render());
        tell_flags(&proposal);
    }
    Ok(())
}

pub(super) async fn apply(config: &Config, allow: &[String], resume: bool) -> Result<(), Failure> {
    if !resume {
        let (text, _) = model::read(config)?;
        return apply_text(config, &Site::open(config).await?, text, allow).await;
    }
    let site = Site::open(config).await?;
    let Some(unfinished) = site.prepared("apply").await?.unfinished_apply().await? else {
        if config.json {
            output::say(json!({ "resumed": false }));
        } else {
            output::note("no apply was interrupted");
        }
        return Ok(());
    };
    output::note(format!("going on after {} of {} steps", unfinished.done, unfinished.total));
    apply_text(config, &site, unfinished.text, allow).await
}

/// Applies a model's text, showing each step.
pub(crate) async fn apply_text(
    config: &Config,
    site: &Site,
    text: String,
    allow: &[String],
) -> Result<(), Failure> {
    let mut operator = site.prepared("apply").await?;
    let proposal = apply::propose(&mut operator, text).await?;
    let store = match site.store().await {
        // SQL may have changed the password or the settings of the servers' login: an apply mends it.
        Err(Failure::Engine(Error::Refused(refusal))) if refusal.code == Code::Server => {
            operator.repair_login(&site.root_key()?).await?;
            site.store().await?
        }
        store => store?,
    };
    let bar = output::spinner("apply");
    let mut filled = 0;
    let mut heard = |progress| match progress {
        Progress::Step(number, steps, title) => {
            bar.set_message(format!("{number}/{steps} {title}"))
        }
        Progress::Waiting(attempt) => {
            bar.set_message(format!("waiting for a lock, attempt {attempt}"))
        }
        Progress::Filled(rows) => {
            filled += rows;
            bar.set_message(format!("{filled} vectors made"));
        }
        Progress::Built(tenants, all) => {
            bar.set_message(format!("filled for {tenants} of {all} tenants"));
        }
    };
    let version =
        apply::apply(&mut operator, &store, &config.base_dir(), &proposal, allow, &mut heard)
            .await?;
    let mut helper = site.operator("apply").await?;
    apply::tend_graphs(&mut operator, &mut helper).await?;
    bar.finish_and_clear();
    let steps = proposal.plan.steps.len();
    if config.json {
        output::say(json!({ "version": version, "steps": steps }));
    } else {
        output::note(format!("model version {version} applied: {}", model::counted(steps, "step")));
    }
    Ok(())
}

fn tell_flags(proposal: &Proposal) {
    let flags = proposal.plan.destructive();
    if !flags.is_empty() {
        let allowed: Vec<String> = flags.iter().map(|flag| format!("--allow {flag}")).collect();
        output::note(format!("\ndestroys data; to allow it: freehold apply {}", allowed.join(" ")));
    }
}

fn as_json(proposal: &Proposal) -> serde_json::Value {
    let steps = proposal.plan.steps.iter().map(|step| {
        let (effect, flag) = match &step.effect {
            Effect::Additive => ("additive", None),
            Effect::Rewriting { .. } => ("rewriting", None),
            Effect::Destructive { flag } => ("destructive", Some(flag)),
        };
        json!({ "title": step.title, "effect": effect, "flag": flag })
    });
    json!({
        "from_version": proposal.from_version, "steps": steps.collect::<Vec<_>>(), "sql": proposal.plan.render(),
    })
}
