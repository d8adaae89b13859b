//! Many partitions of tenants' own cost nobody anything: what a transaction locks is what its tenant has.

use std::collections::BTreeMap;

use freehold_model::{
    Model, Sql, declare,
    mutate::{self, Resolution},
    query::{self, Limits},
};
use freehold_store::{Mode, Tenant};
use serde_json::json;
use tokio_postgres::Client;

use super::{Ground, MODEL};

/// Gives as many more tenants partitions of an entity as there have to be, as promotions leave them.
pub(super) async fn apart(admin: &Client, entity: &str, from: u32, to: u32) {
    let text = format!(
        "do $$ declare name text; tenant uuid; begin for i in {from}..{to} - 1 loop
           name := format('{entity}~{entity}%s', i); tenant := gen_random_uuid();
           insert into freehold.tenant (id, name) values (tenant, '{entity} apart ' || i);
           execute format('create table freehold_shelf.%I partition of app.{entity} for values in (%L)', name, tenant);
           execute format('alter table freehold_shelf.%I owner to freehold_owner, enable row level security, force row level security', name);
           insert into freehold.placement (tenant_id, entity, state, suffix, rows) values (tenant, '{entity}', 'own', '{entity}' || i, 0);
         end loop; end $$; select nextval('freehold.placement_change')"
    );
    admin.batch_execute(&text).await.unwrap();
}

/// What servers ask: a point read, a page, a search, by the index and exactly, and every kind of write. `doc` refers to itself
/// and to `author`, and `mark` to `doc`.
fn statements(model: &Model, tenant: &Tenant, id: &str, author: &str) -> Vec<(&'static str, Sql)> {
    let limits = Limits::default();
    let read = |text: &str| query::parse(model, "doc", text, &limits).unwrap();
    let doc = |title: &str| json!([{ "title": title, "author": author, "parent": id, "n": 1, "v": [1, 2, 3] }]);
    let insert = |resolution, query: &str| {
        mutate::insert(model, "doc", &doc("new"), query, resolution, true, &limits)
            .unwrap()
            .render()
    };
    let mark = mutate::insert(model, "mark", &json!([{ "doc": id }]), "", None, false, &limits);
    let mut near = read("select=title&v=nearest.[1,2,3]&limit=10");
    let exact = near.render();
    near.by_index(tenant.id().as_u128(), 40);
    let point = format!("id=eq.{id}");
    let one = read(&format!("select=title,author(name),mark(id)&{point}")).render();
    vec![
        ("point read", read(&format!("select=title&{point}")).render()),
        ("with embeds", one),
        ("list of 20", read("select=title&order=id&limit=20").render()),
        ("exact search", exact),
        ("search", near.render()),
        ("insert", insert(None, "")),
        ("upsert", insert(Some(Resolution::Merge), "on_conflict=title")),
        ("insert that refers to it", mark.unwrap().render()),
        (
            "update",
            mutate::update(model, "doc", &json!({ "n": 2 }), &point, true, &limits)
                .unwrap()
                .render(),
        ),
        ("delete", mutate::delete(model, "doc", &point, false, &limits).unwrap().render()),
    ]
}

/// How many relations each statement has locked when it is done, by the second time a connection does it.
async fn locked(ground: &Ground, admin: &Client, tenant: &Tenant) -> BTreeMap<&'static str, i64> {
    let model = declare::read(MODEL).unwrap().model;
    let count = "select count(distinct l.relation) from pg_locks l join pg_stat_activity a on a.pid = l.pid \
        where a.usename = 'freehold_app' and a.datname = current_database() and l.locktype = 'relation'";
    let some = "select (select id from app.doc where n = 500)::text, (select min(id::text) from app.author)";
    let some = ground.store.run(tenant, &crate::fixture::sql(some, &[])).await.unwrap();
    let (id, author) = (some.text(0).unwrap(), some.text(1).unwrap());
    let mut locked = BTreeMap::new();
    for (name, sql) in statements(&model, tenant, id, author) {
        for _ in 0..2 {
            let mut tx = ground.store.begin(tenant).await.unwrap();
            if !sql.settings().is_empty() {
                tx.query(&crate::fixture::sql("set local enable_sort = off", &[])).await.unwrap();
            }
            tx.query(&sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let seen = admin.query_one(count, &[]).await.unwrap().get(0);
            tx.roll_back().await.unwrap();
            locked.insert(name, seen);
        }
    }
    locked
}

#[tokio::test]
async fn locks_are_those_of_the_tenant_and_not_of_all_who_were_promoted() {
    let ground = Ground::new(Mode::Ticket).await;
    let admin = ground.db.client().await;
    ground.promote().await;
    let mut seen = Vec::new();
    for (from, to) in [(1, 5), (5, 50), (50, 60), (60, 80)] {
        apart(&admin, "doc", from, to).await;
        ground.store.refresh_placements().await.unwrap();
        let own = locked(&ground, &admin, &ground.a).await;
        let small = locked(&ground, &admin, &ground.b).await;
        seen.push((own, small));
    }
    // References are looked after by plans for all tenants up to 50 partitions, and those lock them all.
    let reads = ["point read", "with embeds", "list of 20", "exact search", "search", "update"];
    for what in reads {
        assert_eq!(seen[0].0[what], seen[1].0[what], "{what} of a promoted tenant beside 5 and 50");
    }
    for what in seen[2].0.keys() {
        assert_eq!(
            seen[2].0[what], seen[3].0[what],
            "{what} of a promoted tenant beside 60 and 80"
        );
        assert_eq!(seen[2].1[what], seen[3].1[what], "{what} of a small tenant beside 60 and 80");
        let fewest = seen[2].1[what];
        assert!(fewest < 80, "{what} of a small tenant locks {fewest}");
    }
}
