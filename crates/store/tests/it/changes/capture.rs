//! What is written to the log, by whomever.

use freehold_model::{Code, ddl};
use freehold_store::Phase;
use futures_util::SinkExt as _;

use super::{captured, log_house, model, names, projection, run, statement, steady, take, told};
use crate::fixture::{code, state};

#[tokio::test]
async fn whoever_writes_is_noted_with_the_rows_tenant() {
    let house = log_house().await;
    let (people, both) = (projection(&house.a, "people"), projection(&house.a, "both"));
    take(&house.store, &both).await;
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (id, handle) values ('00000000-0000-0000-0000-00000000000a', 'ann')").await;
    house.store.raw(&house.a, "insert into app.person (handle) values ('typed')").await.unwrap();
    let admin = house.db.client().await;
    let rows = format!("{}\tcopied\n{}\tof b\n", house.a.id(), house.b.id());
    let copy = admin.copy_in("copy app.person (tenant_id, handle) from stdin").await.unwrap();
    let mut copy = std::pin::pin!(copy);
    copy.send(bytes::Bytes::from(rows)).await.unwrap();
    copy.finish().await.unwrap();
    run(
        &house.store,
        &house.a,
        "insert into app.post (author, title) select id, 'x' from app.person where handle = 'ann'",
    )
    .await;
    run(&house.store, &house.a, "delete from app.person where handle = 'ann'").await;
    run(
        &house.store,
        &house.a,
        "insert into app.person (handle) select 'two' from app.person limit 0",
    )
    .await;
    run(&house.store, &house.a, "merge into app.person p using (values ('typed'), ('new')) v (handle) on p.handle = v.handle \
        when matched then update set handle = 'merged' when not matched then insert (handle) values (v.handle)").await;

    let changes = take(&house.store, &both).await;
    let ann = "00000000-0000-0000-0000-00000000000a";
    let mut told_now = told(&changes);
    // The two statements that a cascade and a merge are have no order among themselves.
    let cascaded =
        told_now.iter().position(|(kind, entity, _)| (*kind, *entity) == ('d', "post")).unwrap();
    assert_eq!(told_now.remove(cascaded), ('d', "post", vec![ann]));
    let merged = told_now.iter().position(|(_, _, values)| *values == ["new"]).unwrap();
    assert_eq!(told_now.remove(merged).0, 'i');
    assert_eq!(
        told_now,
        [
            ('i', "person", vec!["ann"]),
            ('i', "person", vec!["typed"]),
            ('i', "person", vec!["copied"]),
            ('i', "post", vec![ann]),
            ('d', "person", vec!["ann"]),
            ('u', "person", vec!["typed", "merged"]),
        ]
    );
    assert_eq!(changes[0].fields, ["id", "handle", "born"]);
    assert_eq!(take(&house.store, &people).await.len(), 6);
    assert_eq!(
        told(&take(&house.store, &projection(&house.b, "people")).await),
        [('i', "person", vec!["of b"])]
    );
}

#[tokio::test]
async fn what_nobody_uses_is_not_noted() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann'), ('ben'), ('cy')")
        .await;
    take(&house.store, &both).await;
    for text in [
        "update app.person set note = 'x'",
        "update app.person set handle = handle",
        "update app.person set handle = 'nobody' where false",
        "delete from app.person where false",
    ] {
        run(&house.store, &house.a, text).await;
    }
    assert_eq!(take(&house.store, &both).await, []);
    run(&house.store, &house.a, "update app.person set note = 'y', handle = case handle when 'ben' then 'bea' else handle end").await;
    assert_eq!(told(&take(&house.store, &both).await), [('u', "person", vec!["ben", "bea"])]);
    // NULL is a value, and a change from or to it is one.
    run(
        &house.store,
        &house.a,
        "update app.person set born = '2024-05-06 07:08:09.5+02' where handle = 'bea'",
    )
    .await;
    let changes = take(&house.store, &both).await;
    assert_eq!(changes[0].images[2], [None, Some("2024-05-06 05:08:09.5+00".to_owned())]);
}

#[tokio::test]
async fn values_are_written_the_same_whatever_the_session_says() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    take(&house.store, &both).await;
    let admin = house.db.client().await;
    admin.batch_execute("create schema evil; create function evil.count() returns bigint language sql as 'select 1/0'; \
        set search_path = evil, pg_catalog; set datestyle = 'German'; set timezone = 'Asia/Tokyo'").await.unwrap();
    let text = format!(
        "insert into app.person (tenant_id, handle, born) values ('{}', 'x', '2024-01-02 00:00:00+00')",
        house.a.id()
    );
    admin.batch_execute(&text).await.unwrap();
    let changes = take(&house.store, &both).await;
    assert_eq!(changes[0].images[2], [Some("2024-01-02 00:00:00+00".to_owned())]);
}

#[tokio::test]
async fn a_batch_is_packed_and_handed_out_in_pieces() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    take(&house.store, &both).await;
    run(
        &house.store,
        &house.a,
        "insert into app.person (handle) select 'p' || i from generate_series(1, 3000) i",
    )
    .await;
    let admin = house.db.client().await;
    let (rows, most): (i64, i32) = {
        let row =
            admin.query_one("select count(*), max(n) from freehold.change_log", &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!((rows, most), (12, 250));
    // Rows of two tenants that alternate are packed by tenant.
    let text = format!(
        "insert into app.person (tenant_id, handle) select case i % 2 when 0 then '{}'::uuid else '{}' end, 'q' || i from generate_series(1, 500) i",
        house.a.id(),
        house.b.id()
    );
    admin.batch_execute(&text).await.unwrap();
    let rows: i64 =
        admin.query_one("select count(*) from freehold.change_log", &[]).await.unwrap().get(0);
    assert_eq!(rows, 14);

    let mut step = steady(&house.store, &both).await;
    assert_eq!(*step.phase(), Phase::Steady(3250));
    let links = names(&["handle", "id"]);
    let mut handles = Vec::new();
    while let Some(images) = step.images("person", &links, 600).await.unwrap() {
        assert!(images.count <= 850, "{}", images.count);
        assert!(images.links.iter().all(|link| link.len() == images.count));
        handles.extend(images.links[0].clone());
    }
    assert_eq!(step.images("post", &names(&["id"]), 600).await.unwrap(), None);
    step.finish().await.unwrap();
    handles.sort();
    handles.dedup();
    assert_eq!(handles.len(), 3250);
}

#[tokio::test]
async fn a_table_emptied_at_once_is_filled_anew() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    take(&house.store, &both).await;
    let admin = house.db.client().await;
    admin.batch_execute("truncate app.post").await.unwrap();
    // The people have not changed.
    let people = steady(&house.store, &projection(&house.b, "people")).await;
    assert_eq!(*people.phase(), Phase::Steady(0));
    drop(people);
    for tenant in [&house.a, &house.b] {
        let step = house.store.step(&projection(tenant, "both")).await.unwrap().unwrap();
        assert_eq!(*step.phase(), Phase::Fill(None));
        step.filled(None, 0).await.unwrap();
        assert_eq!(take(&house.store, &projection(tenant, "both")).await, []);
    }
}

#[tokio::test]
async fn other_columns_take_effect_for_whatever_is_written_afterwards() {
    let house = log_house().await;
    let both = projection(&house.a, "both");
    take(&house.store, &both).await;
    let mut before = house.store.begin(&house.a).await.unwrap();
    before.query(&statement("insert into app.person (handle) values ('before')")).await.unwrap();
    let change = captured(&model(), "person", &["id", "note"], &["id", "note"]);
    let admin = house.db.client().await;
    let change = tokio::spawn(async move {
        let text = format!("begin; set local role freehold_owner; {change}; commit");
        admin.batch_execute(&text).await
    });
    // It waits for whoever writes.
    let watcher = house.db.client().await;
    let waits = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(std::time::Instant::now() < deadline);
        // Polls: a wait for a lock tells nobody.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    before.commit().await.unwrap();
    change.await.unwrap().unwrap();
    run(&house.store, &house.a, "insert into app.person (handle, note) values ('after', 'n')")
        .await;
    let changes = take(&house.store, &both).await;
    assert_eq!(told(&changes), [('i', "person", vec!["before"]), ('i', "person", vec!["n"])]);
    // Who asks for what was not noted hears of it.
    run(&house.store, &house.a, "insert into app.person (handle) values ('x')").await;
    let mut step = steady(&house.store, &both).await;
    assert!(step.images("person", &names(&["id", "handle"]), 10).await.is_err());
    drop(step);

    let release = ddl::release(model().entity("person").unwrap()).join("; ");
    watcher
        .batch_execute(&format!("begin; set local role freehold_owner; {release}; commit"))
        .await
        .unwrap();
    take(&house.store, &both).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('unnoted')").await;
    assert_eq!(take(&house.store, &both).await, []);
}

#[tokio::test]
async fn the_log_is_walled() {
    let house = log_house().await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('ann')").await;
    for text in [
        "select * from freehold.change_log",
        "insert into freehold.change_log (tenant_id, entity, op, fields, n) values (freehold.tenant(), 'x', 'i', '{}', 0)",
        "delete from freehold.change_log",
        "select * from freehold.projection",
        "select * from freehold.parked",
        "select freehold.changes('1:1:', '{person}', 0, 10)",
        "select freehold.projection_due(null, 10)",
        "select freehold.fresh(freehold.tenant(), '{both}', '1')",
        "select nextval('freehold.change_seq')",
    ] {
        assert_eq!(code(house.store.raw(&house.a, text).await), Code::Syntax, "{text}");
    }
    // A worker's session reads its tenant's rows, what is used of them, and changes none.
    let mut step = steady(&house.store, &projection(&house.b, "both")).await;
    let rows = step.query(&statement("select handle from app.person")).await.unwrap();
    assert!(rows.is_empty());
    for text in [
        "select note from app.person",
        "insert into app.person (handle) values ('x')",
        "update app.person set handle = 'x'",
        "delete from app.person",
        "select count(*) from freehold.change_log",
        "update freehold.projection set filled = true",
        "select count(*) from freehold.tenant",
        "select freehold.projection_due(null, 10)",
        "select freehold.position()",
    ] {
        let mut step = steady(&house.store, &projection(&house.a, "both")).await;
        assert_eq!(code(step.query(&statement(text)).await), Code::Forbidden, "{text}");
    }
    let all = "select count(*) from freehold.changes('1:1:', '{person,post}', 0, 1000)";
    let seen = step.query(&statement(all)).await.unwrap();
    assert_eq!(seen[0].int(0), Some(0), "another tenant's changes");

    // Its password opens no tenant without a token that is signed for it.
    let client = house.db.client().await;
    client.batch_execute("set session authorization freehold_project").await.unwrap();
    let pid = crate::fixture::backend(&client).await;
    let token = house.token(&house.a, crate::fixture::Forge::none(pid)).await;
    let opened = client.batch_execute(&format!("begin; call freehold.open('{token}')")).await;
    assert_eq!(state(&opened.unwrap_err()), "28000");
    client.batch_execute("rollback").await.unwrap();
    let none = client.batch_execute("select handle from app.person").await;
    assert!(none.is_err());
    assert!(client.batch_execute("create temp table t (i int)").await.is_err());
}
