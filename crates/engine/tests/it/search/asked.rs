//! Searches of a tenant's, by which its index is measured.

use std::time::{Duration, Instant};

use freehold_engine::{Tenant, search::Recall};
use freehold_model::query::{self, Limits, Query};

use super::{MODEL, distances, grow, promote, search, true_nearest};
use crate::ground::{Ground, ground};

/// A question like no other, every second with a condition.
fn question(number: u32) -> (String, &'static str) {
    let at: Vec<u32> = (0..8).map(|d| (number * 37 + d * 101 + number * d * 13) % 1_000).collect();
    (
        format!("{at:?}").replace(' ', ""),
        if number.is_multiple_of(2) { "" } else { "&kind=gte.200" },
    )
}

async fn ask(ground: &Ground, tenant: &Tenant, number: u32, recall: Recall) -> Vec<f64> {
    let (at, filter) = question(number);
    let query = format!("big?select=key,d:at.distance()&at=nearest.{at}{filter}&limit=10");
    distances(&search(ground, tenant, &query, recall).await)
}

#[tokio::test]
async fn an_index_is_measured_with_the_searches_of_its_tenant() {
    let ground = ground(MODEL).await;
    promote(&ground, &ground.a).await;
    grow(&ground, &ground.a, 6_000).await;
    // The neighbour's rows are the same, so that each would be a true neighbour too, were it seen.
    grow(&ground, &ground.b, 6_000).await;
    let made_up = ground.engine.calibrate(&ground.a, "big", "at").await.unwrap();
    assert!(!made_up.is_of_searches() && made_up.samples > 50, "{made_up:?}");

    let deadline = Instant::now() + Duration::from_secs(60);
    let mut asked = 0;
    let measured = loop {
        let known = ground.engine.recall_of(&ground.a, "big", "at").unwrap();
        if known.is_of_searches() {
            break known;
        }
        assert!(Instant::now() < deadline, "not measured after {asked} searches");
        ask(&ground, &ground.a, asked, Recall::Fast).await;
        // The same again tells nothing new.
        ask(&ground, &ground.a, 0, Recall::Fast).await;
        asked += 1;
    };
    // What it says of the first questions is what comes of them.
    let (mut found, mut wanted) = (0, 0);
    for number in 0..measured.asked as u32 {
        let truth = ask(&ground, &ground.a, number, Recall::Exact).await;
        let fast = ask(&ground, &ground.a, number, Recall::Fast).await;
        found += fast.iter().filter(|d| **d <= truth[9] + 1e-6).count();
        wanted += truth.len();
    }
    let (share, point) = (found as f64 / wanted as f64, measured.points[0]);
    assert!((share - point.recall).abs() < 1e-9, "{share} is found, {point:?}");
    assert!(share < 0.95 && point.sure < point.recall, "the index is poor, or nothing is told");
}

#[tokio::test]
async fn one_look_tells_what_is_truly_near_of_several_questions() {
    let ground = ground(MODEL).await;
    // The neighbour's rows are more, and as near.
    grow(&ground, &ground.a, 900).await;
    grow(&ground, &ground.b, 3_000).await;
    let snapshot = ground.engine.snapshot();
    let asked: Vec<(Query, &str)> = [("", ""), ("&kind=gte.200", "and kind >= 200")]
        .into_iter()
        .map(|(filter, truth)| {
            let text = format!("select=key{filter}&at=nearest.[1,2,3,4,5,6,7,8]&limit=10");
            (query::parse(&snapshot.model, "big", &text, &Limits::default()).unwrap(), truth)
        })
        .collect();
    let mut truth = Vec::new();
    for (_, filter) in &asked {
        truth.push(true_nearest(&ground, &ground.a, filter, 10).await[9]);
    }
    assert!(truth[0] < truth[1], "the condition makes a difference: {truth:?}");
    // Bounds that leave enough; then one at which nine are nearer.
    for (bound, told) in [(f64::MAX, Some(truth[0])), (truth[0], None)] {
        let both = [(&asked[0].0, bound), (&asked[1].0, f64::MAX)];
        let sql = query::kth_nearer(&both, 10).unwrap();
        let row = ground.engine.store().run(&ground.a, &sql).await.unwrap();
        let found: Vec<Option<f64>> = serde_json::from_str(row.text(0).unwrap()).unwrap();
        assert_eq!(found, [told, Some(truth[1])]);
    }
}
