//! Placement: gives tenants that have grown a partition of their own, and takes it back from those that have shrunk.
//!
//! count → decide → move, one tenant after the other. Only whoever has the operator's connection can: no login of
//! servers may change a table.

use std::time::{Duration, Instant};

use freehold_model::ddl::own;
use freehold_store::Operator;
pub use freehold_store::{DISPLACES, Decision, Moving};

use crate::{apply::recorded_model, error::Error};

/// How long between two looks at how many rows tenants have.
const PAUSE: Duration = Duration::from_secs(60);

/// And how many times as long as a look took: all rows are counted, so looks take no more than a twentieth of one backend.
const PAUSE_TIMES: u32 = 20;

/// The entities whose rows can be moved.
///
/// # Errors
/// If Freehold is not set up, or the applied model is of another version.
pub async fn searched(operator: &mut Operator) -> Result<Vec<String>, Error> {
    let model = recorded_model(operator).await?;
    let searched = model.entities().iter().filter(|entity| own::searched(entity));
    Ok(searched.map(|entity| entity.name.to_string()).collect())
}

/// Counts once, and moves whoever should be moved; says who was. One that cannot be moved now is left for the next time.
///
/// # Errors
/// Faults of the counting.
pub async fn once(
    operator: &mut Operator,
    helper: &mut Operator,
    mut progress: impl FnMut(&Decision, Moving),
) -> Result<Vec<Decision>, Error> {
    let mut moved: Vec<Decision> = Vec::new();
    for decision in operator.decide_placements().await? {
        let (tenant, entity) = (&decision.tenant, &decision.entity);
        let comes = |other: &Decision| {
            other.promote
                && other.entity == *entity
                && decision.swaps_with.as_ref() == Some(&other.tenant)
        };
        // Nobody leaves for one who has not come.
        if !decision.promote && decision.swaps_with.is_some() && !moved.iter().any(comes) {
            continue;
        }
        let done = if decision.promote {
            operator.promote(helper, tenant, entity, |moving| progress(&decision, moving)).await
        } else {
            operator.demote(tenant, entity, |moving| progress(&decision, moving)).await
        };
        match done {
            Ok(_) => moved.push(decision),
            Err(error) => tracing::warn!(entity, error = %error, "a tenant was not moved"),
        }
    }
    Ok(moved)
}

/// The same until the process ends.
///
/// # Errors
/// When the operator's connection is lost.
pub async fn forever(operator: &mut Operator, helper: &mut Operator) -> Result<(), Error> {
    loop {
        let begun = Instant::now();
        for decision in once(operator, helper, |_, _| ()).await? {
            tracing::info!(
                entity = decision.entity,
                rows = decision.rows,
                promoted = decision.promote,
                "a tenant was moved"
            );
        }
        tokio::time::sleep(PAUSE.max(begun.elapsed() * PAUSE_TIMES)).await;
    }
}
