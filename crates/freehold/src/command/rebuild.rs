//! `rebuild`: a read model filled anew while the old table is read.

use std::sync::atomic::{AtomicBool, Ordering};

use freehold_engine::{
    project::{BuildProgress, Throttle},
    rebuild::Progress,
};
use indicatif::ProgressBar;
use serde_json::json;

use super::{Site, apply::shown, model::counted};
use crate::{
    cli::Rebuild,
    config::Config,
    output::{self, Failure, STOPPED},
    stop::Stop,
};

pub(super) async fn rebuild(config: &Config, what: &Rebuild) -> Result<(), Failure> {
    let site = Site::open(config).await?;
    if what.cancel {
        cancel(config, &site, &what.name).await
    } else {
        run(config, &site, what).await
    }
}

async fn run(config: &Config, site: &Site, what: &Rebuild) -> Result<(), Failure> {
    let name = &what.name;
    let mut operator = site.operator("rebuild").await?;
    let engine = site.engine(config).await?;
    let stop = Stop::listen()?;
    let bar = output::bar(0, name, false);
    let (resumed, serving) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut heard = |progress| match progress {
        Progress::Begun(again) => {
            resumed.store(again, Ordering::Relaxed);
            if again {
                output::note("going on with the rebuild that was interrupted");
            }
        }
        Progress::Built(built) => show(&bar, &built),
        Progress::Waiting(attempt) => bar.set_prefix(format!("lock, attempt {attempt}")),
        Progress::Serving => serving.store(true, Ordering::Relaxed),
    };
    let throttle = what.throttle.unwrap_or(Throttle::None);
    let built = {
        let mut rebuilding = Box::pin(engine.rebuild(&mut operator, name, throttle, &mut heard));
        tokio::select! {
            built = &mut rebuilding => built,
            () = stop.asked() => {
                // Changing places takes a moment and is all or nothing: it is awaited.
                if !serving.load(Ordering::Relaxed) {
                    bar.finish_and_clear();
                    output::note(format!(
                        "stopped; `freehold rebuild {name}` goes on, `freehold rebuild {name} --cancel` gives it up"
                    ));
                    return Err(Failure::Told(STOPPED));
                }
                rebuilding.await
            }
        }
    };
    bar.finish_and_clear();
    let BuildProgress { tenants, units, .. } = built?;
    if config.json {
        let resumed = resumed.into_inner();
        output::say(
            json!({ "read": name, "rebuilt": true, "resumed": resumed, "tenants": tenants, "units": units }),
        );
    } else {
        let tenants = counted(usize::try_from(tenants).unwrap_or(usize::MAX), "tenant");
        output::say(format!("{name} is rebuilt, {units} units of {tenants}"));
    }
    Ok(())
}

async fn cancel(config: &Config, site: &Site, name: &str) -> Result<(), Failure> {
    let mut operator = site.operator("cancel rebuild").await?;
    let cancelled = site.engine(config).await?.cancel_rebuild(&mut operator, name).await?;
    if config.json {
        output::say(json!({ "read": name, "cancelled": cancelled }));
    } else if cancelled {
        output::say(format!("the rebuild of {name} is given up; the table that is read stays"));
    } else {
        output::say(format!("{name} is not being rebuilt"));
    }
    Ok(())
}

// By units where it is known how many there are about, else by tenants.
fn show(bar: &ProgressBar, built: &BuildProgress) {
    let (done, all) = match built.about_units {
        0 => (built.tenants, built.of_tenants),
        about => (built.units, about.max(built.units)),
    };
    bar.set_length(all);
    bar.set_position(done);
    tracing::debug!(progress = shown(built), "building");
}
