//! What is to be written, in order: bounded in bytes and in number, so that a slow Redis costs answers and not memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use freehold_store::seal::AnswerName;
use redis::{Pipeline, pipe};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Keys,
    config::SharedConfig,
    counts::{Counts, add},
    link::Link,
};

/// Most things that wait.
const LENGTH: usize = 4096;

/// Most things written at once.
const BATCH: usize = 64;

/// Bytes after which no more is added to what is written at once: answers that are read come through the same wire.
const BATCH_BYTES: usize = 256 << 10;

// A lease that went to somebody else in the meantime is theirs.
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

pub(super) enum Work {
    /// Stores a sealed answer.
    Put(AnswerName, Bytes),
    /// Gives a lease back, if it still is the one of this token.
    Release(AnswerName, Uuid),
}

/// The end that work goes in at.
#[derive(Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Work>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    value_max: usize,
    counts: Arc<Counts>,
}

/// The end that it comes out at.
pub(super) struct Writer {
    receiver: mpsc::Receiver<Work>,
    bytes: Arc<AtomicUsize>,
    ttl_ms: u64,
    link: Arc<Link>,
    counts: Arc<Counts>,
    keys: Keys,
}

pub(super) fn new(
    config: &SharedConfig,
    link: &Arc<Link>,
    counts: &Arc<Counts>,
    keys: &Keys,
) -> (Queue, Writer) {
    let (sender, receiver) = mpsc::channel(LENGTH);
    let bytes = Arc::new(AtomicUsize::new(0));
    let queue = Queue {
        sender,
        bytes: bytes.clone(),
        bytes_max: config.queue_max,
        value_max: config.value_max,
        counts: counts.clone(),
    };
    let ttl_ms = config.ttl.as_millis().try_into().unwrap_or(u64::MAX >> 1);
    let (link, counts, keys) = (link.clone(), counts.clone(), keys.clone());
    (queue, Writer { receiver, bytes, ttl_ms, link, counts, keys })
}

impl Work {
    fn size(&self) -> usize {
        match self {
            Self::Put(_, sealed) => sealed.len(),
            Self::Release(..) => 0,
        }
    }
}

impl Queue {
    /// Takes work if there is room for it.
    pub(super) fn push(&self, work: Work) {
        let (size, put) = (work.size(), matches!(work, Work::Put(..)));
        if size > self.value_max {
            return add(&self.counts.too_large, 1);
        }
        let grown = |bytes: usize| Some(bytes + size).filter(|bytes| *bytes <= self.bytes_max);
        let room = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        if room && self.sender.try_send(work).is_ok() {
            return;
        }
        if room {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        if put {
            add(&self.counts.dropped, 1);
        }
    }

    /// Bytes that wait, or are under way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes what comes, until nobody is left who could bring something.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.receiver.recv().await {
            let mut size = first.size();
            let mut batch = vec![first];
            while batch.len() < BATCH && size < BATCH_BYTES {
                let Ok(next) = self.receiver.try_recv() else { break };
                size += next.size();
                batch.push(next);
            }
            self.write(&batch).await;
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    async fn write(&self, batch: &[Work]) {
        let outcomes = self.link.tell(&self.commands(batch)).await.unwrap_or_default();
        for (index, work) in batch.iter().enumerate() {
            let Work::Put(_, sealed) = work else { continue };
            if matches!(outcomes.get(index), Some(Ok(_))) {
                add(&self.counts.puts, 1);
                add(&self.counts.bytes_written, sealed.len() as u64);
            } else {
                add(&self.counts.dropped, 1);
            }
        }
    }

    fn commands(&self, batch: &[Work]) -> Pipeline {
        let mut commands = pipe();
        commands.ignore_errors();
        for work in batch {
            match work {
                Work::Put(name, sealed) => {
                    let set = commands.cmd("SET").arg(self.keys.answer(name));
                    set.arg(&sealed[..]).arg("PX").arg(self.ttl_ms);
                }
                Work::Release(name, token) => {
                    let eval = commands.cmd("EVAL").arg(RELEASE).arg(1);
                    eval.arg(self.keys.lease(name)).arg(&token.as_bytes()[..]);
                }
            }
        }
        commands
    }
}
