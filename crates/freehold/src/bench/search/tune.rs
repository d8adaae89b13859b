//! Each way gets the setting that is just sure enough: ours finds it by itself, the plain way has it looked for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_engine::{
    Engine, Scan, Tenant, Yardstick,
    search::{Measured, Recall},
};

use super::{Asked, Seen, nearest, vectors::Vectors};
use crate::output::Failure;

/// Of a tenant's thousand questions those from here on are used for tuning ours alone: of the same kind as those before.
const APART: usize = 200;

/// Longest wait for our own measurement.
const PATIENCE: Duration = Duration::from_secs(300);

/// Settings of the plain way that are tried.
const TRIED: [u32; 11] = [25, 40, 64, 100, 130, 160, 250, 400, 500, 640, 1_000];

/// A setting of the plain way.
pub(super) struct Tuned {
    pub(super) scan: Scan,
    reaches: bool,
}

impl Tuned {
    pub(super) fn name(&self) -> String {
        let ef = self.scan.ef_search;
        match self.reaches {
            true => format!("iterative relaxed, ef {ef}, where it reaches {}", Recall::DEFAULT),
            false => format!("iterative relaxed, ef {ef}, never reaching {}", Recall::DEFAULT),
        }
    }
}

/// Searches as a tenant would until its index is measured with them.
pub(super) async fn ours(
    engine: &Engine,
    tenant: &Tenant,
    vectors: &Vectors,
    number: usize,
) -> Result<Arc<Measured>, Failure> {
    engine.calibrate(tenant, "passage", "embedding").await?;
    let until = Instant::now() + PATIENCE;
    for question in (APART..1_000).cycle() {
        if let Some(measured) = engine.recall_of(tenant, "passage", "embedding")
            && (measured.is_settled() || Instant::now() > until)
        {
            return Ok(measured);
        }
        nearest(engine, tenant, &vectors.question(number * 1_000 + question), Recall::Usual)
            .await?;
    }
    Err(Failure::Machine("no measurement came".into()))
}

/// The least setting at which the plain way finds as large a share as ours has to, of the very questions that it is measured with:
/// what it is compared by is then true of them.
pub(super) async fn plain(
    yardstick: &mut Yardstick,
    tenant: &Tenant,
    asked: &[Asked],
) -> Result<Tuned, Failure> {
    let mut tuned =
        Tuned { scan: Scan { iterative: "relaxed_order", ef_search: TRIED[0] }, reaches: false };
    for ef_search in TRIED {
        tuned.scan.ef_search = ef_search;
        let mut seen = Seen::new();
        for (vector, truth) in asked {
            let begun = Instant::now();
            let found = yardstick.plain_nearest(tenant, tuned.scan, vector).await?;
            seen.note(begun, &found, truth);
        }
        if seen.recall() >= Recall::DEFAULT {
            tuned.reaches = true;
            break;
        }
    }
    Ok(tuned)
}
