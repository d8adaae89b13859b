//! Which way a search goes: all rows measured, or an approximate index of a tenant's own asked for some.

use super::{
    Query,
    level::{Embed, Index, Level},
    render::Renderer,
};
use crate::Sql;

/// Least and most of pgvector's `hnsw.ef_search`. A value outside would be refused by PostgreSQL, or, before pgvector
/// is loaded into the backend, taken and dropped later with a warning; so none outside is ever sent.
pub const EF_SEARCH: std::ops::RangeInclusive<u32> = 1..=1_000;

/// Rows an index is followed for at most while filters thin out what it finds.
const SCAN_MAX: u32 = 20_000;

/// A search that an approximate index on the field could answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexable<'q> {
    /// The vector field.
    pub field: &'q str,
    /// How many candidates are wanted.
    pub k: u64,
    /// Whether conditions may leave few rows.
    pub filtered: bool,
}

impl Query {
    /// Whether rows of the entity itself are found by `nearest` or `rank`, rather than by conditions alone.
    #[must_use]
    pub fn searches(&self) -> bool {
        self.level.searches()
    }

    /// Whether rows of embeds are.
    #[must_use]
    pub fn searches_below(&self) -> bool {
        self.level.walk().into_iter().skip(1).any(Level::searches)
    }

    /// What an index would have to find. None if it could not, or not truly: it knows one metric, nothing of a lower
    /// bound, and gives other candidates for another number of them, so pages would repeat and skip.
    #[must_use]
    pub fn indexable(&self) -> Option<Indexable<'_>> {
        let level = &self.level;
        let nearest = level.only_nearest()?;
        let k = nearest.part.k?;
        let fits = nearest.declared
            && nearest.sealed.is_none()
            && nearest.copy.is_none()
            && nearest.min.is_none()
            && level.offset == 0
            && k <= u64::from(*EF_SEARCH.end())
            && level.limit.is_some_and(|limit| limit > 0);
        fits.then(|| Indexable {
            field: &nearest.field,
            k,
            filtered: !level.conds.is_empty() || level.embeds.iter().any(Embed::leaves_out),
        })
    }

    /// Lets the index of the tenant with this id find the nearest, keeping `ef_search` candidates in mind on its way.
    /// Of use only where [`Query::indexable`] says so and the tenant's rows are in a partition of its own.
    pub fn by_index(&mut self, tenant: u128, ef_search: u32) {
        let Some(k) = self.indexable().map(|it| it.k) else { return };
        let least = u32::try_from(k).unwrap_or(*EF_SEARCH.end());
        let ef_search = ef_search.max(least).clamp(*EF_SEARCH.start(), *EF_SEARCH.end());
        self.level.index = Some(Index { tenant, candidates: k, ef_search });
    }

    /// Measures all rows, whatever [`Query::by_index`] said.
    pub fn exactly(&mut self) {
        self.level.index = None;
    }

    /// A statement that counts rows that fit the conditions, up to `most`: one row of one `bigint`.
    #[must_use]
    pub fn fitting(&self, most: u64) -> Sql {
        let mut renderer = Renderer::default();
        renderer.fitting(&self.level, most);
        renderer.sql
    }
}

impl Index {
    /// What has to be set for its transaction, whatever the database or the role sets. Sorting is made unattractive, because
    /// without statistics PostgreSQL thinks that few rows are to be sorted; relaxed order, because the page is sorted again.
    pub(crate) fn settings(self) -> String {
        format!(
            "set local enable_indexscan = on; set local enable_sort = off; set local hnsw.ef_search = {}; \
             set local hnsw.iterative_scan = relaxed_order; set local hnsw.max_scan_tuples = {SCAN_MAX}",
            self.ef_search
        )
    }
}
