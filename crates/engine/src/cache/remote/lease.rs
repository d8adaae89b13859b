//! One of all servers makes an answer, and the others wait for it.
//!
//! A lease saves work and decides nothing: who has none may make the answer all the same. Where Redis is away, everybody
//! has one.

use std::time::Duration;

use bytes::Bytes;
use freehold_store::seal::AnswerName;
use redis::cmd;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Shared, counts::add, queue::Work};

/// How long to wait before looking again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];

/// Whether one is to make the answer oneself.
#[derive(Debug)]
pub enum Lease {
    /// Yes. Put the answer, then drop this.
    Won(Winner),
    /// Somebody else does.
    Lost(Loser),
}

/// Who makes the answer. When it is dropped, the lease is given back, after what was put before.
#[derive(Debug)]
pub struct Winner {
    shared: Shared,
    name: AnswerName,
    // None if Redis could not be asked.
    token: Option<Uuid>,
}

/// Who waits for somebody else's answer.
#[derive(Debug)]
pub struct Loser {
    shared: Shared,
    name: AnswerName,
}

impl Shared {
    /// Asks for the lease of an answer that is to be made.
    pub async fn lease(&self, name: &AnswerName) -> Lease {
        let token = Uuid::new_v4();
        let mut set = cmd("SET");
        set.arg(self.0.keys.lease(name)).arg(&token.as_bytes()[..]);
        set.arg("NX").arg("PX").arg(u64::try_from(self.0.lease.as_millis()).unwrap_or(2000));
        // The token is kept also when no word came: the command may have arrived.
        let token = self.is_up().then_some(token);
        let asked = self.0.link.ask::<Option<String>>(&set).await;
        if asked == Some(None) {
            add(&self.0.counts.leases_lost, 1);
            return Lease::Lost(Loser { shared: self.clone(), name: *name });
        }
        add(&self.0.counts.leases_won, 1);
        Lease::Won(Winner { shared: self.clone(), name: *name, token })
    }
}

impl Drop for Winner {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.shared.0.queue.push(Work::Release(self.name, token));
        }
    }
}

impl Loser {
    /// Waits until the lease is given back or runs out, and gives what there is then: it may be as old as before. `None`
    /// if nothing is there, the deadline comes first, or Redis goes away.
    pub async fn wait(&self, deadline: Instant) -> Option<Bytes> {
        let (link, key) = (&self.shared.0.link, self.shared.0.keys.lease(&self.name));
        let mut pause = PAUSES[0];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            sleep(pause.min(left)).await;
            if !link.ask::<bool>(cmd("EXISTS").arg(&key)).await? {
                return self.shared.get(&self.name).await;
            }
            pause = (pause * 3 / 2).min(PAUSES[1]);
        }
    }
}
