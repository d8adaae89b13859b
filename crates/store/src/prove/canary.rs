//! The two tenants that attack one another.

use freehold_model::{Code, Refusal};
use uuid::Uuid;

use crate::{error::Error, key::hex, operator::Operator};

/// How the names of canary tenants begin.
pub const CANARY: &str = "freehold-canary-";

/// Held while a run has canaries, so that another does not take them for left-overs.
const CLAIM: i64 = 0x6361_6e61_7279;

impl Operator {
    /// Makes two tenants, after removing those of a run that was killed; gives their names.
    ///
    /// # Errors
    /// `Usage` while another run has canaries in this database; faults.
    pub async fn make_canaries(&mut self) -> Result<[String; 2], Error> {
        let claim = format!("select pg_try_advisory_lock({CLAIM})");
        let rows = self.session.select("making canaries", &claim, &[]).await?;
        if rows.first().and_then(|row| row.bool(0)) != Some(true) {
            return Err(Refusal::new(Code::Usage, "another proof runs in this database")
                .hint("wait until it ends")
                .into());
        }
        self.remove_canaries().await?;
        let run = hex(&Uuid::new_v4().as_bytes()[..6]);
        let names = [format!("{CANARY}{run}-a"), format!("{CANARY}{run}-b")];
        for name in &names {
            self.create_tenant(name).await?;
        }
        Ok(names)
    }

    /// Removes all canary tenants with everything of theirs; gives how many there were.
    ///
    /// # Errors
    /// Faults only; what is left is removed by the next call.
    pub async fn remove_canaries(&mut self) -> Result<usize, Error> {
        let tenants = self.tenants().await?;
        let canaries: Vec<String> = tenants
            .into_iter()
            .map(|tenant| tenant.name)
            .filter(|name| name.starts_with(CANARY))
            .collect();
        for name in &canaries {
            self.delete_tenant(name, |_| {}).await?;
        }
        Ok(canaries.len())
    }
}
