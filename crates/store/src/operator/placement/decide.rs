//! Who should be moved: by rows or what they take to be measured, between two marks that lie apart, so that nobody goes to
//! and fro.

use freehold_model::{ddl::own, entity::Entity};

use super::{Limit, Operator, Policy, demote};
use crate::{error::Error, param, row::Row};

/// Tenants with fewer rows than this tell nothing of what a row takes, and wait for nothing.
const LEAST: u64 = 500;

/// Where all places are taken, a tenant with so many times as many rows takes that of the smallest: so far apart that the two do not
/// change places to and fro.
pub const DISPLACES: u64 = 2;

/// A tenant that should be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its name.
    pub tenant: String,
    /// Its rows of which entity.
    pub entity: String,
    /// Whether to a partition of its own; else back to the shelf.
    pub promote: bool,
    /// How many rows there are.
    pub rows: u64,
    /// With whom it changes places: it goes to a partition that the other leaves, or leaves one that the other was given.
    pub swaps_with: Option<String>,
}

/// A tenant, and where its rows of an entity are.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    tenant: &'a str,
    state: &'a str,
    pinned: &'a str,
    rows: u64,
}

impl<'a> Standing<'a> {
    fn of(row: &'a Row) -> Self {
        let word = |at| row.text(at).unwrap_or_default();
        let rows = row.int(3).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        Self { tenant: word(0), state: word(1), pinned: word(2), rows }
    }

    fn decision(&self, entity: &Entity, promote: bool) -> Decision {
        let (tenant, entity) = (self.tenant.to_owned(), entity.name.to_string());
        Decision { tenant, entity, promote, rows: self.rows, swaps_with: None }
    }
}

/// Who of them, the largest first, should be moved, where so many may have partitions of their own.
fn choose(
    entity: &Entity,
    all: &[Standing<'_>],
    (promote, demote): (u64, u64),
    most: usize,
) -> Vec<Decision> {
    let movable = |it: &&Standing<'_>| it.pinned != "own" && it.rows <= demote::ROWS_MAX;
    let leaves = |it: &&Standing<'_>| it.pinned == "shelf" || it.rows < demote;
    let own = || all.iter().filter(|it| it.state == "own");
    let mut decisions: Vec<Decision> =
        own().filter(movable).filter(leaves).map(|it| it.decision(entity, false)).collect();
    let taken = all.iter().filter(|it| it.state != "shelf").count() - decisions.len();
    let wants = |it: &&Standing<'_>| it.pinned == "own" || it.rows >= promote;
    let on_shelf = all.iter().filter(|it| it.state == "shelf" && it.pinned != "shelf");
    let mut waiting: Vec<&Standing<'_>> = on_shelf.filter(wants).collect();
    // The largest stay first of each kind.
    waiting.sort_by_key(|it| it.pinned != "own");
    let free = most.saturating_sub(taken).min(waiting.len());
    decisions.extend(waiting.drain(..free).map(|it| it.decision(entity, true)));
    let smallest = own().filter(movable).rfind(|it| !leaves(it));
    match (smallest, waiting.first()) {
        // More have partitions than may: the bound was lowered, or two were changing places.
        (Some(smallest), _) if taken > most => decisions.push(smallest.decision(entity, false)),
        (Some(smallest), Some(first))
            if most > 0
                && (first.pinned == "own"
                    || first.rows >= smallest.rows.saturating_mul(DISPLACES)) =>
        {
            // The other way round somebody might lose a place that the other cannot be given.
            let mut comes = first.decision(entity, true);
            let mut goes = smallest.decision(entity, false);
            comes.swaps_with = Some(goes.tenant.clone());
            goes.swaps_with = Some(comes.tenant.clone());
            decisions.extend([comes, goes]);
        }
        _ => {}
    }
    decisions
}

impl Operator {
    /// Counts every tenant's rows of every entity with vectors, and says who should be moved: first those that go back, then
    /// those that get a partition, the largest first. Where an entity has all the partitions it may have, one that is large enough takes
    /// the place of the smallest, one at a time. What somebody decided comes before what is counted; moves that were interrupted come
    /// first of all.
    ///
    /// # Errors
    /// Faults only.
    pub async fn decide_placements(&mut self) -> Result<Vec<Decision>, Error> {
        let policy = self.placement_policy().await?;
        let (_, model) = self.read_model().await?;
        let (mut interrupted, mut others) = (Vec::new(), Vec::new());
        for entity in model.entities().iter().filter(|entity| own::searched(entity)) {
            let marks = self.count_rows(entity, &policy).await?;
            // Those of tenants who are suspended or going are there as well, and stay.
            let text = "select t.name, case when t.state = 'active' or p.state = 'shelf' then p.state else 'held' end, \
                        case when t.state = 'active' then coalesce(p.pinned, '') else 'shelf' end, coalesce(p.rows, 0) from freehold.placement p \
                        join freehold.tenant t on t.id = p.tenant_id where p.entity = $1 order by 4 desc, 1";
            let rows = self.as_gate(text, &[Some(&entity.name)]).await?;
            let all: Vec<Standing<'_>> = rows.iter().map(Standing::of).collect();
            let moving = all.iter().filter(|it| it.state == "moving");
            interrupted.extend(moving.map(|it| it.decision(entity, it.pinned != "shelf")));
            let most = usize::try_from(policy.own_max).unwrap_or(usize::MAX);
            others.extend(choose(entity, &all, marks, most));
        }
        interrupted.extend(others);
        Ok(interrupted)
    }

    // Notes the rows of those that may have to be moved, and says the marks in rows. By an index of the tenant, leaf by leaf.
    async fn count_rows(&mut self, entity: &Entity, policy: &Policy) -> Result<(u64, u64), Error> {
        let known = self.row_cost(entity).await?;
        // Where it is to be timed anew, whoever is large enough for that may be who it is timed on.
        let least = match known {
            Some((row_ns, true)) => policy.marks(row_ns).1,
            Some((row_ns, false)) => policy.marks(row_ns).1.min(LEAST),
            None => LEAST,
        };
        let text = format!(
            "select r.tenant_id::text, r.n from (select tenant_id, count(*) as n from app.\"{}\" group by tenant_id having count(*) >= {}) r \
             join freehold.tenant t on t.id = r.tenant_id order by 2 desc",
            entity.name,
            least.max(1)
        );
        let counted = self.session.select("counting tenants' rows", &text, &[]).await?;
        let number = |row: &Row| row.int(1).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let mut row_ns = known.map(|(row_ns, _)| row_ns);
        if let Some(largest) = counted.first().filter(|_| !known.is_some_and(|(_, fresh)| fresh)) {
            let measured = self.measure_row(entity, largest.text(0).unwrap_or_default()).await?;
            row_ns = measured.or(row_ns);
        }
        let marks = match (row_ns, policy.limit) {
            (Some(row_ns), _) => policy.marks(row_ns),
            // By rows nothing has to be known.
            (None, Limit::Rows { promote, demote }) => (promote, demote),
            // Nobody is promoted before it is known what that is for.
            (None, Limit::Millis(_)) => (u64::MAX, LEAST),
        };
        let kept: Vec<_> = counted.iter().filter(|row| number(row) >= marks.1.max(1)).collect();
        let ids = param::list(kept.iter().filter_map(|row| row.text(0)));
        let counts: Vec<String> = kept.iter().map(|row| number(row).to_string()).collect();
        let counts = param::list(counts.iter().map(String::as_str));
        let text = "with counted as (select * from unnest($2::text::uuid[], $3::text::bigint[]) as c (id, n)), \
                    fewer as (update freehold.placement p set rows = 0, counted_at = now() where entity = $1 and rows is distinct from 0 \
                      and not exists (select from counted c where c.id = p.tenant_id)) \
                    insert into freehold.placement as p (tenant_id, entity, rows, counted_at) select id, $1, n, now() from counted \
                    on conflict (tenant_id, entity) do update set rows = excluded.rows, counted_at = excluded.counted_at \
                      where p.rows is distinct from excluded.rows";
        self.as_gate(text, &[Some(&entity.name), Some(&ids), Some(&counts)]).await?;
        Ok(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: (u64, u64) = (1_000, 400);

    /// Each tenant as `name state pinned rows`, `-` for what nobody decided.
    fn chosen(all: &[&str], most: usize) -> Vec<String> {
        let model = freehold_model::declare::read(
            "[model]\nname = \"m\"\n[entity.doc.field]\nv = { vector = 3, metric = \"l2\" }\n",
        );
        let model = model.unwrap().model;
        let mut standing: Vec<_> = all
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let pinned = if words[2] == "-" { "" } else { words[2] };
                Standing {
                    tenant: words[0],
                    state: words[1],
                    pinned,
                    rows: words[3].parse().unwrap(),
                }
            })
            .collect();
        standing.sort_by_key(|it| std::cmp::Reverse(it.rows));
        let decisions = choose(model.entity("doc").unwrap(), &standing, MARKS, most);
        let told = |it: &Decision| {
            let way = if it.promote { "+" } else { "-" };
            let other = it.swaps_with.as_ref().map_or(String::new(), |name| format!(" for {name}"));
            format!("{way}{}{other}", it.tenant)
        };
        decisions.iter().map(told).collect()
    }

    #[test]
    fn the_largest_have_the_places() {
        let all = ["a shelf - 5000", "b shelf - 3000", "c shelf - 1000", "d shelf - 999"];
        assert_eq!(chosen(&all, 9), ["+a", "+b", "+c"]);
        assert_eq!(chosen(&all, 2), ["+a", "+b"]);
        assert_eq!(chosen(&all, 0), [""; 0]);
        // Whoever leaves makes room.
        assert_eq!(chosen(&["a own - 399", "b shelf - 1000", "c shelf - 2000"], 1), ["-a", "+c"]);
        // A move that is under way has its place, and so has a tenant who is suspended.
        for state in ["moving", "held"] {
            assert_eq!(chosen(&[&format!("a {state} - 5000"), "b shelf - 9000"], 1), [""; 0]);
        }
    }

    #[test]
    fn a_larger_one_takes_the_place_of_the_smallest_and_not_at_once_back() {
        let all = |shelf: u64| {
            [format!("a shelf - {shelf}"), "b own - 1500".into(), "c own - 1200".into()]
        };
        let seen = |shelf| chosen(&all(shelf).each_ref().map(String::as_str), 2);
        assert_eq!(seen(2_400), ["+a for c", "-c for a"]);
        assert_eq!(seen(2_399), [""; 0], "nearly twice as many are not enough");
        let after = ["a own - 2400", "b own - 1500", "c shelf - 2999"];
        assert_eq!(chosen(&after, 2), [""; 0], "nor to come back");
        // One at a time, though two could.
        let many = ["a shelf - 9000", "b shelf - 8000", "c own - 1000", "d own - 1100"];
        assert_eq!(chosen(&many, 2), ["+a for c", "-c for a"]);
    }

    #[test]
    fn what_somebody_decided_comes_first() {
        assert_eq!(chosen(&["a shelf - 9000", "b shelf own 5"], 1), ["+b"]);
        assert_eq!(chosen(&["a shelf own 5", "b own - 9000"], 1), ["+a for b", "-b for a"]);
        assert_eq!(chosen(&["a shelf - 9000", "b own own 5"], 1), [""; 0]);
        assert_eq!(chosen(&["a shelf shelf 9000", "b own - 1000"], 1), [""; 0]);
        assert_eq!(chosen(&["a own shelf 9000", "b own - 1000"], 2), ["-a"]);
    }

    #[test]
    fn a_lower_bound_is_reached_by_one_at_a_time() {
        let all = ["a own - 9000", "b own - 5000", "c own - 3000", "d shelf - 8000"];
        assert_eq!(chosen(&all, 1), ["-c"], "nobody is given a place meanwhile");
        assert_eq!(chosen(&["a own - 9000", "b own - 60000"], 0), ["-a"]);
        assert_eq!(chosen(&["b own - 60000"], 0), [""; 0], "everybody would wait for so many rows");
        assert_eq!(chosen(&["a shelf - 500000", "b own - 60000"], 1), [""; 0]);
    }
}
