//! Answers that are kept: given again while they are right, and no longer.

mod by_id;
mod who;

use std::{sync::Arc, time::Duration};

use freehold_engine::{
    Engine, Error, Tenant,
    cache::{CacheConfig, Consistency, Found, Status, Wanted},
    project::Watch,
    read::{After, Manner, Read},
    write::Verb,
};
use serde_json::{Value, json};

use crate::ground::{Ground, ground};

const MODEL: &str = r#"
[model]
name = "kept"

[entity.shelf]
anonymous = "read"

[entity.shelf.field]
name = { type = "text", unique = true }
size = { type = "integer", default = 0 }
at = { type = "timestamptz", optional = true }
patch = { type = "blob", optional = true }

[entity.book.field]
title = { type = "text" }
shelf = { ref = "shelf", on_delete = "cascade", optional = true }

[entity.tag.field]
name = { type = "text", unique = true }

[entity.tagged]
unique = [["book", "tag"]]

[entity.tagged.field]
book = { ref = "book", on_delete = "cascade" }
tag = { ref = "tag", on_delete = "cascade" }

[entity.visit.field]
at = { type = "timestamptz" }

[[entity.visit.expire]]
delete = "1 year after at"

[entity.person]
subject = true

[entity.person.field]
mail = { type = "text", personal = "contact", lookup = "email" }

[personal.contact]
purpose = "account"
basis = "contract"
retention = "1 year"

[cache.largest]
query = "shelf?select=name,size&order=size.desc&limit=3"

[read.total]
key = ["name"]
sql = "select name, sum(size) as size from shelf group by name"
"#;

const READY: &str = "shelf?select=name,size&order=size.desc&limit=3";

const STRONG: Wanted<'static> = Wanted { consistency: Consistency::Strong, after: None };

fn bounded(age: Duration) -> Wanted<'static> {
    Wanted { consistency: Consistency::Bounded(age), after: None }
}

async fn keeping() -> Ground {
    let mut ground = ground(MODEL).await;
    ground.engine = kept(ground.engine);
    ground
}

fn kept(engine: Engine) -> Engine {
    engine.keeping(CacheConfig { verify_one_in: 1, ..CacheConfig::default() }, None)
}

async fn ask(
    ground: &Ground,
    engine: &Engine,
    tenant: &Tenant,
    target: &str,
    wanted: Wanted<'_>,
) -> Result<Found, Error> {
    ground.calm().await;
    ask_at_once(engine, tenant, target, wanted).await
}

async fn ask_at_once(
    engine: &Engine,
    tenant: &Tenant,
    target: &str,
    wanted: Wanted<'_>,
) -> Result<Found, Error> {
    let (entity, query) = target.split_once('?').unwrap_or((target, ""));
    let read = Read { entity, query, count: false };
    engine.read_kept(tenant, read, &Manner::default(), wanted, &()).await
}

impl Ground {
    /// Waits until no transaction is running, of whichever test, that was begun before the last write here: until then stamps
    /// may change although nothing does.
    async fn calm(&self) {
        let client = self.db.client().await;
        let text = "select not exists (select from pg_snapshot_xip(pg_current_snapshot()) x \
                    where x < (select v.xid from freehold.version_note v order by v.xid desc limit 1))";
        for _ in 0..3_000 {
            if client.query_one(text, &[]).await.unwrap().get(0) {
                return;
            }
            // Plays: others' transactions tell nobody here when they end.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("some transaction never ends");
    }

    async fn ask(&self, tenant: &Tenant, target: &str) -> (Status, Value) {
        let found = ask(self, &self.engine, tenant, target, Wanted::default()).await.unwrap();
        (found.status, serde_json::from_str(&found.entry.answer.body).unwrap())
    }

    async fn status(&self, target: &str) -> Status {
        self.ask(&self.a, target).await.0
    }
}

const NAMES: &str = "shelf?select=name,size&order=name";

#[tokio::test]
async fn an_answer_is_given_again_until_its_rows_change() {
    let ground = keeping().await;
    ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    ground.insert(&ground.b, "shelf", json!([{"name": "theirs"}])).await;
    let first = ground.ask(&ground.a, NAMES).await;
    assert_eq!(first, (Status::Miss, json!([{"name": "one", "size": 0}])));
    assert_eq!(ground.ask(&ground.a, NAMES).await, (Status::Hit, first.1));
    let theirs = ground.ask(&ground.b, NAMES).await;
    assert_eq!(theirs, (Status::Miss, json!([{"name": "theirs", "size": 0}])));

    ground.insert(&ground.b, "shelf", json!([{"name": "more"}])).await;
    ground.insert(&ground.a, "book", json!([{"title": "x"}])).await;
    assert_eq!(ground.status(NAMES).await, Status::Hit, "another tenant, another entity");

    ground.update(&ground.a, "shelf?name=eq.one", json!({"size": 7})).await;
    let after = ground.ask(&ground.a, NAMES).await;
    assert_eq!(after, (Status::Stale, json!([{"name": "one", "size": 7}])));
    let client = ground.db.client().await;
    client.batch_execute("update app.shelf set size = 8").await.unwrap();
    let after = ground.ask(&ground.a, NAMES).await;
    assert_eq!(after, (Status::Stale, json!([{"name": "one", "size": 8}])), "whoever writes");
    assert_eq!(ground.status(NAMES).await, Status::Hit);
}

#[tokio::test]
async fn it_is_made_of_all_that_it_shows() {
    let ground = keeping().await;
    let shelf = ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    let shelf = crate::ground::body(&shelf)[0]["id"].clone();
    let book = ground.insert(&ground.a, "book", json!([{"title": "x", "shelf": shelf}])).await;
    let book = crate::ground::body(&book)[0]["id"].clone();
    let tag = ground.insert(&ground.a, "tag", json!([{"name": "red"}])).await;
    let tag = crate::ground::body(&tag)[0]["id"].clone();
    let tree = "book?select=title,shelf(name),tag(name)";
    let filtered = "shelf?select=name,book!inner(title)&book.title=eq.x";
    let counted = "book?select=count()";
    for target in [tree, filtered, counted] {
        assert_eq!(ground.status(target).await, Status::Miss, "{target}");
        assert_eq!(ground.status(target).await, Status::Hit, "{target}");
    }
    // What joins two entities is shown by neither.
    ground.insert(&ground.a, "tagged", json!([{"book": book, "tag": tag}])).await;
    let (status, body) = ground.ask(&ground.a, tree).await;
    assert_eq!((status, &body[0]["tag"]), (Status::Stale, &json!([{"name": "red"}])), "{body}");
    assert_eq!(ground.status(counted).await, Status::Hit);
    // A row that goes takes others along.
    ground.write(&ground.a, "shelf?name=eq.one", Verb::Delete).await.unwrap();
    let (status, body) = ground.ask(&ground.a, counted).await;
    assert_eq!((status, body), (Status::Stale, json!([{"count": 0}])));
    let (status, body) = ground.ask(&ground.a, tree).await;
    assert_eq!((status, body), (Status::Stale, json!([])));
}

#[tokio::test]
async fn what_cannot_be_kept_is_read_each_time() {
    let ground = keeping().await;
    for (target, why) in [
        ("visit", "time"),
        ("person", "sealed"),
        ("person?select=id&mail=eq.a@example.org", "sealed"),
        ("shelf?select=name&at=gte.today", "time"),
        ("shelf?select=name&or=(at.lt.Now,name.eq.x)", "time"),
    ] {
        for _ in 0..2 {
            assert_eq!(ground.status(target).await, Status::Bypass(why), "{target}");
        }
    }
    assert_eq!(ground.status("shelf?name=eq.snow").await, Status::Miss);
    assert_eq!(ground.status("person?select=id").await, Status::Miss);
}

#[tokio::test]
async fn a_bounded_answer_asks_nobody() {
    let ground = keeping().await;
    let engine = &ground.engine;
    let checks = || engine.cache().unwrap().checks();
    ask(&ground, engine, &ground.a, NAMES, STRONG).await.unwrap();
    let (before, _) = checks();
    let hour = Duration::from_secs(3_600);
    // The key is asked for again after a second, which may pass on a slow machine.
    let found = ask(&ground, engine, &ground.a, NAMES, bounded(hour)).await.unwrap();
    assert_eq!(found.status, Status::Hit);
    let (after, _) = checks();
    assert!(after - before <= 1);
    ground.insert(&ground.a, "shelf", json!([{"name": "new"}])).await;
    let strong = ask(&ground, engine, &ground.a, NAMES, STRONG).await.unwrap();
    assert_eq!((strong.status, strong.entry.answer.rows), (Status::Stale, 1));
    assert_eq!(checks().0, after + 1);
    let none = ask(&ground, engine, &ground.a, NAMES, bounded(Duration::ZERO)).await.unwrap();
    assert_eq!((none.status, checks().0), (Status::Hit, after + 2));
}

#[tokio::test]
async fn a_session_sees_what_it_wrote_and_what_it_read() {
    let ground = keeping().await;
    let other = kept(ground.another().await);
    let session = |token| Wanted {
        consistency: Consistency::Session,
        after: Some(After { token, patience: Duration::from_secs(20) }),
    };
    ask(&ground, &other, &ground.a, NAMES, STRONG).await.unwrap();
    let written = ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    let token = written.token.unwrap();
    let found = ask(&ground, &other, &ground.a, NAMES, session(&token)).await.unwrap();
    assert_eq!((found.status, found.entry.answer.rows), (Status::Stale, 1));
    // What is read says what it has seen; another server, whose answer is older, may not give that one.
    let read = ask(&ground, &ground.engine, &ground.a, NAMES, STRONG).await.unwrap();
    ground.insert(&ground.a, "shelf", json!([{"name": "two"}])).await;
    let newer = ask(&ground, &other, &ground.a, NAMES, STRONG).await.unwrap();
    assert_eq!(newer.entry.answer.rows, 2);
    let back =
        ask(&ground, &ground.engine, &ground.a, NAMES, session(newer.token.as_deref().unwrap()))
            .await;
    assert_eq!(back.unwrap().entry.answer.rows, 2, "never backwards");
    // An older token is content with what is there.
    let (before, _) = other.cache().unwrap().checks();
    let again = ask(&ground, &other, &ground.a, NAMES, session(read.token.as_deref().unwrap()))
        .await
        .unwrap();
    assert_eq!(again.status, Status::Hit);
    assert!(other.cache().unwrap().checks().0 - before <= 1);
}

#[tokio::test]
async fn a_read_model_is_kept_until_it_moves() {
    let ground = keeping().await;
    let catch_up = async || {
        let mut seen = Watch::default();
        while ground.engine.project_round(&mut seen).await.unwrap() > 0 {}
    };
    let token =
        ground.insert(&ground.a, "shelf", json!([{"name": "x", "size": 2}])).await.token.unwrap();
    catch_up().await;
    let total = "total?select=name,size";
    assert_eq!(ground.status(total).await, Status::Miss);
    assert_eq!(ground.status(total).await, Status::Hit);
    ground.update(&ground.a, "shelf?name=eq.x", json!({"size": 3})).await;
    assert_eq!(ground.status(total).await, Status::Hit, "the workers have not been there yet");
    catch_up().await;
    let (status, body) = ground.ask(&ground.a, total).await;
    assert_eq!((status, body), (Status::Stale, json!([{"name": "x", "size": 3}])));
    let patience = Duration::from_secs(20);
    let after = Some(After { token: &token, patience });
    let wanted = Wanted { consistency: Consistency::Session, after };
    let found = ask(&ground, &ground.engine, &ground.a, total, wanted).await.unwrap();
    assert_eq!(found.status, Status::Bypass("token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_miss_together_read_once() {
    let ground = Arc::new(keeping().await);
    ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    ground.calm().await;
    let asked = (0..100).map(|_| {
        let ground = Arc::clone(&ground);
        tokio::spawn(async move {
            ask_at_once(&ground.engine, &ground.a, NAMES, Wanted::default()).await.unwrap().status
        })
    });
    let asked: Vec<_> = asked.collect();
    let mut read = 0;
    for asked in asked {
        read += usize::from(asked.await.unwrap() == Status::Miss);
    }
    assert!(read <= 2, "{read} read");
    let (statements, questions) = ground.engine.cache().unwrap().checks();
    assert!(
        statements < questions || questions < 10,
        "{statements} statements, {questions} questions"
    );
}

#[tokio::test]
async fn another_model_is_another_answer() {
    let ground = keeping().await;
    ground.insert(&ground.a, "shelf", json!([{"name": "one"}])).await;
    assert_eq!(ground.status("shelf?name=eq.one").await, Status::Miss);
    assert_eq!(ground.status("shelf?name=eq.one").await, Status::Hit);
    ground
        .change(
            &MODEL.replace(
                "default = 0 }",
                "default = 0 }\nnote = { type = \"text\", optional = true }",
            ),
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        ground.status("shelf?name=eq.one").await,
        Status::Stale,
        "before it is noticed, too"
    );
    ground.engine.refresh().await.unwrap();
    let (status, body) = ground.ask(&ground.a, "shelf?name=eq.one").await;
    assert_eq!((status, &body[0]["note"]), (Status::Miss, &Value::Null));
}

#[tokio::test]
async fn a_kept_query_is_made_again_before_it_is_asked_for() {
    let ground = keeping().await;
    let engine = &ground.engine;
    assert_eq!(ready(&ground).await, 0, "nobody has asked");
    for tenant in [&ground.a, &ground.b] {
        ask(&ground, engine, tenant, READY, STRONG).await.unwrap();
    }
    ask(&ground, engine, &ground.a, NAMES, STRONG).await.unwrap();
    assert_eq!((engine.cache().unwrap().ready(), ready(&ground).await), (2, 0));
    ground.insert(&ground.a, "shelf", json!([{"name": "one", "size": 1}])).await;
    assert_eq!(ready(&ground).await, 1, "only what has changed");
    let found = ask(&ground, engine, &ground.a, READY, STRONG).await.unwrap();
    assert_eq!((found.status, found.entry.answer.rows), (Status::Hit, 1));
    // Its age is counted from the last look.
    ready(&ground).await;
    let (before, _) = engine.cache().unwrap().checks();
    let found =
        ask(&ground, engine, &ground.a, READY, bounded(Duration::from_secs(60))).await.unwrap();
    assert_eq!(found.status, Status::Hit);
    assert!(engine.cache().unwrap().checks().0 <= before + 1);
    ground.operator().await.suspend_tenant("a").await.unwrap();
    ready(&ground).await;
    assert_eq!(engine.cache().unwrap().ready(), 1, "not for who may not ask");
}

async fn ready(ground: &Ground) -> usize {
    ground.calm().await;
    ground.engine.keep_ready().await.unwrap()
}
