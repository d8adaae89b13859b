//! Erasures beside each other, beside expiry and beside a rebuild: each ends, and it ends as one after the other would.

use std::time::Duration;

use freehold_engine::{Engine, erase::ErasureState, project::Throttle};
use serde_json::{Value, json};
use uuid::Uuid;

use super::uuid;
use crate::ground::{Ground, ground};

const MODEL: &str = r#"
[model]
name = "crowd"

[personal.contact]
purpose = "account"
basis = "contract"
retention = "3 years"

[entity.person]
subject = true

[entity.person.field]
handle = { type = "text", unique = true, not_personal = "a number" }
email = { type = "text", personal = "contact", optional = true }

[entity.letter.field]
from = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
to = { ref = "person", on_erase = "unlink", optional = true, on_delete = "cascade" }
body = { type = "text", personal = "contact", subject = "from", optional = true }
reply = { type = "text", personal = "contact", subject = "to", optional = true }

[entity.visit.field]
who = { ref = "person", on_erase = "delete", on_delete = "cascade" }
at = { type = "timestamptz", not_personal = "a time" }

[[entity.visit.expire]]
delete = "1 day after at"

[read.visits]
key = ["who"]
sql = "select who, count(*) as visits from visit group by who"
"#;

const VISITS: usize = 300;

/// Two people of each tenant who wrote to each other, and visits of the first, over for half of them if `old`.
async fn crowd(old: bool) -> (Ground, Uuid, Uuid) {
    let ground = ground(MODEL).await;
    let mut ids = Vec::new();
    for tenant in [&ground.a, &ground.b] {
        let people = json!([{ "handle": "ada", "email": "ada@x.org" }, { "handle": "bob", "email": "bob@x.org" }]);
        ground.insert(tenant, "person", people).await;
        let rows = ground.read(tenant, "person?order=handle&select=id").await;
        let (ada, bob) = (rows[0]["id"].clone(), rows[1]["id"].clone());
        let letter = |n: usize| {
            let (from, to) = if n.is_multiple_of(2) { (&ada, &bob) } else { (&bob, &ada) };
            json!({ "from": from, "to": to, "body": format!("letter {n}"), "reply": format!("reply {n}") })
        };
        ground.insert(tenant, "letter", (0..40).map(letter).collect()).await;
        let visit = |n: usize| {
            let year = if old && n.is_multiple_of(2) { 2001 } else { 2999 };
            json!({ "who": if n < VISITS - 10 { &ada } else { &bob }, "at": format!("{year}-01-01T00:00:00Z") })
        };
        ground.insert(tenant, "visit", (0..VISITS).map(visit).collect()).await;
        ids.push((uuid(&ada), uuid(&bob)));
    }
    project(&ground.engine).await;
    (ground, ids[0].0, ids[0].1)
}

async fn project(engine: &Engine) {
    while engine.project_round(&mut Default::default()).await.unwrap() > 0 {}
}

/// Ends an erasure that met others: what it is refused for is over with them, and it is gone on with.
async fn erased(ground: &Ground, engine: &Engine, person: Uuid) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match engine.erase(&ground.a, "person", person).await {
            Ok(erasure) if erasure.state == ErasureState::Ended => return,
            told => assert!(tokio::time::Instant::now() < deadline, "{told:?}"),
        }
    }
}

/// That nothing of `people` is left in tenant a, nor opens, and that the chain of receipts holds with one for each.
async fn nothing_is_left_of(ground: &Ground, people: &[Uuid]) {
    for person in people {
        for query in [
            format!("select 1 from freehold.subject_key where subject = '{person}'"),
            format!("select 1 from app.person where id = '{person}'"),
            format!("select 1 from app.visit where who = '{person}'"),
            format!("select 1 from app.visits where who = '{person}'"),
            format!("select 1 from app.letter where '{person}' in (\"from\", \"to\")"),
        ] {
            assert_eq!(ground.truth(&query).await, json!([]), "{query}");
        }
    }
    let store = ground.engine.store();
    let (receipts, key) = (store.receipts(0, 10).await.unwrap(), store.sign_receipt("").public_key);
    assert_eq!(receipts.len(), people.len());
    let mut before = String::new();
    for receipt in &receipts {
        assert!(receipt.holds(&key, &before), "{receipt:?}");
        before.clone_from(&receipt.hash);
    }
    let others = ground.read(&ground.b, "letter?select=body,reply&body=not.is.null").await;
    assert_eq!(others.as_array().map(Vec::len), Some(40), "the other tenant's are untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_of_the_same_rows_are_erased() {
    let (ground, ada, bob) = crowd(false).await;
    let (one, two) = (ground.another().await, ground.another().await);
    tokio::join!(erased(&ground, &one, ada), erased(&ground, &two, bob));
    project(&ground.engine).await;
    nothing_is_left_of(&ground, &[ada, bob]).await;
    let left = "select count(*) as n, count(body) as b, count(reply) as replies from app.letter where tenant_id = ";
    let left = ground.truth(&format!("{left}'{}'", ground.a.id())).await;
    assert_eq!(left, json!([{ "n": 40, "b": 0, "replies": 0 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_theirs_expire_meanwhile() {
    let (ground, ada, _) = crowd(true).await;
    let (one, two) = (ground.another().await, ground.another().await);
    let expire = async {
        for _ in 0..10 {
            two.expire(None).await.unwrap();
        }
    };
    tokio::join!(erased(&ground, &one, ada), expire);
    ground.engine.expire(None).await.unwrap();
    project(&ground.engine).await;
    nothing_is_left_of(&ground, &[ada]).await;
    let visits = ground.read(&ground.a, "visits?select=visits").await;
    assert_eq!(visits, json!([{ "visits": 5 }]), "of who stays, what is not over");
    assert!(ground.engine.expired(None).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_shows_them_is_rebuilt_meanwhile() {
    let (ground, ada, _) = crowd(false).await;
    let (one, two) = (ground.another().await, ground.another().await);
    let mut operator = ground.operator().await;
    let running = std::sync::atomic::AtomicBool::new(true);
    let rebuild = async {
        two.rebuild(&mut operator, "visits", Throttle::None, &mut |_| {}).await.unwrap();
        running.store(false, std::sync::atomic::Ordering::Relaxed);
    };
    let work = async {
        while running.load(std::sync::atomic::Ordering::Relaxed) {
            ground.engine.project_round(&mut Default::default()).await.unwrap();
        }
    };
    tokio::join!(erased(&ground, &one, ada), rebuild, work);
    project(&ground.engine).await;
    nothing_is_left_of(&ground, &[ada]).await;
    let (visits, wanted): (Value, Value) =
        (ground.read(&ground.a, "visits?select=visits").await, json!([{ "visits": 10 }]));
    assert_eq!(visits, wanted);
}
