//! Statements by which the recall of an index is measured: what it finds, and what is truly there.

use super::{
    Query,
    level::{Anchor, Index},
    render::Renderer,
};
use crate::Sql;

impl Query {
    /// Whether [`Query::probe`] and [`kth_nearer`] can ask what it asks: an index could answer it, and it brings its vector along
    /// and no bound of the distance.
    #[must_use]
    pub fn is_question(&self) -> bool {
        let given = |nearest: &super::level::Nearest| match &nearest.anchor {
            Anchor::Given(_) => true,
            Anchor::Text { bound, .. } => bound.is_some(),
            Anchor::Row { .. } => false,
        };
        let level = &self.level;
        let nearest = level.only_nearest().filter(|nearest| nearest.max.is_none());
        level.call.is_none() && nearest.is_some_and(given) && self.indexable().is_some()
    }

    /// The distances of the `k` rows that the index of the tenant finds nearest, if it keeps `ef_search` candidates in mind: one
    /// row of one JSON array of numbers. None unless it is a question.
    #[must_use]
    pub fn probe(&self, tenant: u128, ef_search: u32, k: u64) -> Option<Sql> {
        let nearest = self.level.only_nearest().filter(|_| self.is_question())?;
        let index = Index { tenant, candidates: k, ef_search };
        let mut level = self.level.clone();
        level.index = Some(index);
        let mut renderer = Renderer::default();
        renderer.probe(&level, nearest);
        Some(renderer.sql.within(index.settings()))
    }
}

/// Measures every row for several questions about one field at once, which takes a fraction of the time of one after the other. Of
/// each question it tells the distance of its `k`th row among those that are nearer than its bound, null if so many are not:
/// one row of one JSON array. None unless all are questions, and there is one.
#[must_use]
pub fn kth_nearer(questions: &[(&Query, f64)], k: u64) -> Option<Sql> {
    let (first, _) = questions.first()?;
    let mut all = Vec::new();
    for (query, bound) in questions {
        let nearest = query.level.only_nearest().filter(|_| query.is_question())?;
        if query.level.entity != first.level.entity {
            return None;
        }
        all.push((&query.level, nearest, *bound));
    }
    let mut renderer = Renderer::default();
    renderer.kth_nearer(&all, k);
    Some(renderer.sql)
}

/// Each `every`th row that fits the query's conditions, `from` being the first, with its vector of `field`: one row of one JSON
/// array of pairs of id and text. They are spread over the table as it lies on the disk, which is read once.
#[must_use]
pub fn spread(query: &Query, field: &str, every: u64, from: u64) -> Sql {
    let mut renderer = Renderer::default();
    renderer.spread(&query.level, field, every.max(1), from);
    renderer.sql
}
