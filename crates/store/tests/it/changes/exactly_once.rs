//! Every committed change once, in order, whatever happens to whom.
//!
//! Writers and readers run side by side while backends of both are ended at random and transactions stay open elsewhere.
//! A trigger of the test's own, per row, notes what was really committed; in the end every reader has seen that.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_store::{Change, Error, Phase, Projection, Seen, Store, Tenant};
use freehold_testkit::admin_url;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::{log_house, projection, statement};
use crate::fixture::{House, sql};

const AUDIT: &str = "
create schema audit;
create table audit.truth (n bigint generated always as identity, tenant_id uuid, entity text, kind text, id text, was text, is_now text);
create function audit.note() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  was text := case when tg_op <> 'INSERT' then to_jsonb(old) ->> tg_argv[0] end;
  is_now text := case when tg_op <> 'DELETE' then to_jsonb(new) ->> tg_argv[0] end;
  one record := case when tg_op = 'DELETE' then old else new end;
begin
  if tg_op <> 'UPDATE' or was is distinct from is_now then
    insert into audit.truth (tenant_id, entity, kind, id, was, is_now)
      values (one.tenant_id, tg_argv[1], lower(left(tg_op, 1)), one.id, was, is_now);
  end if;
  return null;
end $$;
create trigger audit after insert or update or delete on app.person for each row execute function audit.note('handle', 'person');
create trigger audit after insert or update or delete on app.post for each row execute function audit.note('author', 'post')";

const KILL: &str = "select pg_terminate_backend(pid) from (select pid from pg_stat_activity \
    where datname = current_database() and usename = $1::text::name order by random() limit 1) one";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a switch of the person who runs the tests")]
async fn every_committed_change_is_seen_once_and_in_order() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases: u64 = cases.unwrap_or(1);
    for case in 0..cases {
        let seed = std::process::id().into();
        round(Dice(0x9e37_79b9_7f4a_7c15_u64 ^ (seed ^ case << 32)), seed, case, false).await;
    }
}

/// Then each transaction is whole and once, but not in order with others: read models need no order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_change_is_seen_once_where_windows_are_cut() {
    let seed = std::process::id().into();
    round(Dice(0xd1b5_4a32_d192_ed03_u64 ^ seed), seed, 0, true).await;
}

/// Windows end after so few images.
const CUT: &str = "create or replace function freehold.window_most() returns bigint language sql immutable return 7";

#[expect(clippy::print_stdout, reason = "by its seed a run can be told again")]
async fn round(mut dice: Dice, seed: u64, case: u64, cut: bool) {
    println!("seed {seed}, case {case}");
    let house = Arc::new(log_house().await);
    house.db.client().await.batch_execute(AUDIT).await.unwrap();
    if cut {
        house.db.client().await.batch_execute(CUT).await.unwrap();
    }
    for tenant in [&house.a, &house.b] {
        for model in ["people", "both"] {
            super::take(&house.store, &projection(tenant, model)).await;
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut all = JoinSet::new();
    for _ in 0..4 {
        all.spawn(write(Arc::clone(&house), Arc::clone(&stop), dice.fork()));
    }
    all.spawn(copy(Arc::clone(&house), Arc::clone(&stop), dice.fork()));
    let mut readers = JoinSet::new();
    let drained = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let ends = [Arc::clone(&stop), Arc::clone(&drained)];
        readers.spawn(read(Arc::clone(&house), ends, dice.fork()));
    }
    let admin = house.db.client().await;
    let (elsewhere, connection) =
        tokio_postgres::connect(&admin_url().await, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        let open = "begin; select pg_current_xact_id()";
        let long = house.db.client().await;
        long.batch_execute(open).await.unwrap();
        elsewhere.batch_execute(open).await.unwrap();
        for _ in 0..4 {
            // Plays: transactions stay open, and backends die now and then.
            tokio::time::sleep(Duration::from_millis(120)).await;
            let whom = if dice.below(2) == 0 { "freehold_app" } else { "freehold_project" };
            admin.query(KILL, &[&whom]).await.unwrap();
        }
        elsewhere.batch_execute("commit").await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !house.store.projection_due(&mut Seen::default(), 9).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the readers do not come to an end");
        // Polls: that nothing is left to be done is seen only by looking.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drained.store(true, Ordering::Relaxed);
    while let Some(done) = readers.join_next().await {
        done.unwrap();
    }
    verify(&house, &admin, cut).await;
}

// -- writers --------------------------------------------------------------------------------------------------------

async fn write(house: Arc<House>, stop: Arc<AtomicBool>, mut dice: Dice) {
    while !stop.load(Ordering::Relaxed) {
        let tenant = if dice.below(3) == 0 { &house.b } else { &house.a };
        // Whatever fails, by a kill or a deadlock, is rolled back, and that is all there is to it.
        let _ = transaction(&house.store, tenant, &mut dice).await;
    }
}

async fn transaction(store: &Store, tenant: &Tenant, dice: &mut Dice) -> Result<(), Error> {
    let mut tx = store.begin(tenant).await?;
    for _ in 0..=dice.below(3) {
        let saved = dice.below(3) == 0;
        if saved {
            tx.query(&statement("savepoint here")).await?;
        }
        tx.query(&sql(&dice.statement(), &[])).await?;
        if saved {
            let end = if dice.below(2) == 0 { "rollback to here" } else { "release here" };
            tx.query(&statement(end)).await?;
        }
        if dice.below(4) == 0 {
            // Plays: a writer that takes its time.
            tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
        }
    }
    match dice.below(4) {
        0 => {
            drop(tx);
            Ok(())
        }
        1 => tx.commit_placed(store).await.map(drop),
        _ => tx.commit().await,
    }
}

// Somebody whom no wall stops, and who writes for both tenants at once.
async fn copy(house: Arc<House>, stop: Arc<AtomicBool>, mut dice: Dice) {
    use futures_util::SinkExt as _;
    let admin = house.db.client().await;
    while !stop.load(Ordering::Relaxed) {
        let mut rows = String::new();
        for i in 0..dice.below(400) {
            let tenant = if i % 2 == 0 { &house.a } else { &house.b };
            rows.push_str(&format!("{}\tc{}\n", tenant.id(), dice.next()));
        }
        let copy = admin.copy_in("copy app.person (tenant_id, handle) from stdin").await.unwrap();
        let mut copy = std::pin::pin!(copy);
        copy.send(bytes::Bytes::from(rows)).await.unwrap();
        copy.finish().await.unwrap();
        // Plays: an operator who copies now and then.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

// -- readers --------------------------------------------------------------------------------------------------------

async fn read(house: Arc<House>, [stop, drained]: [Arc<AtomicBool>; 2], mut dice: Dice) {
    let mut seen = Seen::default();
    while !drained.load(Ordering::Relaxed) {
        if dice.below(5) == 0 {
            seen = Seen::default();
        }
        let due = house.store.projection_due(&mut seen, 10).await.unwrap();
        // Paused by somebody who then dies a step is held for seconds, which would be most of the time once nobody writes.
        let dies = !stop.load(Ordering::Relaxed);
        for undone in due {
            if step(&house.store, &undone.projection, dies, &mut dice).await.is_err() {
                // The backend was ended: what it left is still due, but this reader was told already.
                seen = Seen::default();
            }
        }
        // Plays: a worker that looks again after a while.
        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
    }
}

async fn step(
    store: &Store,
    projection: &Projection,
    dies_paused: bool,
    dice: &mut Dice,
) -> Result<(), Error> {
    let Some(mut step) = store.step(projection).await? else { return Ok(()) };
    if matches!(step.phase(), Phase::Fill(_)) {
        return step.filled(None, 0).await;
    }
    let most = [1, 10, 300, 100_000][usize::try_from(dice.below(4)).unwrap()];
    let mut changes = Vec::new();
    loop {
        let mut more = step.changes(most).await?;
        if more.is_empty() {
            break;
        }
        changes.append(&mut more);
    }
    let pauses = dice.below(4) == 0;
    if pauses {
        let paused = step.pause(None).await?;
        match store.resume(&paused).await? {
            Some(again) => step = again,
            None => return Ok(()),
        }
    }
    for change in &changes {
        step.query(&noted(projection, change)).await?;
    }
    match dice.below(6) {
        0 if !pauses || dies_paused => {
            drop(step);
            Ok(())
        }
        _ => step.finish().await,
    }
}

fn noted(projection: &Projection, change: &Change) -> freehold_model::Sql {
    let text = "insert into app.seen (reader, number, entity, kind, image) \
                select $1, $2::text::bigint, $3, $4, array[i, l] from unnest($5::text::text[], $6::text::text[]) with ordinality u (i, l, n) order by n";
    let list = |values: &[Option<String>]| {
        let values = values.iter().map(|value| value.clone().unwrap());
        format!("{{{}}}", values.collect::<Vec<_>>().join(","))
    };
    let params = [
        projection.model.clone(),
        change.number.to_string(),
        change.entity.clone(),
        change.kind.to_string(),
        list(&change.images[0]),
        list(&change.images[1]),
    ];
    freehold_model::Sql::any(text, params.map(Some).to_vec())
}

// -- what came of it ------------------------------------------------------------------------------------------------

/// What happened to a row: kind, and its values in no order.
type Story = Vec<(String, Vec<String>)>;

async fn verify(house: &House, admin: &Client, cut: bool) {
    for model in ["people", "both"] {
        for tenant in [&house.a, &house.b] {
            let mut truth = truth(admin, tenant, model == "both").await;
            let mut seen = seen(admin, &projection(tenant, model), cut).await;
            if cut {
                truth.values_mut().chain(seen.values_mut()).for_each(|story| story.sort());
            }
            assert!(truth.len() > 100, "too little happened");
            for (row, story) in &truth {
                assert_eq!(seen.get(row), Some(story), "{model} of {}, row {row:?}", tenant.name());
            }
            assert_eq!(seen.len(), truth.len(), "{model} of {}", tenant.name());
        }
    }
}

async fn truth(admin: &Client, tenant: &Tenant, posts: bool) -> BTreeMap<(String, String), Story> {
    let text = "select entity, id, kind, was, is_now from audit.truth where tenant_id = $1::text::uuid and (entity = 'person' or $2) order by n";
    let mut rows: BTreeMap<(String, String), Story> = BTreeMap::new();
    for row in admin.query(text, &[&tenant.id().to_string(), &posts]).await.unwrap() {
        let mut values: Vec<String> =
            [row.get::<_, Option<String>>(3), row.get(4)].into_iter().flatten().collect();
        values.sort();
        rows.entry((row.get(0), row.get(1))).or_default().push((row.get(2), values));
    }
    rows
}

async fn seen(
    admin: &Client,
    projection: &Projection,
    cut: bool,
) -> BTreeMap<(String, String), Story> {
    let text = "select entity, image[1], kind, array_agg(image[2]), number, min(n) from app.seen \
        where tenant_id = $1::text::uuid and reader = $2 group by entity, image[1], kind, number order by min(n)";
    let id = projection.tenant.id().to_string();
    let mut rows: BTreeMap<(String, String), Story> = BTreeMap::new();
    let mut persons = HashSet::new();
    for row in admin.query(text, &[&id, &projection.model]).await.unwrap() {
        let (entity, id, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let mut values: Vec<String> = row.get(3);
        // Of two rows the one that refers to the other came later.
        match (entity.as_str(), kind.as_str()) {
            ("person", "i") => drop(persons.insert(id.clone())),
            ("post", "i") => {
                assert!(cut || persons.contains(&values[0]), "a post before its author")
            }
            _ => {}
        }
        values.sort();
        rows.entry((entity, id)).or_default().push((kind, values));
    }
    rows
}

/// Random numbers that a seed gives again (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound.max(1)
    }

    fn fork(&mut self) -> Self {
        Self(self.next() | 1)
    }

    fn statement(&mut self) -> String {
        let (few, value) = (self.below(4), self.next());
        let some = |of: &str| format!("(select id from app.{of} order by random() limit {few})");
        match self.below(8) {
            0 => format!(
                "insert into app.person (handle) select 'h{value}_' || i from generate_series(1, {}) i",
                self.below(300)
            ),
            1 | 2 => format!("insert into app.person (handle) values ('h{value}')"),
            3 => format!(
                "insert into app.post (author, title) select id, 't{value}' from app.person order by random() limit {few}"
            ),
            4 => {
                format!("update app.person set handle = 'u{value}' where id in {}", some("person"))
            }
            5 => format!("update app.person set note = 'n{value}' where id in {}", some("person")),
            6 => format!("delete from app.person where id in {}", some("person")),
            _ => format!(
                "update app.post set author = (select id from app.person order by random() limit 1) where id in {} and exists (select from app.person)",
                some("post")
            ),
        }
    }
}
