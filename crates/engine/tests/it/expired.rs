//! Expiry: shown to nobody from the moment on, removed by and by, and never what is held.

mod receipts;

use freehold_engine::write::Verb;
use serde_json::json;

use crate::ground::{Ground, ground};

const MODEL: &str = r#"
[model]
name = "visits"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "30 days"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }

[entity.visit.field]
n = { type = "integer", not_personal = "a number" }
who = { ref = "person", optional = true, on_erase = "delete", on_delete = "cascade" }
at = { type = "timestamptz", optional = true, not_personal = "a time" }
day = { type = "date", optional = true, not_personal = "a day" }
mail = { type = "text", optional = true, personal = "contact", lookup = "email" }
note = { type = "text", optional = true, not_personal = "a test" }

[[entity.visit.expire]]
delete = "1 month after at"

[[entity.visit.expire]]
blank = ["mail", "note"]
after = "10 days after day"

[read.per_person]
key = ["who"]
sql = "select who, count(*) as visits from visit where who is not null group by who"
"#;

async fn filled() -> Ground {
    let ground = ground(MODEL).await;
    for tenant in [&ground.a, &ground.b] {
        ground.insert(tenant, "person", json!({ "handle": "ada" })).await;
        let ada = ground.read(tenant, "person").await[0]["id"].clone();
        let rows = json!([
            { "n": 1, "who": ada, "at": "2020-01-01T00:00:00Z", "day": null, "mail": "one@x.org", "note": "a" },
            { "n": 2, "who": ada, "at": null, "day": "2020-01-01", "mail": "two@x.org", "note": "b" },
            { "n": 3, "who": ada, "at": "2999-01-01T00:00:00Z", "day": "2999-01-01", "mail": "three@x.org", "note": "c" },
        ]);
        ground.insert(tenant, "visit", rows).await;
    }
    ground
}

#[tokio::test]
async fn what_is_over_is_shown_to_nobody_before_it_is_removed() {
    let ground = filled().await;
    let wanted = json!([{ "n": 2, "mail": null, "note": null }, { "n": 3, "mail": "three@x.org", "note": "c" }]);
    assert_eq!(ground.read(&ground.a, "visit?select=n,mail,note&order=n").await, wanted);
    for query in ["n=eq.1", "mail=eq.one@x.org", "mail=eq.two@x.org", "note=eq.b"] {
        assert_eq!(ground.read(&ground.a, &format!("visit?{query}")).await, json!([]), "{query}");
    }
    assert_eq!(ground.read(&ground.a, "visit?select=count()").await, json!([{ "count": 2 }]));
    assert_eq!(
        ground.read(&ground.a, "person?select=visit(n)").await,
        json!([{ "visit": [{ "n": 2 }, { "n": 3 }] }])
    );
    let updated = ground
        .write(&ground.a, "visit?n=lt.9&select=n", Verb::Update(json!({ "note": "z" })))
        .await
        .unwrap();
    assert_eq!(updated.rows, 2);
    let there = ground.truth("select count(*) as n from app.visit").await;
    assert_eq!(there, json!([{ "n": 6 }]));
}

#[tokio::test]
async fn what_is_over_is_removed_of_every_tenant_and_stays_removed() {
    let ground = filled().await;
    while ground.engine.project_round(&mut Default::default()).await.unwrap() > 0 {}
    let due = ground.engine.expired(None).await.unwrap();
    let due: Vec<(&str, &str, u64)> =
        due.iter().map(|one| (one.tenant.as_str(), one.rule.as_str(), one.rows)).collect();
    assert!(due.contains(&("a", "delete 1 month after at", 1)), "{due:?}");
    assert!(due.contains(&("b", "empty mail, note 10 days after day", 1)), "{due:?}");
    assert_eq!(due.len(), 4);
    let before = ground.read(&ground.a, "visit?select=n,mail,note&order=n").await;
    assert_eq!(ground.engine.expire(None).await.unwrap().len(), 4);
    assert_eq!(ground.read(&ground.a, "visit?select=n,mail,note&order=n").await, before);
    let there = ground.truth("select count(*) as n, count(mail) as m, count(\"mail~lookup\") as l, count(note) as t from app.visit").await;
    assert_eq!(there, json!([{ "n": 4, "m": 2, "l": 2, "t": 2 }]));
    assert!(ground.engine.expired(None).await.unwrap().is_empty());
    assert!(ground.engine.expire(None).await.unwrap().is_empty());
    while ground.engine.project_round(&mut Default::default()).await.unwrap() > 0 {}
    assert_eq!(ground.read(&ground.a, "per_person?select=visits").await, json!([{ "visits": 2 }]));
}

#[tokio::test]
async fn what_is_held_stays_and_is_shown_to_nobody_all_the_same() {
    let ground = filled().await;
    let ada = ground.read(&ground.a, "person").await[0]["id"].as_str().unwrap().parse().unwrap();
    let hold =
        ground.engine.store().place_hold(&ground.a, Some(ada), "a case", None).await.unwrap();
    let done = ground.engine.expire(None).await.unwrap();
    assert!(done.iter().all(|one| one.tenant == "b") && done.len() == 2, "{done:?}");
    assert_eq!(ground.read(&ground.a, "visit?n=eq.1").await, json!([]));
    ground.engine.store().release_hold(hold.parse().unwrap()).await.unwrap();
    assert_eq!(ground.engine.expire(Some(&ground.a)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_tenant_whose_rows_cannot_be_removed_holds_nobody_up() {
    let ground = filled().await;
    let client = ground.db.client().await;
    let broken = format!(
        "create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; \
         create trigger no before delete on app.visit for each row when (old.tenant_id = '{}') execute function public.no()",
        ground.a.id()
    );
    client.batch_execute(&broken).await.unwrap();
    let left = "select t.name, count(*) as n from app.visit v join freehold.tenant t on t.id = v.tenant_id group by t.name order by t.name";
    ground.engine.want_standing().await.unwrap();
    // So often that pauses which double each time would be longer than an hour.
    for _ in 0..14 {
        client
            .batch_execute("update freehold.job set run_after = now() where kind = 'expire'")
            .await
            .unwrap();
        while ground.engine.job_once().await.unwrap() {}
        let (a, b) = (json!({ "name": "a", "n": 3 }), json!({ "name": "b", "n": 2 }));
        assert_eq!(ground.truth(left).await, json!([a, b]));
    }
    let soon = "select run_after < now() + interval '6 minutes' as soon, error <> '' as told, parked_at is null as wanted \
                from freehold.job where kind = 'expire'";
    let told = ground.truth(soon).await;
    assert_eq!(told, json!([{ "soon": true, "told": true, "wanted": true }]));
    // What is over of others meanwhile goes when it is looked for next, and theirs as soon as it can be removed.
    ground.insert(&ground.b, "visit", json!([{ "n": 9, "at": "2020-01-01T00:00:00Z" }])).await;
    let mended = "drop trigger no on app.visit; update freehold.expiry set next_at = now(); \
                  update freehold.job set run_after = now() where kind = 'expire'";
    client.batch_execute(mended).await.unwrap();
    while ground.engine.job_once().await.unwrap() {}
    let (a, b) = (json!({ "name": "a", "n": 2 }), json!({ "name": "b", "n": 2 }));
    assert_eq!(ground.truth(left).await, json!([a, b]));
}

#[tokio::test]
async fn workers_ask_those_who_may_have_something() {
    let ground = ground(MODEL).await;
    let store = ground.engine.store();
    let version = ground.engine.snapshot().version;
    let due = async || -> Vec<String> {
        let due = store.expiry_due(version).await.unwrap();
        due.iter().map(|tenant| tenant.name().to_owned()).collect()
    };
    let none = store.expiry_lag().await.unwrap();
    assert_eq!((none.tenants, none.lag_ms), (0, 0));
    assert_eq!(due().await.len(), 2, "nothing is known of them");
    assert!(ground.engine.expire_due().await.unwrap().is_empty());
    assert_eq!(due().await, Vec::<String>::new());

    // The next row of one is over in ten minutes, and that of the other within the day, so in an hour.
    let soon = "(now() at time zone 'UTC' - interval '1 month' + interval '10 minutes') at time zone 'UTC'";
    for (tenant, n, when) in [(&ground.a, 1, soon), (&ground.b, 2, "now()")] {
        let row = json!([{ "n": n, "at": "2020-01-01T00:00:00Z" }, { "n": n, "at": null }]);
        ground.insert(tenant, "visit", row).await;
        let sql = format!("update app.visit set at = {when} where n = {n} and at is null");
        ground.db.client().await.batch_execute(&sql).await.unwrap();
    }
    assert_eq!(due().await, Vec::<String>::new(), "it is looked for them within the hour");
    let client = ground.db.client().await;
    client
        .batch_execute("update freehold.expiry set next_at = now() - interval '90 s'")
        .await
        .unwrap();
    let lag = store.expiry_lag().await.unwrap();
    assert!(lag.tenants == 2 && (90_000..150_000).contains(&lag.lag_ms), "{lag:?}");
    assert_eq!(ground.engine.expire_due().await.unwrap().len(), 2);
    assert_eq!(store.expiry_lag().await.unwrap().tenants, 0);
    let next = "select x.next_at > now() + interval '30 minutes' as later from freehold.expiry x join freehold.tenant t on t.id = x.tenant_id order by t.name";
    assert_eq!(ground.truth(next).await, json!([{ "later": false }, { "later": true }]));
    client
        .batch_execute("update freehold.expiry set next_at = next_at - interval '11 minutes'")
        .await
        .unwrap();
    assert_eq!(due().await, ["a"]);
    // Other rules, or a hold that ends, are looked at anew.
    assert_eq!(store.expiry_due(version + 1).await.unwrap().len(), 2);
    let hold = store.place_hold(&ground.b, None, "a case", None).await.unwrap();
    store.release_hold(hold.parse().unwrap()).await.unwrap();
    assert_eq!(due().await, ["a", "b"]);
}
