//! Ordinary work: one statement, several, many rows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use freehold_model::{Code, Sql};
use freehold_store::{Bounds, Column, Config, Error, Mode, RootKey, Store};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::fixture::{ROOT, code, house, house_in, insert, sql};

#[tokio::test]
async fn parameters_of_every_type_go_as_text_and_null_is_null() {
    let house = house().await;
    let text = "select ($1::integer + 1)::bigint, $2::timestamptz::text, $3::boolean, $4::freehold_ext.vector::text, $5::text, $6::uuid::text";
    let id = "0196b0b0-0000-7000-8000-000000000001";
    let params =
        ["41", "2026-01-02 03:04:05+00", "t", "[1,2,3]"].map(|param| Some(param.to_owned()));
    let params = params.into_iter().chain([None, Some(id.to_owned())]).collect();
    let row = house.store.run(&house.a, &Sql::any(text, params)).await.unwrap();
    assert_eq!(
        (row.int(0), row.text(1), row.bool(2)),
        (Some(42), Some("2026-01-02 03:04:05+00"), Some(true))
    );
    assert_eq!((row.text(3), row.text(4), row.text(5)), (Some("[1,2,3]"), None, Some(id)));
}

#[tokio::test]
async fn ids_are_uuids_of_version_7_in_the_order_of_time() {
    let house = house().await;
    let first = house.store.run(&house.a, &insert("x")).await.unwrap().text(0).unwrap().to_owned();
    // Plays: a later millisecond, which is what the order is about.
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    let second = house.store.run(&house.a, &insert("y")).await.unwrap().text(0).unwrap().to_owned();
    for id in [&first, &second] {
        let id: uuid::Uuid = id.parse().unwrap();
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        assert!(
            seconds.abs_diff(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()) < 600
        );
    }
    assert!(first < second);
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let house = house().await;
    let mut tx = house.store.begin(&house.a).await.unwrap();
    let answers = tx
        .batch(&[insert("one"), insert("two"), sql("select count(*) from app.person", &[])])
        .await
        .unwrap();
    assert_eq!(answers[2][0].int(0), Some(3));
    tx.commit().await.unwrap();
    assert_eq!(house.handles(&house.a).await, ["ann", "one", "two"]);

    let mut tx = house.store.begin(&house.a).await.unwrap();
    tx.query(&insert("three")).await.unwrap();
    assert_eq!(code(tx.query(&insert("ann")).await), Code::Conflict);
    assert!(matches!(tx.commit().await, Err(Error::Failed(_))));
    assert_eq!(house.handles(&house.a).await, ["ann", "one", "two"]);
}

#[tokio::test]
async fn broken_rules_are_told_in_our_words() {
    let house = house().await;
    let cases = [
        (insert("ann"), Code::Conflict),
        (
            sql("insert into app.person (handle) values ($1) returning id::text", &["a\0b"]),
            Code::InvalidText,
        ),
        (
            Sql::any("insert into app.person (handle) values ($1) returning id::text", vec![None]),
            Code::Required,
        ),
        (
            sql(
                "insert into app.person (handle, age) values ('x', $1) returning id::text",
                &["-1"],
            ),
            Code::Check,
        ),
        (
            sql("insert into app.person (handle, age) values ('x', $1) returning id::text", &["x"]),
            Code::InvalidValue,
        ),
        (
            sql(
                "insert into app.person (handle, age) values ('x', $1) returning id::text",
                &["99999999999"],
            ),
            Code::OutOfRange,
        ),
        (sql("select $1::timestamptz::text", &["2026-02-30"]), Code::InvalidTime),
        (
            sql(
                "insert into app.person (handle, embedding) values ('x', $1) returning id::text",
                &["[1,2]"],
            ),
            Code::Vector,
        ),
        (
            sql(
                "insert into app.note (author) values ($1) returning id::text",
                &["0196b0b0-0000-7000-8000-000000000001"],
            ),
            Code::Reference,
        ),
    ];
    for (statement, wanted) in cases {
        let error = house.store.run(&house.a, &statement).await.err().unwrap();
        let words = error.to_string();
        assert_eq!(code::<()>(Err(error)), wanted, "{statement:?}");
        assert!(
            !words.contains("relation") && !words.contains("violates") && !words.contains("syntax"),
            "{words}"
        );
    }
    assert_eq!(house.handles(&house.a).await, ["ann"]);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_refused() {
    let house = house().await;
    let config = Config {
        statement_timeout: std::time::Duration::from_secs(2),
        ..Config::new(house.db.url(), RootKey::new(ROOT))
    };
    let store = Store::connect(config).await.unwrap();
    let slow = sql("select count(*) from (select generate_series(1, 600000000000)) slow", &[]);
    assert_eq!(code(store.run(&house.a, &slow).await), Code::TooSlow);
}

#[tokio::test]
async fn a_full_pool_says_so() {
    let house = house().await;
    let config = Config {
        pool_size: 1,
        wait_timeout: std::time::Duration::from_millis(50),
        ..Config::new(house.db.url(), RootKey::new(ROOT))
    };
    let store = Store::connect(config).await.unwrap();
    let tx = store.begin(&house.a).await.unwrap();
    assert!(
        matches!(store.run(&house.b, &insert("x")).await, Err(Error::Failed(fault)) if fault.is_unavailable())
    );
    tx.commit().await.unwrap();
    store.run(&house.b, &insert("x")).await.unwrap();
}

#[tokio::test]
async fn many_rows_are_loaded_at_once_and_only_for_the_tenant() {
    let house = house().await;
    let statement = sql(
        "insert into app.person (handle, age, embedding) select h, a::integer, e from unnest($1::text[], $2::text[], $3::freehold_ext.vector[]) as r (h, a, e)",
        &[],
    );
    let columns = [
        Column::Text((0..2000).map(|i| Some(format!("p{i}"))).collect()),
        Column::Text((0..2000).map(|i| (i % 2 == 0).then(|| i.to_string())).collect()),
        Column::Vector(
            (0..2000_u16).map(|i| (i > 0).then(|| vec![f32::from(i), 0.5, -1.0])).collect(),
        ),
    ];
    let mut tx = house.store.begin(&house.a).await.unwrap();
    assert_eq!(tx.load(&statement, &columns).await.unwrap(), 2000);
    let row = tx
        .query(&sql("select embedding::text, age::bigint from app.person where handle = 'p3'", &[]))
        .await
        .unwrap();
    assert_eq!((row[0].text(0), row[0].int(1)), (Some("[3,0.5,-1]"), None));
    tx.commit().await.unwrap();
    assert_eq!(house.handles(&house.a).await.len(), 2001);
    assert_eq!(house.handles(&house.b).await, ["bob"]);

    let mut tx = house.store.begin(&house.b).await.unwrap();
    let nan = [
        columns[0].clone(),
        columns[1].clone(),
        Column::Vector(vec![Some(vec![f32::NAN, 0.0, 0.0]); 2000]),
    ];
    assert_eq!(code(tx.load(&statement, &nan).await), Code::Vector);
}

#[tokio::test]
async fn halfvec_columns_keep_their_bits() {
    let house = house().await;
    let mut tx = house.store.begin(&house.a).await.unwrap();
    let sent =
        sql("select string_agg(v::text, ';') from unnest($1::freehold_ext.halfvec[]) as v", &[]);
    // 1.0 and -2.0 as IEEE half-precision numbers.
    let count = tx.load(&sent, &[Column::Halfvec(vec![Some(vec![0x3c00, 0xc000])])]).await.unwrap();
    assert_eq!(count, 1);
    let kept = sql(
        "update app.person set handle = (select string_agg(v::text, ';') from unnest($1::freehold_ext.halfvec[]) as v)",
        &[],
    );
    tx.load(&kept, &[Column::Halfvec(vec![Some(vec![0x3c00, 0xc000])])]).await.unwrap();
    let rows = tx.query(&sql("select handle from app.person", &[])).await.unwrap();
    assert_eq!(rows[0].text(0), Some("[1,-2]"));
}

#[tokio::test]
async fn vectors_to_be_made_are_noted_for_their_tenant_and_taken_once() {
    let house = house().await;
    let due = house.store.due().await.unwrap();
    let names: Vec<&str> = due.iter().map(|due| due.tenant.name()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((due[0].entity.as_str(), due[0].field.as_str()), ("person", "embedding"));
    let notes = house.store.due_notes(&due[0]).await.unwrap();
    // A note that is made while the one before is worked on stays.
    house.store.run(&house.a, &insert("later")).await.unwrap();
    house.store.clear_due(&due[0], &notes).await.unwrap();
    assert_eq!(house.store.due().await.unwrap().len(), 2);
    let notes = house.store.due_notes(&due[0]).await.unwrap();
    house.store.clear_due(&due[0], &notes).await.unwrap();
    let left = house.store.due().await.unwrap();
    assert_eq!(left.iter().map(|due| due.tenant.name()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn statements_follow_when_the_tables_change() {
    let house = house().await;
    let all = sql("select * from app.person where age = $1 or age is null", &["1"]);
    assert_eq!(house.store.run(&house.a, &all).await.unwrap().len(), 5);
    let admin = house.db.client().await;
    admin.batch_execute("alter table app.person add column city text; alter table app.person alter column age type bigint; grant select on app.person to freehold_app").await.unwrap();
    assert_eq!(house.store.run(&house.a, &all).await.unwrap().len(), 6);
}

#[tokio::test]
async fn more_statements_than_are_kept_work_too() {
    let house = house().await;
    for i in 0..200 {
        let statement = sql(&format!("select {i}::bigint + count(*) from app.person"), &[]);
        assert_eq!(house.store.run(&house.a, &statement).await.unwrap().int(0), Some(i + 1));
    }
    let admin = house.db.client().await;
    admin.batch_execute("grant select on pg_prepared_statements to freehold_app; grant execute on function pg_prepared_statement() to freehold_app").await.unwrap();
    let kept = sql("select count(*) from pg_prepared_statements", &[]);
    assert!(house.store.run(&house.a, &kept).await.unwrap().int(0).unwrap() <= 64 + 3);
}

#[tokio::test]
async fn a_whole_request_is_one_round_trip() {
    let house = house().await;
    let (url, turns) = counting_proxy(house.db.url()).await;
    let store = Store::connect(Config { pool_size: 1, ..Config::new(url, RootKey::new(ROOT)) })
        .await
        .unwrap();
    let read = sql("select handle from app.person", &[]);
    store.run(&house.a, &read).await.unwrap();
    for tenant in [&house.a, &house.b] {
        let before = turns.load(Ordering::SeqCst);
        store.run(tenant, &read).await.unwrap();
        assert_eq!(turns.load(Ordering::SeqCst) - before, 1);
    }
    let mut tx = store.begin(&house.a).await.unwrap();
    tx.batch(&[insert("x"), read.clone()]).await.unwrap();
    let before = turns.load(Ordering::SeqCst);
    tx.batch(&[insert("y"), insert("z"), read]).await.unwrap();
    assert_eq!(turns.load(Ordering::SeqCst) - before, 1);
    tx.commit().await.unwrap();
}

/// A way to the server that counts how often the client speaks after the server has spoken.
async fn counting_proxy(url: &str) -> (String, Arc<AtomicU32>) {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let (host, port) =
        (config.get_hosts()[0].clone(), config.get_ports().first().copied().unwrap_or(5432));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, turns) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&turns);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            client.set_nodelay(true).unwrap();
            match &host {
                tokio_postgres::config::Host::Tcp(host) => {
                    let server =
                        tokio::net::TcpStream::connect((host.as_str(), port)).await.unwrap();
                    tokio::spawn(relay(client, server, Arc::clone(&counter)));
                }
                tokio_postgres::config::Host::Unix(folder) => {
                    let server =
                        tokio::net::UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))
                            .await
                            .unwrap();
                    tokio::spawn(relay(client, server, Arc::clone(&counter)));
                }
            }
        }
    });
    (format!("host=127.0.0.1 port={here} dbname={}", config.get_dbname().unwrap()), turns)
}

async fn relay(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    turns: Arc<AtomicU32>,
) {
    let (mut ask, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let mut server_spoke = true;
    loop {
        tokio::select! {
            Ok(n) = client.read(&mut ask) => {
                if n == 0 { return }
                if std::mem::take(&mut server_spoke) { turns.fetch_add(1, Ordering::SeqCst); }
                server.write_all(&ask[..n]).await.unwrap();
            }
            Ok(n) = server.read(&mut answer) => {
                if n == 0 { return }
                server_spoke = true;
                client.write_all(&answer[..n]).await.unwrap();
            }
            else => return,
        }
    }
}

/// Requests without a key run as a login of their own, whose grants say what they reach.
#[tokio::test]
async fn somebody_without_a_key_reaches_what_is_granted_to_them() {
    for mode in [Mode::Seal, Mode::Ticket] {
        let house = house_in(mode).await;
        let (store, anybody) = (&house.store, house.a.clone().for_anybody());
        let read = sql("select string_agg(handle, ',') from app.person", &[]);
        assert_eq!(code(store.run(&anybody, &read).await), Code::Forbidden);
        let open = "create policy anonymous on app.person for select to freehold_anonymous using (true); \
                    grant select (tenant_id, id, handle) on app.person to freehold_anonymous";
        house.db.client().await.batch_execute(open).await.unwrap();
        assert_eq!(store.run(&anybody, &read).await.unwrap().text(0), Some("ann"));
        let b = house.b.clone().for_anybody();
        assert_eq!(store.run(&b, &read).await.unwrap().text(0), Some("bob"));
        for refused in [
            "select age::text from app.person",
            "select count(*)::text from app.note",
            "insert into app.person (handle) values ('x') returning id::text",
            "update app.person set handle = 'x' returning id::text",
            "delete from app.person returning id::text",
            "select freehold.uuidv7()::text",
            "select state from freehold.tenant",
            "select object from freehold.blob",
        ] {
            let answer = store.run(&anybody, &sql(refused, &[])).await;
            assert_eq!(code(answer), Code::Forbidden, "{refused}");
        }
        // A token of this login is none for the other, and no role but a reader's is signed for it.
        assert!(store.raw(&anybody, "select 1").await.is_err());
        assert_eq!(store.run(&house.a, &read).await.unwrap().text(0), Some("ann"));
    }
}

/// What one request may take is less than what the server allows.
#[tokio::test]
async fn a_bounded_tenants_statements_end_in_their_time() {
    let house = house().await;
    let short = Bounds { statement: Some(Duration::from_millis(200)), rows: None };
    let bounded = house
        .a
        .clone()
        .bounded(short)
        .bounded(Bounds { statement: Some(Duration::from_secs(20)), rows: Some(1) });
    assert_eq!((bounded.bounds().statement, bounded.bounds().rows), (short.statement, Some(1)));
    let slow = sql("select count(*)::text from generate_series(1, 10000000000)", &[]);
    assert_eq!(code(house.store.run(&bounded, &slow).await), Code::TooSlow);
    let mut tx = house.store.begin(&bounded).await.unwrap();
    assert_eq!(code(tx.query_one(&slow).await), Code::TooSlow);
    drop(tx);
    // The time is the transaction's, and goes with it.
    let said = sql("select current_setting('statement_timeout')", &[]);
    assert_eq!(house.store.run(&bounded, &said).await.unwrap().text(0), Some("200ms"));
    assert_eq!(house.store.run(&house.a, &said).await.unwrap().text(0), Some("30s"));
}
