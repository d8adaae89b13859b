//! What runs in a tenant's name without its asking (erasure, expiry, the keeping of read models, loads, blobs, copies) locks what is the
//! tenant's, however many others have partitions of their own.

use std::collections::BTreeMap;

use freehold_model::{
    Model, Sql, blobs, declare, erase,
    mutate::{self, Copied, Filling, Made},
    reseal, view,
};
use freehold_store::{
    Column, Config, Mode, Operator, Phase, Projection, RootKey, Step, Store, Tenant,
};
use freehold_testkit::TestDb;
use tokio_postgres::Client;

use super::many::apart;
use crate::fixture::{ROOT, apply, sql};

const MODEL: &str = r#"
[model]
name = "background"

[personal.contact]
purpose = "account"
basis = "consent"
retention = "1 year"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
name = { type = "text", personal = "contact", optional = true }
face = { vector = 3, personal = "contact", stored = "open", stored_why = "a test", optional = true }

[entity.doc.field]
title = { type = "text", unique = true, not_personal = "a title" }
author = { ref = "person", on_erase = "delete", optional = true }
of = { ref = "person", on_erase = "unlink", optional = true }
letter = { type = "text", personal = "contact", subject = "author", optional = true }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
place = { type = "text", optional = true, not_personal = "a place" }
file = { type = "blob", personal = "contact", subject = "author", optional = true }
v = { vector = 64, of = ["title"], metric = "l2" }
near = { vector = 64, of = ["letter"], stored = "derived" }

[[entity.doc.expire]]
delete = "1 day after at"

[[entity.doc.expire]]
blank = ["place"]
after = "1 hour after at"

[entity.mark.field]
doc = { ref = "doc", on_delete = "cascade" }

[read.docs_of]
key = ["person"]
sql = """
select p.id as person, p.handle as handle, count(d.id) as docs
from person p left join doc d on d.author = p.id group by p.id, p.handle
"""

[read.marks_of]
key = ["person"]
sql = """
select d.author as person, count(*) as marks from mark m join doc d on d.id = m.doc
where d.author is not null and exists (select 1 from person p where p.id = d.author) group by d.author
"""
"#;

const NOBODY: &str = "00000000-0000-4000-8000-000000000001";

struct House {
    db: TestDb,
    store: Store,
    model: Model,
    a: Tenant,
    b: Tenant,
}

async fn house() -> House {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        operator.set_up_in(&RootKey::new(ROOT), Some(Mode::Seal)).await.unwrap();
        apply(&mut operator, MODEL).await;
        operator.create_tenant("a").await.unwrap();
        operator.create_tenant("b").await.unwrap();
    };
    let db = TestDb::from_template(&format!("background {MODEL}"), build).await;
    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let a = store.tenant_named("a").await.unwrap();
    let b = store.tenant_named("b").await.unwrap();
    for tenant in [&a, &b] {
        for text in [
            "insert into app.person (handle) select 'person ' || i from generate_series(1, 20) i",
            "insert into app.doc (title, author) select 'doc of ' || handle, id from app.person",
            "insert into app.mark (doc) select id from app.doc",
            "insert into app.person (handle) values ('alone')",
        ] {
            store.run_all(tenant, &sql(text, &[])).await.unwrap();
        }
    }
    House { db, store, model: declare::read(MODEL).unwrap().model, a, b }
}

/// All statements of the model that are run for a tenant and that nobody asked it for.
fn statements(model: &Model, author: &str, alone: &str, permit: &str) -> Vec<(String, Sql)> {
    let (subject, doc) = (model.entity("person").unwrap(), model.entity("doc").unwrap());
    let mut all: Vec<(String, Sql)> = Vec::new();
    for duty in erase::duties(model, subject) {
        // Rows go before the person they refer to.
        let person = if duty.reference.is_some() { author } else { alone };
        let of = format!("{} by {:?}", duty.entity, duty.reference);
        all.push((format!("what an erasure has left of {of}"), duty.left(person)));
        let some = duty.some(person, permit, NOBODY, 10);
        all.extend(some.map(|some| (format!("an erasure of {of}"), some)));
    }
    for (read, traces) in erase::traces(model, author) {
        all.push((format!("traces in {read}"), traces));
    }
    for (at, rule) in doc.expires.iter().enumerate() {
        all.push((format!("what has expired by {at}"), erase::expired(doc, rule)));
        all.push((format!("what expires next by {at}"), erase::next(doc, rule)));
        let held = [NOBODY.to_owned()];
        all.push((format!("an expiry by {at}"), erase::expire_some(doc, rule, permit, &held, 10)));
    }
    for theirs in reseal::theirs(model, subject) {
        let of = &theirs.entity.name;
        all.push((format!("what is to be sealed anew in {of}"), theirs.page(author, None, 10)));
        all.push((format!("sealing {of} anew"), theirs.put(Vec::new())));
    }
    let near = doc.field("near").unwrap();
    let copied =
        Copied { field: near.name.clone(), id: NOBODY.into(), mark: String::new(), vector: None };
    for locked in [true, false] {
        let put = mutate::put_copies(doc, near, &[&copied], locked);
        all.push((format!("putting copies, locked: {locked}"), put));
    }
    all.push(("rows without a copy".into(), mutate::uncopied(doc, near, None, 10)));
    let row = [("title".to_owned(), "doc of person 1".into())].into_iter().collect();
    all.push(("rows that are there".into(), mutate::standing(doc, &["title".into()], &[row])));
    let filling = Filling { id: NOBODY, vector: Made::Open(&[0.0; 64]), stamp: None };
    let fill = mutate::fill_vectors(model, "doc", "v", false, &[filling]).unwrap();
    all.push(("filling vectors".into(), fill));
    let unfilled = mutate::unfilled(model, "doc", "v", false, None, (10, "t")).unwrap();
    all.push(("vectors to be filled".into(), unfilled));
    let bucket = blobs::bucket(model, "doc.file").unwrap();
    all.push(("a blob".into(), bucket.find(NOBODY)));
    all.push(("what is known of a blob".into(), bucket.info(NOBODY)));
    all.push(("a folder".into(), bucket.list(&blobs::Listing::default())));
    all.push(("a page of blobs".into(), bucket.page(&blobs::Page::default())));
    let owners = blobs::owners(model, "doc", "file", &[NOBODY.into()]).unwrap();
    all.push(("whose blobs are".into(), owners));
    all.push(("blobs without a row".into(), blobs::without_row(model, &bucket).unwrap()));
    all.push(("rows without a blob".into(), blobs::without_blob(model, &bucket).unwrap()));
    for read in model.reads() {
        all.push((format!("a look at {}", read.name()), read.check(read.name(), 3)));
    }
    all
}

/// Tables and indexes of the model that sessions of the login have locked.
async fn count(admin: &Client, login: &str) -> i64 {
    let text = "select count(distinct l.relation) from pg_locks l join pg_stat_activity a on a.pid = l.pid \
        join pg_class c on c.oid = l.relation and c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) \
        where a.usename = $1 and a.datname = current_database() and l.locktype = 'relation'";
    admin.query_one(text, &[&login]).await.unwrap().get(0)
}

/// How many relations each has locked when it is done, by the second time a connection does it.
async fn locked(house: &House, admin: &Client, tenant: &Tenant) -> BTreeMap<String, i64> {
    let mut locked = BTreeMap::new();
    let text = "select (select id from app.person where handle = 'person 1')::text, (select id from app.person where handle = 'alone')::text";
    let people = house.store.run(tenant, &sql(text, &[])).await.unwrap();
    let (author, alone) = (people.text(0).unwrap(), people.text(1).unwrap());
    let permit = house.store.removal_permit(tenant).await.unwrap();
    for (name, statement) in statements(&house.model, author, alone, &permit) {
        for _ in 0..2 {
            let mut tx = house.store.begin(tenant).await.unwrap();
            tx.query(&statement).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            locked.insert(name.clone(), count(admin, "freehold_app").await);
            tx.roll_back().await.unwrap();
        }
    }
    let columns = ["title", "author.handle"];
    let load = mutate::load(&house.model, "doc", &columns, None).unwrap();
    for _ in 0..2 {
        let mut tx = house.store.begin(tenant).await.unwrap();
        let column = |text: &str| Column::Text(vec![Some(text.to_owned())]);
        tx.load(load.sql(), &[column("loaded"), column("person 2")]).await.unwrap();
        locked.insert("a load".into(), count(admin, "freehold_app").await);
        tx.roll_back().await.unwrap();
    }
    for read in house.model.reads() {
        for _ in 0..2 {
            work(house, admin, tenant, read, &mut locked).await;
        }
    }
    locked
}

/// What a worker does for a read model, in a step that is given up.
async fn work(
    house: &House,
    admin: &Client,
    tenant: &Tenant,
    read: &freehold_model::ReadModel,
    locked: &mut BTreeMap<String, i64>,
) {
    let (name, nobody) = (read.name(), vec![vec![NOBODY.to_owned()]]);
    let images = |links: usize| vec![vec![Some(NOBODY.to_owned())]; links];
    let mut all = vec![
        ("a page of the units", read.page(None, 10)),
        ("the next page", read.page(Some(&nobody[0]), 10)),
        ("bringing units up to date", read.recompute(name, &nobody)),
        ("filling it", read.fill(name)),
        ("clearing it", read.clear(name)),
    ];
    for source in read.sources() {
        let links = images(source.links.len());
        let images = view::Images { entity: &source.entity, links: &links };
        all.push(("the units that a change touches", read.touch(images)));
    }
    for (at, (what, statement)) in all.into_iter().enumerate() {
        let mut step = step(house, tenant, name).await;
        step.query(&statement).await.unwrap_or_else(|error| panic!("{name}, {what}: {error:?}"));
        locked.insert(format!("{name}, {at}: {what}"), count(admin, "freehold_project").await);
        step.give_up().await.unwrap();
    }
    // A unit and the end of the step in one go.
    let mut step = step(house, tenant, name).await;
    if let Phase::Fill(_) = step.phase() {
        step.query(&read.fill(name)).await.unwrap();
        step.filled(None, 0).await.unwrap();
    } else {
        step.finish_with(&read.recompute(name, &nobody)).await.unwrap();
    }
}

async fn step(house: &House, tenant: &Tenant, model: &str) -> Step {
    let of = Projection { tenant: tenant.clone(), model: model.to_owned(), version: 1 };
    house.store.step(&of).await.unwrap().expect("nobody else is at work")
}

#[tokio::test]
async fn what_nobody_asked_for_locks_what_is_the_tenants() {
    let house = house().await;
    let admin = house.db.client().await;
    let mut operator = Operator::open(house.db.url(), "test").await.unwrap();
    let mut helper = Operator::open(house.db.url(), "test").await.unwrap();
    for entity in ["person", "doc"] {
        operator.promote(&mut helper, "a", entity, |_| ()).await.unwrap();
    }
    let mut seen = Vec::new();
    for (from, to) in [(1, 55), (55, 75)] {
        for entity in ["person", "doc"] {
            apart(&admin, entity, from, to).await;
        }
        house.store.refresh_placements().await.unwrap();
        let own = locked(&house, &admin, &house.a).await;
        let small = locked(&house, &admin, &house.b).await;
        seen.push([own, small]);
    }
    assert!(seen[0][0].len() > 40, "{:?}", seen[0][0].keys());
    for (at, whose) in ["a promoted", "a small"].into_iter().enumerate() {
        for (what, fewer) in &seen[0][at] {
            let more = seen[1][at][what];
            assert_eq!(*fewer, more, "{what} of {whose} tenant beside 55 and 75 partitions");
            assert!(more < 60, "{what} of {whose} tenant locks {more}");
        }
    }
}

/// Databases whose read models were made before workers could name tenants go on, and the next move of a tenant lets them.
#[tokio::test]
async fn workers_who_may_not_name_tenants_do_without() {
    let house = house().await;
    let admin = house.db.client().await;
    let revoke = "revoke select (tenant_id) on app.person, app.doc, app.mark from freehold_project";
    admin.batch_execute(&format!("set freehold.applying = 'on'; {revoke}")).await.unwrap();
    for entity in ["person", "doc"] {
        apart(&admin, entity, 1, 55).await;
    }
    house.store.refresh_placements().await.unwrap();
    // One is of what has partitions alone, one also of what has none.
    let reads = ["docs_of", "marks_of"].map(|name| house.model.read(name).unwrap());
    let recompute =
        |read: &freehold_model::ReadModel| read.recompute(read.name(), &[vec![NOBODY.to_owned()]]);
    let mut first = step(&house, &house.b, reads[0].name()).await;
    let error = first.query(&recompute(reads[0])).await;
    assert_eq!(crate::fixture::code(error), freehold_model::Code::TryAgain);
    first.give_up().await.unwrap();
    for read in reads {
        let mut again = step(&house, &house.b, read.name()).await;
        again.query(&recompute(read)).await.unwrap();
        let all = count(&admin, "freehold_project").await;
        assert!(all > 110, "{all}: it did without");
        again.give_up().await.unwrap();
    }

    let mut operator = Operator::open(house.db.url(), "test").await.unwrap();
    let mut helper = Operator::open(house.db.url(), "test").await.unwrap();
    operator.tend_graphs(&mut helper, |_, _| ()).await.unwrap();
    house.store.refresh_placements().await.unwrap();
    for read in reads {
        let mut third = step(&house, &house.b, read.name()).await;
        third.query(&recompute(read)).await.unwrap();
        let own = count(&admin, "freehold_project").await;
        assert!(own < 110, "{own}: it names the tenant again");
        third.give_up().await.unwrap();
    }
}
