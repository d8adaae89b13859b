//! A search of sealed vectors: PostgreSQL gives the rows that fit, whoever has the keys opens and measures their vectors, and
//! PostgreSQL gives the page of what was found.
//!
//! [`Query::behind`] → [`Query::sealed_anchor`], if it compares with a row → [`Query::sealed_page`], until there is no more →
//! [`Query::measured`] → [`Query::render`]. All in one snapshot, or rows are found that do not fit any more.

use std::cmp::Ordering;

use super::{Query, level::Anchor, render::Renderer, value::array_literal};
use crate::{
    Name, Sql,
    entity::{Metric, VectorForm},
};

/// What is to be measured of sealed vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind<'q> {
    /// The entity.
    pub entity: &'q Name,
    /// Its vector field.
    pub field: &'q Name,
    /// By which distance.
    pub metric: Metric,
    /// In which form vectors are written.
    pub form: VectorForm,
    /// The vector from which, in its type's text form; none if it is that of [`Query::sealed_anchor`].
    pub from: Option<&'q str>,
}

/// A row and the distance of its vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The row's id.
    pub id: u128,
    /// May be none: `NaN` is farther than everything else.
    pub distance: f64,
}

/// What was measured of sealed vectors, behind PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// The ids and distances of the candidates, as arrays of PostgreSQL's in the same order.
    pub(crate) ids: String,
    pub(crate) distances: String,
    /// How many rows were measured, and how many all pages have together.
    pub(crate) scanned: u64,
    pub(crate) all: u64,
}

impl Default for Found {
    fn default() -> Self {
        Self { ids: "{}".into(), distances: "{}".into(), scanned: 0, all: 0 }
    }
}

impl Measured {
    fn order(&self, other: &Self) -> Ordering {
        compare(self.distance, other.distance).then_with(|| self.id.cmp(&other.id))
    }
}

impl Query {
    /// The search of sealed vectors that it is, if it is one. Its texts have to be bound before.
    ///
    /// # Panics
    /// If a text has not been bound.
    #[must_use]
    pub fn behind(&self) -> Option<Behind<'_>> {
        let nearest = self.level.only_nearest()?;
        let shown = nearest.sealed.as_ref()?;
        let from = match &nearest.anchor {
            Anchor::Given(vector) => Some(vector.as_str()),
            Anchor::Text { bound, .. } => Some(
                bound.as_deref().expect("every text operand is bound before a query is rendered"),
            ),
            Anchor::Row { .. } => None,
        };
        Some(Behind {
            entity: &shown.entity,
            field: &shown.field,
            metric: nearest.metric,
            form: nearest.form,
            from,
        })
    }

    /// The sealed vector of the row to compare with: no row, or one of `body text`, a line as in [`Query::sealed_page`].
    #[must_use]
    pub fn sealed_anchor(&self) -> Option<Sql> {
        let nearest = self.level.only_nearest()?;
        let (Some(shown), Anchor::Row { column, value, .. }) = (&nearest.sealed, &nearest.anchor)
        else {
            return None;
        };
        let mut renderer = Renderer::default();
        renderer.sealed_anchor(&self.level, shown, column, value);
        Some(renderer.sql)
    }

    /// Counts the rows whose vectors are to be measured, up to `most`: one row of one `bigint`.
    #[must_use]
    pub fn sealed_count(&self, most: u64) -> Option<Sql> {
        let shown = self.level.only_nearest()?.sealed.as_ref()?;
        let mut renderer = Renderer::default();
        renderer.sealed_count(&self.level, shown, most);
        Some(renderer.sql)
    }

    /// The rows whose vectors are to be measured, by their ids from behind `after` on, at most so many: one row of `body text`,
    /// which has a line `id:owner:value` of each row, where the value is hexadecimal digits and the owner may be empty, and
    /// `rows bigint`.
    #[must_use]
    pub fn sealed_page(&self, after: &str, most: u64) -> Option<Sql> {
        let shown = self.level.only_nearest()?.sealed.as_ref()?;
        let mut renderer = Renderer::default();
        renderer.sealed_page(&self.level, shown, after, most);
        Some(renderer.sql)
    }

    /// Takes what was measured, of all rows that fit. From then on it can be rendered.
    pub fn measured(&mut self, mut all: Vec<Measured>) {
        let Some(nearest) = self.level.nearest.first_mut() else { return };
        let scanned = all.len() as u64;
        let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
        let (min, max) = (bound(&nearest.min), bound(&nearest.max));
        all.retain(|one| {
            min.is_none_or(|min| compare(one.distance, min).is_ge())
                && max.is_none_or(|max| compare(one.distance, max).is_le())
        });
        let k = nearest.part.k.unwrap_or_default();
        let within = all.len() as u64;
        let kept = usize::try_from(k).unwrap_or(usize::MAX).min(all.len());
        if kept < all.len() {
            all.select_nth_unstable_by(kept, Measured::order);
            all.truncate(kept);
        }
        all.sort_unstable_by(Measured::order);
        nearest.found = Some(Found {
            ids: array_literal(all.iter().map(|one| format!("{:032x}", one.id))),
            distances: array_literal(all.iter().map(|one| number(one.distance))),
            scanned,
            all: if nearest.capped { within.min(k) } else { within },
        });
        // The row to compare with is not looked for again.
        if let Anchor::Row { .. } = nearest.anchor {
            nearest.anchor = Anchor::Given(String::new());
        }
    }
}

/// As PostgreSQL orders `float8`.
fn compare(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}

/// As PostgreSQL reads it, without loss.
fn number(distance: f64) -> String {
    match distance {
        _ if distance.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        distance => distance.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_farthest() {
        let mut all = [f64::NAN, 1.0, f64::INFINITY, -1.0, f64::NAN];
        all.sort_by(|a, b| compare(*a, *b));
        assert_eq!(all[..3], [-1.0, 1.0, f64::INFINITY]);
        assert!(all[3].is_nan() && compare(all[3], all[4]).is_eq() && compare(-0.0, 0.0).is_eq());
    }
}
