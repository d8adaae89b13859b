//! What a search says of its answer, pages, ranking by several orders, and an index of a tenant's own.

use std::collections::BTreeMap;

use freehold_engine::{
    Tenant,
    read::{Answer, Read},
    search::{Path, Recall},
};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::ground::{Ground, ground};

mod apart;
mod asked;
mod misses;

const MODEL: &str = r#"
[model]
name = "notes"

[entity.note.field]
key = { type = "text", unique = true }
size = { type = "integer" }
words = { type = "text", search = "simple" }
at = { vector = 3, metric = "l2", optional = true }
by = { vector = 3, metric = "l2", optional = true }

[entity.big.field]
key = { type = "integer", unique = true }
kind = { type = "integer", index = true }
at = { vector = 8, metric = "l2" }
"#;

async fn search(ground: &Ground, tenant: &Tenant, target: &str, recall: Recall) -> Answer {
    let (entity, query) = target.split_once('?').unwrap();
    let read = Read { entity, query, count: false };
    ground
        .engine
        .search(tenant, read, recall)
        .await
        .unwrap_or_else(|error| panic!("{error:?}: {target}"))
}

fn keys(answer: &Answer) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    rows.into_iter().map(|row| row["key"].clone()).collect()
}

#[derive(Debug, Clone)]
struct Note {
    key: String,
    size: i32,
    words: Vec<&'static str>,
    at: Option<[i32; 3]>,
    by: Option<[i32; 3]>,
}

fn notes(count: usize) -> impl Strategy<Value = Vec<Note>> {
    let place = || option::weighted(0.8, [0..4_i32, 0..4, 0..4]);
    let words = vec(prop::sample::select(vec!["ada", "bee", "cow", "dot"]), 1..6);
    vec((0..10_i32, words, place(), place()), count).prop_map(|rows| {
        let note =
            |(n, (size, words, at, by))| Note { key: format!("k{n:03}"), size, words, at, by };
        rows.into_iter().enumerate().map(note).collect()
    })
}

async fn fill(ground: &Ground, tenant: &Tenant, notes: &[Note]) {
    let rows = notes.iter().enumerate().map(|(n, note)| {
        json!({
            "id": format!("00000000-0000-0000-0000-00000000{n:04}"), "key": note.key, "size": note.size,
            "words": note.words.join(" "), "at": note.at, "by": note.by,
        })
    });
    ground.insert(tenant, "note?select=id", rows.collect()).await;
}

fn some<T>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// The candidates of a ranker by distance, the best first, with their distances.
fn near(
    notes: &[Note],
    of: impl Fn(&Note) -> Option<[i32; 3]>,
    to: [i32; 3],
    k: usize,
) -> Vec<(String, f64)> {
    let distance = |place: [i32; 3]| {
        f64::from((0..3).map(|at| (place[at] - to[at]).pow(2)).sum::<i32>()).sqrt()
    };
    let mut all: Vec<_> =
        notes.iter().filter_map(|note| Some((note.key.clone(), distance(of(note)?)))).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

#[tokio::test]
async fn a_rank_is_its_definition() {
    let ground = ground(MODEL).await;
    let mut runner = TestRunner::deterministic();
    let all = some(&mut runner, notes(80));
    fill(&ground, &ground.b, &some(&mut runner, notes(80))).await;
    fill(&ground, &ground.a, &all).await;
    for _ in 0..60 {
        let place = [0..4_i32, 0..4, 0..4];
        let ((to, also), (k, least), (c, weight), weighted) = some(
            &mut runner,
            ((place.clone(), place), (1..40_usize, 0..8_i32), (0..80_u32, 0..4_u32), any::<bool>()),
        );
        let rank = if weighted { "wsum(a,b,t)".to_owned() } else { format!("rrf(a,b,t,c:{c})") };
        let query = format!(
            "note?select=key,score()&size=gte.{least}&at=nearest(as:a,k:{k},w:{weight}).{to:?}&by=nearest(as:b,k:{k}).{also:?}\
             &words=fts(as:t,w:0.5,k:{k}).ada&rank={rank}&limit=20"
        )
        .replace(' ', "");
        let answer = search(&ground, &ground.a, &query, Recall::Usual).await;
        // How well words fit is PostgreSQL's to say.
        let words = ground
            .truth(&format!(
                "select key, (- ts_rank_cd(to_tsvector('simple', words), to_tsquery('simple', 'ada')))::float8 as d \
                 from app.note where tenant_id = '{}' and size >= {least} \
                 and to_tsvector('simple', words) @@ to_tsquery('simple', 'ada') order by 2, id limit {k}",
                ground.a.id()
            ))
            .await;
        let words: Vec<(String, f64)> = words
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["key"].as_str().unwrap().into(), row["d"].as_f64().unwrap()))
            .collect();
        let fit: Vec<Note> = all.iter().filter(|note| note.size >= least).cloned().collect();
        let orders = [
            (near(&fit, |note| note.at, to, k), f64::from(weight)),
            (near(&fit, |note| note.by, also, k), 1.0),
            (words, 0.5),
        ];
        let mut scores: BTreeMap<String, f64> = BTreeMap::new();
        for (order, weight) in &orders {
            let (best, worst) =
                (order.first().map_or(0.0, |it| it.1), order.last().map_or(0.0, |it| it.1));
            for (place, (key, distance)) in order.iter().enumerate() {
                let part = if !weighted {
                    weight / (f64::from(c) + place as f64 + 1.0)
                } else if worst > best {
                    weight * (worst - distance) / (worst - best)
                } else {
                    *weight
                };
                *scores.entry(key.clone()).or_default() += part;
            }
        }
        let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(rows.len(), scores.len().min(20), "{query}");
        let mut wanted: Vec<f64> = scores.values().copied().collect();
        wanted.sort_by(|a, b| b.total_cmp(a));
        for (row, wanted) in rows.iter().zip(&wanted) {
            let score = row["score"].as_f64().unwrap();
            assert!((score - wanted).abs() < 1e-6, "{query}: {row}, {wanted}");
            assert!((score - scores[row["key"].as_str().unwrap()]).abs() < 1e-6, "{query}: {row}");
        }
        let said = answer.search.unwrap();
        assert_eq!(
            (said.path, said.complete, said.more),
            (Path::Exact, true, Some(scores.len() > 20))
        );
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_and_say_when_they_end() {
    let ground = ground(MODEL).await;
    let mut runner = TestRunner::deterministic();
    let all = some(&mut runner, notes(90));
    fill(&ground, &ground.a, &all).await;
    let placed = all.iter().filter(|note| note.at.is_some()).count();
    let whole = near(&all, |note| note.at, [1, 1, 1], 100);
    let whole: Vec<Value> = whole.into_iter().map(|(key, _)| json!(key)).collect();
    let mut paged = Vec::new();
    for page in 0.. {
        let query = format!("note?select=key&at=nearest.[1,1,1]&limit=7&offset={}", 7 * page);
        let answer = search(&ground, &ground.a, &query, Recall::Usual).await;
        paged.extend(keys(&answer));
        let said = answer.search.unwrap();
        assert_eq!(said.scanned, Some(placed as u64));
        if said.more == Some(false) {
            break;
        }
    }
    assert_eq!(paged, whole);
    let few = search(
        &ground,
        &ground.a,
        "note?select=key&at=nearest(max:0.5).[1,1,1]&limit=50",
        Recall::Usual,
    )
    .await;
    let said = few.search.unwrap();
    assert!(few.rows < 50 && said.more == Some(false) && said.complete, "{said:?}");
    let filtered = search(&ground, &ground.a, "note?select=key&size=eq.3", Recall::Usual).await;
    assert_eq!(filtered.search, None);
}

/// Puts the rows that the tenant will have into a partition of its own, with an index.
async fn promote(ground: &Ground, tenant: &Tenant) {
    promote_with(ground, tenant, (4, 8)).await;
}

async fn promote_with(ground: &Ground, tenant: &Tenant, (m, ef_construction): (u32, u32)) {
    let id = tenant.id();
    let client = ground.db.client().await;
    client
        .batch_execute(&format!(
            "create table freehold_shelf.\"big~x1\" partition of app.big for values in ('{id}');
             alter table freehold_shelf.\"big~x1\" owner to freehold_owner, enable row level security, force row level security;
             create index \"big~at~x1\" on freehold_shelf.\"big~x1\" using hnsw (at freehold_ext.vector_l2_ops) with (m = {m}, ef_construction = {ef_construction});
             insert into freehold.placement (tenant_id, entity, state, suffix, rows, indexes)
               values ('{id}', 'big', 'own', 'x1', 3000, 'at {m} {ef_construction}');
             select nextval('freehold.placement_change'), nextval('freehold.placement_change')"
        ))
        .await
        .unwrap();
    ground.engine.store().refresh_placements().await.unwrap();
}

/// Rows of vectors that do not repeat, the same in every run.
async fn grow(ground: &Ground, tenant: &Tenant, count: u32) {
    let id = tenant.id();
    let client = ground.db.client().await;
    client
        .batch_execute(&format!(
            "insert into app.big (tenant_id, key, kind, at)
             select '{id}', n, n % 1000, (select array_agg(((hashint8(n * 31 + d) % 1000)::float4))::freehold_ext.vector(8)
               from generate_series(1, 8) d) from generate_series(1, {count}) n"
        ))
        .await
        .unwrap();
}

async fn true_nearest(ground: &Ground, tenant: &Tenant, filter: &str, k: usize) -> Vec<f64> {
    let rows = ground
        .truth(&format!(
            "select (at operator(freehold_ext.<->) '[1,2,3,4,5,6,7,8]') as d from app.big
             where tenant_id = '{}' {filter} order by 1 limit {k}",
            tenant.id()
        ))
        .await;
    rows.as_array().unwrap().iter().map(|row| row["d"].as_f64().unwrap()).collect()
}

fn distances(answer: &Answer) -> Vec<f64> {
    let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    rows.iter().map(|row| row["d"].as_f64().unwrap()).collect()
}

const NEAR: &str = "big?select=key,d:at.distance()&at=nearest.[1,2,3,4,5,6,7,8]";

#[tokio::test]
async fn an_index_answers_as_surely_as_was_measured_and_never_with_too_few_rows() {
    let ground = ground(MODEL).await;
    promote(&ground, &ground.a).await;
    grow(&ground, &ground.a, 6_000).await;
    grow(&ground, &ground.b, 500).await;
    let fast = async |query: &str| search(&ground, &ground.a, query, Recall::Fast).await;

    // Before anything is measured nothing is promised.
    assert_eq!(fast(NEAR).await.search.unwrap().path, Path::Exact);
    let measured = ground.engine.calibrate(&ground.a, "big", "at").await.unwrap();
    let (first, last) = (measured.points[0], measured.points[measured.points.len() - 1]);
    // A poor index finds little at its fastest. Were it not used, everything would be found.
    assert!(first.recall < 0.95 && first.recall < last.recall, "{:?}", measured.points);

    let answer = fast(NEAR).await;
    let said = answer.search.clone().unwrap();
    assert_eq!((said.path, said.complete), (Path::Index { ef_search: 10 }, false));
    assert_eq!((answer.rows, said.scanned, said.recall), (10, Some(10), first.recall));
    let found = distances(&answer);
    assert!(found.is_sorted(), "{found:?}");

    // As asked for, and not more than was measured.
    for (recall, exact) in [(Recall::Exact, true), (Recall::AtLeast(last.sure), false)] {
        let answer = search(&ground, &ground.a, NEAR, recall).await;
        let said = answer.search.clone().unwrap();
        assert_eq!(said.complete, exact, "{said:?}");
        assert!(exact || said.recall >= last.sure, "{said:?}");
        if exact {
            assert_eq!(distances(&answer), true_nearest(&ground, &ground.a, "", 10).await);
        }
    }

    // Few rows fit: all of them are measured.
    let rare = fast(&format!("{NEAR}&kind=eq.7")).await;
    let said = rare.search.clone().unwrap();
    assert_eq!(
        (said.path, said.scanned, rare.rows, said.more),
        (Path::Exact, Some(6), 6, Some(false))
    );
    assert_eq!(distances(&rare), true_nearest(&ground, &ground.a, "and kind = 7", 10).await);

    // Most rows fit: the index is asked, follows on past those that do not, and gives as many as were asked for.
    let most = fast(&format!("{NEAR}&kind=gte.200")).await;
    assert_eq!(most.rows, 10);
    assert!(matches!(most.search.unwrap().path, Path::Index { .. }));

    // A bound beyond which the index gives too few: answered again.
    let bound = true_nearest(&ground, &ground.a, "", 4).await[3];
    let bounded =
        fast(&format!("{NEAR}&limit=10").replace("nearest", &format!("nearest(max:{bound})")))
            .await;
    let said = bounded.search.clone().unwrap();
    assert_eq!((said.path, bounded.rows, said.more), (Path::Corrected, 4, Some(false)));

    // What an index cannot do: another metric, another order, a page further on.
    for query in [
        NEAR.replace("nearest", "nearest(l1)"),
        NEAR.replace("nearest", "nearest(min:1)"),
        format!("{NEAR}&offset=10"),
        format!("{NEAR}&limit=5000"),
    ] {
        assert_eq!(fast(&query).await.search.unwrap().path, Path::Exact, "{query}");
    }
    let farthest = fast(&format!("{NEAR}&order=at.distance().desc&limit=10")).await;
    let mut turned = distances(&farthest);
    turned.reverse();
    assert_eq!(turned, found);

    // The neighbour has no index, and nobody else's rows.
    let other = search(&ground, &ground.b, NEAR, Recall::Fast).await;
    assert_eq!(other.search.unwrap().scanned, Some(500));
    assert_eq!(
        distances(&search(&ground, &ground.b, NEAR, Recall::Fast).await),
        true_nearest(&ground, &ground.b, "", 10).await
    );
}
