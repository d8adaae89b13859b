//! A report as SARIF 2.1.0, which CI systems show beside the code.

use std::path::Path;

use freehold_engine::audit::{Check, Finding, Report, Severity, checks};
use serde_json::{Value, json};

/// The whole log. Services that show findings at a file are given the model's first line: an object of the database, which
/// is named besides, has no line of its own.
pub(super) fn log(report: &Report, model_file: &Path) -> Value {
    let results = report.findings.iter().map(|finding| result(report, finding, model_file));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "freehold audit",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": checks().iter().map(rule).collect::<Vec<_>>(),
            }},
            "automationDetails": { "id": "freehold-audit/" },
            "invocations": [{ "executionSuccessful": true }],
            "properties": {
                "serverVersion": report.server_version,
                "profile": report.profile.as_str(),
                "mode": report.mode.map(|mode| mode.as_str()),
                "modelVersion": report.model_version,
                "fingerprint": report.fingerprint,
            },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn rule(check: &Check) -> Value {
    json!({
        "id": check.id,
        "name": check.name,
        "shortDescription": { "text": check.name.replace('-', " ") },
        "fullDescription": { "text": check.what },
        "help": {
            "text": format!("{}.\nWhy: {}.\nMend: {}.", check.what, check.why, check.mend),
            "markdown": format!("{}.\n\n**Why:** {}.\n\n**Mend:** {}.", check.what, check.why, check.mend),
        },
        "defaultConfiguration": { "level": level(check.severity) },
        "properties": {
            "tags": ["security"],
            "security-severity": match check.severity {
                Severity::Severe => "9.5",
                Severity::Error => "7.5",
                Severity::Warning => "4.5",
                Severity::Note => "1.0",
            },
        },
    })
}

fn result(report: &Report, finding: &Finding, model_file: &Path) -> Value {
    let check = finding.check;
    let index = checks().iter().position(|known| known.id == check.id);
    let place = model_file.file_name().unwrap_or_default().to_string_lossy();
    let place = if model_file.is_relative() { model_file.to_string_lossy() } else { place };
    json!({
        "ruleId": check.id,
        "ruleIndex": index,
        "level": level(check.severity),
        "message": { "text": format!("{}: {}. Mend: {}", finding.object, finding.detail, check.mend) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": place.replace('\\', "/").replace(' ', "%20") },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{
                "name": finding.object,
                "fullyQualifiedName": format!("{}/{}", report.database, finding.object),
                "kind": "object",
            }],
        }],
        "partialFingerprints": {
            "freehold/v1": format!("{}/{}/{}", check.id, finding.object, finding.detail),
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Severe | Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
