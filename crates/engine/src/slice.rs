//! Slices of entities that are kept by time: made ahead, and dropped when all of them is over.
//!
//! Only whoever has the operator's connection can: no login of servers may change a table. Where nobody does, rows lie on
//! the shelves and go row by row.

use std::time::Duration;

use freehold_store::Operator;
pub use freehold_store::{SliceDone, SliceInfo};

use crate::{
    Engine,
    error::{Code, Error},
};

/// How long between two looks. Slices are there for days before they are needed, and rows that are over are shown to nobody.
const PAUSE: Duration = Duration::from_secs(600);

/// Makes slices for the time ahead and drops those that are over; tells what was done with each.
///
/// # Errors
/// `ApplyConflict` while a model is applied or a tenant is moved; faults.
pub async fn tend(
    operator: &mut Operator,
    told: impl FnMut(&SliceInfo, SliceDone),
) -> Result<(), Error> {
    operator.tend_slices(usize::MAX, told).await
}

/// Makes slices for the time ahead, and drops none: for an apply, which destroys nothing that it was not allowed to.
///
/// # Errors
/// As [`tend`].
pub async fn make(
    operator: &mut Operator,
    told: impl FnMut(&SliceInfo, SliceDone),
) -> Result<(), Error> {
    operator.tend_slices(0, told).await
}

impl Engine {
    /// Writes the receipts of slices that were dropped; says how many. Workers do it with what expires.
    ///
    /// # Errors
    /// Faults only.
    pub async fn receipt_slices(&self) -> Result<usize, Error> {
        self.store.receipt_slices().await
    }

    /// For how many seconds from now on there are slices, without a gap; of each entity that is kept in slices.
    ///
    /// # Errors
    /// Faults only.
    pub async fn slices_ahead(&self) -> Result<Vec<(String, u64)>, Error> {
        self.store.slices_ahead().await
    }
}

/// Tends slices from time to time, until the operator's connection is lost; then it says what of.
pub async fn forever(operator: &mut Operator) -> Error {
    loop {
        match tend(operator, log).await {
            Ok(()) => {}
            // Somebody else is at the tables; the next time is soon enough.
            Err(Error::Refused(refusal)) if refusal.code == Code::ApplyConflict => {
                tracing::info!(%refusal, "slices are left as they are for now");
            }
            Err(error) => {
                tracing::error!(%error, "slices could not be tended");
                if let Err(lost) = operator.give_up().await {
                    return lost;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn log(slice: &SliceInfo, done: SliceDone) {
    let SliceInfo { entity, from, to, rows, bytes, .. } = slice;
    match done {
        SliceDone::Made => tracing::info!(entity, from, to, "a slice was made"),
        SliceDone::Dropped => {
            tracing::info!(entity, from, to, rows, bytes, "an expired slice was dropped");
        }
        SliceDone::Held => tracing::info!(entity, from, to, "a legal hold keeps an expired slice"),
        SliceDone::Occupied => {
            tracing::warn!(
                entity,
                from,
                to,
                "a slice was not made in time: its rows go row by row"
            );
        }
        SliceDone::Busy => tracing::warn!(entity, from, to, "others were in the way of a slice"),
    }
}
