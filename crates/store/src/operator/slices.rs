//! Slices of entities that are kept by time: made well before they are needed, and dropped when all of them is over.
//!
//! Each is made and dropped in a transaction of its own that waits for no lock for long, so it does not matter where this
//! ends. A row for which there is no slice lies on the shelves, and is removed as rows without slices are.

mod goes;

use freehold_model::{
    Code, Refusal,
    ddl::slice::{Part, sliced},
    entity::{Entity, Expiry, Slice},
};

use super::{
    Operator,
    placement::{as_owner, in_turn},
};
use crate::{apply, error::Error, refusal::explain};

const DOING: &str = "tending slices";

/// How often dropping one is tried again when others hold what it needs.
const TRIES: u32 = 8;

/// The slices that are there: name, milliseconds between which their ids were made, bytes, about how many rows.
const THERE: &str = "there as (select c.relname::text as name, ('x' || b.m[1] || b.m[2])::bit(48)::bigint as begins, \
    ('x' || b.m[3] || b.m[4])::bit(48)::bigint as ends, c.oid \
    from pg_class r join pg_inherits i on i.inhparent = r.oid join pg_class c on c.oid = i.inhrelid, \
      regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \\(''([0-9a-f]{8})-([0-9a-f]{4})-.*TO \\(''([0-9a-f]{8})-([0-9a-f]{4})-') b (m) \
    where r.relnamespace = 'app'::regnamespace and r.relname = $1 and b.m is not null)";

/// A slice of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceInfo {
    /// The entity.
    pub entity: String,
    /// The first day of it, such as `2026-01-31`.
    pub from: String,
    /// The day after the last.
    pub to: String,
    /// About how many rows it has; nobody counts them.
    pub rows: u64,
    /// Its bytes, with indexes.
    pub bytes: u64,
    /// Whether all of it is over, so that it is dropped unless a hold keeps a row of it.
    pub over: bool,
    /// Whether rows of it may be over, which are removed one by one.
    pub ending: bool,
    suffix: String,
    /// Milliseconds between which its ids were made.
    begins: i64,
    ends: i64,
}

/// What was done with a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceDone {
    /// It was made.
    Made,
    /// It was dropped with all rows.
    Dropped,
    /// All of it is over, but a legal hold keeps a row of it: what is not held goes row by row.
    Held,
    /// It cannot be made, because the shelves hold rows of that time, which go row by row.
    Occupied,
    /// Others were in the way; it is for the next time.
    Busy,
}

impl SliceDone {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Dropped => "dropped",
            Self::Held => "held",
            Self::Occupied => "occupied",
            Self::Busy => "busy",
        }
    }
}

/// How long a statement may take that keeps everybody out of the entity: to look through the shelves for rows of a new slice, or
/// through one that is over for rows that are held.
const PATIENCE: &str = "set local statement_timeout = '1s'";

impl Operator {
    /// Gives up whatever was begun and went wrong.
    ///
    /// # Errors
    /// Faults: the connection is lost.
    pub async fn give_up(&mut self) -> Result<(), Error> {
        let text = "rollback; reset role; select pg_advisory_unlock_all()";
        self.session.batch(text).await.map_err(|error| explain(DOING, error))
    }

    /// The slices of all entities, the oldest of each first.
    ///
    /// # Errors
    /// Faults only.
    pub async fn slices(&mut self) -> Result<Vec<SliceInfo>, Error> {
        let (_, model) = self.read_model().await?;
        let mut all = Vec::new();
        for entity in sliced(&model) {
            all.extend(self.slices_of(entity).await?);
        }
        Ok(all)
    }

    /// Makes slices for the time ahead, and drops those that are over, of each entity at most so many; tells what was done
    /// with each.
    ///
    /// # Errors
    /// `ApplyConflict` while a model is applied, an apply is unfinished, or a tenant is moved; faults.
    pub async fn tend_slices(
        &mut self,
        most: usize,
        mut told: impl FnMut(&SliceInfo, SliceDone),
    ) -> Result<(), Error> {
        let (_, model) = self.read_model().await?;
        if sliced(&model).next().is_none() {
            return Ok(());
        }
        // The rules may change until it is our turn; and a plan names every slice, so no other may come while one is carried out.
        apply::take_turn(&mut self.session, DOING).await?;
        let tended = async {
            if self.run_under_way().await?.is_some() {
                return Err(apply::conflict(
                    "an apply was interrupted and has to be finished first",
                )
                .hint("freehold apply --resume")
                .into());
            }
            let (_, model) = self.read_model().await?;
            for entity in sliced(&model) {
                self.tend_entity(entity, most, &mut told).await?;
            }
            Ok(())
        };
        let tended: Result<(), Error> = tended.await;
        let ended = apply::end_turn(&mut self.session, DOING).await;
        tended?;
        ended
    }

    /// Whoever is in the way of one slice is in the way of all.
    async fn tend_entity(
        &mut self,
        entity: &Entity,
        most: usize,
        told: &mut impl FnMut(&SliceInfo, SliceDone),
    ) -> Result<(), Error> {
        for wanted in self.wanted(entity).await? {
            let done = self.make_slice(entity, &wanted).await?;
            told(&wanted, done);
            if done == SliceDone::Busy {
                return Ok(());
            }
        }
        let slices = self.slices_of(entity).await?;
        for slice in slices.iter().filter(|slice| slice.over).take(most) {
            let done = self.drop_slice(entity, slice).await?;
            told(slice, done);
            if done == SliceDone::Busy {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn slices_of(&mut self, entity: &Entity) -> Result<Vec<SliceInfo>, Error> {
        let Some((_, rule)) = entity.sliced() else { return Ok(Vec::new()) };
        let text = format!(
            "with {THERE} select substr(name, length($1) + 2), {}, {}, greatest(pg_stat_get_live_tuples(oid), 0)::bigint, pg_total_relation_size(oid)::bigint, \
             to_timestamp(ends / 1000.0) + interval '{} seconds' <= {cutoff}, to_timestamp(begins / 1000.0) <= {cutoff}, begins, ends from there order by begins",
            day("begins"),
            day("ends"),
            Slice::LATE_S,
            cutoff = cutoff(rule),
        );
        let rows = self.as_gate(&text, &[Some(&entity.name)]).await?;
        let word = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let slice = |row: &crate::row::Row| SliceInfo {
            entity: entity.name.to_string(),
            suffix: word(row.text(0)),
            from: word(row.text(1)),
            to: word(row.text(2)),
            rows: count(row.int(3)),
            bytes: count(row.int(4)),
            over: row.bool(5) == Some(true),
            ending: row.bool(6) == Some(true),
            begins: row.int(7).unwrap_or_default(),
            ends: row.int(8).unwrap_or_default(),
        };
        Ok(rows.iter().map(slice).collect())
    }

    /// What is not there of the slices that rows may come for: from the first that is not over to those ahead.
    async fn wanted(&mut self, entity: &Entity) -> Result<Vec<SliceInfo>, Error> {
        let Some((slice, rule)) = entity.sliced() else { return Ok(Vec::new()) };
        let unit = slice.as_str();
        let text = format!(
            "with {THERE}, wanted as (select int8range((extract(epoch from s at time zone 'UTC') * 1000)::bigint, \
               (extract(epoch from (s + interval '1 {unit}') at time zone 'UTC') * 1000)::bigint) as r \
             from generate_series(date_trunc('{unit}', now() at time zone 'UTC' - interval '{}' - interval '{} seconds'), \
               date_trunc('{unit}', now() at time zone 'UTC') + interval '{} {unit}', interval '1 {unit}') s), \
             piece as (select lower(p) as begins, upper(p) as ends from wanted, \
               unnest(int8multirange(r) - coalesce((select range_agg(int8range(begins, ends)) from there), int8multirange())) p) \
             select begins, ends, 's' || to_char(to_timestamp(begins / 1000.0) at time zone 'UTC', 'YYYYMMDD'), {}, {} from piece order by begins",
            rule.span,
            Slice::LATE_S,
            slice.ahead(),
            day("begins"),
            day("ends"),
        );
        let rows = self.as_gate(&text, &[Some(&entity.name)]).await?;
        let word = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let wanted = |row: &crate::row::Row| SliceInfo {
            entity: entity.name.to_string(),
            suffix: word(row.text(2)),
            from: word(row.text(3)),
            to: word(row.text(4)),
            rows: 0,
            bytes: 0,
            over: false,
            ending: false,
            begins: row.int(0).unwrap_or_default(),
            ends: row.int(1).unwrap_or_default(),
        };
        Ok(rows.iter().map(wanted).collect())
    }

    async fn make_slice(
        &mut self,
        entity: &Entity,
        wanted: &SliceInfo,
    ) -> Result<SliceDone, Error> {
        let part = Part::new(entity, &wanted.suffix);
        let mut statements = vec![PATIENCE.to_owned()];
        statements.extend(as_owner(part.make(wanted.begins, wanted.ends)));
        match in_turn(&mut self.session, &statements).await {
            Ok(()) => Ok(SliceDone::Made),
            Err(Error::Violated(violation)) if violation.code == Code::Check => {
                Ok(SliceDone::Occupied)
            }
            Err(error) if is_in_the_way(&error) => Ok(SliceDone::Busy),
            Err(error) => Err(error),
        }
    }
}

/// Up to which time rows are over by a rule.
fn cutoff(rule: &Expiry) -> String {
    format!("((now() at time zone 'UTC' - interval '{}') at time zone 'UTC')", rule.span)
}

fn day(ms: &str) -> String {
    format!("to_char(to_timestamp({ms} / 1000.0) at time zone 'UTC', 'YYYY-MM-DD')")
}

// Who has the locks and takes too long is in everybody's way itself.
fn is_in_the_way(error: &Error) -> bool {
    matches!(error, Error::Refused(Refusal { code: Code::TryAgain | Code::TooSlow, .. }))
}
