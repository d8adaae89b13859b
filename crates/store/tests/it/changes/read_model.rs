//! A read model of the compiler's, kept by steps while everything around it fails.

use std::{collections::BTreeSet, time::Duration};

use freehold_model::{Model, declare, view};
use freehold_store::{Error, Mode, Phase, Projection, Row, Seen, Store};

use super::house_with;
use crate::fixture::{House, sql};

const MODEL: &str = r#"
[model]
name = "kept"

[entity.person.field]
handle = { type = "text" }

[entity.post.field]
author = { ref = "person", on_delete = "cascade" }
day = { type = "date" }
size = { type = "integer" }

[read.by_handle]
key = ["handle"]
sql = """
select person.handle as handle, count(post.id) as posts, sum(post.size) as size
from person left join post on person.id = post.author group by person.handle
"""

[read.by_day]
key = ["handle", "day"]
sql = """
select person.handle as handle, post.day as day, count(*) as posts, sum(post.size) as size
from post join person on person.id = post.author group by person.handle, post.day
"""
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_equals_its_definition_when_all_is_done() {
    let model = declare::read(MODEL).unwrap().model;
    let anew = "update freehold.projection set filled = false";
    let house = house_with(Mode::Seal, MODEL, String::new(), anew).await;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..2 {
        let (store, model) = (house.store.clone(), model.clone());
        workers.spawn(async move { work(&store, &model, worker).await });
    }
    write(&house).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !house.store.projection_due(&mut Seen::default(), 9).await.unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the workers do not come to an end");
        // Polls: that nothing is left to be done is seen only by looking.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    workers.abort_all();
    let checks = model.reads().iter().flat_map(|read| [(read, &house.a), (read, &house.b)]);
    for (read, tenant) in checks {
        let found = house.store.run(tenant, &read.check(read.name(), 3)).await.unwrap();
        let faults = [0, 1, 2].map(|at| found.int(at));
        assert_eq!(faults, [Some(0); 3], "{:?}", found.text(3));
        let count = format!("select count(*) from app.{}", &**read.name());
        assert!(house.store.run(tenant, &sql(&count, &[])).await.unwrap().int(0) > Some(5));
    }
    house.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    let left = "select (select count(distinct tenant_id) from app.by_day), (select count(*) from freehold.projection where tenant_id not in (select id from freehold.tenant))";
    let left = house.db.client().await.query_one(left, &[]).await.unwrap();
    assert_eq!(
        (left.get::<_, i64>(0), left.get::<_, i64>(1)),
        (1, 0),
        "a tenant goes with its read models"
    );
}

async fn write(house: &House) {
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'freehold_project'";
    let admin = house.db.client().await;
    for round in 0..60 {
        let tenant = if round % 3 == 0 { &house.b } else { &house.a };
        let text = match round % 6 {
            0 | 1 => format!("insert into app.person (handle) select 'h' || i % 7 from generate_series({round}, {round} + 4) i"),
            2 | 3 => "insert into app.post (author, day, size) select p.id, date '2024-01-01' + (random() * 5)::integer, (random() * 9)::integer from app.person p, generate_series(1, 3)".to_owned(),
            4 => format!("update app.person set handle = 'h{}' where id in (select id from app.person order by random() limit 2)", round % 11),
            _ => "delete from app.person where id in (select id from app.person order by random() limit 2)".into(),
        };
        house.store.run_placed(tenant, &sql(&text, &[])).await.unwrap();
        if round % 10 == 9 {
            admin.query(kill, &[]).await.unwrap();
        }
    }
}

async fn work(store: &Store, model: &Model, worker: u64) {
    let mut seen = Seen::default();
    loop {
        let mut failed = false;
        for undone in store.projection_due(&mut seen, 9).await.unwrap() {
            failed |= step(store, model, &undone.projection).await.is_err();
        }
        if failed {
            seen = Seen::default();
        }
        let _ = tokio::time::timeout(Duration::from_millis(10 + 10 * worker), store.woken()).await;
    }
}

async fn step(store: &Store, model: &Model, projection: &Projection) -> Result<(), Error> {
    let read = model.reads().iter().find(|read| **read.name() == *projection.model).unwrap();
    let Some(mut step) = store.step(projection).await? else { return Ok(()) };
    if matches!(step.phase(), Phase::Fill(_)) {
        step.query(&read.fill(read.name())).await?;
        return step.filled(None, 0).await;
    }
    let mut units = BTreeSet::new();
    for source in read.sources() {
        while let Some(images) = step.images(&source.entity, &source.links, 100).await? {
            let images = view::Images { entity: &source.entity, links: &images.links };
            units.extend(step.query(&read.touch(images)).await?.iter().map(unit));
        }
    }
    if !units.is_empty() {
        let columns: Vec<Vec<String>> = (0..read.unit().len())
            .map(|at| units.iter().map(|unit| unit[at].clone()).collect())
            .collect();
        step.query(&read.recompute(read.name(), &columns)).await?;
    }
    step.finish().await
}

fn unit(row: &Row) -> Vec<String> {
    (0..row.len()).map(|at| row.text(at).unwrap().to_owned()).collect()
}
