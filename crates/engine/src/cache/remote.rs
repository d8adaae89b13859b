//! The level of the cache that servers share: sealed answers in a Redis (6 or newer).
//!
//! **Nothing depends on it.** What it gives is only used after it was opened with its tenant's key and its stamp was
//! compared with PostgreSQL's, so a Redis that is old, empty, wrong or somebody else's costs time and never truth. Hence
//! there is no invalidation here: answers are stored under names that say nothing ([`AnswerKeys`](super::AnswerKeys)),
//! for a while, and Redis throws away what it has no room for (`maxmemory-policy allkeys-lru`).
//!
//! **Nobody waits for it.** Each call has its timeout, and when Redis is away calls return at once (`link`). What is put
//! waits in a queue that is bounded, and what does not fit is dropped and counted (`queue`).
//!
//! It needs one user with these rights and no more, if the prefix is `freehold:` (`+select` for a database other than 0):
//!
//! ```text
//! ACL SETUSER freehold on >PASSWORD resetkeys ~freehold:* resetchannels -@all +ping +get +set +del +exists +eval
//! ```

mod config;
mod counts;
mod lease;
mod link;
mod queue;

pub use config::SharedConfig;
pub use counts::SharedState;
pub use lease::{Lease, Loser, Winner};

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freehold_store::seal::AnswerName;
use redis::cmd;
use tokio::task::AbortHandle;

use crate::error::Refusal;
use counts::{Counts, add, read};
use link::Link;
use queue::{Queue, Work};

/// A Redis that servers share; cheap to clone. With the last clone goes the connection.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    link: Arc<Link>,
    counts: Arc<Counts>,
    queue: Queue,
    keys: Keys,
    lease: Duration,
    tasks: [AbortHandle; 2],
}

/// What things are called in Redis.
#[derive(Clone)]
struct Keys {
    prefix: Arc<str>,
}

impl Shared {
    /// Begins to reach for Redis, in the background; it may be away.
    ///
    /// # Errors
    /// `Usage` for a configuration that could never work.
    ///
    /// # Panics
    /// Outside of Tokio's runtime.
    pub fn new(config: &SharedConfig) -> Result<Self, Refusal> {
        let client = config.client()?;
        let counts = Arc::new(Counts::default());
        let link = Arc::new(Link::new(config.timeout, counts.clone()));
        let keys = Keys { prefix: config.prefix.as_str().into() };
        let (queue, writer) = queue::new(config, &link, &counts, &keys);
        let tasks = [
            tokio::spawn(link.clone().keep(client, config.place())).abort_handle(),
            tokio::spawn(writer.run()).abort_handle(),
        ];
        Ok(Self(Arc::new(Inner { link, counts, queue, keys, lease: config.lease, tasks })))
    }

    /// The sealed answer of this name; `None` if there is none, or Redis did not say so in time.
    pub async fn get(&self, name: &AnswerName) -> Option<Bytes> {
        let mut get = cmd("GET");
        get.arg(self.0.keys.answer(name));
        let found = self.0.link.ask::<Option<Bytes>>(&get).await?;
        let counts = &self.0.counts;
        match &found {
            Some(bytes) => {
                add(&counts.hits, 1);
                add(&counts.bytes_read, bytes.len() as u64);
            }
            None => add(&counts.misses, 1),
        }
        found
    }

    /// Stores a sealed answer when it can be done. The caller does not wait, and it may be dropped.
    pub fn put(&self, name: &AnswerName, sealed: Bytes) {
        if self.is_up() {
            self.0.queue.push(Work::Put(*name, sealed));
        } else {
            add(&self.0.counts.dropped, 1);
        }
    }

    /// Whether Redis answered lately.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.link.is_up()
    }

    /// Waits until Redis is there. Give it a deadline.
    pub async fn up(&self) {
        self.0.link.up().await;
    }

    /// What was done so far.
    #[must_use]
    pub fn state(&self) -> SharedState {
        let counts = &self.0.counts;
        SharedState {
            up: self.is_up(),
            hits: read(&counts.hits),
            misses: read(&counts.misses),
            away: read(&counts.away),
            errors: read(&counts.errors),
            timeouts: read(&counts.timeouts),
            connections: read(&counts.connections),
            puts: read(&counts.puts),
            dropped: read(&counts.dropped),
            too_large: read(&counts.too_large),
            bytes_read: read(&counts.bytes_read),
            bytes_written: read(&counts.bytes_written),
            queued_bytes: self.0.queue.bytes() as u64,
            leases_won: read(&counts.leases_won),
            leases_lost: read(&counts.leases_lost),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&self.state()).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Keys {
    fn answer(&self, name: &AnswerName) -> Vec<u8> {
        [self.prefix.as_bytes(), b"a:", name].concat()
    }

    fn lease(&self, name: &AnswerName) -> Vec<u8> {
        [self.prefix.as_bytes(), b"l:", name].concat()
    }
}
