//! The report as a document that can be checked by whoever has the public key.

use freehold_store::{
    RootKey,
    prove::{Signed, sign, verify},
};
use serde_json::{Value, json};

use super::{Proof, canonical};
use crate::error::{Code, Refusal};

/// What is known of a report whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Who signed it: an Ed25519 key, hexadecimal digits.
    pub public_key: String,
    /// When, as it says.
    pub at: String,
    /// How many attacks leaked, as it says.
    pub leaked: u64,
}

/// The report with its signature: `{"report": …, "public_key": …, "signature": …}`. Signed are the bytes of `report` with
/// keys in order and no white space.
#[must_use]
pub fn document(proof: &Proof, root_key: &RootKey) -> Value {
    let count = |word: &str| proof.findings.iter().filter(|f| f.verdict.as_str() == word).count();
    let findings: Vec<Value> = proof
        .findings
        .iter()
        .map(|found| {
            json!({
                "id": found.id, "name": found.name, "tries": found.tries, "class": found.class,
                "verdict": found.verdict.as_str().to_lowercase(), "reason": found.verdict.reason(),
            })
        })
        .collect();
    let report = json!({
        "freehold": env!("CARGO_PKG_VERSION"),
        "postgresql": proof.server,
        "mode": proof.mode,
        "locked": proof.locked,
        "model": { "version": proof.model_version, "checksum": proof.model_checksum },
        "catalogue": proof.catalogue,
        "at": proof.at,
        "held": count("held"),
        "leaked": count("LEAKED"),
        "residual": count("residual"),
        "not_applicable": count("n/a"),
        "not_filled": proof.unfilled,
        "attacks": findings,
    });
    let mut bytes = String::new();
    canonical(&report, &mut bytes);
    let Signed { public_key, signature } = sign(root_key, bytes.as_bytes());
    json!({ "report": report, "public_key": public_key, "signature": signature })
}

/// Checks the signature of a report.
///
/// # Errors
/// `Usage` if it is no report, or was changed after it was signed.
pub fn check(document: &str) -> Result<Checked, Refusal> {
    let no_report = || Refusal::new(Code::Usage, "this is no report of `freehold prove`");
    let document: Value = serde_json::from_str(document).map_err(|_| no_report())?;
    let text = |name: &str| document[name].as_str().map(str::to_owned).ok_or_else(no_report);
    let signed = Signed { public_key: text("public_key")?, signature: text("signature")? };
    let report = document.get("report").ok_or_else(no_report)?;
    let mut bytes = String::new();
    canonical(report, &mut bytes);
    if !verify(&signed, bytes.as_bytes()) {
        return Err(Refusal::new(Code::Usage, "the signature does not fit the report")
            .detail(format!("public key {}", signed.public_key))
            .hint("it was changed after it was signed, or signed by another key"));
    }
    Ok(Checked {
        public_key: signed.public_key,
        at: report["at"].as_str().unwrap_or_default().to_owned(),
        leaked: report["leaked"].as_u64().ok_or_else(no_report)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::{Finding, Verdict};

    fn proof() -> Proof {
        let held = Finding::new(["C01", "a", "b", "context"], Verdict::Held { by: "gate" });
        let leaked = Verdict::Leaked { evidence: "x".into() };
        Proof {
            findings: vec![held, Finding::new(["C02", "ä", "\"", "context"], leaked)],
            unfilled: vec![],
            mode: "seal".into(),
            locked: true,
            server: "18.4".into(),
            at: "2026-01-01T00:00:00Z".into(),
            catalogue: "ab".into(),
            model_checksum: "cd".into(),
            model_version: 3,
        }
    }

    #[test]
    fn a_report_is_checked_whatever_its_layout_and_not_after_a_change() {
        let document = document(&proof(), &RootKey::new([7; 32]));
        let checked = check(&document.to_string()).unwrap();
        assert_eq!(checked.leaked, 1);
        assert_eq!(check(&format!("{document:#}")).unwrap(), checked);
        let forged = document.to_string().replace("\"leaked\":1", "\"leaked\":0");
        assert!(check(&forged).unwrap_err().message.contains("signature"));
        for no_report in ["", "{}", "[]", "{\"public_key\":\"\",\"signature\":\"\"}"] {
            assert!(check(no_report).unwrap_err().message.contains("no report"), "{no_report}");
        }
    }
}
