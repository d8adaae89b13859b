//! One connection for all calls, and a task that makes it anew. There is a connection while the circuit is closed; where
//! there is none, calls return at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError,
    RedisResult, aio::MultiplexedConnection, cmd,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::counts::{Counts, add};

/// Calls in a row that took too long, after which the connection is given up.
const FAILURES: u32 = 3;

/// How long to wait before a connection is made anew, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// How long a connection lasts that is not counted as another failure.
const LASTING: Duration = Duration::from_secs(10);

/// Longest wait for a connection; nobody stands behind it.
const CONNECT: Duration = Duration::from_secs(5);

/// How often an idle connection is tried, and how long what is done in the background may take.
const BEAT: Duration = Duration::from_secs(1);

/// Commands that wait to be sent.
const BUFFER: usize = 1024;

pub(super) struct Link {
    live: watch::Sender<Option<Live>>,
    timeout: Duration,
    counts: Arc<Counts>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    number: u64,
    // Calls in a row that took too long.
    failures: Arc<AtomicU32>,
    // Whether it was said in the log that Redis refuses something.
    told: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(timeout: Duration, counts: Arc<Counts>) -> Self {
        Self { live: watch::Sender::new(None), timeout, counts }
    }

    pub(super) fn is_up(&self) -> bool {
        self.live.borrow().is_some()
    }

    pub(super) async fn up(&self) {
        // It cannot be closed: its sender is here.
        let _ = self.live.subscribe().wait_for(Option::is_some).await;
    }

    /// What Redis says to one command; `None` if it did not in time, which was counted.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let mut live = self.live()?;
        let asked = timeout(self.timeout, command.query_async(&mut live.connection)).await;
        self.heard(&live, asked.ok())
    }

    /// The same for several commands, in the background: for longer, and each with its own outcome.
    pub(super) async fn tell(&self, commands: &Pipeline) -> Option<Vec<RedisResult<redis::Value>>> {
        let mut live = self.live()?;
        let patience = self.timeout.max(BEAT);
        let told = timeout(patience, commands.query_async(&mut live.connection)).await;
        let outcomes: Vec<RedisResult<redis::Value>> = self.heard(&live, told.ok())?;
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            self.refused(&live, error);
        }
        Some(outcomes)
    }

    /// Makes the connection, whenever there is none, for as long as it is polled.
    pub(super) async fn keep(self: Arc<Self>, client: Client, place: String) {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFER);
        let (mut pause, mut silent) = (PAUSES[0], false);
        for number in 0.. {
            let begun = Instant::now();
            match self.connect(&client, &config).await {
                Ok(connection) => {
                    tracing::info!(place, "the Redis of the cache is there");
                    add(&self.counts.connections, 1);
                    let (failures, told) = Default::default();
                    self.live.send_replace(Some(Live { connection, number, failures, told }));
                    self.watch(number).await;
                    tracing::warn!(place, "the Redis of the cache is away; answers are not shared");
                    silent = true;
                }
                Err(error) if !std::mem::replace(&mut silent, true) => {
                    tracing::warn!(place, %error, "the Redis of the cache cannot be reached");
                }
                Err(error) => tracing::debug!(place, %error, "still no Redis for the cache"),
            }
            if begun.elapsed() > LASTING + CONNECT {
                pause = PAUSES[0];
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    // A connection that answers within the time of a call: where it does not, calls are not to wait for it.
    async fn connect(
        &self,
        client: &Client,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        let ping = cmd("PING");
        let heard = timeout(self.timeout, ping.query_async::<String>(&mut connection)).await;
        heard.map_err(|_| RedisError::from((ErrorKind::Io, "it does not answer in time")))??;
        Ok(connection)
    }

    // Until the connection of this number is lost.
    async fn watch(&self, number: u64) {
        let mut news = self.live.subscribe();
        loop {
            tokio::select! {
                _ = news.wait_for(Option::is_none) => return,
                () = sleep(BEAT) => {}
            }
            let Some(mut live) = self.live() else { return };
            let patience = self.timeout.max(BEAT);
            let ping = cmd("PING");
            let heard = timeout(patience, ping.query_async::<String>(&mut live.connection)).await;
            if !matches!(heard, Ok(Ok(_))) {
                self.lose(number);
            }
        }
    }

    fn live(&self) -> Option<Live> {
        let live = self.live.borrow().clone();
        if live.is_none() {
            add(&self.counts.away, 1);
        }
        live
    }

    fn heard<T>(&self, live: &Live, heard: Option<RedisResult<T>>) -> Option<T> {
        match heard {
            Some(Ok(value)) => {
                live.failures.store(0, Ordering::Relaxed);
                Some(value)
            }
            Some(Err(error)) => {
                self.refused(live, &error);
                None
            }
            None => {
                add(&self.counts.timeouts, 1);
                if live.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
                    self.lose(live.number);
                }
                None
            }
        }
    }

    // What Redis itself says leaves the connection as it is; all else may have left something unread on it.
    fn refused(&self, live: &Live, error: &RedisError) {
        add(&self.counts.errors, 1);
        if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            tracing::debug!(%error, "a call to the Redis of the cache failed");
            self.lose(live.number);
        } else if !live.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the Redis of the cache refuses something (said once)");
        }
    }

    fn lose(&self, number: u64) {
        self.live.send_if_modified(|live| live.take_if(|live| live.number == number).is_some());
    }
}

// Between half of it and all of it, so that servers do not come at once.
fn jittered(pause: Duration) -> Duration {
    let random = u32::from(Uuid::new_v4().as_bytes()[0]);
    pause / 2 + pause / 2 * random / 255
}
