//! Workers are fair: a step costs what its tenant's change is about, and who writes very much does not hold the others up.

use std::time::{Duration, Instant};

use freehold_engine::{Engine, Tenant, project::Watch};
use serde_json::json;

use crate::ground::{Ground, body, ground};

const MODEL: &str = r#"
[model]
name = "fair"

[entity.place.field]
name = { type = "text", unique = true }

[entity.visit.field]
place   = { ref = "place" }
minutes = { type = "integer" }

[read.busy]
key = ["place"]
sql = """
select v.place, p.name, count(*) as visits, sum(v.minutes) as minutes
from visit v join place p on p.id = v.place group by v.place, p.name
"""
"#;

const PATIENCE: Duration = Duration::from_secs(60);

async fn catch_up(engine: &Engine) {
    let mut seen = Watch::default();
    while engine.project_round(&mut seen).await.unwrap() > 0 {}
}

/// One place with a visit; gives the place's id.
async fn begin(ground: &Ground, tenant: &Tenant) -> String {
    let place = body(&ground.insert(tenant, "place", json!([{"name": "park"}])).await);
    let id = place[0]["id"].as_str().unwrap().to_owned();
    ground.insert(tenant, "visit", json!([{"place": id, "minutes": 1}])).await;
    id
}

async fn number(ground: &Ground, sql: &str) -> i64 {
    ground.db.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until the number is at least so great.
async fn reaches(ground: &Ground, sql: &str, least: i64) {
    let until = Instant::now() + PATIENCE;
    while number(ground, sql).await < least {
        assert!(Instant::now() < until, "{sql} never gives {least}");
        tokio::task::yield_now().await;
    }
}

/// Scans of the read model's parts, which nobody but workers reads here.
const SCANS: &str = "select coalesce(sum(seq_scan), 0)::bigint from pg_stat_user_tables where relname like 'busy~%'";
const LOOKUPS: &str = "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_tables where relname like 'busy~%'";

#[tokio::test]
async fn a_step_never_reads_the_rows_of_all_tenants() {
    const STEPS: i64 = 12;
    let ground = ground(MODEL).await;
    let place = begin(&ground, &ground.a).await;
    begin(&ground, &ground.b).await;
    catch_up(&ground.engine).await;
    // While PostgreSQL knows the tables to be small, the workers' connections make the plans that they keep.
    let client = ground.db.client().await;
    client.batch_execute("vacuum analyze").await.unwrap();
    for tenant in [&ground.a, &ground.b] {
        ground.update(tenant, "visit?minutes=eq.1", json!({"minutes": 2})).await;
    }
    catch_up(&ground.engine).await;
    client
        .batch_execute(
            "insert into freehold.tenant (id, name) select gen_random_uuid(), 't' || i from generate_series(1, 10000) i;
             set session_replication_role = replica;
             insert into app.busy (tenant_id, place, name, visits, minutes)
               select t.id, gen_random_uuid(), 'somewhere', 1, 1 from freehold.tenant t, generate_series(1, 3)
                 where t.name like 't%'",
        )
        .await
        .unwrap();
    let before = number(&ground, LOOKUPS).await;
    let mut seen = Watch::default();
    for _ in 0..STEPS {
        ground.insert(&ground.a, "visit", json!([{"place": place, "minutes": 1}])).await;
        while ground.engine.project_round(&mut seen).await.unwrap() > 0 {}
    }
    // Of each process what it counted is told with a delay, and all of it at once.
    reaches(&ground, LOOKUPS, before + STEPS).await;
    assert_eq!(number(&ground, SCANS).await, 0);
    assert_eq!(
        ground.read(&ground.a, "busy?select=visits,minutes").await,
        json!([{"visits": STEPS + 1, "minutes": STEPS + 2}])
    );
    assert!(ground.engine.check_read(&ground.b, "busy").await.unwrap().is_right());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_that_write_very_much_leave_a_lane_for_the_others() {
    const WAITING: &str = "select count(*) from pg_stat_activity
        where datname = current_database() and usename = 'freehold_project' and wait_event_type = 'Lock'";
    let ground = ground(MODEL).await;
    let mut operator = ground.operator().await;
    for number in 1..=6 {
        let name = format!("flood{number}");
        operator.create_tenant(&name).await.unwrap();
        begin(&ground, &ground.engine.tenant(&name).await.unwrap()).await;
    }
    let place = begin(&ground, &ground.b).await;
    catch_up(&ground.engine).await;
    // None of them gets on as long as this transaction has their rows.
    let holder = ground.db.client().await;
    holder
        .batch_execute(
            "begin; select from app.busy b join freehold.tenant t on t.id = b.tenant_id
               where t.name like 'flood%' for update of b",
        )
        .await
        .unwrap();
    let client = ground.db.client().await;
    client
        .batch_execute(
            "insert into app.visit (tenant_id, id, place, minutes)
               select p.tenant_id, gen_random_uuid(), p.id, 1 from app.place p
                 join freehold.tenant t on t.id = p.tenant_id, generate_series(1, 3000)
                 where t.name like 'flood%'",
        )
        .await
        .unwrap();
    let engine = ground.engine.clone();
    let working = tokio::spawn(async move { engine.project_forever().await });
    reaches(&ground, WAITING, 2).await;
    let begun = ground
        .truth(&format!("select pid, xact_start {}", &WAITING["select count(*)".len()..]))
        .await;
    ground.insert(&ground.b, "visit", json!([{"place": place, "minutes": 1}])).await;
    let seen = format!("select max(visits) from app.busy where tenant_id = '{}'", ground.b.id());
    reaches(&ground, &seen, 2).await;
    // And not because one of them gave up.
    let still = ground
        .truth(&format!("select pid, xact_start {}", &WAITING["select count(*)".len()..]))
        .await;
    assert_eq!(begun, still);
    holder.batch_execute("rollback").await.unwrap();
    reaches(&ground, "select min(visits) from app.busy where visits > 2", 3_001).await;
    reaches(&ground, "select count(*) from app.busy where visits = 3001", 6).await;
    working.abort();
}

#[tokio::test]
async fn very_much_is_followed_piece_by_piece_and_committed_in_between() {
    let ground = ground(MODEL).await;
    let park = begin(&ground, &ground.a).await;
    begin(&ground, &ground.b).await;
    catch_up(&ground.engine).await;
    let client = ground.db.client().await;
    client
        .batch_execute("create or replace function freehold.window_most() returns bigint language sql immutable return 5")
        .await
        .unwrap();
    let pool = body(&ground.insert(&ground.a, "place", json!([{"name": "pool"}])).await);
    let pool = pool[0]["id"].as_str().unwrap().to_owned();
    for minutes in 2..22 {
        let visits =
            json!([{"place": park, "minutes": minutes}, {"place": pool, "minutes": minutes}]);
        ground.insert(&ground.a, "visit", visits).await;
        // Each takes units along with it that were touched by what was written before.
        let target = format!("visit?minutes=eq.{}&place=eq.{park}", minutes - 1);
        ground.update(&ground.a, &target, json!({"place": pool})).await;
    }
    let turns =
        format!("select turn from freehold.projection where tenant_id = '{}'", ground.a.id());
    let before = number(&ground, &turns).await;
    catch_up(&ground.engine).await;
    let steps = number(&ground, &turns).await - before;
    assert!(steps > 10, "{steps} steps");
    for tenant in [&ground.a, &ground.b] {
        let found = ground.engine.check_read(tenant, "busy").await.unwrap();
        assert!(found.is_right(), "{found:?}");
    }
    assert_eq!(
        ground.read(&ground.a, "busy?select=name,visits&order=name").await,
        json!([{"name": "park", "visits": 1}, {"name": "pool", "visits": 40}])
    );
}
