//! Names of objects that were noted beforehand, so that an upload does not wait for the disk before its first byte.
//!
//! A name is on the disk before anything is stored under it: either the upload's own note is, or the name was among those that this
//! process was given, in a transaction that was waited for while nobody waited. A tenant that uploads seldom gets none.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    error::Error,
    param::list,
    store::{Store, Tenant},
};

/// Names given at once.
const MANY: usize = 16;

/// So few are left when more are asked for.
const FEW: usize = 8;

/// How soon after the last upload another makes it worth while to have names.
const SOON: Duration = Duration::from_secs(10);

/// How long a name is used. A day after it was given it is given up, and by then whatever was begun under it has to have ended.
const KEPT: Duration = Duration::from_secs(3600);

/// Most tenants that names are kept for.
const TENANTS_MAX: usize = 1_000;

/// The names that this process was given.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<Uuid, Ready>>);

#[derive(Default)]
struct Ready {
    // With when they were asked for, the oldest first.
    names: VecDeque<(Instant, String)>,
    used: Option<Instant>,
    is_asking: bool,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Ready>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name, if there is one; and whether to ask for more.
    fn take(&self, tenant: Uuid) -> (Option<String>, bool) {
        let (mut all, now) = (self.lock(), Instant::now());
        if !all.contains_key(&tenant) && all.len() >= TENANTS_MAX {
            all.retain(|_, ready| ready.used.is_some_and(|used| now - used < SOON));
            if all.len() >= TENANTS_MAX {
                return (None, false);
            }
        }
        let ready = all.entry(tenant).or_default();
        let is_soon = ready.used.replace(now).is_some_and(|used| now - used < SOON);
        while ready.names.front().is_some_and(|(asked, _)| now - *asked > KEPT) {
            ready.names.pop_front();
        }
        let name = ready.names.pop_front().map(|(_, name)| name);
        let asks = is_soon && ready.names.len() <= FEW && !ready.is_asking;
        ready.is_asking |= asks;
        (name, asks)
    }

    fn give(&self, tenant: Uuid, asked: Instant, names: Vec<String>) {
        if let Some(ready) = self.lock().get_mut(&tenant) {
            ready.names.extend(names.into_iter().map(|name| (asked, name)));
            ready.is_asking = false;
        }
    }

    /// They may have been given up.
    pub(super) fn forget(&self, tenant: Uuid) {
        if let Some(ready) = self.lock().get_mut(&tenant) {
            ready.names.clear();
        }
    }
}

impl Store {
    /// A name for an object in a folder of the tenant's; true if it was noted beforehand.
    pub(super) fn object_name(&self, tenant: &Tenant, folder: &str) -> (String, bool) {
        let (name, asks) = self.0.names.take(tenant.id());
        if asks {
            let (store, tenant, folder) = (self.clone(), tenant.clone(), folder.to_owned());
            tokio::spawn(async move { store.ask_for_names(&tenant, &folder).await });
        }
        name.map_or_else(|| (made(folder), false), |name| (name, true))
    }

    async fn ask_for_names(&self, tenant: &Tenant, folder: &str) {
        let (asked, mut names) = (Instant::now(), Vec::new());
        names.resize_with(MANY, || made(folder));
        if let Err(error) = self.note_names(tenant, &names).await {
            tracing::debug!(%error, "no names of objects: uploads wait for their notes meanwhile");
            names.clear();
        }
        self.0.names.give(tenant.id(), asked, names);
    }

    /// Notes names; they are on the disk then.
    async fn note_names(&self, tenant: &Tenant, names: &[String]) -> Result<(), Error> {
        let text = "select freehold.blob_names($1::text::uuid, $2::text::text[])::text";
        let (id, names) = (tenant.id().to_string(), list(names.iter().map(String::as_str)));
        self.ask("noting names of objects", text, &[Some(&id), Some(&names)]).await.map(drop)
    }
}

/// A name that says nothing.
pub(super) fn made(folder: &str) -> String {
    format!("{folder}/{}", Uuid::new_v4().simple())
}
