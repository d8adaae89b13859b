//! An index that misses true neighbours at its slowest: what that finds is not the truth.

use freehold_engine::search::{Path, Recall};

use super::{MODEL, NEAR, distances, promote_with, search, true_nearest};
use crate::ground::{Ground, ground};

/// Rows in dense clusters far from one another, cluster after cluster: with two links each, whole clusters cannot be reached.
async fn grow_clusters(ground: &Ground, tenant: &freehold_engine::Tenant) {
    let id = tenant.id();
    let client = ground.db.client().await;
    client
        .batch_execute(&format!(
            "insert into app.big (tenant_id, key, kind, at)
             select '{id}', n, n % 1000, (select array_agg((hashint8(n / 60 * 31 + d) % 1000 * 10 + hashint8(n * 17 + d) % 20)::float4 order by d)::freehold_ext.vector(8)
               from generate_series(1, 8) d) from generate_series(1, 6000) n"
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_slowest_setting_finds_is_not_believed() {
    let ground = ground(MODEL).await;
    promote_with(&ground, &ground.a, (2, 4)).await;
    grow_clusters(&ground, &ground.a).await;
    grow_clusters(&ground, &ground.b).await;
    let measured = ground.engine.calibrate(&ground.a, "big", "at").await.unwrap();
    let slowest = measured.points[measured.points.len() - 1];
    assert_eq!(slowest.ef_search, 1_000);
    assert!(measured.samples > 20, "{measured:?}");
    assert!(slowest.recall < 0.98 && slowest.sure < 0.98, "it misses some: {slowest:?}");

    // So nothing that is promised comes from it, and what is answered is the truth.
    for recall in [Recall::Usual, Recall::AtLeast(0.99)] {
        let answer = search(&ground, &ground.a, NEAR, recall).await;
        assert_eq!(answer.search.clone().unwrap().path, Path::Exact);
        assert_eq!(distances(&answer), true_nearest(&ground, &ground.a, "", 10).await);
    }
}
