//! The change log, who reads it and how far: with two tenants, two entities and two read models.

mod capture;
mod due;
mod exactly_once;
mod read_model;
mod steps;

use std::time::{Duration, Instant};

use freehold_model::{Model, Name, Sql, ddl, declare, view::Capture};
use freehold_store::{
    Change, Config, Mode, Operator, Phase, Projection, RootKey, Seen, Step, Store, Tenant,
};
use freehold_testkit::TestDb;

use crate::fixture::{House, ROOT, apply, sql};

const MODEL: &str = r#"
[model]
name = "log"

[entity.person.field]
handle = { type = "text" }
note = { type = "text", optional = true }
born = { type = "timestamptz", optional = true }

[entity.post.field]
author = { ref = "person", on_delete = "cascade" }
title = { type = "text" }
"#;

// A place for readers to write down what they saw, as a read model is one.
const SEEN: &str = "
set role freehold_owner; set freehold.applying = 'on';
create table app.seen (tenant_id uuid not null default freehold.tenant(), n bigint generated always as identity,
  reader text not null, number bigint not null, entity text not null, kind text not null, image text[] not null);
alter table app.seen enable row level security; alter table app.seen force row level security;
create policy wall on app.seen as restrictive for all to public using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app.seen for select to freehold_app using (true);
create policy project on app.seen for all to freehold_project using (true);
grant select on app.seen to freehold_app; grant select, insert, update, delete on app.seen to freehold_project;
reset role; insert into freehold.projector (model, version, sources, identity, served)
  values ('people', 1, '{person}', '', true), ('both', 1, '{person,post}', '', true);
reset role; reset freehold.applying";

pub(crate) async fn log_house() -> House {
    log_house_in(Mode::Seal).await
}

pub(crate) async fn log_house_in(mode: Mode) -> House {
    house_with(mode, MODEL, capture(&model()), SEEN).await
}

// Tenant a is there before what `more` does, tenant b comes after it.
async fn house_with(mode: Mode, text: &str, captures: String, more: &str) -> House {
    let build = async |url: &str| {
        let mut operator = Operator::open(url, "test").await.unwrap();
        operator.set_up_in(&RootKey::new(ROOT), Some(mode)).await.unwrap();
        apply(&mut operator, text).await;
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let captures = format!(
            "begin; set local role freehold_owner; set local freehold.applying = 'on'; {captures}; commit"
        );
        client.batch_execute(&captures).await.unwrap();
        operator.create_tenant("a").await.unwrap();
        client.batch_execute(more).await.unwrap();
        operator.create_tenant("b").await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    };
    let key = format!("log {} {text} {captures} {more}", mode.as_str());
    let db = TestDb::from_template(&key, build).await;
    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let a = store.tenant_named("a").await.unwrap();
    let b = store.tenant_named("b").await.unwrap();
    House { db, store, a, b }
}

pub(crate) fn model() -> Model {
    declare::read(MODEL).unwrap().model
}

fn capture(model: &Model) -> String {
    let person = captured(model, "person", &["id", "handle", "born"], &["id", "handle", "born"]);
    let post = captured(model, "post", &["id", "author", "title"], &["id", "author"]);
    format!("{person}; {post}")
}

fn captured(model: &Model, entity: &str, used: &[&str], links: &[&str]) -> String {
    let entity = model.entity(entity).unwrap();
    let (used, links) = (names(used), names(links));
    ddl::capture(entity, &Capture { entity: entity.name.clone(), used, links }).join("; ")
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::new(name).unwrap()).collect()
}

fn projection(tenant: &Tenant, model: &str) -> Projection {
    Projection { tenant: tenant.clone(), model: model.into(), version: 1 }
}

/// The step of a projection, after its fill if that is still due.
async fn steady(store: &Store, projection: &Projection) -> Step {
    let step = again(store, projection).await;
    match step.phase() {
        Phase::Steady(_) | Phase::Window(_) => step,
        Phase::Fill(_) => {
            step.filled(None, 0).await.unwrap();
            again(store, projection).await
        }
    }
}

/// A step that was dropped a moment ago is rolled back soon.
async fn again(store: &Store, projection: &Projection) -> Step {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(step) = store.step(projection).await.unwrap() {
            return step;
        }
        assert!(Instant::now() < deadline, "somebody else has it");
        // Polls: a rollback tells nobody.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Everything the projection has not seen, which it then has.
async fn take(store: &Store, projection: &Projection) -> Vec<Change> {
    let mut step = steady(store, projection).await;
    let mut changes = Vec::new();
    loop {
        let mut more = step.changes(100).await.unwrap();
        if more.is_empty() {
            break;
        }
        changes.append(&mut more);
    }
    step.finish().await.unwrap();
    changes
}

/// Kind, entity and first image's second field, for short.
fn told(changes: &[Change]) -> Vec<(char, &str, Vec<&str>)> {
    let told = changes.iter().map(|change| {
        let values = change.images[1].iter().map(|value| value.as_deref().unwrap_or("-"));
        (change.kind, change.entity.as_str(), values.collect())
    });
    told.collect()
}

async fn due(store: &Store, seen: &mut Seen) -> Vec<(String, String, u64)> {
    let due = store.projection_due(seen, 100).await.unwrap();
    let mut due: Vec<_> = due
        .into_iter()
        .map(|undone| {
            let projection = undone.projection;
            (projection.tenant.name().to_owned(), projection.model, undone.changes)
        })
        .collect();
    due.sort();
    due
}

async fn run(store: &Store, tenant: &Tenant, text: &str) {
    store.run_all(tenant, &sql(text, &[])).await.unwrap();
}

fn statement(text: &str) -> Sql {
    sql(text, &[])
}
