//! What is known of the recall of one index, and what that allows to promise.

use std::time::{Duration, Instant};

use freehold_model::query;

use super::Recall;

/// Neighbours that are asked for.
pub(super) const K: usize = 10;

/// Settings that are known, the fastest first, each about a quarter more than the one before.
pub(super) const LADDER: [u32; STEPS] = [
    10, 12, 16, 20, 25, 31, 39, 49, 61, 76, 95, 119, 149, 186, 233, 291, 364, 455, 568, 711, 888,
    1_000,
];
pub(super) const STEPS: usize = 22;

/// So many of the tenant's own questions tell more than any that are made up.
pub(super) const ENOUGH: usize = 30;

/// So many that a promise is near to what they found; until then they are gathered without a pause.
const MANY: usize = 120;

/// Samples of a kind that are kept, the newest.
const KEPT: usize = 200;

/// For how long a sample tells something, if there are about as many rows: others may have come for them by then.
const HOLDS: Duration = Duration::from_secs(6 * 3_600);

/// How long a measurement holds that has enough samples.
pub(super) const FRESH: Duration = Duration::from_secs(600);

/// How often made-up questions are asked until there are enough.
const OFTEN: Duration = Duration::from_secs(60);

/// So many standard errors below the mean that was measured the true mean lies in one of twenty measurements at most.
const ERRORS: f64 = 1.645;

/// Where a question came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A row of the tenant, which is no answer itself.
    Row,
    /// A place between two rows.
    Between,
    /// A search of the tenant's.
    Asked,
}

/// What came of one question: counts, and nothing of the question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) kind: Kind,
    /// Neighbours there are to be found; at most [`K`].
    pub(super) wanted: u8,
    /// Those that each setting finds.
    pub(super) found: [u8; STEPS],
    pub(super) at: Instant,
}

/// What was measured of one index.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The settings that are known, the fastest first.
    pub points: Vec<Point>,
    /// How many questions they are known from.
    pub samples: usize,
    /// How many of those were searches of the tenant's; if there are enough, the points are of them alone.
    pub asked: usize,
    pub(super) kept: Vec<Sample>,
    /// Which rows, as far as one can tell without looking: the model, and how many.
    pub(super) state: (i64, u64),
    seconds: [f64; STEPS],
    /// When made-up questions were asked, and any.
    made_up: Option<Instant>,
    at: Instant,
}

/// One setting of an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// pgvector's `hnsw.ef_search`.
    pub ef_search: u32,
    /// The mean share of the ten true nearest that it found; rows equally far away count as found.
    pub recall: f64,
    /// What the mean over all questions is at least, in nineteen of twenty measurements. This is promised.
    pub sure: f64,
    /// Seconds of an answer, the median.
    pub seconds: f64,
}

/// What a round of measuring brings.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) samples: Vec<Sample>,
    /// Seconds of answers, by setting.
    pub(super) seconds: [Vec<f64>; STEPS],
    /// Whether questions were made up.
    pub(super) made_up: bool,
}

impl Measured {
    /// What was known `before`, if the rows are still about the same, and what a round brought.
    pub(super) fn after(before: Option<&Self>, state: (i64, u64), round: Round) -> Self {
        let now = Instant::now();
        let before = before.filter(|before| before.is_of(state));
        let mut kept: Vec<Sample> = before.map(|it| it.kept.clone()).unwrap_or_default();
        kept.retain(|sample| now.duration_since(sample.at) < HOLDS);
        kept.extend(round.samples);
        for kind in [Kind::Row, Kind::Between, Kind::Asked] {
            let mut over = count(&kept, kind).saturating_sub(KEPT);
            kept.retain(|sample| {
                let goes = sample.kind == kind && over > 0;
                over -= usize::from(goes);
                !goes
            });
        }
        let old = before.map(|it| it.seconds);
        let seconds = seconds(round.seconds, old);
        let made_up = if round.made_up { Some(now) } else { before.and_then(|it| it.made_up) };
        let points = points(&kept, &seconds);
        let (samples, asked) = (kept.len(), count(&kept, Kind::Asked));
        Self { points, samples, asked, kept, state, seconds, made_up, at: now }
    }

    /// Whether what is known is of the same model, and of about as many rows.
    fn is_of(&self, (model, rows): (i64, u64)) -> bool {
        self.state.0 == model && self.state.1.abs_diff(rows) <= self.state.1 / 10
    }

    /// The fastest setting that is sure enough for `k` rows; none if no setting is.
    pub(super) fn choose(&self, recall: Recall, k: u64) -> Option<Point> {
        let least = match recall {
            Recall::Exact => return None,
            Recall::Fast => 0.0,
            Recall::Usual => Recall::DEFAULT,
            Recall::AtLeast(share) => share,
        };
        let point = self.points.iter().find(|point| point.sure >= least).copied()?;
        // Measured for ten: more rows need as many more candidates for the same share.
        let scale = (k as f64 / K as f64).max(1.0);
        let ef_search = (f64::from(point.ef_search) * scale).ceil() as u32;
        let most = *query::EF_SEARCH.end();
        (recall == Recall::Fast || ef_search <= most)
            .then_some(Point { ef_search: ef_search.min(most), ..point })
    }

    /// Whether the points are of searches of the tenant's, rather than of questions that were made up.
    #[must_use]
    pub fn is_of_searches(&self) -> bool {
        self.asked >= ENOUGH
    }

    /// Whether they are so many that more would change little.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.asked >= MANY
    }

    /// Whether another round is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_settled() || now.duration_since(self.at) >= FRESH
    }

    /// Whether questions are to be made up: where the tenant has asked few.
    pub(super) fn lacks(&self, now: Instant) -> bool {
        let few = [Kind::Row, Kind::Between].into_iter().any(|it| count(&self.kept, it) < KEPT / 2);
        let wait = if few { OFTEN } else { FRESH };
        !self.is_of_searches() && self.made_up.is_none_or(|at| now.duration_since(at) >= wait)
    }
}

fn count(samples: &[Sample], kind: Kind) -> usize {
    samples.iter().filter(|sample| sample.kind == kind).count()
}

/// Of enough questions of the tenant's what they found. Else of made-up ones what is worse: a row is found by the index's own edges, so
/// that it alone would promise more than a question gets that is like no row.
fn points(kept: &[Sample], seconds: &[f64; STEPS]) -> Vec<Point> {
    let kinds: &[Kind] = match count(kept, Kind::Asked) {
        ENOUGH.. => &[Kind::Asked],
        _ => &[Kind::Row, Kind::Between],
    };
    let point = |step: usize| {
        let found = |kind: &Kind| share(kept.iter().filter(|it| it.kind == *kind), step);
        let worse = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.min(b.1));
        let (recall, sure) = kinds.iter().filter_map(found).reduce(worse).unwrap_or_default();
        Point { ef_search: LADDER[step], recall, sure, seconds: seconds[step] }
    };
    (0..STEPS).map(point).collect()
}

/// The mean of what a setting found of each question, and what it is at least: the normal bound, with one question more that
/// missed one of ten, so that few questions that all went well promise little.
fn share<'a>(samples: impl Iterator<Item = &'a Sample>, step: usize) -> Option<(f64, f64)> {
    let of = |sample: &Sample| f64::from(sample.found[step]) / f64::from(sample.wanted.max(1));
    let mut shares: Vec<f64> = samples.map(of).collect();
    if shares.is_empty() {
        return None;
    }
    let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
    let recall = mean(&shares);
    shares.push(1.0 - 1.0 / K as f64);
    let centre = mean(&shares);
    let squares = shares.iter().map(|share| (share - centre).powi(2)).sum::<f64>();
    let error = (squares / (shares.len() - 1) as f64 / shares.len() as f64).sqrt();
    Some((recall, (centre - ERRORS * error).max(0.0)))
}

/// The medians; where a setting was not asked, what was known before, else that of the next slower one.
fn seconds(asked: [Vec<f64>; STEPS], before: Option<[f64; STEPS]>) -> [f64; STEPS] {
    let mut all = [0.0; STEPS];
    let mut next = 0.0;
    for (step, mut times) in asked.into_iter().enumerate().rev() {
        times.sort_by(f64::total_cmp);
        let known = before.map(|before| before[step]);
        all[step] = times.get(times.len() / 2).copied().or(known).unwrap_or(next);
        next = all[step];
    }
    all
}

/// One question, asked with as few settings as tell what all would find: upwards in strides until all neighbours are found, then
/// between two of which the slower finds more. A setting between two that find the same is taken to find that, too.
#[derive(Debug)]
pub(super) struct Climb {
    wanted: u8,
    found: [Option<u8>; STEPS],
}

impl Climb {
    /// Settings skipped at first.
    const STRIDE: usize = 4;

    /// What the slowest setting finds is known.
    pub(super) fn new(wanted: u8, by_slowest: u8) -> Self {
        let mut found = [None; STEPS];
        found[STEPS - 1] = Some(by_slowest);
        Self { wanted, found }
    }

    /// The setting to ask next.
    pub(super) fn next(&self) -> Option<usize> {
        for step in (0..STEPS).step_by(Self::STRIDE) {
            match self.found[step] {
                None => return Some(step),
                Some(found) if found >= self.wanted => break,
                Some(_) => {}
            }
        }
        let known: Vec<usize> = (0..STEPS).filter(|step| self.found[*step].is_some()).collect();
        let gap = known.windows(2).find(|gap| {
            gap[1] - gap[0] > 1
                && self.found[gap[1]] > self.found[gap[0]]
                && self.found[gap[0]] < Some(self.wanted)
        })?;
        Some(usize::midpoint(gap[0], gap[1]))
    }

    pub(super) fn tell(&mut self, step: usize, found: u8) {
        self.found[step] = Some(found.min(self.wanted));
    }

    /// What every setting finds.
    pub(super) fn done(self) -> [u8; STEPS] {
        let mut last = 0;
        std::array::from_fn(|step| {
            let next = self.found[step..].iter().flatten().next().copied().unwrap_or(last);
            last = self.found[step].unwrap_or(last.min(next));
            last
        })
    }
}

#[cfg(test)]
mod tests;
