//! Looking for everything that can be wrong with the wall: what is examined is told, what is found is explained.

pub use freehold_store::audit::{
    Check, Finding, OnManaged, Profile, Report, Residual, Severity, Unchecked, checks,
};

use crate::{Operator, error::Error};

/// Makes all checks in one look at the database.
///
/// # Errors
/// `Server` if Freehold is not set up or the operator is none; faults.
pub async fn audit(operator: &mut Operator, profile: Option<Profile>) -> Result<Report, Error> {
    operator.audit(profile).await
}

/// How many findings are as bad as `threshold` or worse.
#[must_use]
pub fn count_from(report: &Report, threshold: Severity) -> usize {
    report.findings.iter().filter(|finding| finding.check.severity >= threshold).count()
}
