//! A platform that an older Freehold made is brought up to date by who sets it up again, and is then as one that is made now.

use freehold_store::{Config, Mode, Operator, RootKey, Store};
use tokio_postgres::Client;

use crate::fixture::{ROOT, database};

const PLATFORM: &str = include_str!("upgraded/platform.sql");

const TO_9: &str = include_str!("upgraded/to_9.sql");

async fn platform(client: &Client) -> Vec<String> {
    client.query(PLATFORM, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What is in one and not in the other.
fn differences(one: &[String], other: &[String]) -> Vec<String> {
    let without = |these: &[String], those: &[String], sign: char| -> Vec<String> {
        let missing = these.iter().filter(|line| !those.contains(line));
        missing.map(|line| format!("{sign} {line}")).collect()
    };
    [without(one, other, '-'), without(other, one, '+')].concat()
}

#[tokio::test]
async fn version_9_becomes_what_is_made_now() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let db = database(mode).await;
        let admin = db.client().await;
        let made = platform(&admin).await;
        assert!(made.len() > 500, "{}", made.len());

        admin.batch_execute(TO_9).await.unwrap();
        let older = differences(&made, &platform(&admin).await);
        assert!(older.iter().any(|line| line.starts_with("+ function freehold.erasure_count(")));
        assert!(older.iter().any(|line| line.starts_with("- relation freehold.rows_gone ")));
        let connect = || Store::connect(Config::new(db.url(), RootKey::new(ROOT)));
        let refused = connect().await.err().expect("it is refused").to_string();
        assert!(refused.contains("older Freehold"), "{refused}");

        let mut operator = Operator::open(db.url(), "test").await.unwrap();
        for _ in 0..2 {
            operator.set_up(&RootKey::new(ROOT)).await.unwrap();
            assert_eq!(differences(&made, &platform(&admin).await), Vec::<String>::new());
        }
        let text = "select version::bigint, mode from freehold.platform_version order by version desc limit 1";
        let row = admin.query_one(text, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (10, mode.as_str()));
        connect().await.unwrap();
    }
}

#[tokio::test]
async fn what_an_erasure_of_version_9_counted_is_counted_on() {
    let db = database(Mode::Seal).await;
    let admin = db.client().await;
    admin.batch_execute(TO_9).await.unwrap();
    let erasure = "6f1d8a52-0000-4000-8000-000000000001";
    let begun = format!(
        "insert into freehold.erasure (id, tenant_id, entity, subject) \
         select '{erasure}', id, 'person', gen_random_uuid() from freehold.tenant where name = 'a'; \
         select freehold.erasure_count('{erasure}', 'visit', 'deleted', 5)"
    );
    admin.batch_execute(&begun).await.unwrap();
    Operator::open(db.url(), "test").await.unwrap().set_up(&RootKey::new(ROOT)).await.unwrap();

    let store = Store::connect(Config::new(db.url(), RootKey::new(ROOT))).await.unwrap();
    let notes = "insert into freehold.erasure_rows (tenant_id, erasure_id, entity, how, rows) \
        select e.tenant_id, e.id, n.* from freehold.erasure e, (values ('visit', 'deleted', 2), ('visit', 'deleted', 3), ('visit', 'emptied', 1), \
        ('person', 'deleted', 1)) n";
    admin.batch_execute(notes).await.unwrap();
    let id = erasure.parse().unwrap();
    // Twice, as who died before it was told would.
    for _ in 0..2 {
        store.erasure_cleaned(id, r#"{"bill": 4}"#).await.unwrap();
        let counts = store.erasure(id).await.unwrap().unwrap().counts;
        let text = "select $1::text::jsonb = '{\"kept\": {\"bill\": 4}, \"visit\": {\"deleted\": 10, \"emptied\": 1}, \"person\": {\"deleted\": 1}}'";
        assert!(admin.query_one(text, &[&counts]).await.unwrap().get::<_, bool>(0), "{counts}");
    }
}
