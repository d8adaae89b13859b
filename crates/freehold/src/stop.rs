//! Ctrl-C and SIGTERM: who hears them, and what becomes of the rest.
//!
//! A command that has something to say or to put in order when it is asked to stop makes a [`Stop`] and hears it itself. Of all
//! others the work is dropped where it is, as a crash would leave it, but for what they hold: a PostgreSQL of Freehold's own
//! is shut down by the last who uses it, and a file that is not whole goes.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, oneshot},
};

use crate::output::{self, Failure, STOPPED};

/// How long the work may not hear that it is to stop.
const UNHEARD_MAX: Duration = Duration::from_secs(2);

/// How many hear it themselves.
static HEARING: AtomicUsize = AtomicUsize::new(0);

/// Whether the work has heard that it is to stop.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Told when there is something that a process should not just leave behind.
static HOLDING: Notify = Notify::const_new();

/// Done when the process is asked to stop. It listens from the moment it is made, so it is made before anybody is told
/// that the process is ready.
pub(crate) struct Stop {
    signals: Signals,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signals = Signals::listen()?;
        HEARING.fetch_add(1, Ordering::SeqCst);
        Ok(Self { signals })
    }

    pub(crate) async fn asked(mut self) {
        self.signals.next().await;
        // Whoever heard it is about to act on it: from now on nobody else does.
        HEARING.fetch_add(1, Ordering::SeqCst);
        output::note("stopping");
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        HEARING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Says that from now on the process holds something that has to be given back. Until then signals end it at once, also
/// while it waits for a person to type.
pub(crate) fn hold() {
    HOLDING.notify_one();
}

/// Done when the process holds something, is asked to stop, and no part of it hears that itself. Whoever awaits this may be
/// waiting for a reader of its output, and not come to hear of it: then the process ends all the same.
pub(crate) async fn heard_by_nobody() {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        HOLDING.notified().await;
        // Without signals nothing stops it.
        let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
        loop {
            signals.next().await;
            if HEARING.load(Ordering::SeqCst) == 0 {
                break;
            }
        }
        output::note("stopping");
        let _ = tell.send(());
        tokio::time::sleep(UNHEARD_MAX).await;
        if !HEARD.load(Ordering::SeqCst) {
            std::process::exit(i32::from(STOPPED));
        }
    });
    if told.await.is_err() {
        return std::future::pending().await;
    }
    HEARD.store(true, Ordering::SeqCst);
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
