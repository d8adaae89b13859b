//! Clients that write at a rate, and those that wait until they see what they wrote.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use freehold_engine::{Store, Tenant, Writer};
use futures_util::future::try_join_all;

use crate::output::Failure;

/// Those that wait; each has an invoice of its own in every tenant.
const PROBES: u32 = 4;

/// How long after it saw one write a probe makes the next.
const PAUSE: Duration = Duration::from_millis(20);

/// How soon a probe looks again; later after a twentieth of what it has waited, so that where all is slow the looks are not
/// what makes it slow.
const LOOK: Duration = Duration::from_millis(1);

/// What takes longer is as good as lost.
const LOST: Duration = Duration::from_secs(60);

/// Grows over all measurements, so that what a probe writes is always more than what was there.
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// Ends what runs beside the measurement.
#[derive(Default)]
pub(super) struct Stop(AtomicBool);

#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// Transactions per second, of all clients together.
    pub(super) writes: f64,
    pub(super) clients: u32,
    /// The first of the four invoices of each tenant that get the lines.
    pub(super) invoice: u32,
}

/// Writes one line after the other to tenants in turn until it is stopped; says how many. Who cannot keep the rate is late,
/// and does not catch up.
pub(super) async fn at_rate(
    store: &Store,
    tenants: &[Tenant],
    rate: Rate,
    stop: &Stop,
) -> Result<u64, Failure> {
    let clients = (0..rate.clients).map(|client| async move {
        let mut writer = Writer::open(store).await?;
        let period = Duration::from_secs_f64(f64::from(rate.clients) / rate.writes);
        let mut tick = tokio::time::interval(period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut done = 0_u64;
        while !stop.0.load(Ordering::Relaxed) {
            tick.tick().await;
            let number = done as usize * rate.clients as usize + client as usize;
            let tenant = &tenants[number.wrapping_mul(7919) % tenants.len()];
            // The small ones have only the probes' own, for which a few lines more do not count.
            let invoice = rate.invoice + (number % 4) as u32;
            writer.add_lines(tenant, &[invoice]).await?;
            done += 1;
        }
        Ok::<_, Failure>(done)
    });
    Ok(try_join_all(clients).await?.into_iter().sum())
}

/// Writes as fast as it goes; transactions per second.
pub(super) async fn flat_out(
    store: &Store,
    tenant: &Tenant,
    clients: u32,
    time: Duration,
    stop: &Stop,
) -> Result<f64, Failure> {
    let begun = Instant::now();
    let all = (0..clients).map(|client| async move {
        let mut writer = Writer::open(store).await?;
        let mut done = 0_u32;
        while begun.elapsed() < time && !stop.0.load(Ordering::Relaxed) {
            writer.add_lines(tenant, &[(done * 31 + client * 997) % 10_000]).await?;
            done += 1;
        }
        Ok::<_, Failure>(done)
    });
    let done: u32 = try_join_all(all).await?.into_iter().sum();
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// Milliseconds from the answer to a commit until it is seen, of one write after the other, each to another tenant. Stops
/// the others when the time is over.
pub(super) async fn probe(
    store: &Store,
    tenants: &[Tenant],
    time: Duration,
    stop: &Stop,
) -> Result<Vec<f64>, Failure> {
    let begun = Instant::now();
    let probes = (0..PROBES).map(|invoice| async move {
        let mut writer = Writer::open(store).await?;
        let mut lags = Vec::new();
        while begun.elapsed() < time {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let tenant = &tenants[(number * 104_729 + invoice as usize * 31) % tenants.len()];
            // Far above what the lines of the others add up to, and above what it was before.
            let amount = number as u64 * 10_000;
            writer.set_amount(tenant, invoice, amount).await?;
            let written = Instant::now();
            while !sees(&mut writer, tenant, invoice, amount).await? {
                if written.elapsed() > LOST {
                    return Err(Failure::Machine("a write is never seen".into()));
                }
                tokio::time::sleep(LOOK.max(written.elapsed() / 20)).await;
            }
            lags.push(written.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<_, Failure>(lags)
    });
    let lags = try_join_all(probes).await;
    stop.0.store(true, Ordering::Relaxed);
    Ok(lags?.into_iter().flatten().collect())
}

async fn sees(
    writer: &mut Writer,
    tenant: &Tenant,
    invoice: u32,
    amount: u64,
) -> Result<bool, Failure> {
    let total = writer.total(tenant, invoice).await?.unwrap_or_default();
    Ok(total.unsigned_abs() >= amount)
}
