//! Promotion and demotion under load: every answer is compared with what it must be.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_model::Sql;
use freehold_store::{Error, Mode, Store, Tenant};

use super::Ground;
use crate::fixture::sql;

/// Rows of each writer.
const ROWS: i64 = 60;

struct Load {
    stop: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
    worst: AtomicU64,
}

impl Load {
    async fn run(
        &self,
        store: &Store,
        tenant: &Tenant,
        sql: &Sql,
    ) -> Option<Vec<freehold_store::Row>> {
        let begun = Instant::now();
        let done = store.run_all(tenant, sql).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
        self.worst.fetch_max(took, Ordering::Relaxed);
        match done {
            Ok(rows) => Some(rows),
            Err(error) => panic!("no statement fails because of a move: {error:?}"),
        }
    }
}

/// Changes rows of its own, and knows at any time what they are.
async fn writer(load: Arc<Load>, store: Store, tenant: Tenant, number: i64) -> BTreeMap<i64, i64> {
    let mut mine = BTreeMap::new();
    let first = 100_000 * (number + 1);
    let mut turn: i64 = 0;
    while !load.stop.load(Ordering::Relaxed) {
        turn += 1;
        let at = first + (turn * 7) % ROWS;
        let (n, value) = (at.to_string(), turn.to_string());
        if mine.remove(&at).is_some() && turn % 3 == 0 {
            let text = "delete from app.doc where n = $1::text::integer";
            load.run(&store, &tenant, &sql(text, &[&n])).await;
        } else {
            let text = "insert into app.doc (title, n, author, v) select 'row ' || $1, $1::text::integer, (select min(id::text)::uuid from app.author), \
                        array[$2::text::real, 0, 0]::real[]::freehold_ext.vector on conflict (tenant_id, title) do update set v = excluded.v";
            load.run(&store, &tenant, &sql(text, &[&n, &value])).await;
            mine.insert(at, turn);
        }
        load.writes.fetch_add(1, Ordering::Relaxed);
        check(&load, &store, &tenant, first, &mine).await;
    }
    mine
}

/// All rows of the writer, as they must be.
async fn check(load: &Load, store: &Store, tenant: &Tenant, first: i64, mine: &BTreeMap<i64, i64>) {
    let text = "select n::bigint, (v operator(freehold_ext.<->) '[0,0,0]')::bigint from app.doc \
                where n >= $1::text::integer and n < $1::text::integer + 100000 order by n";
    let rows = load.run(store, tenant, &sql(text, &[&first.to_string()])).await.unwrap_or_default();
    let found: Vec<(i64, i64)> =
        rows.iter().map(|row| (row.int(0).unwrap(), row.int(1).unwrap())).collect();
    let wanted: Vec<(i64, i64)> = mine.iter().map(|(n, v)| (*n, *v)).collect();
    assert_eq!(found, wanted);
    load.reads.fetch_add(1, Ordering::Relaxed);
}

/// Reads what nobody changes; in one transaction twice, of whatever isolation.
async fn reader(load: Arc<Load>, store: Store, tenant: Tenant) {
    let text = "select count(*), sum(n)::bigint, count(distinct id) from app.doc where n <= 1200";
    while !load.stop.load(Ordering::Relaxed) {
        let rows = load.run(&store, &tenant, &sql(text, &[])).await.unwrap_or_default();
        let row = &rows[0];
        assert_eq!((row.int(0), row.int(1), row.int(2)), (Some(1200), Some(720_600), Some(1200)));
        load.reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each transaction sees one state, from its first statement to its last.
async fn repeater(load: Arc<Load>, store: Store, tenant: Tenant) {
    let count = sql("select count(*), sum(n)::bigint from app.doc where n <= 1200", &[]);
    while !load.stop.load(Ordering::Relaxed) {
        let seen = async {
            let mut tx = store.begin(&tenant).await?;
            tx.query(&sql("select count(*) from app.author", &[])).await?;
            let mut seen = Vec::new();
            for _ in 0..3 {
                let row = tx.query_one(&count).await?;
                seen.push((row.int(0), row.int(1)));
            }
            tx.commit().await?;
            Ok::<_, Error>(seen)
        };
        match seen.await {
            Ok(seen) => assert_eq!(seen, vec![(Some(1200), Some(720_600)); 3]),
            Err(error) => panic!("no transaction fails because of a move: {error:?}"),
        }
        load.reads.fetch_add(1, Ordering::Relaxed);
    }
}

async fn under_load(mode: Mode) {
    let ground = Ground::new(mode).await;
    let load = Arc::new(Load {
        stop: AtomicBool::new(false),
        reads: AtomicU64::new(0),
        writes: AtomicU64::new(0),
        worst: AtomicU64::new(0),
    });
    let mut tasks = Vec::new();
    let mut writers = Vec::new();
    for (number, tenant) in [(0, &ground.a), (1, &ground.a), (0, &ground.b)] {
        writers.push(tokio::spawn(writer(
            Arc::clone(&load),
            ground.store.clone(),
            tenant.clone(),
            number,
        )));
    }
    for tenant in [&ground.a, &ground.b] {
        tasks.push(tokio::spawn(reader(Arc::clone(&load), ground.store.clone(), tenant.clone())));
        tasks.push(tokio::spawn(repeater(Arc::clone(&load), ground.store.clone(), tenant.clone())));
    }
    let until = Instant::now() + Duration::from_secs(3);
    let mut moves = 0;
    while Instant::now() < until {
        ground.promote().await;
        ground.store.refresh_placements().await.unwrap();
        ground.demote().await;
        moves += 2;
    }
    load.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (reads, writes) = (count(&load.reads), count(&load.writes));
    assert!(reads > 50 && writes > 20 && moves >= 2, "{mode:?}: {moves} moves, {reads}, {writes}");
    let worst = count(&load.worst);
    assert!(worst < 20_000, "{mode:?}: one waited for {worst} ms");
    assert_eq!(ground.left(&ground.db.client().await).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_move() {
    under_load(Mode::Seal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_move_with_tickets() {
    under_load(Mode::Ticket).await;
}
