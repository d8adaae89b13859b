//! Tenants and keys.

use freehold_model::Code;
use freehold_store::{Mode, TenantState};

use crate::fixture::{code, house, house_in, insert, sql};

#[tokio::test]
async fn tenants_are_made_listed_and_refused_twice() {
    let house = house().await;
    let mut operator = house.operator().await;
    operator.create_tenant("zoë's \"shop\"").await.unwrap();
    assert_eq!(code(operator.create_tenant("a").await), Code::TenantExists);
    for bad in ["", " a", "a\nb"] {
        assert_eq!(code(operator.create_tenant(bad).await), Code::Usage);
    }
    operator.suspend_tenant("b").await.unwrap();
    let tenants = operator.tenants().await.unwrap();
    let listed: Vec<(&str, TenantState)> =
        tenants.iter().map(|tenant| (tenant.name.as_str(), tenant.state)).collect();
    let wanted = [
        ("a", TenantState::Active),
        ("b", TenantState::Suspended),
        ("zoë's \"shop\"", TenantState::Active),
    ];
    assert_eq!(listed, wanted);
    assert!(tenants[0].created_at.ends_with('Z') && tenants[0].created_at.len() == 20);
    assert_eq!(code(operator.suspend_tenant("nobody").await), Code::NoSuchTenant);
    assert_eq!(code(house.store.tenant_named("nobody").await), Code::NoSuchTenant);
}

#[tokio::test]
async fn keys_open_their_tenant_until_they_end() {
    let house = house().await;
    let mut operator = house.operator().await;
    let key = operator.create_key("a", "laptop", freehold_store::Role::Writer, None).await.unwrap();
    assert_eq!(house.store.authenticate(&key.secret).await.unwrap(), house.a);
    let ended =
        operator.create_key("a", "old", freehold_store::Role::Writer, Some(0)).await.unwrap();
    assert_eq!(code(house.store.authenticate(&ended.secret).await), Code::Unauthenticated);
    for wrong in
        ["", "x", &key.prefix, &key.secret[..key.secret.len() - 1], &format!("{}0", key.secret)]
    {
        assert_eq!(code(house.store.authenticate(wrong).await), Code::Unauthenticated, "{wrong}");
    }
    let keys = operator.keys(Some("a")).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["laptop", "old"]);
    assert!(operator.keys(Some("b")).await.unwrap().is_empty());
    operator.revoke_key(&key.prefix).await.unwrap();
    assert_eq!(code(house.store.authenticate(&key.secret).await), Code::Unauthenticated);
    assert!(operator.keys(None).await.unwrap()[0].revoked_at.is_some());
    assert_eq!(code(operator.revoke_key("fh_0").await), Code::Usage);
    assert_eq!(
        code(operator.create_key("nobody", "x", freehold_store::Role::Writer, None).await),
        Code::NoSuchTenant
    );
    // The key itself is nowhere.
    let text = "select count(*) from freehold.api_key k where k::text like '%' || $1 || '%'";
    let admin = house.db.client().await;
    assert_eq!(admin.query_one(text, &[&&key.secret[12..]]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_recognised_key_ends_with_the_next_transaction() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let mut operator = house.operator().await;
        for end in ["revoke", "expire", "suspend", "delete"] {
            let key = operator
                .create_key("b", end, freehold_store::Role::Writer, Some(3600))
                .await
                .unwrap();
            let tenant = house.store.recognise(&key.secret).await.unwrap();
            assert_eq!(house.handles(&tenant).await, ["bob"]);
            let expire = format!(
                "update freehold.api_key set expires_at = now() where prefix = '{}'",
                key.prefix
            );
            match end {
                "revoke" => operator.revoke_key(&key.prefix).await.unwrap(),
                "suspend" => operator.suspend_tenant("b").await.unwrap(),
                "delete" => operator.delete_tenant("b", |_| {}).await.unwrap(),
                _ => house.db.client().await.batch_execute(&expire).await.unwrap(),
            }
            // Still recognised, but good for nothing; and then no more.
            let tenant = house.store.recognise(&key.secret).await.unwrap();
            let refused = code(house.store.run(&tenant, &insert("late")).await);
            let after = code(house.store.recognise(&key.secret).await);
            if end == "suspend" {
                assert_eq!((refused, after), (Code::TenantSuspended, Code::TenantSuspended));
                operator.resume_tenant("b").await.unwrap();
            } else {
                assert_eq!(
                    (refused, after),
                    (Code::Unauthenticated, Code::Unauthenticated),
                    "{end}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_deleted_tenant_takes_its_rows_along_and_nobody_elses() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let many =
            "insert into app.person (handle) select 'p' || i from generate_series(1, 12000) i";
        house.store.run_all(&house.a, &sql(many, &[])).await.unwrap();
        // A reference that holds its row.
        let note = sql("insert into app.note (author) select id from app.person limit 10", &[]);
        house.store.run_all(&house.a, &note).await.unwrap();
        let key = house
            .operator()
            .await
            .create_key("a", "laptop", freehold_store::Role::Writer, None)
            .await
            .unwrap();

        let mut seen = Vec::new();
        house.operator().await.delete_tenant("a", |swept| seen.push(swept.clone())).await.unwrap();
        assert_eq!(seen.last().unwrap().rows, 12_001 + 10);
        assert!(seen.len() >= 4, "{seen:?}");
        assert_eq!(code(house.store.run(&house.a, &insert("ghost")).await), Code::NoSuchTenant);
        assert_eq!(code(house.store.authenticate(&key.secret).await), Code::Unauthenticated);
        let left = "select (select count(*) from app.person) + (select count(*) from app.note) + (select count(*) from freehold.embedding_due)";
        assert_eq!(house.db.client().await.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 2);
        assert_eq!(house.handles(&house.b).await, ["bob"]);
    }
}

#[tokio::test]
async fn rows_that_hold_one_another_in_a_circle_are_deleted() {
    let house = house().await;
    let admin = house.db.client().await;
    admin
        .batch_execute(
            "alter table app.person add column chief uuid;
             alter table app.person add foreign key (tenant_id, chief) references app.note (tenant_id, id) on delete restrict;
             grant update (chief) on app.person to freehold_app",
        )
        .await
        .unwrap();
    house
        .store
        .run_all(&house.a, &sql("insert into app.note (author) select id from app.person", &[]))
        .await
        .unwrap();
    house
        .store
        .run_all(&house.a, &sql("update app.person set chief = (select id from app.note)", &[]))
        .await
        .unwrap();
    house.operator().await.delete_tenant("a", |_| {}).await.unwrap();
    let left = "select (select count(*) from app.person) + (select count(*) from app.note)";
    assert_eq!(admin.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_goes_on_and_the_tenant_stays_closed() {
    let house = house().await;
    let admin = house.db.client().await;
    admin
        .batch_execute("update freehold.tenant set state = 'deleting' where name = 'a'")
        .await
        .unwrap();
    assert_eq!(code(house.store.run(&house.a, &insert("x")).await), Code::TenantSuspended);
    let mut operator = house.operator().await;
    assert_eq!(code(operator.resume_tenant("a").await), Code::NoSuchTenant);
    operator.delete_tenant("a", |_| {}).await.unwrap();
    assert_eq!(operator.tenants().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_operators_door_is_recorded_with_its_reason() {
    let house = house().await;
    freehold_store::Operator::open(house.db.url(), "looking after a").await.unwrap();
    let text = "select who, reason from freehold.operator_log order by at desc limit 1";
    let row = house.db.client().await.query_one(text, &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("postgres", "looking after a"));
}
