//! Stamps: the same stamp means the same rows, whoever writes and whenever.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use freehold_store::{Mode, Question, Stamp, Store, Tenant};

use crate::fixture::{House, house, house_in, insert, sql};

mod rows;

const PERSON: &[&str] = &["person"];
const BOTH: &[&str] = &["note", "person"];

fn names(tables: &[&str]) -> Vec<String> {
    tables.iter().map(|name| (*name).to_owned()).collect()
}

async fn now(house: &House, tenant: &Tenant, tables: &[&str]) -> Stamp {
    calm(house).await;
    let store = &house.store;
    let answers = store.stamps(&[Question::new(tenant, &names(tables))]).await.unwrap();
    assert!(answers[0].allowed);
    answers[0].stamp.expect("there is an epoch")
}

/// Waits until no transaction is running, of whichever test, that was begun before the last write here: until then stamps
/// may change although nothing does.
async fn calm(house: &House) {
    let client = house.db.client().await;
    let text = "select not exists (select from pg_snapshot_xip(pg_current_snapshot()) x \
                where x < (select v.xid from freehold.version_note v order by v.xid desc limit 1))";
    for _ in 0..3_000 {
        if client.query_one(text, &[]).await.unwrap().get(0) {
            return;
        }
        // Plays: others' transactions tell nobody here when they end.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("some transaction never ends");
}

/// What a statement of the tenant's sees, and the stamp that it sees it with.
async fn seen(store: &Store, tenant: &Tenant) -> (String, Stamp) {
    let text = "select coalesce((select string_agg(handle || coalesce(age, 0), ',' order by handle) from app.person), ''), freehold.stamp('{person}')";
    let row = store.run(tenant, &sql(text, &[])).await.unwrap();
    let (stamp, _) = store.stamp_in(&row, 1).expect("there is an epoch");
    (row.text(0).unwrap().to_owned(), stamp)
}

async fn settled_house(mode: Mode) -> House {
    let house = house_in(mode).await;
    house.store.tend_versions().await.unwrap();
    house
}

#[tokio::test]
async fn a_stamp_changes_with_the_tenants_rows_and_no_others() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = settled_house(mode).await;
        let before = now(&house, &house.a, PERSON).await;
        assert_eq!(seen(&house.store, &house.a).await.1, before, "both ways to ask agree");
        assert_ne!(before, now(&house, &house.b, PERSON).await);
        assert_eq!(before, now(&house, &house.a, PERSON).await);

        house.store.run(&house.b, &insert("eve")).await.unwrap();
        assert_eq!(before, now(&house, &house.a, PERSON).await, "another tenant wrote");

        house.store.run(&house.a, &insert("joe")).await.unwrap();
        let after = now(&house, &house.a, PERSON).await;
        assert_ne!(before, after);
        assert_eq!(seen(&house.store, &house.a).await.1, after);

        // A row that refers to one of the other table is a change of its own table alone.
        let text = "insert into app.note (author) select id from app.person where handle = 'joe'";
        let both = now(&house, &house.a, BOTH).await;
        house.store.run_all(&house.a, &sql(text, &[])).await.unwrap();
        assert_eq!(after, now(&house, &house.a, PERSON).await);
        assert_ne!(both, now(&house, &house.a, BOTH).await);
    }
}

#[tokio::test]
async fn whoever_writes_changes_it() {
    let house = settled_house(Mode::Seal).await;
    let superuser = house.db.client().await;
    for text in [
        "update app.person set age = 1",
        "copy app.note from program 'true'",
        "truncate app.note",
        "insert into freehold.model_version (text, checksum) values ('', '')",
        "delete from freehold.model_version",
    ] {
        let (a, b) = (now(&house, &house.a, BOTH).await, now(&house, &house.b, BOTH).await);
        superuser.batch_execute(text).await.unwrap();
        assert_ne!(a, now(&house, &house.a, BOTH).await, "{text}");
        assert_ne!(b, now(&house, &house.b, BOTH).await, "{text}");
    }
}

#[tokio::test]
async fn what_is_rolled_back_changes_nothing() {
    let house = settled_house(Mode::Seal).await;
    calm(&house).await;
    let before = seen(&house.store, &house.a).await;
    let mut tx = house.store.begin(&house.a).await.unwrap();
    tx.query(&insert("ghost")).await.unwrap();
    assert_eq!(seen(&house.store, &house.a).await, before);
    drop(tx);
    assert_eq!(seen(&house.store, &house.a).await, before);
}

#[tokio::test]
async fn needless_notes_go_and_stamps_stay() {
    let house = settled_house(Mode::Seal).await;
    for n in 0..20 {
        house.store.run(&house.a, &insert(&format!("p{n}"))).await.unwrap();
    }
    let before = now(&house, &house.a, PERSON).await;
    let superuser = house.db.client().await;
    let count = async || -> i64 {
        superuser
            .query_one("select count(*) from freehold.version_note where relation = 'person'", &[])
            .await
            .unwrap()
            .get(0)
    };
    assert!(count().await >= 20);
    house.store.tend_versions().await.unwrap();
    assert_eq!(count().await, 1, "the newest");
    assert_eq!(before, now(&house, &house.a, PERSON).await);
    house.store.run(&house.a, &insert("last")).await.unwrap();
    assert_ne!(before, now(&house, &house.a, PERSON).await);
}

#[tokio::test]
async fn another_epoch_begins_after_notes_were_lost() {
    let house = settled_house(Mode::Seal).await;
    let before = now(&house, &house.a, PERSON).await;
    let superuser = house.db.client().await;
    // What PostgreSQL does with tables that are not logged when it recovers.
    superuser
        .batch_execute("truncate freehold.version_note, freehold.version_epoch")
        .await
        .unwrap();
    let answers = house.store.stamps(&[Question::new(&house.a, &names(PERSON))]).await.unwrap();
    assert_eq!(answers[0].stamp, None, "nothing is compared until there is one");
    house.store.tend_versions().await.unwrap();
    let after = now(&house, &house.a, PERSON).await;
    assert_ne!(before, after);
    // Notes of another run of the server mean nothing.
    superuser
        .batch_execute("update freehold.version_epoch set started = started - interval '1 s'")
        .await
        .unwrap();
    let answers = house.store.stamps(&[Question::new(&house.a, &names(PERSON))]).await.unwrap();
    assert_eq!(answers[0].stamp, None);
    house.store.tend_versions().await.unwrap();
    assert_ne!(after, now(&house, &house.a, PERSON).await);
}

#[tokio::test]
async fn who_may_ask_no_more_is_not_allowed() {
    let house = settled_house(Mode::Seal).await;
    let mut operator = house.operator().await;
    let key = operator.create_key("a", "test", freehold_store::Role::Reader, None).await.unwrap();
    let tenant = house.store.recognise(&key.secret).await.unwrap();
    let ask = async || {
        house.store.stamps(&[Question::new(&tenant, &names(PERSON))]).await.unwrap()[0].allowed
    };
    assert!(ask().await);
    operator.revoke_key(&key.prefix).await.unwrap();
    assert!(!ask().await);
    let answers = [Question::new(&house.a, &names(PERSON))];
    assert!(house.store.stamps(&answers).await.unwrap()[0].allowed);
    operator.suspend_tenant("a").await.unwrap();
    assert!(!house.store.stamps(&answers).await.unwrap()[0].allowed);
}

/// Writers commit, roll back and take their time; one transaction elsewhere stays open all the while, begun before and ended
/// in between. Whatever is read with one stamp is always the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_stamp_means_the_same_rows() {
    let house = Arc::new(settled_house(Mode::Seal).await);
    for n in 0..4 {
        house.store.run(&house.a, &insert(&format!("w{n}"))).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|n| {
        let (house, stop) = (Arc::clone(&house), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut writes = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let mut tx = house.store.begin(&house.a).await.unwrap();
                let text = "update app.person set age = coalesce(age, 0) + 1 where handle = $1";
                tx.query(&sql(text, &[&format!("w{n}")])).await.unwrap();
                writes += 1;
                if writes.is_multiple_of(5) {
                    drop(tx);
                } else {
                    tx.commit().await.unwrap();
                }
            }
            writes
        })
    });
    let writers: Vec<_> = writers.collect();
    let seen_so_far: Arc<Mutex<HashMap<[u8; 16], String>>> = Arc::default();
    let readers = (0..3).map(|_| {
        let (house, stamps) = (Arc::clone(&house), Arc::clone(&seen_so_far));
        tokio::spawn(async move {
            for _ in 0..400 {
                let (rows, stamp) = seen(&house.store, &house.a).await;
                let before = stamps.lock().unwrap().insert(stamp.0, rows.clone());
                assert!(before.is_none_or(|before| before == rows), "one stamp, two answers");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let elsewhere = {
        let (house, stop) = (Arc::clone(&house), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let mut tx = house.store.begin(&house.b).await.unwrap();
                tx.query(&sql("update app.person set age = 1", &[])).await.unwrap();
                for _ in 0..5 {
                    seen(&house.store, &house.a).await;
                }
                tx.commit().await.unwrap();
                house.store.tend_versions().await.unwrap();
            }
        })
    };
    for reader in readers {
        reader.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.unwrap();
    }
    elsewhere.await.unwrap();
    let distinct = seen_so_far.lock().unwrap().len();
    assert!(writes > 50 && distinct > 50, "{writes} writes, {distinct} stamps");
}

#[tokio::test]
async fn a_tenants_sql_learns_nothing_of_others() {
    let house = house().await;
    house.store.tend_versions().await.unwrap();
    let ask = sql("select freehold.stamp('{person}')", &[]);
    let (one, two) = (
        house.store.run(&house.a, &ask).await.unwrap(),
        house.store.run(&house.a, &ask).await.unwrap(),
    );
    let (one, two) = (one.text(0).unwrap().to_owned(), two.text(0).unwrap().to_owned());
    // What tells how much the server writes is masked anew each time; the stamp itself is a MAC.
    assert_ne!(one[32..64], two[32..64]);
    assert_eq!(one[64..], two[64..]);
    for text in [
        "select * from freehold.version_note",
        "select freehold.stamps('{}', '{}', '{}', '{}')",
        "select freehold.seen()",
        "select freehold.stamp_of(freehold.tenant(), '{person}')",
        "select freehold.tend_versions()",
        "insert into freehold.version_note values (freehold.tenant(), 'person')",
    ] {
        assert!(house.store.run_all(&house.a, &sql(text, &[])).await.is_err(), "{text}");
    }
}
