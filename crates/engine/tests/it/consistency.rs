//! A read that waits for a write, with several servers over one database.

use std::time::Duration;

use freehold_engine::{
    Code, Engine, Error, Tenant,
    project::{Throttle, Watch},
    read::{After, Answer, Manner, Read},
    write::{Operation, Verb},
};
use serde_json::{Value, json};

use crate::ground::{Ground, code, ground, operation};

const MODEL: &str = r#"
[model]
name = "consistent"

[entity.shelf.field]
name = { type = "text", unique = true }
size = { type = "integer", default = 0 }
note = { type = "text", optional = true }

[read.total]
key = ["name"]
sql = "select name, sum(size) as size from shelf group by name"
"#;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

async fn after(
    engine: &Engine,
    tenant: &Tenant,
    entity: &str,
    token: &str,
    patience: Duration,
) -> Result<Answer, Error> {
    let read = Read { entity, query: "select=name,size&order=name", count: false };
    engine.read_after(tenant, read, &Manner::default(), After { token, patience }).await
}

fn rows(answer: Result<Answer, Error>) -> Value {
    serde_json::from_str(&answer.unwrap().body).unwrap()
}

async fn catch_up(engine: &Engine) {
    let mut seen = Watch::default();
    while engine.project_round(&mut seen).await.unwrap() > 0 {}
}

async fn insert(ground: &Ground, name: &str) -> String {
    ground.insert(&ground.a, "shelf", json!([{"name": name, "size": 1}])).await.token.unwrap()
}

#[tokio::test]
async fn a_read_waits_for_a_write_of_another_server() {
    let ground = ground(MODEL).await;
    let (reader, worker) = (ground.another().await, ground.another().await);
    let token = insert(&ground, "one").await;
    // Nobody works: what is read of entities is fresh, what is read of read models is refused.
    let one = json!([{"name": "one", "size": 1}]);
    assert_eq!(rows(after(&reader, &ground.a, "shelf", &token, SHORT).await), one);
    assert_eq!(code(after(&reader, &ground.a, "total", &token, SHORT).await), Code::Stale);
    let waiting = tokio::spawn({
        let (reader, a, token) = (reader.clone(), ground.a.clone(), token.clone());
        async move { after(&reader, &a, "total", &token, LONG).await }
    });
    catch_up(&worker).await;
    assert_eq!(rows(waiting.await.unwrap()), one);
    // The other tenant has nothing to wait for.
    assert_eq!(rows(after(&reader, &ground.b, "total", &token, SHORT).await), json!([]));
    // What changed nothing that it reads is not waited for, nor what changed nothing at all.
    let noted = ground.update(&ground.a, "shelf?name=eq.one", json!({"note": "x"})).await;
    assert_eq!(rows(after(&reader, &ground.a, "total", &noted.token.unwrap(), SHORT).await), one);
    let none = ground.update(&ground.a, "shelf?name=eq.none", json!({"size": 7})).await;
    if let Some(token) = none.token {
        assert_eq!(rows(after(&reader, &ground.a, "total", &token, SHORT).await), one);
    }
    // One transaction, one token.
    let changes: Vec<Operation> = ["two", "three"]
        .map(|name| operation("shelf", Verb::Insert(json!([{"name": name}]), None)))
        .into();
    let written = ground.engine.write_all(&ground.a, changes).await.unwrap();
    assert!(written[0].token.is_some() && written[0].token == written[1].token);
}

#[tokio::test]
async fn tokens_of_others_are_refused() {
    let (ground, other) = (ground(MODEL).await, ground(MODEL).await);
    let token = insert(&ground, "one").await;
    for wrong in ["", "x", "0123456789abcdef0123456789abcdef", &token[1..]] {
        for entity in ["shelf", "total"] {
            let read = after(&ground.engine, &ground.a, entity, wrong, SHORT).await;
            assert_eq!(code(read), Code::Preference, "{wrong}");
        }
    }
    // Of the same server's other database: a number of the same order, which this one reaches at once.
    assert!(after(&other.engine, &other.a, "shelf", &token, SHORT).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_your_writes_while_tables_change_places() {
    let ground = ground(MODEL).await;
    let (reader, worker) = (ground.another().await, ground.another().await);
    let working = tokio::spawn(async move { worker.project_forever().await });
    let rebuilding = tokio::spawn({
        let engine = ground.another().await;
        let mut operator = ground.operator().await;
        async move {
            for _ in 0..4 {
                engine.rebuild(&mut operator, "total", Throttle::None, &mut |_| {}).await.unwrap();
            }
        }
    });
    let mut written = 0;
    while !rebuilding.is_finished() || written < 30 {
        let token = insert(&ground, &format!("s{written:05}")).await;
        written += 1;
        let read = rows(after(&reader, &ground.a, "total", &token, LONG).await);
        assert_eq!(read.as_array().unwrap().len(), written);
    }
    rebuilding.await.unwrap();
    working.abort();
}
