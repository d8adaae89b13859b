//! Comparing stamps: many requests ask one question together.
//!
//! One statement is on its way at a time, with all that was asked before it was sent. A request that comes meanwhile waits for
//! the next one: an answer counts only if its snapshot was taken after the question. Where an answer may be old, what was last
//! heard is good enough, so that then a table of a tenant costs one question in that time, however many answers there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use freehold_store::{Current, Question, Store};
use moka::sync::Cache;
use tokio::sync::oneshot;

use crate::error::{Error, Fault};

/// Most questions of one statement.
const BATCH_MAX: usize = 1_000;

/// Most last answers that are kept in mind.
const HEARD_MAX: u64 = 50_000;

/// What is so, and since when it is known.
pub(super) type Checked = (Instant, Current);

/// Those who ask.
#[derive(Clone)]
pub(super) struct Checks(Arc<Inner>);

struct Inner {
    store: Store,
    state: Mutex<State>,
    /// What was heard last.
    heard: Cache<Question, Checked>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Question, Vec<oneshot::Sender<Checked>>>,
    is_running: bool,
    statements: u64,
    questions: u64,
}

impl Checks {
    pub(super) fn new(store: Store) -> Self {
        Self(Arc::new(Inner { store, state: Mutex::default(), heard: Cache::new(HEARD_MAX) }))
    }

    /// What was heard last.
    pub(super) fn heard(&self, question: &Question) -> Option<Checked> {
        self.0.heard.get(question)
    }

    /// Keeps in mind what a statement has told.
    pub(super) fn hear(&self, question: Question, told: Checked) {
        let later = |known: &Checked| known.0 > told.0;
        if !self.0.heard.get(&question).as_ref().is_some_and(later) {
            self.0.heard.insert(question, told);
        }
    }

    /// What is so now.
    ///
    /// # Errors
    /// If PostgreSQL does not say.
    pub(super) async fn ask(&self, question: Question) -> Result<Checked, Error> {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut state = self.state();
            state.waiting.entry(question).or_default().push(tell);
            state.questions += 1;
            !std::mem::replace(&mut state.is_running, true)
        };
        if begin {
            // A task of its own, because whoever asked first may go away.
            tokio::spawn(self.clone().run());
        }
        match told.await {
            Ok(checked) => Ok(checked),
            Err(_) => {
                self.0.store.demand_whole_wall()?;
                let why = "the database did not answer";
                Err(Fault::unavailable("comparing stamps", why).into())
            }
        }
    }

    /// Statements that were sent, and questions that they answered.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.statements, state.questions)
    }

    async fn run(self) {
        loop {
            let batch: Vec<_> = {
                let mut state = self.state();
                if state.waiting.is_empty() {
                    state.is_running = false;
                    return;
                }
                state.statements += 1;
                let some: Vec<Question> = state.waiting.keys().take(BATCH_MAX).cloned().collect();
                some.into_iter()
                    .filter_map(|question| state.waiting.remove_entry(&question))
                    .collect()
            };
            let (questions, tellers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let at = Instant::now();
            match self.0.store.stamps(&questions).await {
                Ok(answers) => {
                    for ((current, tellers), question) in
                        answers.into_iter().zip(tellers).zip(questions)
                    {
                        self.hear(question, (at, current));
                        for tell in tellers {
                            let _ = tell.send((at, current));
                        }
                    }
                }
                // Those who wait hear it when their sender is dropped.
                Err(error) => tracing::warn!(%error, "stamps could not be compared"),
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
