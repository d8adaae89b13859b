//! Many tenants, every kind of work, and everything that can go wrong at once: no answer is ever another tenant's, and
//! what was acknowledged is there.
//!
//! `FREEHOLD_SOAK_SECONDS` makes it longer, `FREEHOLD_SOAK_SEED` makes its choices those of an earlier run.

mod work;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use freehold_store::{Config, Mode, RootKey, Store, Tenant};
use freehold_testkit::{Chance, seed, switch};
use tokio::task::JoinSet;

use crate::fixture::{ROOT, database, sql};

const TENANTS: usize = 24;
const TASKS: usize = 12;
/// Fewer than tasks, so that they wait for one another and take over each other's connections.
const CONNECTIONS: usize = 6;

/// What became of each row that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It must be there.
    Acknowledged,
    /// It must not be there.
    Refused,
    /// Nobody knows.
    InDoubt,
}

/// What all tasks see.
struct Site {
    store: Store,
    tenants: Vec<Tenant>,
    fates: Mutex<HashMap<String, Fate>>,
    counts: Mutex<BTreeMap<String, u64>>,
    until: Instant,
}

impl Site {
    fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    fn note(&self, rows: &[String], fate: Fate) {
        let mut fates = self.fates.lock().unwrap();
        fates.extend(rows.iter().map(|row| (row.clone(), fate)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_ever_sees_another_tenants_row() {
    let seconds = switch("FREEHOLD_SOAK_SECONDS").unwrap_or(8);
    let seed = seed("FREEHOLD_SOAK_SEED");
    let soaked = tokio::spawn(soak(Duration::from_secs(seconds), seed)).await;
    soaked.unwrap_or_else(|failed| panic!("with FREEHOLD_SOAK_SEED={seed}: {failed}"));
}

async fn soak(time: Duration, seed: u64) {
    // Either of both, from run to run.
    let mode = if seed.is_multiple_of(2) { Mode::Seal } else { Mode::Ticket };
    let db = database(mode).await;
    let admin = db.client().await;
    let make = format!(
        "insert into freehold.tenant (id, name) select gen_random_uuid(), 't' || n from generate_series(1, {TENANTS}) n;
         insert into app.person (tenant_id, handle, age, embedding)
           select id, name || '/seed' || n, 0, '[1,2,3]' from freehold.tenant, generate_series(1, 4) n where name like 't%'"
    );
    admin.batch_execute(&make).await.unwrap();
    let config = Config { pool_size: CONNECTIONS, ..Config::new(db.url(), RootKey::new(ROOT)) };
    let store = Store::connect(config).await.unwrap();
    let mut tenants = Vec::new();
    for n in 1..=TENANTS {
        tenants.push(store.tenant_named(&format!("t{n}")).await.unwrap());
    }
    let site = Arc::new(Site {
        store,
        tenants,
        fates: Mutex::default(),
        counts: Mutex::default(),
        until: Instant::now() + time,
    });
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let chance = Chance::new(seed ^ (task as u64) << 32);
        tasks.spawn(work::work(Arc::clone(&site), chance, task));
    }
    tasks.spawn(trouble(Arc::clone(&site), db.client().await, Chance::new(!seed)));
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    still_serves(&site).await;
    compare(&site, &admin).await;
    say(&site);
}

/// Ends sessions and cancels statements at random.
async fn trouble(site: Arc<Site>, admin: tokio_postgres::Client, mut chance: Chance) {
    while Instant::now() < site.until {
        let what = *chance.of(&["pg_terminate_backend", "pg_cancel_backend", "pg_cancel_backend"]);
        let text = format!(
            "select {what}(pid) from pg_stat_activity
             where datname = current_database() and usename = 'freehold_app' order by random() limit 1"
        );
        if !admin.query(&text, &[]).await.unwrap().is_empty() {
            site.count(what);
        }
        // Plays: whoever ends sessions has something else to do, too.
        tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
    }
}

/// No connection is lost to the pool, and each of them opens any tenant.
async fn still_serves(site: &Site) {
    for tenants in site.tenants.chunks(CONNECTIONS) {
        let mut open = Vec::new();
        for tenant in tenants {
            // A connection that was ended a moment ago may still seem to be there.
            let (mut begun, mut tries) = (site.store.begin(tenant).await, 0);
            while begun.is_err() && tries < CONNECTIONS {
                (begun, tries) = (site.store.begin(tenant).await, tries + 1);
            }
            open.push((tenant, begun.unwrap()));
        }
        for (tenant, mut tx) in open {
            let seeds = "select handle from app.person where handle like '%/seed%' order by handle";
            let rows = tx.query(&sql(seeds, &[])).await.unwrap();
            assert_eq!(rows.len(), 4, "{}", tenant.name());
            work::own(tenant, rows.iter().map(|row| row.text(0)));
            tx.commit().await.unwrap();
        }
    }
}

async fn compare(site: &Site, admin: &tokio_postgres::Client) {
    let text =
        "select p.handle, t.name from app.person p join freehold.tenant t on t.id = p.tenant_id
        where t.name like 't%' and p.handle not like '%/seed%'";
    let mut there = HashMap::new();
    for row in admin.query(text, &[]).await.unwrap() {
        let (handle, tenant): (String, String) = (row.get(0), row.get(1));
        assert!(handle.starts_with(&format!("{tenant}/")), "{handle} lies with {tenant}");
        there.insert(handle, tenant);
    }
    let fates = site.fates.lock().unwrap();
    for handle in there.keys() {
        assert!(fates.contains_key(handle), "nobody wrote {handle}");
    }
    for (handle, fate) in fates.iter() {
        match fate {
            Fate::Acknowledged => assert!(there.contains_key(handle), "{handle} is lost"),
            Fate::Refused => assert!(!there.contains_key(handle), "{handle} was refused"),
            Fate::InDoubt => {}
        }
    }
    let of = |fate| fates.values().filter(|found| **found == fate).count();
    let acknowledged = of(Fate::Acknowledged);
    assert!(acknowledged > 20, "only {acknowledged} rows were written");
}

/// What is to be read after a long run.
#[allow(clippy::print_stderr, reason = "the output of tests is the terminal")]
fn say(site: &Site) {
    let fates = site.fates.lock().unwrap();
    let of = |fate| fates.values().filter(|found| **found == fate).count();
    let counts = site.counts.lock().unwrap();
    eprintln!(
        "soak: {} rows acknowledged, {} refused, {} in doubt; {counts:?}",
        of(Fate::Acknowledged),
        of(Fate::Refused),
        of(Fate::InDoubt)
    );
}
