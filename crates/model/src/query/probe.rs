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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Limits, fixture::model, parse};

    fn query(entity: &str, text: &str) -> Query {
        parse(&model(), entity, text, &Limits::default()).unwrap()
    }

    #[test]
    fn what_an_index_could_answer_by_itself_is_a_question() {
        let is = |text: &str| query("commit", &format!("select=id&{text}&limit=10")).is_question();
        assert!(is("embedding=nearest.[1,2,3]") && is("half=nearest.[1,2,3]&id=not.is.null"));
        for other in [
            "subject=eq.a",
            "embedding=nearest.text:a",
            "embedding=nearest(max:1).[1,2,3]",
            "embedding=nearest(min:1).[1,2,3]",
            "embedding=nearest(l1).[1,2,3]",
            "embedding=nearest.[1,2,3]&offset=10",
            "embedding=nearest.row:0197d2a6-0000-7000-8000-000000000001",
        ] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn rows_are_looked_through_once_for_several_questions() {
        let first = query("commit", "select=id&embedding=nearest.[1,2,3]&limit=10");
        let second = query("commit", "select=id&subject=eq.a&embedding=nearest.[3,2,1]&limit=10");
        let sql = kth_nearer(&[(&first, 0.25), (&second, 0.5)], 10).unwrap();
        assert_eq!(sql.text().matches("app.\"commit\"").count(), 1, "{}", sql.text());
        assert_eq!(sql.text().matches("offset 9 limit 1").count(), 2, "{}", sql.text());
        // The condition belongs to the second question alone, after its bound.
        let conditions: Vec<_> = sql.text().split("filter (where").skip(1).collect();
        assert!(!conditions[0].contains("subject") && conditions[1].contains("subject"));
        assert!(conditions[1].find("float8") < conditions[1].find("subject"), "{}", sql.text());
        let other = query("commit", "select=id&subject=eq.a");
        assert!(kth_nearer(&[(&first, 0.25), (&other, 0.5)], 10).is_none());
        assert!(kth_nearer(&[], 10).is_none());
    }
}
