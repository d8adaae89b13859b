//! The workers of a process: they look, begin with what is due, and note what became of it.
//!
//! Each step is a task of its own, and so is each look: no step waits for another one's answer, or for a look.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_store::{Seen, Undone};
use tokio::task::{JoinError, JoinSet};

use super::{AFTER_FAULT, LIST, Moved, Watch, lane::Lanes};
use crate::{Engine, error::Error};

/// How often a process looks for what others wrote: soon after there was something, and later.
const LOOK: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// How long it waits at least between two looks, however much is written.
const BREATH: Duration = Duration::from_millis(2);

/// For how long after work it looks often.
const LIVELY: Duration = Duration::from_secs(2);

/// How often it looks at everything, in case another process was told of work and died.
const LOOK_AT_ALL: Duration = Duration::from_secs(15);

/// What a task comes back with.
enum Event {
    /// A step, how long it was worked at, and whether others worked meanwhile.
    Moved(Undone, Result<Moved, Error>, (Duration, bool)),
    /// What is new, and up to where it was looked.
    Looked(Result<(Seen, Vec<Undone>), Error>),
    /// What there is to do at all.
    Swept(Result<Vec<Undone>, Error>),
}

impl Engine {
    /// Keeps read models up to date until the process ends. Run it as a task; any number of processes may.
    pub async fn project_forever(&self) {
        let mut workers = Workers::new(self);
        loop {
            workers.look();
            let next = workers.watch.next();
            tokio::select! {
                Some(event) = workers.tasks.join_next() => workers.hear(event),
                () = until(next) => {}
            }
            workers.begin();
        }
    }

    async fn step_in_lane(&self, undone: Undone, lanes: &Lanes, is_long: bool) -> Event {
        let mut lane = lanes.enter(is_long).await;
        let moved = self.project(&undone, &mut lane).await;
        Event::Moved(undone, moved, lane.worked())
    }

    async fn look_for_new(&self, mut seen: Seen, soonest: Instant, latest: Instant) -> Event {
        // Whoever writes through this process says so; for the others one looks.
        tokio::time::sleep_until(soonest.into()).await;
        let _ = tokio::time::timeout_at(latest.into(), self.store.woken()).await;
        let due = self.store.projection_due(&mut seen, LIST).await;
        Event::Looked(due.map(|due| (seen, due)))
    }

    async fn look_for_all(&self) -> Event {
        let due = self.store.projection_due(&mut Seen::default(), LIST).await;
        Event::Swept(due)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

struct Workers<'e> {
    engine: &'e Engine,
    watch: Watch,
    lanes: Arc<Lanes>,
    tasks: JoinSet<Event>,
    is_looking: bool,
    is_sweeping: bool,
    // Whether the last look at everything told all there was.
    is_all_told: bool,
    // When something was done last, and when the looks ended.
    busy: Instant,
    looked: Instant,
    swept: Instant,
}

impl<'e> Workers<'e> {
    fn new(engine: &'e Engine) -> Self {
        let now = Instant::now();
        Self {
            engine,
            watch: Watch::default(),
            lanes: Arc::new(Lanes::new()),
            tasks: JoinSet::new(),
            is_looking: false,
            is_sweeping: false,
            is_all_told: true,
            busy: now,
            looked: now,
            swept: now,
        }
    }

    /// Sees to it that somebody looks, unless there is more to do than can be kept in mind.
    fn look(&mut self) {
        if self.tasks.len() >= LIST {
            return;
        }
        if !self.is_looking {
            self.is_looking = true;
            // While others wait for a lane, what is new would only wait behind them: it is asked for less often.
            let breath = if self.lanes.are_full() { LOOK[0] } else { BREATH };
            let pause = LOOK[usize::from(self.busy.elapsed() > LIVELY)];
            let (soonest, latest) = (self.looked + breath, self.looked + pause);
            let (engine, seen) = (self.engine.clone(), self.watch.seen());
            self.tasks.spawn(async move { engine.look_for_new(seen, soonest, latest).await });
        }
        let pause = if self.is_all_told { LOOK_AT_ALL } else { LOOK[1] };
        if !self.is_sweeping && self.swept.elapsed() > pause {
            self.is_sweeping = true;
            let engine = self.engine.clone();
            self.tasks.spawn(async move { engine.look_for_all().await });
        }
    }

    /// Begins with what is owed whose time has come.
    fn begin(&mut self) {
        for undone in self.watch.come() {
            let is_long = self.watch.begin(&undone);
            let (engine, lanes) = (self.engine.clone(), Arc::clone(&self.lanes));
            self.tasks.spawn(async move { engine.step_in_lane(undone, &lanes, is_long).await });
        }
    }

    fn hear(&mut self, event: Result<Event, JoinError>) {
        let now = Instant::now();
        match event {
            Ok(Event::Moved(undone, moved, worked)) => {
                self.watch.worked(&undone, worked);
                if self.engine.note(&mut self.watch, undone, moved) {
                    self.busy = now;
                }
            }
            Ok(Event::Looked(looked)) => {
                self.is_looking = false;
                self.looked = now;
                match looked {
                    Ok((seen, due)) => {
                        self.watch.has_seen(seen);
                        self.watch.told(due);
                    }
                    Err(error) => {
                        failed(&error);
                        self.watch.has_seen(Seen::default());
                        self.looked += AFTER_FAULT;
                    }
                }
            }
            Ok(Event::Swept(swept)) => {
                self.is_sweeping = false;
                self.swept = now;
                match swept {
                    Ok(due) => {
                        // There may be more than was told.
                        self.is_all_told = due.len() < LIST;
                        self.watch.told(due);
                    }
                    Err(error) => {
                        failed(&error);
                        self.is_all_told = true;
                    }
                }
            }
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => {}
        }
    }
}

fn failed(error: &Error) {
    tracing::error!(error = %error, "projecting failed; it is tried again");
}
