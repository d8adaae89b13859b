//! Building a table beside the one that is read: as fast as it goes, or no faster than asked.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_model::plan::next_table;
use freehold_store::{Building, Built, Projection, given_up};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, LIST, Lane, Moved, Target, UNITS};
use crate::{
    Engine,
    error::{Code, Error, Refusal},
};

/// A round of following that takes no longer than this leaves so little that the tables can change places.
const CLOSE: Duration = Duration::from_millis(300);

/// After so many rounds they change places whatever is left: the workers follow it like all else.
const ROUNDS: u32 = 20;

/// How fast a build may be. It counts for filling; changes that come meanwhile are followed at once, or it would never
/// arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Throttle {
    /// As fast as it goes, several tenants at once.
    #[default]
    None,
    /// It works for this share of the time, more than 0 and at most 1.
    Share(f64),
    /// So many units each second, more than 0.
    Rate(f64),
}

impl Throttle {
    fn rest(self, units: usize, took: Duration) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Share(share) => took.mul_f64((1.0 - share) / share),
            #[allow(clippy::cast_precision_loss, reason = "a page has 500 units")]
            Self::Rate(rate) => Duration::from_secs_f64(units as f64 / rate).saturating_sub(took),
        }
    }
}

impl std::str::FromStr for Throttle {
    type Err = Refusal;

    /// `25%` of the time, or `500/s`, units each second.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        let share = text.strip_suffix('%').and_then(number).map(|percent| percent / 100.0);
        let rate = text.strip_suffix("/s").and_then(number);
        match (share, rate) {
            (Some(share), _) if (0.001..=1.0).contains(&share) => Ok(Self::Share(share)),
            (_, Some(rate)) if (0.1..=1e9).contains(&rate) => Ok(Self::Rate(rate)),
            _ => Err(Refusal::new(Code::Usage, "this is no throttle")
                .detail(text)
                .hint("a share of the time such as 25%, or units each second such as 500/s")),
        }
    }
}

/// How far a build is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildProgress {
    /// Tenants for whom it is filled.
    pub tenants: u64,
    /// Tenants that there are.
    pub of_tenants: u64,
    /// Units filled.
    pub units: u64,
    /// About how many units there will be, by the table that is read meanwhile; 0 if nobody knows.
    pub about_units: u64,
}

impl Engine {
    /// Fills the table of a read model that is being built, until every tenant's follows closely.
    ///
    /// # Errors
    /// `ApplyConflict` if it is given up meanwhile; faults. What was filled stays.
    pub async fn build(
        &self,
        building: &Building,
        throttle: Throttle,
        progress: &mut (dyn FnMut(BuildProgress) + Send),
    ) -> Result<(), Error> {
        let snapshot = self.snapshot();
        let read = snapshot.model.read(&building.read);
        let read = read.ok_or_else(|| super::look::no_such_read(&building.read))?;
        let target = Target { read, table: next_table(read.name()) };
        let mut rounds = 0;
        loop {
            let before = self.built(building).await?;
            let heard = Heard::new(building, before, progress);
            let begun = Instant::now();
            let due = self.store.build_due(building, LIST).await?;
            let whole = before.filled >= before.tenants && due.len() < LIST;
            let none = due.is_empty();
            let at_once = if throttle == Throttle::None { AT_ONCE } else { 1 };
            let worked = stream::iter(due)
                .map(|projection| self.drive(projection, &target, throttle, &heard))
                .buffer_unordered(at_once)
                .try_collect::<()>()
                .await;
            if let Err(error) = worked {
                // Given up, it fails in whatever way comes first.
                self.built(building).await?;
                return Err(error);
            }
            rounds += u32::from(whole);
            if whole && (none || begun.elapsed() < CLOSE || rounds > ROUNDS) {
                heard.tell(self.built(building).await?);
                return Ok(());
            }
        }
    }

    // Until there is little more to do for this tenant; somebody else's step is left to the next round.
    async fn drive(
        &self,
        projection: Projection,
        target: &Target<'_>,
        throttle: Throttle,
        heard: &Heard<'_>,
    ) -> Result<(), Error> {
        loop {
            let begun = Instant::now();
            let units = match self.advance(&projection, target, &mut Lane::own()).await? {
                Moved::Taken | Moved::Whole(0) => return Ok(()),
                Moved::Whole(units) | Moved::Part(units) => units,
            };
            heard.more(units);
            tokio::time::sleep(throttle.rest(units, begun.elapsed())).await;
            // Whoever writes all the time must not keep the builder here: the next round looks again.
            if units < UNITS {
                return Ok(());
            }
        }
    }

    async fn built(&self, building: &Building) -> Result<Built, Error> {
        let built = self.store.build_state(building).await?;
        Ok(built.ok_or_else(|| given_up(&building.read))?)
    }
}

/// What whoever waits has heard.
struct Heard<'a> {
    known: Built,
    about: u64,
    more: AtomicU64,
    tell: Mutex<&'a mut (dyn FnMut(BuildProgress) + Send)>,
}

impl<'a> Heard<'a> {
    fn new(
        building: &Building,
        known: Built,
        tell: &'a mut (dyn FnMut(BuildProgress) + Send),
    ) -> Self {
        let heard =
            Self { known, about: building.about, more: AtomicU64::new(0), tell: Mutex::new(tell) };
        heard.tell(known);
        heard
    }

    fn more(&self, units: usize) {
        let more = self.more.fetch_add(units as u64, Ordering::Relaxed) + units as u64;
        if self.known.filled < self.known.tenants {
            self.tell(Built { units: self.known.units + more, ..self.known });
        }
    }

    fn tell(&self, built: Built) {
        let progress = BuildProgress {
            tenants: built.filled,
            of_tenants: built.tenants,
            units: built.units,
            about_units: self.about,
        };
        (self.tell.lock().unwrap_or_else(PoisonError::into_inner))(progress);
    }
}
