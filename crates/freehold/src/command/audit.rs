//! `audit`: everything that can be wrong with the wall, for a person, a program or a CI.

mod sarif;

use freehold_engine::audit::{self, Check, OnManaged, Profile, Report, Severity, checks};
use serde_json::{Value, json};

use super::{Site, model::counted};
use crate::{
    cli::{Audit, ProfileName, Threshold},
    config::Config,
    output::{self, Failure, REFUSED},
};

/// Objects of one check that are shown to a person; a program gets all.
const SHOWN: usize = 10;

const WORST_FIRST: [Severity; 4] =
    [Severity::Severe, Severity::Error, Severity::Warning, Severity::Note];

pub(super) async fn audit(config: &Config, wanted: &Audit) -> Result<(), Failure> {
    if wanted.list {
        list(config);
        return Ok(());
    }
    let site = Site::open(config).await?;
    let mut operator = site.operator("audit").await?;
    let profile = wanted.profile.map(|name| match name {
        ProfileName::SelfHosted => Profile::SelfHosted,
        ProfileName::Managed => Profile::Managed,
    });
    let report = audit::audit(&mut operator, profile).await?;
    if let Some(file) = &wanted.sarif {
        let text = format!("{:#}\n", sarif::log(&report, &config.model_file));
        std::fs::write(file, text).map_err(|error| output::at("written", file, &error))?;
    }
    if config.json {
        output::say(as_json(&report));
    } else {
        show(&report);
    }
    let threshold = match wanted.fail_on {
        Threshold::Severe => Severity::Severe,
        Threshold::Error => Severity::Error,
        Threshold::Warning => Severity::Warning,
    };
    match audit::count_from(&report, threshold) {
        0 => Ok(()),
        _ => Err(Failure::Told(REFUSED)),
    }
}

fn show(report: &Report) {
    let mode = report.mode.map_or("unknown", |mode| mode.as_str());
    output::say(format!(
        "database {}, PostgreSQL {}, {}, mode {mode}, platform {}, model version {}",
        report.database,
        report.server_version,
        report.profile.as_str(),
        report.platform_version.map_or_else(|| "unknown".into(), |version| version.to_string()),
        report.model_version,
    ));
    output::say(format!("fingerprint {}", report.fingerprint));
    for severity in WORST_FIRST {
        let found: Vec<&Check> = checks_with(report, severity);
        if !found.is_empty() {
            output::say(format!("\n{}", severity.as_str().to_uppercase()));
        }
        for check in found {
            show_check(report, check);
        }
    }
    if !report.residuals.is_empty() {
        output::say("\nleft open on a managed server");
    }
    for residual in &report.residuals {
        let objects = counted(residual.count, "object");
        output::say(format!("  {}  {} ({objects})", residual.check.id, residual.text));
    }
    if !report.unchecked.is_empty() {
        output::say("\nnot checked");
    }
    for unchecked in &report.unchecked {
        let check = unchecked.check;
        output::say(format!("  {}  {}: {}", check.id, check.name, unchecked.why));
    }
    output::say(format!("\n{}", summary(report)));
}

fn show_check(report: &Report, check: &Check) {
    output::say(format!("  {}  {}: {}", check.id, check.name, check.what));
    let found: Vec<_> =
        report.findings.iter().filter(|finding| finding.check.id == check.id).collect();
    for finding in found.iter().take(SHOWN) {
        let detail = match finding.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        output::say(format!("    - {}{detail}", finding.object));
    }
    if found.len() > SHOWN {
        output::say(format!("    … and {} more; --json shows all", found.len() - SHOWN));
    }
    output::say(format!("    why:  {}\n    mend: {}", check.why, check.mend));
}

fn checks_with(report: &Report, severity: Severity) -> Vec<&'static Check> {
    let has = |check: &&Check| report.findings.iter().any(|finding| finding.check.id == check.id);
    checks().iter().filter(|check| check.severity == severity).filter(has).collect()
}

fn summary(report: &Report) -> String {
    let made = report.checked.len();
    if report.findings.is_empty() {
        return format!("all {made} checks hold");
    }
    let counts = WORST_FIRST.iter().filter_map(|severity| {
        let number = report.findings.iter().filter(|f| f.check.severity == *severity).count();
        (number > 0).then(|| match severity {
            Severity::Severe => format!("{number} severe"),
            other => counted(number, other.as_str()),
        })
    });
    format!("{made} checks made: {}", counts.collect::<Vec<_>>().join(", "))
}

fn as_json(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        let mut object = about(finding.check);
        object["object"] = json!(finding.object);
        object["detail"] = json!(finding.detail);
        object
    });
    let residuals = report.residuals.iter().map(|residual| {
        json!({ "id": residual.check.id, "name": residual.check.name, "residual": residual.text, "objects": residual.count })
    });
    let unchecked = report.unchecked.iter().map(|unchecked| {
        json!({ "id": unchecked.check.id, "name": unchecked.check.name, "why": unchecked.why })
    });
    json!({
        "database": report.database,
        "server_version": report.server_version,
        "profile": report.profile.as_str(),
        "mode": report.mode.map(|mode| mode.as_str()),
        "locked": report.locked,
        "platform_version": report.platform_version,
        "model_version": report.model_version,
        "fingerprint": report.fingerprint,
        "checked": report.checked.iter().map(|check| &check.id).collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "residuals": residuals.collect::<Vec<_>>(),
        "unchecked": unchecked.collect::<Vec<_>>(),
    })
}

fn about(check: &Check) -> Value {
    json!({
        "id": check.id, "name": check.name, "severity": check.severity.as_str(),
        "what": check.what, "why": check.why, "mend": check.mend,
    })
}

fn list(config: &Config) {
    if config.json {
        let all = checks().iter().map(|check| {
            let mut object = about(check);
            object["managed"] = match &check.managed {
                OnManaged::Same => json!({ "checked": true, "residual": null }),
                OnManaged::No => json!({ "checked": false, "residual": null }),
                OnManaged::Residual(text) => json!({ "checked": true, "residual": text }),
            };
            object
        });
        output::say(Value::Array(all.collect()));
        return;
    }
    let rows: Vec<Vec<String>> = checks()
        .iter()
        .map(|check| {
            let severity = check.severity.as_str().to_owned();
            vec![check.id.clone(), severity, check.name.clone(), check.what.clone()]
        })
        .collect();
    output::table(&["id", "severity", "name", "looks for"], &rows);
}
