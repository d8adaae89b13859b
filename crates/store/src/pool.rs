//! Connections of one login that are waiting for work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    connect::Address,
    error::{Error, Fault},
    session::Session,
};

pub(crate) struct Pool {
    pub(crate) address: Address,
    connect_timeout: Duration,
    wait_timeout: Duration,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

/// A session of the pool. Dropped, its connection is closed; [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    session: Option<Session>,
    pool: Arc<Pool>,
    _room: OwnedSemaphorePermit,
}

/// Why there is none.
pub(crate) enum NoLease {
    /// All connections are taken.
    Busy(Fault),
    /// A new one could not be made.
    NotLoggedIn(Error),
}

impl From<NoLease> for Error {
    fn from(reason: NoLease) -> Self {
        match reason {
            NoLease::Busy(fault) => fault.into(),
            NoLease::NotLoggedIn(error) => error,
        }
    }
}

impl Pool {
    pub(crate) fn new(
        address: Address,
        size: usize,
        connect_timeout: Duration,
        wait_timeout: Duration,
    ) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(size.max(1)));
        Arc::new(Self { address, connect_timeout, wait_timeout, room, idle: Mutex::default() })
    }

    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, NoLease> {
        let room =
            match tokio::time::timeout(self.wait_timeout, Arc::clone(&self.room).acquire_owned())
                .await
            {
                Ok(Ok(room)) => room,
                Ok(Err(closed)) => {
                    return Err(NoLease::Busy(Fault::new("waiting for a connection", closed)));
                }
                Err(elapsed) => {
                    let fault = Fault::unavailable("waiting for a free connection", elapsed);
                    return Err(NoLease::Busy(fault));
                }
            };
        let session = match self.take_idle() {
            Some(session) => session,
            // Boxed, as all that is seldom done: it would make the future of every statement four times as large.
            None => Box::pin(Session::open(&self.address, self.connect_timeout))
                .await
                .map_err(NoLease::NotLoggedIn)?,
        };
        Ok(Lease { session: Some(session), pool: Arc::clone(self), _room: room })
    }

    /// A connection of its own that never comes into the pool.
    pub(crate) async fn apart(&self) -> Result<Session, Error> {
        Session::open(&self.address, self.connect_timeout).await
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut session) = idle.pop() {
            if session.is_usable() {
                return Some(session);
            }
        }
        None
    }
}

impl Lease {
    pub(crate) fn give_back(mut self) {
        if let Some(mut session) = self.session.take()
            && session.is_usable()
        {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}

impl std::ops::Deref for Lease {
    type Target = Session;
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("taken only when the lease ends")
    }
}

impl std::ops::DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("taken only when the lease ends")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing a connection does not stop the statement that is running on it.
        if let Some(cancellation) = self.session.as_ref().and_then(Session::cancellation)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let address = self.pool.address.clone();
            runtime.spawn(async move { address.cancel(&cancellation).await });
        }
    }
}
