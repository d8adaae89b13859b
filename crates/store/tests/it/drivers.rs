//! Any driver, logged in as `freehold_app`, with tokens: what it may keep in a backend, and that every answer is the
//! opened tenant's.

use std::{sync::Arc, time::Duration};

use freehold_store::{Login, Mode, RootKey, Tenant};
use futures_util::future::{join_all, join4};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::fixture::{House, ROOT, backend, house, house_in, state};

const LIFE: Duration = Duration::from_secs(30);
const CLEAN: &str = "reset all; close all; unlisten *";

/// Logged in with the password, as a driver is.
async fn driver(house: &House) -> Client {
    let login = Login::of(house.db.url(), &RootKey::new(ROOT)).unwrap();
    let line = login.pass_line();
    let password = line.trim_end().rsplit(':').next().unwrap();
    let mut config: tokio_postgres::Config = login.url().parse().unwrap();
    let (client, connection) = config.password(password).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn opening(house: &House, client: &Client, tenant: &Tenant) -> String {
    let token = house.store.token_for(tenant, backend(client).await, LIFE);
    format!("begin; call freehold.open('{token}')")
}

async fn open(house: &House, client: &Client, tenant: &Tenant) {
    client.batch_execute(&opening(house, client, tenant).await).await.unwrap();
}

async fn handles(client: &Client) -> Vec<String> {
    let rows = client.query("select handle from person order by handle", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_prepared_statement_gives_each_tenant_its_own_rows_under_every_plan() {
    for mode in [Mode::Seal, Mode::Ticket] {
        each_its_own_rows(&house_in(mode).await).await;
    }
}

async fn each_its_own_rows(house: &House) {
    let client = driver(house).await;
    let all = client.prepare("select handle, tenant_id from person").await.unwrap();
    let one = client.prepare("select handle from person where handle = $1").await.unwrap();
    let add = client.prepare("insert into person (handle) values ($1)").await.unwrap();
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        client.batch_execute(&format!("set plan_cache_mode = {mode}")).await.unwrap();
        // More than the five executions after which PostgreSQL thinks of a generic plan.
        for _ in 0..8 {
            for (tenant, own, other) in [(&house.a, "ann", "bob"), (&house.b, "bob", "ann")] {
                open(house, &client, tenant).await;
                for row in client.query(&all, &[]).await.unwrap() {
                    assert_eq!(row.get::<_, &str>(0), own);
                    assert_eq!(row.get::<_, Uuid>(1), tenant.id());
                }
                assert_eq!(client.query(&one, &[&own]).await.unwrap().len(), 1);
                assert_eq!(client.query(&one, &[&other]).await.unwrap().len(), 0);
                // The other tenant's name is free here.
                assert_eq!(client.execute(&add, &[&other]).await.unwrap(), 1);
                client.batch_execute("rollback").await.unwrap();
            }
        }
    }
    // The plans that are kept do not answer without a tenant.
    assert!(client.query(&all, &[]).await.is_err());
}

#[tokio::test]
async fn an_opening_and_its_statements_go_in_one_pipeline() {
    let house = house().await;
    let client = driver(&house).await;
    // What is not prepared yet takes two trips, of which the second comes after the commit.
    let all = client.prepare("select handle from person").await.unwrap();
    let one = client.prepare("select handle from person where handle = $1").await.unwrap();
    let add = client.prepare("insert into person (handle) values ('x')").await.unwrap();
    for (tenant, own) in [(&house.a, "ann"), (&house.b, "bob")].repeat(10) {
        let opening = opening(&house, &client, tenant).await;
        let (opened, first, second, ended) = join4(
            client.batch_execute(&opening),
            client.query(&all, &[]),
            client.query(&one, &[&own]),
            client.batch_execute("commit"),
        )
        .await;
        opened.unwrap();
        ended.unwrap();
        for rows in [first.unwrap(), second.unwrap()] {
            assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), [own]);
        }
    }
    // A pipeline behind an opening that is refused does nothing.
    let wrong = "begin; call freehold.open('v3.nonsense')";
    let (opened, read, wrote, ended) = join4(
        client.batch_execute(wrong),
        client.query(&all, &[]),
        client.execute(&add, &[]),
        client.batch_execute("commit"),
    )
    .await;
    assert_eq!(state(&opened.unwrap_err()), "28000");
    assert_eq!(state(&read.unwrap_err()), "25P02");
    assert_eq!(state(&wrote.unwrap_err()), "25P02");
    ended.unwrap();
    assert_eq!(house.handles(&house.a).await, ["ann"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_connections_serve_a_thousand_tenants() {
    let house = Arc::new(house().await);
    let admin = house.db.client().await;
    let make = "insert into freehold.tenant (id, name) select gen_random_uuid(), 't' || n from generate_series(1, 1000) n;
        insert into app.person (tenant_id, handle, embedding)
          select id, name || '/' || n, '[1,2,3]' from freehold.tenant, generate_series(1, 3) n where name like 't%'";
    admin.batch_execute(make).await.unwrap();
    let (give, take) = tokio::sync::mpsc::unbounded_channel();
    for client in join_all((0..50).map(|_| driver(&house))).await {
        let read = client.prepare("select handle from person order by handle").await.unwrap();
        let add = client.prepare("insert into person (handle) values ($1)").await.unwrap();
        let pid = backend(&client).await;
        give.send((client, pid, read, add)).unwrap();
    }
    let take = Arc::new(tokio::sync::Mutex::new(take));
    let mut work = tokio::task::JoinSet::new();
    for n in 0..2000_u32 {
        let (house, give, take) = (Arc::clone(&house), give.clone(), Arc::clone(&take));
        work.spawn(async move {
            // Every tenant twice, its neighbours in between.
            let name = format!("t{}", n * 7 % 1000 + 1);
            let tenant = house.store.tenant_named(&name).await.unwrap();
            let (client, pid, read, add) = take.lock().await.recv().await.unwrap();
            let token = house.store.token_for(&tenant, pid, LIFE);
            let opening = format!("begin; call freehold.open('{token}')");
            let handle = format!("{name}/new {n}");
            let (opened, rows, added, ended) = join4(
                client.batch_execute(&opening),
                client.query(&read, &[]),
                client.execute(&add, &[&handle]),
                client.batch_execute("commit"),
            )
            .await;
            opened.unwrap();
            assert_eq!(added.unwrap(), 1);
            ended.unwrap();
            let rows = rows.unwrap();
            assert!(rows.len() >= 3, "{name}: {}", rows.len());
            for row in rows {
                assert_eq!(row.get::<_, &str>(0).split('/').next(), Some(name.as_str()));
            }
            give.send((client, pid, read, add)).unwrap();
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    let wrong = "select count(*) from (select t.name from freehold.tenant t left join app.person p on p.tenant_id = t.id
        and p.handle like t.name || '/%' where t.name like 't%' group by t.name having count(p.id) <> 5) w";
    assert_eq!(admin.query_one(wrong, &[]).await.unwrap().get::<_, i64>(0), 0);
    let stray = "select count(*) from app.person p join freehold.tenant t on t.id = p.tenant_id
        where t.name like 't%' and p.handle not like t.name || '/%'";
    assert_eq!(admin.query_one(stray, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn savepoints_keep_the_tenant_and_an_error_costs_only_the_transaction() {
    let house = house().await;
    let client = driver(&house).await;
    open(&house, &client, &house.a).await;
    let steps = "insert into person (handle) values ('kept'); savepoint s;
        insert into person (handle) values ('gone')";
    client.batch_execute(steps).await.unwrap();
    let twice = client.batch_execute("insert into person (handle) values ('ann')").await;
    assert_eq!(state(&twice.unwrap_err()), "23505");
    client.batch_execute("rollback to savepoint s").await.unwrap();
    assert_eq!(handles(&client).await, ["ann", "kept"]);
    client.batch_execute("commit").await.unwrap();

    open(&house, &client, &house.b).await;
    assert_eq!(handles(&client).await, ["bob"]);
    assert_eq!(state(&client.batch_execute("selekt").await.unwrap_err()), "42601");
    let late = client.query("select handle from person", &[]).await;
    assert_eq!(state(&late.unwrap_err()), "25P02");
    client.batch_execute("rollback").await.unwrap();

    open(&house, &client, &house.a).await;
    assert_eq!(handles(&client).await, ["ann", "kept"]);
}

#[tokio::test]
async fn cursors_and_portals_live_in_the_transaction() {
    let house = house().await;
    let mut client = driver(&house).await;
    let token = house.store.token_for(&house.a, backend(&client).await, LIFE);
    let tx = client.transaction().await.unwrap();
    tx.batch_execute(&format!("call freehold.open('{token}')")).await.unwrap();
    tx.batch_execute("insert into person (handle) select 'n' || n from generate_series(1, 9) n")
        .await
        .unwrap();
    let portal = tx.bind("select handle from person order by handle", &[]).await.unwrap();
    assert_eq!(tx.query_portal(&portal, 4).await.unwrap()[0].get::<_, &str>(0), "ann");
    assert_eq!(tx.query_portal(&portal, 4).await.unwrap().len(), 4);
    tx.batch_execute("declare c cursor for select handle from person order by handle desc")
        .await
        .unwrap();
    let row = tx.query_one("fetch 1 from c", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "n9");
    tx.commit().await.unwrap();
    assert_eq!(state(&client.query("fetch 1 from c", &[]).await.unwrap_err()), "34000");
}

#[tokio::test]
async fn a_backend_that_somebody_used_is_clean_after_three_words() {
    let house = house().await;
    let client = driver(&house).await;
    let kept = client.prepare("select handle from person").await.unwrap();
    open(&house, &client, &house.a).await;
    client
        .batch_execute("declare c cursor with hold for table person; listen x; set search_path = nowhere; commit")
        .await
        .unwrap();
    let refused = client.batch_execute(&opening(&house, &client, &house.b).await).await;
    assert_eq!(state(&refused.unwrap_err()), "28000");
    client.batch_execute("rollback").await.unwrap();
    client.batch_execute(CLEAN).await.unwrap();
    open(&house, &client, &house.b).await;
    assert_eq!(handles(&client).await, ["bob"]);
    assert_eq!(client.query(&kept, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn joins_and_vectors_are_plain_sql() {
    let house = house().await;
    let client = driver(&house).await;
    open(&house, &client, &house.a).await;
    client
        .batch_execute(
            "update person set embedding = '[1,0,0]';
             insert into person (handle, embedding) values ('far', '[0,1,0]');
             insert into note (author) select id from person where handle = 'far'",
        )
        .await
        .unwrap();
    let text = "select p.handle, n.id is not null from person p left join note n on n.author = p.id
        order by p.embedding <=> $1::text::vector limit 2";
    let rows = client.query(text, &[&"[1,0.1,0]"]).await.unwrap();
    let rows: Vec<(&str, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("ann", false), ("far", true)]);
}

#[tokio::test]
async fn a_token_opens_one_tenant_in_one_backend_for_a_minute_at_most() {
    let house = house().await;
    let (client, other) = (driver(&house).await, driver(&house).await);
    let pid = backend(&client).await;
    let refused = async |client: &Client, token: &str| {
        let opened = client.batch_execute(&format!("begin; call freehold.open('{token}')")).await;
        client.batch_execute("rollback").await.unwrap();
        opened.err().map(|error| state(&error).to_owned())
    };
    let token = |life| house.store.token_for(&house.a, pid, Duration::from_secs(life));
    assert_eq!(refused(&client, &token(58)).await, None);
    assert_eq!(refused(&other, &token(58)).await.as_deref(), Some("28000"), "another backend");
    assert_eq!(refused(&client, &token(0)).await.as_deref(), Some("28000"), "expired");
    assert_eq!(refused(&client, &token(90)).await.as_deref(), Some("28000"), "too long");
    open(&house, &client, &house.a).await;
    let b = house.store.token_for(&house.b, pid, LIFE);
    let second = client.batch_execute(&format!("call freehold.open('{b}')")).await;
    assert_eq!(state(&second.unwrap_err()), "28000", "a second tenant");
}
