//! Finding what there is to do, and keeping the log small.

use std::time::Duration;

use freehold_store::{Phase, Seen};

use super::{due, log_house, projection, run, take};

#[tokio::test]
async fn what_is_due_is_found_once_and_again_from_the_start() {
    let house = log_house().await;
    let mut seen = Seen::default();
    // Tenant a was there before the read models.
    let all = due(&house.store, &mut seen).await;
    assert_eq!(all, [("a".into(), "both".into(), 0), ("a".into(), "people".into(), 0)]);
    assert_eq!(due(&house.store, &mut seen).await, []);
    for model in ["people", "both"] {
        take(&house.store, &projection(&house.a, model)).await;
    }
    assert_eq!(due(&house.store, &mut Seen::default()).await, []);

    run(
        &house.store,
        &house.b,
        "insert into app.person (handle) select 'x' from generate_series(1, 700)",
    )
    .await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('y')").await;
    run(
        &house.store,
        &house.a,
        "insert into app.post (author, title) select id, 't' from app.person",
    )
    .await;
    let wanted = [
        ("a".to_owned(), "both".to_owned(), 2),
        ("a".into(), "people".into(), 1),
        ("b".into(), "both".into(), 700),
        ("b".into(), "people".into(), 700),
    ];
    assert_eq!(due(&house.store, &mut seen).await, wanted);
    assert_eq!(due(&house.store, &mut seen).await, []);
    for _ in 0..2 {
        assert_eq!(due(&house.store, &mut Seen::default()).await, wanted);
    }
    // The oldest first, and what does not fit comes next.
    let first = house.store.projection_due(&mut Seen::default(), 1).await.unwrap();
    assert_eq!(first[0].projection.tenant, house.b);

    let status = house.store.projection_status(10).await.unwrap();
    let people = status.iter().find(|lag| lag.model == "people" && lag.tenant.is_none()).unwrap();
    assert_eq!((people.behind, people.filled, people.tenants, people.parked), (701, 2, 2, 0));
    assert!(status.iter().any(|lag| lag.tenant.as_deref() == Some("b") && lag.behind == 700));

    for tenant in [&house.a, &house.b] {
        for model in ["people", "both"] {
            take(&house.store, &projection(tenant, model)).await;
        }
    }
    assert_eq!(due(&house.store, &mut Seen::default()).await, []);
}

#[tokio::test]
async fn a_new_tenant_is_followed_from_its_first_row() {
    let house = log_house().await;
    house.operator().await.create_tenant("c").await.unwrap();
    let c = house.store.tenant_named("c").await.unwrap();
    run(&house.store, &c, "insert into app.person (handle) values ('x')").await;
    assert!(due(&house.store, &mut Seen::default()).await.contains(&(
        "c".into(),
        "people".into(),
        1
    )));
    assert_eq!(take(&house.store, &projection(&c, "people")).await.len(), 1);
}

#[tokio::test]
async fn parts_that_nobody_needs_are_emptied_and_no_others() {
    let house = log_house().await;
    let admin = house.db.client().await;
    let pairs = [&house.a, &house.b]
        .map(|tenant| ["people", "both"].map(|model| projection(tenant, model)));
    let pairs: Vec<_> = pairs.into_iter().flatten().collect();
    for projection in &pairs {
        take(&house.store, projection).await;
    }
    // An hour passes: what was written lies in a part that is behind.
    let age = "alter table freehold.change_log alter part set default ((extract(hour from now() at time zone 'UTC')::integer + 3) % 4)::smallint";
    admin.batch_execute(age).await.unwrap();
    let rows = async || -> i64 {
        admin.query_one("select count(*) from freehold.change_log", &[]).await.unwrap().get(0)
    };
    run(&house.store, &house.a, "insert into app.person (handle) values ('x')").await;
    run(&house.store, &house.b, "insert into app.person (handle) values ('y')").await;
    assert_eq!(house.store.tend_log(None).await.unwrap(), 0);
    for projection in &pairs[..3] {
        take(&house.store, projection).await;
    }
    assert_eq!(house.store.tend_log(Some(Duration::from_secs(3600))).await.unwrap(), 0);
    assert_eq!(rows().await, 2);
    // Who writes into it still keeps it, too.
    let mut writing = house.store.begin(&house.a).await.unwrap();
    writing.query(&super::statement("insert into app.person (handle) values ('z')")).await.unwrap();
    take(&house.store, &pairs[3]).await;
    assert_eq!(house.store.tend_log(None).await.unwrap(), 0);
    writing.commit().await.unwrap();
    assert_eq!(house.store.tend_log(None).await.unwrap(), 0);
    assert_eq!(take(&house.store, &pairs[0]).await.len(), 1);
    assert_eq!(take(&house.store, &pairs[1]).await.len(), 1);
    assert_eq!(house.store.tend_log(None).await.unwrap(), 1);
    assert_eq!(rows().await, 0);

    // Whoever holds the log up for too long is filled anew instead.
    run(&house.store, &house.b, "insert into app.person (handle) values ('w')").await;
    house.operator().await.suspend_tenant("b").await.unwrap();
    assert_eq!(due(&house.store, &mut Seen::default()).await, []);
    assert_eq!(house.store.tend_log(Some(Duration::from_secs(3600))).await.unwrap(), 0);
    assert_eq!(house.store.tend_log(Some(Duration::ZERO)).await.unwrap(), 1);
    house.operator().await.resume_tenant("b").await.unwrap();
    assert_eq!(due(&house.store, &mut Seen::default()).await.len(), 2);
    let step = house.store.step(&pairs[2]).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Fill(None));
}

#[tokio::test]
async fn a_database_from_another_cluster_is_filled_anew() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('x')").await;
    let admin = house.db.client().await;
    admin.batch_execute("update freehold.log_state set cluster = 1").await.unwrap();
    assert!(house.store.step(&people).await.unwrap().is_none(), "its numbers mean nothing here");
    assert_eq!(due(&house.store, &mut Seen::default()).await.len(), 4);
    let step = house.store.step(&people).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Fill(None));
    step.filled(None, 0).await.unwrap();
    assert_eq!(take(&house.store, &people).await, []);
}

#[tokio::test]
async fn what_is_renamed_is_read_under_its_new_name() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    take(&house.store, &people).await;
    run(&house.store, &house.a, "insert into app.person (handle) values ('x')").await;
    let admin = house.db.client().await;
    admin.batch_execute("set role freehold_owner; select freehold.renamed('person', 'human', '{handle}', '{nick}')").await.unwrap();
    let changes = take(&house.store, &people).await;
    assert_eq!((changes[0].entity.as_str(), changes[0].fields[1].as_str()), ("human", "nick"));
}

#[tokio::test]
async fn what_is_written_while_a_projection_begins_is_due_although_somebody_looked_meanwhile() {
    let house = log_house().await;
    let people = projection(&house.a, "people");
    let step = house.store.step(&people).await.unwrap().unwrap();
    assert_eq!(*step.phase(), Phase::Fill(None));
    run(&house.store, &house.a, "insert into app.person (handle) values ('late')").await;
    due(&house.store, &mut Seen::default()).await;
    // Its worker fills it, and dies.
    step.filled(None, 0).await.unwrap();
    let wanted = ("a".to_owned(), "people".to_owned(), 1);
    assert!(due(&house.store, &mut Seen::default()).await.contains(&wanted));
    assert_eq!(take(&house.store, &people).await.len(), 1);
}
