//! `prove`: attacks on the wall beside real tenants, for a person, a program or an auditor.

use std::path::Path;

use freehold_engine::prove::{self, Finding, Proof, Proving, Verdict, check, document};
use serde_json::{Value, json};

use super::Site;
use crate::{
    cli::Prove,
    config::Config,
    output::{self, Failure, REFUSED, STOPPED},
    stop::Stop,
};

/// Characters of an attack's evidence that are shown to a person; a program gets all.
const SHOWN: usize = 300;

pub(super) async fn prove(config: &Config, wanted: &Prove) -> Result<(), Failure> {
    if let Some(file) = &wanted.verify {
        return verify(config, file);
    }
    let site = Site::open(config).await?;
    let root_key = site.root_key().await?;
    let mut operator = site.operator("prove").await?;
    let engine = site.engine(config).await?;
    let stop = Stop::listen()?;
    let bar = output::bar(1, "attacking", false);
    let proving =
        Proving { url: site.database.url(), root_key: &root_key, http: wanted.url.as_deref() };
    let mut heard = |done, total, name: &str| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(name.to_owned());
    };
    let proof = tokio::select! {
        proof = engine.prove(&mut operator, &proving, &mut heard) => Some(proof),
        () = stop.asked() => None,
    };
    bar.finish_and_clear();
    let Some(proof) = proof else {
        // The connection that was used is in the middle of something, and keeps others from proving until it is gone.
        drop(operator);
        let removed = site.operator("prove, interrupted").await?.remove_canaries().await?;
        output::note(format!("stopped; {removed} canary tenants removed"));
        return Err(Failure::Told(STOPPED));
    };
    let proof = proof?;
    let document = document(&proof, &root_key);
    if let Some(file) = &wanted.report {
        std::fs::write(file, format!("{document:#}\n"))
            .map_err(|error| output::at("written", file, &error))?;
    }
    if config.json {
        output::say(&document);
    } else {
        show(&proof, &document);
    }
    match proof.leaks().count() {
        0 => Ok(()),
        _ => Err(Failure::Told(REFUSED)),
    }
}

fn verify(config: &Config, file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| output::at("read", file, &error))?;
    let checked = check(&text)?;
    if config.json {
        let prove::Checked { public_key, at, leaked } = checked;
        output::say(json!({ "public_key": public_key, "at": at, "leaked": leaked }));
    } else {
        output::say(format!(
            "the report of {} is as it was signed, with {} leaks, by\n{}",
            checked.at, checked.leaked, checked.public_key
        ));
    }
    Ok(())
}

fn show(proof: &Proof, document: &Value) {
    let locked = if proof.locked { "self-hosted" } else { "managed" };
    output::say(format!(
        "PostgreSQL {}, {locked}, mode {}, model version {}, {}",
        proof.server, proof.mode, proof.model_version, proof.at
    ));
    let mut class = "";
    for found in &proof.findings {
        if found.class != class {
            class = &found.class;
            output::say(format!("\n{}", class.to_uppercase()));
        }
        show_finding(found);
    }
    for entity in &proof.unfilled {
        output::say(format!("\nnot attacked: no row of {entity} could be made"));
    }
    let count = |word: &str| document["report"][word].as_u64().unwrap_or_default();
    output::say(format!(
        "\n{} attacks: {} held, {} residual, {} not applicable, {} leaked",
        proof.findings.len(),
        count("held"),
        count("residual"),
        count("not_applicable"),
        count("leaked"),
    ));
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    output::say(format!("catalogue {}\nsigned by {}", proof.catalogue, text("public_key")));
}

fn show_finding(found: &Finding) {
    let word = found.verdict.as_str();
    output::say(format!("  {}  {word:<8}  {:<34}  {}", found.id, found.name, by(&found.verdict)));
    if !matches!(found.verdict, Verdict::Held { .. }) {
        output::say(format!("       tries:  {}", found.tries));
        let mut reason: String = found.verdict.reason().chars().take(SHOWN).collect();
        if reason.len() < found.verdict.reason().len() {
            reason.push('…');
        }
        output::say(format!(
            "       {}  {reason}",
            if word == "LEAKED" { "found:" } else { "why:  " }
        ));
    }
}

fn by(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held { by: "kernel" } => "by PostgreSQL",
        Verdict::Held { by: "gate" } => "by the gate",
        Verdict::Held { by: "schema" } => "by the shape of the schema",
        Verdict::Held { by: "pool" } => "by how the pool ends transactions",
        _ => "",
    }
}
