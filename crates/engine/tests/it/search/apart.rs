//! What has to make no difference to a search: settings of the database, and what others hold.

use freehold_engine::{
    Tenant,
    search::{Path, Recall},
};

use super::{MODEL, NEAR, distances, grow, promote, search, true_nearest};
use crate::ground::{Ground, ground};

/// Settings under which pgvector gives too few rows, or PostgreSQL goes another way, each without a word.
const TRAPS: [&str; 8] = [
    "enable_indexscan = off",
    "enable_seqscan = off",
    "hnsw.ef_search = 1",
    "hnsw.iterative_scan = off",
    "hnsw.max_scan_tuples = 1",
    "hnsw.scan_mem_multiplier = 1",
    "work_mem = '64kB'",
    "plan_cache_mode = force_custom_plan",
];

#[tokio::test]
async fn settings_of_the_database_make_no_search_worse() {
    let mut ground = ground(MODEL).await;
    promote(&ground, &ground.a).await;
    grow(&ground, &ground.a, 6_000).await;
    let client = ground.db.client().await;
    let found = client.query_one("select current_database()", &[]).await.unwrap();
    let database: String = found.get(0);
    for trap in TRAPS {
        let text = format!("alter database \"{database}\" set {trap}");
        client.batch_execute(&text).await.unwrap();
    }
    ground.engine = ground.another().await;
    let measured = ground.engine.calibrate(&ground.a, "big", "at").await.unwrap();
    let best = measured.points[measured.points.len() - 1];
    assert!(best.recall > 0.8, "the index is asked as it has to be: {:?}", measured.points);
    let recall = Recall::AtLeast(best.sure);
    for (filter, fits) in
        [("", ""), ("&kind=gte.900", "and kind >= 900"), ("&kind=eq.7", "and kind = 7")]
    {
        let query = format!("{NEAR}{filter}&limit=10");
        let truth = true_nearest(&ground, &ground.a, fits, 10).await;
        let exact = search(&ground, &ground.a, &query, Recall::Exact).await;
        assert_eq!(distances(&exact), truth, "{query}");
        let answer = search(&ground, &ground.a, &query, recall).await;
        assert_eq!(distances(&answer).len(), truth.len(), "{query}");
    }
    let said = search(&ground, &ground.a, NEAR, recall).await.search.unwrap();
    assert!(matches!(said.path, Path::Index { .. }), "{said:?}");
}

/// Milliseconds, the middle of many.
async fn usual_time(ground: &Ground, tenant: &Tenant) -> f64 {
    let mut times = Vec::new();
    for _ in 0..40 {
        let begun = std::time::Instant::now();
        search(ground, tenant, NEAR, Recall::Usual).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::test]
async fn what_others_hold_near_a_question_changes_nothing() {
    let ground = ground(MODEL).await;
    grow(&ground, &ground.b, 300).await;
    let before = search(&ground, &ground.b, NEAR, Recall::Usual).await;
    let quick = usual_time(&ground, &ground.b).await;
    // A hundred thousand rows nearer to the question than any of the tenant's own, on the same leaf.
    let client = ground.db.client().await;
    let text = format!(
        "with leaf as (select tableoid as id from app.big where tenant_id = '{}' limit 1),
           hostile as (select gen_random_uuid() as id from generate_series(1, 1000))
         insert into freehold.tenant (id, name)
         select h.id, 'hostile' from hostile h, leaf, pg_class c
         where c.oid = leaf.id and satisfies_hash_partition('freehold_shelf.\"big~d\"'::regclass, 8,
           right(c.relname, 1)::integer, h.id) limit 1;
         insert into app.big (tenant_id, key, kind, at)
         select t.id, n, 0, '[1,2,3,4,5,6,7,8]' from freehold.tenant t, generate_series(1, 100000) n where t.name = 'hostile';
         analyze app.big",
        ground.b.id()
    );
    client.batch_execute(&text).await.unwrap();
    let together = "select count(*), count(distinct tenant_id) from app.big
        where tableoid = (select tableoid from app.big where tenant_id = $1 limit 1)";
    let row = client.query_one(together, &[&ground.b.id()]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (100_300, 2), "on one leaf");
    let after = search(&ground, &ground.b, NEAR, Recall::Usual).await;
    assert_eq!(before, after);
    assert_eq!(after.search.unwrap().scanned, Some(300));
    // Were their rows looked at, it would take a hundred times as long.
    let slow = usual_time(&ground, &ground.b).await;
    assert!(slow < 5.0 * quick + 5.0, "{quick} ms before, {slow} ms after");
}
