//! What one tenant or key may take: how often it asks, and how much of the database it works at once.
//!
//! Requests that may work are as many as the pool has connections. The others wait in a line for each tenant, and whoever
//! is done lets in the next of the tenant whose turn it is: a tenant with a thousand waiting requests delays another's by
//! one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use freehold_engine::{Code, Refusal, Role, Tenant};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::config::server::{ServerConfig, Share};

/// Buckets that are kept in mind before the full ones are forgotten.
const BUCKETS_MAX: usize = 10_000;

/// Lets requests in.
#[derive(Clone)]
pub(super) struct Gate(Arc<Inner>);

struct Inner {
    tenants: Share,
    keys: Share,
    patience: Duration,
    all: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: usize,
    /// Those who wait, by tenant.
    lines: HashMap<Uuid, VecDeque<Waiting>>,
    /// The tenants somebody waits for, in the order of their turns.
    turns: VecDeque<Uuid>,
    /// Requests that work, of a tenant or key.
    running: HashMap<Uuid, usize>,
    buckets: HashMap<Uuid, (f64, Instant)>,
}

struct Waiting {
    key: Option<Uuid>,
    tell: oneshot::Sender<Pass>,
}

/// The right to work; given back when it is dropped.
pub(super) struct Pass {
    gate: Option<Gate>,
    tenant: Uuid,
    key: Option<Uuid>,
}

impl Gate {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self(Arc::new(Inner {
            tenants: config.tenants.clone(),
            keys: config.keys.clone(),
            patience: Duration::from_secs(config.limits.wait_seconds),
            all: config.limits.running,
            state: Mutex::new(State { free: config.limits.running, ..State::default() }),
        }))
    }

    /// Counts a request against the tenant's and the key's rates.
    ///
    /// # Errors
    /// `TooMany`, and after how many seconds there is room again.
    pub(super) fn count(&self, asking: &Tenant) -> Result<(), (Refusal, u64)> {
        if self.0.tenants.rate == 0 && self.0.keys.rate == 0 {
            return Ok(());
        }
        let mut state = self.state();
        let now = Instant::now();
        if state.buckets.len() > BUCKETS_MAX {
            // By then every bucket is full again.
            let full = |share: &Share| f64::from(share.burst) / f64::from(share.rate.max(1));
            let full = full(&self.0.tenants).max(full(&self.0.keys));
            state.buckets.retain(|_, (_, at)| now.duration_since(*at).as_secs_f64() < full);
        }
        let who = [(Some(asking.id()), &self.0.tenants), (key_of(asking), &self.0.keys)];
        for (id, share) in who {
            let (Some(id), 1..) = (id, share.rate) else { continue };
            let (rate, burst) = (f64::from(share.rate), f64::from(share.burst));
            let bucket = state.buckets.entry(id).or_insert((burst, now));
            let left = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * rate).min(burst);
            if left < 1.0 {
                *bucket = (left, now);
                let wait = Duration::from_secs_f64((1.0 - left) / rate).as_secs() + 1;
                return Err((too_many("more requests than are allowed"), wait));
            }
            *bucket = (left - 1.0, now);
        }
        Ok(())
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `TooMany` if too many of the tenant's wait already, or none comes in time.
    pub(super) async fn enter(&self, asking: &Tenant) -> Result<Pass, Refusal> {
        let (tell, told) = oneshot::channel();
        let (tenant, key) = (asking.id(), key_of(asking));
        {
            let mut state = self.state();
            let line = state.lines.entry(tenant).or_default();
            line.retain(|waiting| !waiting.tell.is_closed());
            if line.len() >= self.0.tenants.waiting {
                return Err(too_many("too many requests of this tenant wait already"));
            }
            line.push_back(Waiting { key, tell });
            if line.len() == 1 && !state.turns.contains(&tenant) {
                state.turns.push_back(tenant);
            }
            self.let_in(&mut state);
        }
        match tokio::time::timeout(self.0.patience, told).await {
            Ok(Ok(pass)) => Ok(pass),
            _ => Err(too_many("the request had no turn in time")),
        }
    }

    /// Requests that work, and that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        let waiting = state.lines.values().map(VecDeque::len).sum();
        (self.0.all - state.free, waiting)
    }

    // Tenants take turns; one whose share is used up is passed over until it gives something back.
    fn let_in(&self, state: &mut State) {
        let mut passed = 0;
        while state.free > 0 && passed < state.turns.len() {
            let Some(tenant) = state.turns.pop_front() else { break };
            let next = self.next(state, tenant);
            let waits = state.lines.get(&tenant).is_some_and(|line| !line.is_empty());
            if waits {
                state.turns.push_back(tenant);
            } else {
                state.lines.remove(&tenant);
            }
            let Some(Waiting { key, tell }) = next else {
                passed += usize::from(waits);
                continue;
            };
            passed = 0;
            // Somebody who went away meanwhile has the pass dropped, which must not ask for the lock that is held here.
            if let Err(mut pass) = tell.send(Pass { gate: Some(self.clone()), tenant, key }) {
                pass.gate = None;
                continue;
            }
            state.free -= 1;
            for id in [Some(tenant), key].into_iter().flatten() {
                *state.running.entry(id).or_default() += 1;
            }
        }
    }

    fn next(&self, state: &mut State, tenant: Uuid) -> Option<Waiting> {
        let running = |id: &Uuid| state.running.get(id).copied().unwrap_or_default();
        if running(&tenant) >= self.0.tenants.running {
            return None;
        }
        let line = state.lines.get(&tenant)?;
        let at = line.iter().position(|waiting| {
            waiting.key.is_none_or(|key| running(&key) < self.0.keys.running)
        })?;
        state.lines.get_mut(&tenant)?.remove(at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        let mut state = gate.state();
        state.free += 1;
        for id in [Some(self.tenant), self.key].into_iter().flatten() {
            if let Some(running) = state.running.get_mut(&id) {
                *running -= 1;
                if *running == 0 {
                    state.running.remove(&id);
                }
            }
        }
        gate.let_in(&mut state);
    }
}

/// The key that is counted: those without one are one key of their tenant together.
fn key_of(asking: &Tenant) -> Option<Uuid> {
    match asking.role() {
        Role::Anonymous => Some(Uuid::from_u128(!asking.id().as_u128())),
        _ => asking.principal(),
    }
}

fn too_many(message: &str) -> Refusal {
    Refusal::new(Code::TooMany, message).hint("ask less often, or less at once")
}
