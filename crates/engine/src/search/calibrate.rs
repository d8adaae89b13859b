//! The recall of an index, measured: questions of the tenant's, or rows of it and places between them, are asked for their
//! neighbours, exactly and over the index.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    time::{Duration, Instant},
};

use freehold_model::{
    Sql,
    query::{self, Limits, Query},
};
use freehold_store::Tenant;

use super::{
    Engine, Error,
    measured::{Climb, ENOUGH, K, Kind, LADDER, Measured, Round, STEPS, Sample},
};
use crate::read::count;

/// Rows that questions are made of in one round.
const ROWS: u64 = 50;

/// No more samples are taken after this time in the first round, and in a later one.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(10)];

/// Questions that are measured in one look through the rows: each by itself would take several times as long.
const TOGETHER: u64 = 8;

/// Distances that such a look measures at most, unless it has one question.
const DISTANCES: u64 = 8_000_000;

/// Distances that differ by less are equal.
const EQUAL: f64 = 1e-6;

/// An index, and who looks at it.
pub(super) struct About<'a> {
    pub(super) engine: &'a Engine,
    pub(super) tenant: &'a Tenant,
    pub(super) entity: &'a str,
    pub(super) field: &'a str,
}

/// The questions of a tenant's, by whom they were asked.
pub(super) type Searches = Option<(Tenant, Vec<Query>)>;

impl About<'_> {
    /// One round of measuring, on top of what was known before.
    pub(super) async fn round(
        &self,
        before: Option<&Measured>,
        searches: Searches,
    ) -> Result<Measured, Error> {
        let begun = Instant::now();
        let filled = format!("select=id&\"{}\"=not.is.null", self.field);
        let mut filled = self.query(&format!("{filled}&limit=0"))?;
        filled.count_exact();
        let row = self.engine.store().run(self.tenant, &filled.render()).await?;
        let total = count(row.int(2));
        let state = (self.engine.snapshot().version, total);
        let until = begun + PATIENCE[usize::from(before.is_some())];
        let mut round = Round::default();
        if let Some((asker, searches)) = searches {
            let asked = self.ask_all(&asker, Kind::Asked, &searches, (total, until), &mut round);
            // Who asked may have been shut out since.
            if let Err(error) = asked.await {
                tracing::debug!(error = %error, "searches could not be asked again");
            }
        }
        let asked = before.map_or(0, |before| before.asked) + round.samples.len();
        if asked < ENOUGH && before.is_none_or(|before| before.lacks(begun)) {
            self.make_up(&filled, (total, until), &mut round).await?;
        }
        Ok(Measured::after(before, state, round))
    }

    /// Asks about rows spread over the tenant's, and about places between them, in turns.
    async fn make_up(
        &self,
        filled: &Query,
        (total, until): (u64, Instant),
        round: &mut Round,
    ) -> Result<(), Error> {
        let every = (total / ROWS).max(1);
        let from = RandomState::new().hash_one(total);
        let spread = query::spread(filled, self.field, every, from);
        let rows: Vec<(String, String)> = self.json(self.tenant, &spread).await?;
        round.made_up = true;
        let mut rest = &rows[..rows.len().min(ROWS as usize)];
        let mut last: Option<Vec<f64>> = None;
        while !rest.is_empty() && Instant::now() < until {
            let (these, others) = rest.split_at(rest.len().min(TOGETHER as usize));
            rest = others;
            let (mut of_rows, mut between) = (Vec::new(), Vec::new());
            for (id, vector) in these {
                of_rows.push(self.nearest(&format!("id=neq.{id}&"), vector)?);
                let numbers = numbers(vector);
                if let (Some(last), Some(numbers)) = (&last, &numbers) {
                    between.push(self.nearest("", &mixed(numbers, last))?);
                }
                last = numbers;
            }
            for (kind, questions) in [(Kind::Row, of_rows), (Kind::Between, between)] {
                self.ask_all(self.tenant, kind, &questions, (total, until), round).await?;
            }
        }
        Ok(())
    }

    /// Asks all, some at a time, until it is late.
    async fn ask_all(
        &self,
        asker: &Tenant,
        kind: Kind,
        questions: &[Query],
        (total, until): (u64, Instant),
        round: &mut Round,
    ) -> Result<(), Error> {
        // What may not run for long is not to measure for several.
        let together = match asker.bounds().statement {
            Some(_) => 1,
            None => (DISTANCES / total.max(1)).clamp(1, TOGETHER) as usize,
        };
        for some in questions.chunks(together) {
            if Instant::now() >= until {
                break;
            }
            self.ask_some(asker, kind, some, round).await?;
        }
        Ok(())
    }

    async fn ask_some(
        &self,
        asker: &Tenant,
        kind: Kind,
        questions: &[Query],
        round: &mut Round,
    ) -> Result<(), Error> {
        let mut bounded = Vec::new();
        for query in questions {
            let found = self.probe(asker, query, STEPS - 1, round).await?;
            // Where the index finds too few, a search measures all rows.
            if let [.., last] = found[..]
                && found.len() >= K
            {
                bounded.push((query, last, found));
            }
        }
        let bounds: Vec<_> = bounded.iter().map(|(query, last, _)| (*query, *last)).collect();
        let Some(exactly) = query::kth_nearer(&bounds, K as u64) else { return Ok(()) };
        let nearer: Vec<Option<f64>> = self.json(asker, &exactly).await?;
        for ((query, last, found), nearer) in bounded.into_iter().zip(nearer) {
            // The tenth of all, unless that is the tenth that was found.
            let farthest = nearer.unwrap_or(last) + EQUAL;
            let near = |found: &[f64]| found.iter().filter(|it| **it <= farthest).count() as u8;
            let mut climb = Climb::new(K as u8, near(&found));
            while let Some(step) = climb.next() {
                let found = self.probe(asker, query, step, round).await?;
                climb.tell(step, near(&found));
            }
            let (wanted, at) = (K as u8, Instant::now());
            round.samples.push(Sample { kind, wanted, found: climb.done(), at });
        }
        Ok(())
    }

    /// The distances that the index finds with a setting, the nearest first.
    async fn probe(
        &self,
        asker: &Tenant,
        query: &Query,
        step: usize,
        round: &mut Round,
    ) -> Result<Vec<f64>, Error> {
        let tenant = asker.id().as_u128();
        let Some(probe) = query.probe(tenant, LADDER[step], K as u64) else {
            return Ok(Vec::new());
        };
        let begun = Instant::now();
        let found: Vec<Option<f64>> = self.json(asker, &probe).await?;
        round.seconds[step].push(begun.elapsed().as_secs_f64());
        let mut found: Vec<f64> = found.into_iter().flatten().collect();
        found.sort_by(f64::total_cmp);
        Ok(found)
    }

    async fn json<T: serde::de::DeserializeOwned + Default>(
        &self,
        tenant: &Tenant,
        sql: &Sql,
    ) -> Result<T, Error> {
        let row = self.engine.store().run(tenant, sql).await?;
        // PostgreSQL wrote it; a distance that is no number it writes as text.
        Ok(row.text(0).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    fn nearest(&self, filter: &str, vector: &str) -> Result<Query, Error> {
        self.query(&format!("select=id&{filter}\"{}\"=nearest.{vector}&limit={K}", self.field))
    }

    fn query(&self, text: &str) -> Result<Query, Error> {
        let snapshot = self.engine.snapshot();
        Ok(query::parse(&snapshot.model, self.entity, text, &Limits::default())?)
    }
}

/// The numbers of a vector, as PostgreSQL writes it; none if it is of bits, or sparse.
fn numbers(text: &str) -> Option<Vec<f64>> {
    serde_json::from_str(text).ok().filter(|all: &Vec<f64>| !all.is_empty())
}

/// A place between two rows, nearer to the first.
fn mixed(near: &[f64], far: &[f64]) -> String {
    let mixed = near.iter().zip(far).map(|(near, far)| (near * 0.7 + far * 0.3).to_string());
    format!("[{}]", mixed.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_between_rows_are_of_numbers() {
        assert_eq!(numbers("[1,2.5]"), Some(vec![1.0, 2.5]));
        for other in ["0101", "{1:2}/3", "[]"] {
            assert!(numbers(other).is_none(), "{other}");
        }
        assert_eq!(mixed(&[1.0, 0.0], &[0.0, 1.0]), "[0.7,0.3]");
    }
}
