//! In which time zone a transaction tells times.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use freehold_model::{Code, Refusal};

use super::{Store, Tenant};
use crate::error::Error;

/// Names of zones that are kept in mind before all are forgotten.
const ZONES_MAX: usize = 1_000;

/// What PostgreSQL said of zones: whether there are such.
#[derive(Default)]
pub(super) struct Zones(Mutex<HashMap<String, bool>>);

impl Zones {
    fn known(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Whether PostgreSQL takes the zone. It is tried once for each: what `at time zone` takes is more than what can be set,
    /// and the list of zones is not open to logins.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn knows_zone(&self, tenant: &Tenant, zone: &TimeZone) -> Result<bool, Error> {
        if let Some(known) = self.0.zones.known().get(zone.as_str()) {
            return Ok(*known);
        }
        let there = match self.begin_in(tenant, Some(zone)).await {
            Ok(tx) => tx.roll_back().await.map(|()| true)?,
            Err(Error::Refused(refusal)) if refusal.code == Code::Preference => false,
            Err(error) => return Err(error),
        };
        let mut known = self.0.zones.known();
        if known.len() >= ZONES_MAX {
            known.clear();
        }
        known.insert(zone.as_str().to_owned(), there);
        Ok(there)
    }
}

/// A time zone's name or offset, of characters that cannot end the text they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

impl TimeZone {
    /// Longer than any name of a zone.
    const BYTES_MAX: usize = 64;

    /// Reads `Europe/Vienna`, `UTC`, `+02:00`. Whether there is such a zone PostgreSQL says when it is used.
    ///
    /// # Errors
    /// `Preference` for a text that can be none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/:".contains(&byte);
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(allowed) {
            return Err(no_such_zone());
        }
        Ok(Self(text.to_owned()))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the opening of a transaction; nothing if there is no zone.
    pub(crate) fn setting(zone: Option<&Self>) -> String {
        zone.map_or(String::new(), |zone| format!("; set local timezone = '{}'", zone.0))
    }
}

/// The refusal of a zone that PostgreSQL does not know.
pub(super) fn no_such_zone() -> Refusal {
    Refusal::new(Code::Preference, "there is no such time zone")
        .hint("prefer timezone=Europe/Vienna, UTC or an offset")
}
