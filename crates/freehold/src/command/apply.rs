//! `plan` and `apply`: what the file says becomes what the database is.

use freehold_engine::{
    Code, Error,
    apply::{self, Progress, Proposal},
    project::{BuildProgress, Throttle},
};
use freehold_model::plan::Effect;
use serde_json::json;

use super::{Site, model};
use crate::{
    cli,
    config::Config,
    output::{self, Failure, STOPPED},
    stop::Stop,
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

pub(super) async fn apply(config: &Config, what: &cli::Apply) -> Result<(), Failure> {
    let throttle = what.throttle.unwrap_or_default();
    if what.cancel {
        return cancel(config).await;
    }
    if !what.resume {
        let (text, _) = model::read(config)?;
        let site = Site::open(config).await?;
        return apply_slowly(config, &site, text, &what.allow, throttle).await;
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
    apply_slowly(config, &site, unfinished.text, &what.allow, throttle).await
}

async fn cancel(config: &Config) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    let taken_back = apply::cancel(&mut site.prepared("cancel apply").await?).await?;
    if config.json {
        output::say(json!({ "cancelled": taken_back.is_some(), "steps_taken_back": taken_back }));
    } else {
        output::note(match taken_back {
            Some(steps) => format!("given up: {} taken back", model::counted(steps, "step")),
            None => "no apply was interrupted".to_owned(),
        });
    }
    Ok(())
}

/// Applies a model's text, showing each step.
pub(crate) async fn apply_text(
    config: &Config,
    site: &Site,
    text: String,
    allow: &[String],
) -> Result<(), Failure> {
    apply_slowly(config, site, text, allow, Throttle::None).await
}

async fn apply_slowly(
    config: &Config,
    site: &Site,
    text: String,
    allow: &[String],
    throttle: Throttle,
) -> Result<(), Failure> {
    let mut operator = site.prepared("apply").await?;
    let proposal = apply::propose(&mut operator, text).await?;
    let store = match site.store().await {
        // SQL may have changed the password or the settings of the servers' login: an apply mends it.
        Err(Failure::Engine(Error::Refused(refusal))) if refusal.code == Code::Server => {
            operator.repair_login(&site.root_key().await?).await?;
            site.store().await?
        }
        store => store?,
    };
    let stop = Stop::listen()?;
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
        Progress::Built(built) => bar.set_message(shown(&built)),
    };
    let base_dir = config.base_dir();
    let (operator, heard) = (&mut operator, &mut heard);
    let applying =
        apply::apply_throttled(operator, &store, &base_dir, &proposal, allow, throttle, heard);
    let version = tokio::select! {
        version = applying => version?,
        () = stop.asked() => {
            bar.finish_and_clear();
            output::note("stopped; `freehold apply --resume` goes on");
            return Err(Failure::Told(STOPPED));
        }
    };
    let mut helper = site.operator("apply").await?;
    apply::tend_graphs(operator, &mut helper).await?;
    bar.finish_and_clear();
    super::expire::after_apply(operator).await;
    let steps = proposal.plan.steps.len();
    if config.json {
        output::say(json!({ "version": version, "steps": steps }));
    } else {
        output::note(format!("model version {version} applied: {}", model::counted(steps, "step")));
    }
    Ok(())
}

/// How far a build is, as one line.
pub(super) fn shown(built: &BuildProgress) -> String {
    let about = match built.about_units {
        0 => String::new(),
        about => format!(" of about {about}"),
    };
    let BuildProgress { tenants, of_tenants, units, .. } = built;
    format!("filled for {tenants} of {of_tenants} tenants, {units}{about} units")
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
