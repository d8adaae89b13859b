//! Entities that are kept in slices of time: what is over goes at once with its slice, no sooner and no later than the rule
//! says, and never what is held.

mod fit;
mod gone;
mod resume;

use std::collections::BTreeMap;

use freehold_engine::{Code, Operator, Tenant, slice, write::Verb};
use serde_json::{Value, json};

use crate::ground::{Ground, code, ground};

const MODEL: &str = r#"
[model]
name = "events"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }

[entity.event]
slices = "day"
index = ["n"]

[entity.event.field]
n = { type = "integer", not_personal = "a number" }
who = { ref = "person", optional = true, on_erase = "delete", on_delete = "cascade" }
kind = { enum = ["a", "b"], default = "a", not_personal = "a test" }
at = { type = "timestamptz", default = "now()", not_personal = "a time" }

[[entity.event.expire]]
delete = "30 days after at"
within = "2 days"
"#;

/// The same with rows that are kept for ten days.
fn shorter() -> String {
    MODEL.replace("30 days", "10 days")
}

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// A row that was made so many minutes ago.
async fn event(ground: &Ground, tenant: &Tenant, n: i32, minutes: i64, who: Option<&Value>) {
    let row = json!({ "n": n, "id": id(ground, minutes).await, "at": at(ground, minutes).await, "who": who });
    ground.insert(tenant, "event", row).await;
}

async fn at(ground: &Ground, minutes: i64) -> Value {
    let rows = ground.truth(&format!("select now() - interval '{minutes} minutes' as at")).await;
    rows[0]["at"].clone()
}

/// An id of version 7, made so many minutes ago.
async fn id(ground: &Ground, minutes: i64) -> Value {
    let sql = format!(
        "select overlay(gen_random_uuid()::text placing left(m, 8) || '-' || right(m, 4) || '-7' from 1 for 15) as id \
         from lpad(to_hex(floor(extract(epoch from now() - interval '{minutes} minutes') * 1000)::bigint), 12, '0') m"
    );
    ground.truth(&sql).await[0]["id"].clone()
}

/// Tends slices; how often what was done.
async fn tend(operator: &mut Operator) -> BTreeMap<&'static str, usize> {
    let mut all = BTreeMap::new();
    let told = |_: &slice::SliceInfo, done: slice::SliceDone| {
        *all.entry(done.as_str()).or_default() += 1;
    };
    slice::tend(operator, told).await.unwrap();
    all
}

/// What is there, past every wall: of each row its number and whether it is in a slice.
async fn there(ground: &Ground) -> Value {
    ground
        .truth("select n, tableoid::regclass::text like '%~s2%' as sliced from app.event order by n, sliced")
        .await
}

/// Rows of both tenants that were made 20, 12 and nearly 10 days ago, in slices; and then a rule by which the first two are over.
async fn filled() -> Ground {
    let ground = ground(MODEL).await;
    let mut operator = ground.operator().await;
    let made = tend(&mut operator).await;
    assert!(matches!(made["made"], 41..=42) && made.len() == 1, "{made:?}");
    assert!(tend(&mut operator).await.is_empty());
    for tenant in [&ground.a, &ground.b] {
        ground.insert(tenant, "person", json!({ "handle": "ada" })).await;
        let ada = ground.read(tenant, "person").await[0]["id"].clone();
        // The last is over in ten minutes, when nearly all of its slice is.
        for (n, minutes) in [(20, 20 * DAY), (12, 12 * DAY), (2, 10 * DAY - 10)] {
            event(&ground, tenant, n, minutes, Some(&ada)).await;
        }
    }
    ground.change(&shorter(), &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    ground
}

const ALL: [(i32, bool); 6] =
    [(2, true), (2, true), (12, true), (12, true), (20, true), (20, true)];

fn rows(all: &[(i32, bool)]) -> Value {
    all.iter().map(|(n, sliced)| json!({ "n": n, "sliced": sliced })).collect()
}

#[tokio::test]
async fn a_slice_goes_at_once_when_all_of_it_is_over() {
    let ground = filled().await;
    assert_eq!(there(&ground).await, rows(&ALL));
    assert_eq!(ground.read(&ground.a, "event?select=n").await, json!([{ "n": 2 }]));
    let mut operator = ground.operator().await;
    let over = operator.slices().await.unwrap().into_iter().filter(|slice| slice.over).count();
    let noted = "select count(*) as n from freehold.version_note where relation in ('event', 'event/*') \
                 and tenant_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(ground.truth(noted).await, json!([{ "n": 0 }]));
    let done = tend(&mut operator).await;
    assert_eq!(done, BTreeMap::from([("dropped", over)]));
    assert!((18..=21).contains(&over), "{over}");
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
    // Kept answers that plain SQL or a view made of them are known to be old.
    assert_ne!(ground.truth(noted).await, json!([{ "n": 0 }]));
    for tenant in [&ground.a, &ground.b] {
        assert_eq!(ground.read(tenant, "event?select=n").await, json!([{ "n": 2 }]));
    }
    assert!(tend(&mut operator).await.is_empty());
    assert!(ground.engine.expire(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_lies_longer_than_the_rule_says() {
    let ground = ground(&shorter()).await;
    tend(&mut ground.operator().await).await;
    // The first is over and may lie, the second has lain for long enough.
    let minutes = [10 * DAY + 180, 12 * DAY + 180];
    for (n, minutes) in (1..).zip(minutes) {
        event(&ground, &ground.a, n, minutes, None).await;
        event(&ground, &ground.b, n, 2, None).await;
    }
    assert_eq!(ground.read(&ground.a, "event").await, json!([]));
    let over = ground.engine.expired(None).await.unwrap();
    assert_eq!(over.iter().map(|one| one.rows).collect::<Vec<_>>(), [2]);
    let gone = ground.engine.expire(None).await.unwrap();
    assert_eq!(gone.iter().map(|one| one.rows).collect::<Vec<_>>(), [1]);
    let left = ground.truth("select n from app.event order by n").await;
    assert_eq!(left, json!([{ "n": 1 }, { "n": 1 }, { "n": 2 }]));
    // Where the rule lets nothing lie, all of it goes.
    ground.change(&shorter().replace("within = \"2 days\"", ""), &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    assert_eq!(ground.engine.expire_due().await.unwrap().len(), 1);
    let left = ground.truth("select n from app.event order by n").await;
    assert_eq!(left, json!([{ "n": 1 }, { "n": 2 }]));
}

#[tokio::test]
async fn a_hold_of_any_tenant_keeps_its_slice() {
    let ground = filled().await;
    let store = ground.engine.store();
    let ada = ground.read(&ground.b, "person").await[0]["id"].as_str().unwrap().parse().unwrap();
    // Whoever refers to nobody of that tenant is not kept.
    event(&ground, &ground.a, 15, 15 * DAY, None).await;
    let hold = store.place_hold(&ground.b, Some(ada), "a case", None).await.unwrap();
    let mut operator = ground.operator().await;
    assert_eq!(tend(&mut operator).await["held"], 2);
    assert_eq!(there(&ground).await, rows(&ALL));
    // What is not held of those slices goes row by row.
    let done = ground.engine.expire(None).await.unwrap();
    assert_eq!(done.iter().map(|one| (&*one.tenant, one.rows)).collect::<Vec<_>>(), [("a", 2)]);
    store.release_hold(hold.parse().unwrap()).await.unwrap();
    assert_eq!(tend(&mut operator).await, BTreeMap::from([("dropped", 2)]));
    assert_eq!(there(&ground).await, rows(&ALL[..2]));
}

#[tokio::test]
async fn a_hold_of_all_of_a_tenant_keeps_its_slices() {
    let ground = filled().await;
    let store = ground.engine.store();
    store.place_hold(&ground.b, None, "a case", None).await.unwrap();
    let mut operator = ground.operator().await;
    assert_eq!(tend(&mut operator).await["held"], 2);
    assert_eq!(there(&ground).await, rows(&ALL));
    let forced = "select bool_and(relforcerowsecurity and relrowsecurity) as walled from pg_class where relname like 'event~%' and relkind in ('r', 'p')";
    assert_eq!(ground.truth(forced).await, json!([{ "walled": true }]));
}

#[tokio::test]
async fn rows_come_and_go_where_there_is_no_slice() {
    let ground = ground(&shorter()).await;
    for tenant in [&ground.a, &ground.b] {
        event(&ground, tenant, 1, 40 * DAY, None).await;
        event(&ground, tenant, 2, DAY, None).await;
    }
    let left = [(2, false), (2, false)];
    assert_eq!(there(&ground).await, rows(&[(1, false), (1, false), left[0], left[1]]));
    assert_eq!(ground.engine.expire(None).await.unwrap().len(), 2);
    assert_eq!(there(&ground).await, rows(&left));
    // A slice that rows came before is not made, and all others are.
    let mut operator = ground.operator().await;
    let done = tend(&mut operator).await;
    assert_eq!(done["occupied"], 1, "{done:?}");
    assert!(matches!(done["made"], 20..=21), "{done:?}");
    event(&ground, &ground.b, 3, DAY, None).await;
    event(&ground, &ground.b, 4, 0, None).await;
    assert_eq!(there(&ground).await, rows(&[left[0], left[1], (3, false), (4, true)]));
    assert_eq!(
        ground.read(&ground.b, "event?select=n&order=n").await,
        json!([{ "n": 2 }, { "n": 3 }, { "n": 4 }])
    );
}

#[tokio::test]
async fn an_id_that_would_lie_in_another_slice_is_refused() {
    let ground = ground(&shorter()).await;
    tend(&mut ground.operator().await).await;
    let (old, new, far) =
        (id(&ground, 2 * DAY).await, id(&ground, 0).await, id(&ground, -DAY - 60).await);
    let (then, now) = (at(&ground, 2 * DAY).await, at(&ground, 0).await);
    let refused = [
        json!({ "n": 1, "id": "7e6b1a52-8c1a-4c11-9d0f-3d1f5c1f2a10" }),
        json!({ "n": 1, "id": far, "at": now }),
        json!({ "n": 1, "id": old, "at": now }),
        json!({ "n": 1, "id": old }),
        json!({ "n": 1, "at": "infinity" }),
        json!({ "n": 1, "at": "2999-01-01T00:00:00Z" }),
    ];
    for row in refused {
        let told = ground.write(&ground.a, "event", Verb::Insert(row.clone(), None)).await;
        assert_eq!(code(told), Code::Check, "{row}");
    }
    for row in [json!({ "n": 2, "id": old, "at": then }), json!({ "n": 3, "id": new, "at": then })]
    {
        ground.insert(&ground.a, "event", row).await;
    }
    let later = ground.write(&ground.a, "event?n=eq.2", Verb::Update(json!({ "at": now }))).await;
    let told = later.unwrap_err().to_string();
    assert!(told.contains("the id of a row of event has to be made when the row is"), "{told}");
    assert_eq!(there(&ground).await, rows(&[(2, true), (3, true)]));
}
