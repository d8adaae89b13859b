//! Stamps of single rows.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use freehold_store::{Mode, Stamp, Tenant};

use super::{calm, names, now, settled_house};
use crate::fixture::{House, insert, sql};

/// What stands for the row with this id.
fn row(id: &str) -> Vec<String> {
    names(&[&format!("person/{}", &id[33..]), "person/*"])
}

async fn now_of(house: &House, tenant: &Tenant, id: &str) -> Stamp {
    let tables = row(id);
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    now(house, tenant, &tables).await
}

const ID: &str = "00000000-0000-4000-8000-0000000000a1";
const OTHER: &str = "00000000-0000-4000-8000-0000000000a2";

async fn two_rows(house: &House) {
    for id in [ID, OTHER] {
        let text = "insert into app.person (id, handle) values ($1::text::uuid, $1)";
        house.store.run_all(&house.a, &sql(text, &[id])).await.unwrap();
    }
}

#[tokio::test]
async fn rows_are_told_apart_where_few_are_written() {
    let house = settled_house(Mode::Seal).await;
    two_rows(&house).await;
    let superuser = house.db.client().await;
    let many: String = (0..17).fold("null".to_owned(), |all, n| format!("{all}, 'p{n}'"));
    for n in 0..17 {
        house.store.run(&house.a, &insert(&format!("p{n}"))).await.unwrap();
    }
    let cases: [(&str, bool, bool); 8] = [
        (&format!("update app.person set age = 1 where id = '{ID}'"), true, false),
        ("insert into app.person (handle) values ('new')", false, false),
        ("update app.person set age = 1 where false", false, false),
        (&format!("delete from app.person where id = '{OTHER}'"), false, true),
        (&format!("update app.person set age = 2 where handle in ({many})"), true, true),
        (&format!("update app.person set age = 2 where id = '{ID}'"), true, false),
        (
            &format!(
                "insert into app.person (id, handle) values ('{ID}', 'x') on conflict (tenant_id, id) do update set age = 3"
            ),
            true,
            false,
        ),
        (
            &format!(
                "with gone as (delete from app.person where id = '{ID}' returning id) select 1 from gone"
            ),
            true,
            false,
        ),
    ];
    for (text, mine, other) in cases {
        let before = (now_of(&house, &house.a, ID).await, now_of(&house, &house.a, OTHER).await);
        let theirs = now_of(&house, &house.b, ID).await;
        house.store.run_all(&house.a, &sql(text, &[])).await.unwrap();
        let after = (now_of(&house, &house.a, ID).await, now_of(&house, &house.a, OTHER).await);
        assert_eq!((before.0 != after.0, before.1 != after.1), (mine, other), "{text}");
        assert_eq!(theirs, now_of(&house, &house.b, ID).await, "{text}");
    }
    two_rows(&house).await;
    for text in [
        format!("update app.person set id = gen_random_uuid() where id = '{OTHER}'"),
        "truncate app.person, app.note".to_owned(),
    ] {
        let before = now_of(&house, &house.a, ID).await;
        superuser.batch_execute(&text).await.unwrap();
        assert_ne!(before, now_of(&house, &house.a, ID).await, "{text}: any row may be another");
    }
}

#[tokio::test]
async fn too_many_notes_become_fewer_and_none_is_forgotten() {
    let house = settled_house(Mode::Seal).await;
    two_rows(&house).await;
    house.store.run_all(&house.a, &sql("update app.person set age = 1", &[])).await.unwrap();
    let superuser = house.db.client().await;
    let before = now_of(&house, &house.a, ID).await;
    // Of transactions before and after those two rows', as many as there may be.
    superuser
        .batch_execute(
            "insert into freehold.version_note (tenant_id, relation, xid)
               select gen_random_uuid(), 'x/' || lpad(to_hex(n % 4096), 3, '0'), (3 + n % 500)::text::xid8 from generate_series(1, 100001) n;
             insert into freehold.version_note (tenant_id, relation)
               select gen_random_uuid(), 'x/' || lpad(to_hex(n % 4096), 3, '0') from generate_series(1, 110000) n",
        )
        .await
        .unwrap();
    calm(&house).await;
    superuser
        .batch_execute("select freehold.fold_versions(pg_snapshot_xmin(pg_current_snapshot()))")
        .await
        .unwrap();
    let count = "select count(*) filter (where relation like '%/___'), count(*) filter (where relation like '%/*'),
        count(*) filter (where relation like 'person/___') from freehold.version_note";
    let row = superuser.query_one(count, &[]).await.unwrap();
    let (parts, any, mine): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert!((100_000..=110_000).contains(&parts) && any > 100_000, "{parts} and {any}");
    assert_eq!(mine, 0, "they were among the older");
    // Another note stands for them, of a transaction that is as late.
    let folded = now_of(&house, &house.a, ID).await;
    house.store.run(&house.a, &insert("new")).await.unwrap();
    assert_eq!(folded, now_of(&house, &house.a, ID).await);
    let text = format!("update app.person set age = 9 where id = '{ID}'");
    house.store.run_all(&house.a, &sql(&text, &[])).await.unwrap();
    let after = now_of(&house, &house.a, ID).await;
    assert!(folded != after && before != after);
}

/// As for whole tables, of single rows, which are written alone and with many, removed and made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_stamp_of_a_row_means_the_same_row() {
    let house = Arc::new(settled_house(Mode::Seal).await);
    let ids: Vec<String> = (0..20).map(|n| format!("00000000-0000-4000-8000-{n:012x}")).collect();
    for id in &ids {
        let text = "insert into app.person (id, handle, age) values ($1::text::uuid, $1, 0)";
        house.store.run_all(&house.a, &sql(text, &[id])).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4_usize).map(|n| {
        let (house, stop, ids) = (Arc::clone(&house), Arc::clone(&stop), ids.clone());
        tokio::spawn(async move {
            let mut writes = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                writes += 1;
                let mut tx = house.store.begin(&house.a).await.unwrap();
                let id = &ids[(writes * 7 + n) % 3];
                let one = "update app.person set age = age + 1 where id = $1::text::uuid";
                if writes.is_multiple_of(7) {
                    let all = "update app.person set age = age + 1 where id in (select id from app.person order by id for update)";
                    tx.query(&sql(all, &[])).await.unwrap();
                } else if writes.is_multiple_of(5) {
                    let gone = "delete from app.person where id = $1::text::uuid returning age";
                    let gone = tx.query(&sql(gone, &[id])).await.unwrap();
                    // Another one was quicker.
                    let Some(age) = gone.first().and_then(|row| row.int(0)) else { continue };
                    let again = "insert into app.person (id, handle, age) values ($1::text::uuid, $1, $2::text::integer + 1)";
                    tx.query(&sql(again, &[id, &age.to_string()])).await.unwrap();
                } else {
                    tx.query(&sql(one, &[id])).await.unwrap();
                }
                if writes.is_multiple_of(6) {
                    drop(tx);
                } else {
                    tx.commit().await.unwrap();
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let stamps: Arc<Mutex<HashMap<[u8; 16], String>>> = Arc::default();
    let readers = (0..3_usize).map(|n| {
        let (house, stamps, id) = (Arc::clone(&house), Arc::clone(&stamps), ids[n].clone());
        tokio::spawn(async move {
            let text = format!(
                "select age, freehold.stamp('{{{}}}') from app.person where id = $1::text::uuid",
                row(&id).join(",")
            );
            for _ in 0..400 {
                let rows = house.store.run_all(&house.a, &sql(&text, &[&id])).await.unwrap();
                // A row that is not there has no such stamp.
                let Some(row) = rows.first() else { continue };
                let (stamp, _) = house.store.stamp_in(row, 1).expect("there is an epoch");
                let seen = format!("{id} {}", row.int(0).unwrap());
                let before = stamps.lock().unwrap().insert(stamp.0, seen.clone());
                assert!(before.is_none_or(|before| before == seen), "one stamp, two answers");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for reader in readers {
        reader.await.unwrap();
        house.store.tend_versions().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let distinct = stamps.lock().unwrap().len();
    assert!(distinct > 50, "{distinct} stamps");
}
