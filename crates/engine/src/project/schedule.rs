//! Which projection is next: what a process looks for and what it works on go side by side, so that neither a tenant with
//! much to do nor one long step keeps others from being found.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use freehold_store::{Projection, Seen, Undone};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::Notify;

use super::{AT_ONCE, LIST, Moved};
use crate::{Engine, error::Error};

/// Of those, how many of one tenant.
const OF_ONE_TENANT: usize = 2;

/// How often a process looks for what others wrote: after there was something, soon after that, and later.
const LOOK: [Duration; 3] =
    [Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(100)];

/// For how long after work it looks often.
const LIVELY: Duration = Duration::from_secs(2);

/// How often it looks at everything, in case another process was told of work and died.
const LOOK_AT_ALL: Duration = Duration::from_secs(15);

/// How often it empties parts of the change log that nobody needs.
const TEND: Duration = Duration::from_secs(60);

/// How long it waits after a fault.
const AFTER_FAULT: Duration = Duration::from_secs(1);

impl Engine {
    /// Keeps read models up to date until the process ends. Run it as a task; any number of processes may.
    pub async fn project_forever(&self) {
        let queue = Queue::default();
        tokio::join!(self.look_forever(&queue), self.follow_forever(&queue));
    }

    async fn look_forever(&self, queue: &Queue) {
        let mut seen = Seen::default();
        let (mut all, mut tended, mut busy) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            if all.elapsed() > LOOK_AT_ALL || queue.failed() {
                (seen, all) = (Seen::default(), Instant::now());
            }
            if tended.elapsed() > TEND {
                tended = Instant::now();
                if let Err(error) = self.store.tend_log(None).await {
                    tracing::warn!(error = %error, "the change log could not be tended");
                }
            }
            match self.store.projection_due(&mut seen, LIST).await {
                Ok(due) if due.is_empty() => {
                    let pause = if busy.elapsed() > LIVELY { LOOK[2] } else { LOOK[1] };
                    // Whoever writes through this process says so; for the others one looks.
                    let _ = tokio::time::timeout(pause, self.store.woken()).await;
                }
                Ok(due) => {
                    busy = Instant::now();
                    // A list that is not whole comes again until it is worked off.
                    let whole = due.len() < LIST;
                    queue.add(due);
                    tokio::time::sleep(if whole { LOOK[0] } else { LOOK[2] }).await;
                }
                Err(error) => {
                    tracing::error!(error = %error, "projecting failed; it is tried again");
                    tokio::time::sleep(AFTER_FAULT).await;
                    seen = Seen::default();
                }
            }
        }
    }

    async fn follow_forever(&self, queue: &Queue) {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(undone) = queue.next()
            {
                running.push(async move {
                    let moved = self.project(&undone).await;
                    (undone, moved)
                });
            }
            tokio::select! {
                Some((undone, moved)) = running.next(), if !running.is_empty() => {
                    queue.done(undone, moved);
                }
                () = queue.added.notified() => {}
            }
        }
    }
}

/// Projections to be worked on, each once, the one that waits longest first.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Default)]
struct Waiting {
    line: VecDeque<Undone>,
    known: HashMap<Projection, State>,
    failed: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    /// There was more for it since its step began.
    RunningAgain,
}

impl Queue {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a step has failed that should be tried again by now.
    fn failed(&self) -> bool {
        let mut waiting = self.waiting();
        let due = waiting.failed.is_some_and(|at| at.elapsed() > AFTER_FAULT);
        if due {
            waiting.failed = None;
        }
        due
    }

    fn add(&self, due: Vec<Undone>) {
        let mut waiting = self.waiting();
        for undone in due {
            match waiting.known.get_mut(&undone.projection) {
                Some(State::Waiting) => {}
                Some(state) => *state = State::RunningAgain,
                None => waiting.wait(undone),
            }
        }
        self.added.notify_one();
    }

    /// The next one, but for those of a tenant that has its share of steps under way.
    fn next(&self) -> Option<Undone> {
        let mut waiting = self.waiting();
        let Waiting { line, known, .. } = &*waiting;
        let running: Vec<_> = known.iter().filter(|(_, state)| **state != State::Waiting).collect();
        let at = line.iter().position(|undone| {
            let tenant = undone.projection.tenant.id();
            let of_it = running.iter().filter(|(other, _)| other.tenant.id() == tenant);
            of_it.count() < OF_ONE_TENANT
        })?;
        let undone = waiting.line.remove(at)?;
        waiting.known.insert(undone.projection.clone(), State::Running);
        Some(undone)
    }

    fn done(&self, undone: Undone, moved: Result<Moved, Error>) {
        let mut waiting = self.waiting();
        let state = waiting.known.remove(&undone.projection);
        let again = match moved {
            Ok(Moved::More) => true,
            Ok(Moved::Yes | Moved::No) => state == Some(State::RunningAgain),
            Err(error) => {
                let Projection { tenant, model, .. } = &undone.projection;
                tracing::warn!(tenant = tenant.name(), read = model, error = %error, "a read model could not follow; it is tried again");
                waiting.failed = Some(Instant::now());
                false
            }
        };
        if again {
            waiting.wait(undone);
        }
    }
}

impl Waiting {
    fn wait(&mut self, undone: Undone) {
        self.known.insert(undone.projection.clone(), State::Waiting);
        self.line.push_back(undone);
    }
}
