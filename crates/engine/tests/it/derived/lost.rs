//! Copies that are not whole: until they are made again nothing is left out in silence.

use freehold_engine::{Code, Engine, Error, Operator, RootKey};
use freehold_testkit::OwnServer;
use uuid::Uuid;

use super::*;
use crate::ground::{ROOT, change, code, store};

const NEAR: &str = "note?near=nearest(k:9).text:garden&select=n";

#[tokio::test]
async fn what_sql_leaves_without_its_copy_is_noted_and_made_again() {
    let (ground, _) = filled().await;
    let (a, b) = (&ground.a, &ground.b);
    let before = ground.read(a, NEAR).await;
    ground.engine.raw_sql(a, "update app.note set near = near || ''::bytea").await.unwrap();
    assert_eq!(check(&ground, a, "the same bytes").await, 2);
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(ground.engine.uncopied().await.unwrap(), [], "all is noted as whole");

    // Of another row: it does not open here, and is found by nobody.
    let foreign = "update app.note set near = (select near from app.note where n = 2) where n = 1";
    ground.engine.raw_sql(a, foreign).await.unwrap();
    assert_eq!(code(read(&ground.engine, a, NEAR).await), Code::CopyNotWhole);
    for query in [
        "person?select=handle,note(n)&note.near=nearest.text:garden",
        "note?near=nearest.text:house&n=eq.2&select=n",
        "note?near=nearest(as:v).text:house&title=wfts(english,as:t).two&rank=rrf(t,v)&select=n",
    ] {
        assert_eq!(code(read(&ground.engine, a, query).await), Code::CopyNotWhole, "{query}");
    }
    assert_eq!(ground.read(b, NEAR).await, before, "of the other tenant");
    let waits = ground.engine.uncopied().await.unwrap();
    assert!(waits.iter().any(|one| (&*one.tenant, &*one.field) == ("a", "near")), "{waits:?}");
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(ground.read(a, NEAR).await, json!([{ "n": 2 }]));
    assert_eq!(ground.engine.uncopied().await.unwrap(), []);
}

/// Everything that searches need is noted by the first worker, so that later ones ask no row.
#[tokio::test]
async fn workers_note_what_is_whole_and_count_what_they_open() {
    let (ground, _) = filled().await;
    assert_eq!(ground.engine.uncopied().await.unwrap().len(), 6, "two tenants, three copies");
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(ground.engine.uncopied().await.unwrap(), []);
    let opened = "select sum(opens)::bigint as n from freehold.opened where purpose = 'copying'";
    assert_eq!(ground.truth(opened).await, json!([{ "n": null }]), "nothing lacked its copy");
    // Both tenants' copies are gone at once, and the notes of what is whole with them, as after a crash.
    let admin = ground.db.client().await;
    let gone = "truncate app.\"note~near~near\", app.\"person~face~near\", app.\"person~half~near\", freehold.copy_whole, freehold.copy_note";
    admin.batch_execute(gone).await.unwrap();
    assert_eq!(code(read(&ground.engine, &ground.a, NEAR).await), Code::CopyNotWhole);
    while ground.engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(check(&ground, &ground.a, "made again").await, 2);
    assert_eq!(check(&ground, &ground.b, "made again").await, 2);
    assert_eq!(ground.truth(opened).await, json!([{ "n": 12 }]));
}

/// A tenant's rows are the only ones found, also where all that is nearest is another's.
#[tokio::test]
async fn what_is_nearest_is_the_tenants_own() {
    let (ground, _) = filled().await;
    ground.insert(&ground.b, "note?select=id", json!({ "n": 77, "text": "garden" })).await;
    ground.insert(&ground.a, "note?select=id", json!({ "n": 78, "title": "a stone" })).await;
    let near = "note?near=nearest(k:1).text:garden&select=n";
    assert_eq!(ground.read(&ground.b, near).await, json!([{ "n": 77 }]));
    let found = ground.read(&ground.a, "note?near=nearest(k:9).text:garden&select=n").await;
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert!(found.as_array().unwrap().iter().all(|row| row["n"] != 77), "{found}");
    let rows =
        "select count(*) as n, count(distinct tenant_id) as tenants from app.\"note~near~near\"";
    let seen = ground.engine.raw_sql(&ground.a, rows).await.unwrap();
    assert_eq!(
        format!("{:?}", seen[0].rows),
        format!("{:?}", [[Some("3".to_owned()), Some("1".to_owned())]])
    );
    let other = format!(
        "insert into app.\"note~near~near\" (tenant_id, id) values ('{}', '{}')",
        ground.b.id(),
        Uuid::now_v7()
    );
    assert!(ground.engine.raw_sql(&ground.a, &other).await.is_err(), "the wall holds writes");
}

/// PostgreSQL dies: what is unlogged is empty, and searches say so until a worker was there.
#[tokio::test]
async fn a_crash_empties_copies_and_nothing_is_left_out_in_silence() {
    let mut server = OwnServer::start().await;
    let url = server.url();
    let mut operator = Operator::open(&url, "test").await.unwrap();
    operator.set_up(&RootKey::new(ROOT)).await.unwrap();
    operator.create_tenant("a").await.unwrap();
    operator.create_tenant("b").await.unwrap();
    change(&mut operator, &store(&url).await, MODEL, &[]).await.unwrap();
    drop(operator);
    let engine = Engine::open(store(&url).await, "/".into()).await.unwrap();
    let mut before = Vec::new();
    for name in ["a", "b"] {
        let tenant = engine.tenant(name).await.unwrap();
        let notes: Vec<Value> = (0..40)
            .map(|n| json!({ "n": n, "title": format!("the {n}th {name}"), "text": format!("garden {}", n * 7) }))
            .collect();
        let insert = operation("note?select=n", Verb::Insert(Value::Array(notes), None));
        engine.write(&tenant, insert).await.unwrap();
        before.push((tenant.clone(), read(&engine, &tenant, NEAR).await.unwrap()));
    }
    while engine.copy_step().await.unwrap() > 0 {}
    assert_eq!(engine.uncopied().await.unwrap(), []);
    server.crash().await;
    let engine = Engine::open(store(&url).await, "/".into()).await.unwrap();
    let left = "select count(*) from app.\"note~near~near\"";
    let left: i64 = server.client().await.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "the crash has emptied it");
    for (tenant, _) in &before {
        assert_eq!(code(read(&engine, tenant, NEAR).await), Code::CopyNotWhole);
        let rows = read(&engine, tenant, "note?select=n,near&n=eq.3").await.unwrap();
        assert!(rows[0]["near"].is_array(), "what is sealed is there");
    }
    assert_eq!(engine.uncopied().await.unwrap().len(), 6);
    while engine.copy_step().await.unwrap() > 0 {}
    for (tenant, rows) in &before {
        assert_eq!(read(&engine, tenant, NEAR).await.unwrap(), *rows);
    }
}

/// A worker that outlives the server does not call a copy whole that a crash has emptied behind its back.
#[tokio::test]
async fn who_filled_before_a_crash_does_not_say_that_it_is_whole() {
    let (ground, _) = filled().await;
    let store = ground.engine.store();
    let notes = store.copy_begin(&ground.a, "note~near~near").await.unwrap().unwrap();
    let admin = ground.db.client().await;
    let gone = "truncate app.\"note~near~near\", freehold.copy_whole, freehold.copy_note";
    admin.batch_execute(gone).await.unwrap();
    assert!(!store.copy_end(&ground.a, "note~near~near", &notes).await.unwrap());
    let near = read(&ground.engine, &ground.a, NEAR).await;
    assert!(matches!(near, Err(Error::Refused(refusal)) if refusal.code == Code::CopyNotWhole));
}

/// Rows that move to a partition of their tenant's own and back take nothing from their copies, and change as before there.
#[tokio::test]
async fn copies_stay_when_their_rows_move() {
    let (ground, ada) = filled().await;
    let a = &ground.a;
    let mut operator = ground.operator().await;
    let mut helper = ground.operator().await;
    operator.promote(&mut helper, "a", "note", |_| {}).await.unwrap();
    ground.engine.store().refresh_placements().await.unwrap();
    assert_eq!(check(&ground, a, "moved").await, 2);
    ground.update(a, "note?n=eq.1", json!({ "text": "a yellow field" })).await;
    ground.insert(a, "note", json!({ "n": 20, "of": ada, "text": "a new one" })).await;
    assert_eq!(check(&ground, a, "changed there").await, 3);
    ground.engine.raw_sql(a, "update app.note set near = null where n = 20").await.unwrap();
    ground.engine.raw_sql(a, "delete from app.note where n = 2").await.unwrap();
    let left =
        format!("select count(*) as n from app.\"note~near~near\" where tenant_id = '{}'", a.id());
    assert_eq!(ground.truth(&left).await, json!([{ "n": 1 }]));
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    operator.demote("a", "note", |_| {}).await.unwrap();
    ground.engine.store().refresh_placements().await.unwrap();
    assert_eq!(check(&ground, a, "moved back").await, 2);
    ground.update(a, "note?n=eq.1", json!({ "text": "a white wall" })).await;
    assert_eq!(check(&ground, a, "changed back there").await, 2);
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}

/// What people are told: the register, the receipt of an erasure, the audit, and nothing of it of a tenant that is gone.
#[tokio::test]
async fn copies_are_told_of_and_go_with_their_tenant() {
    let (ground, ada) = filled().await;
    let register = ground.engine.register().await.unwrap();
    let fields = register["fields"].as_array().unwrap();
    let near = fields.iter().find(|field| field["field"] == "near").unwrap();
    assert!(near["stored"].as_str().unwrap().contains("unlogged copy"), "{near}");
    ground.engine.erase(&ground.a, "person", ada.as_str().unwrap().parse().unwrap()).await.unwrap();
    let receipts = ground.engine.store().receipts(0, 10).await.unwrap();
    assert!(
        receipts[0].body.contains("vectors of note.near, of the unlogged copy"),
        "{}",
        receipts[0].body
    );
    let mut operator = ground.operator().await;
    let report = freehold_engine::audit::audit(&mut operator, None).await.unwrap();
    let told: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| {
            ["FH-D02", "FH-W06", "FH-W07", "FH-W14", "FH-W11"].contains(&&*finding.check.id)
                || finding.object.contains("near")
        })
        .map(|finding| &*finding.object)
        .collect();
    assert_eq!(told, Vec::<&str>::new());
    let logged = "alter table freehold_shelf.\"note~near~near~3\" set logged";
    ground.db.client().await.batch_execute(logged).await.unwrap();
    let report = freehold_engine::audit::audit(&mut operator, None).await.unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.check.id == "FH-D02" && finding.object.contains("near~3"))
    );
    let gone = ground.a.id();
    operator.delete_tenant("a", |_| {}).await.unwrap();
    let left = format!(
        "select tenant_id from app.\"note~near~near\" where tenant_id = '{gone}' union all select tenant_id from freehold.copy_whole where tenant_id = '{gone}'"
    );
    assert_eq!(ground.truth(&left).await, json!([]));
    assert_eq!(check(&ground, &ground.b, "of the other tenant").await, 2);
}

/// A vector that was sealed and not searched becomes searched, and is no more, where it is.
#[tokio::test]
async fn what_is_sealed_can_be_searched_later() {
    let (ground, _) = filled().await;
    let found = read(&ground.engine, &ground.a, NEAR).await.unwrap();
    let sealed = MODEL.replace(
        "of = [\"title\", \"text\"], stored = \"derived\"",
        "of = [\"title\", \"text\"], stored = \"sealed\"",
    );
    ground.change(&sealed, &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    // By the server, row by row.
    assert_eq!(read(&ground.engine, &ground.a, NEAR).await.unwrap(), found);
    ground.update(&ground.a, "note?n=eq.1", json!({ "text": "a garden" })).await;
    ground.change(MODEL, &[]).await.unwrap();
    ground.engine.refresh().await.unwrap();
    assert_eq!(code(read(&ground.engine, &ground.a, NEAR).await), Code::CopyNotWhole);
    while ground.engine.copy_step().await.unwrap() > 0 {}
    for tenant in [&ground.a, &ground.b] {
        assert_eq!(check(&ground, tenant, "searched again").await, 2);
    }
}

/// Writers, workers and what empties copies at once: whoever is answered is answered whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_search_is_answered_in_part() {
    let (ground, _) = filled().await;
    for tenant in [&ground.a, &ground.b] {
        ground.write(tenant, "note?n=not.is.null", Verb::Delete).await.unwrap();
        ground.insert(tenant, "note", (0..MANY).map(|n| note(n, n)).collect()).await;
    }
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let going = || std::time::Instant::now() < until;
    let (whole, mut refused) = (std::cell::Cell::new(0), 0);
    let writing = write_much(&ground, &going);
    let working = async {
        let other = ground.another().await;
        while going() {
            other.copy_step().await.unwrap();
        }
    };
    let emptying = async {
        let admin = ground.db.client().await;
        let mut before = 0;
        while going() {
            // Each time that searches have been answered since.
            if whole.get() < before + 4 {
                drop(ground.engine.uncopied().await);
                continue;
            }
            before = whole.get();
            let gone = "truncate app.\"note~near~near\", freehold.copy_whole, freehold.copy_note";
            // Of two that wait for one another, PostgreSQL ends this one or a writer.
            drop(admin.batch_execute(&format!("set lock_timeout = 100; {gone}")).await);
        }
    };
    let searching = async {
        let other = ground.another().await;
        while going() {
            for tenant in [&ground.a, &ground.b] {
                match read(&other, tenant, "note?near=nearest.text:garden&select=n&limit=99").await
                {
                    Ok(rows) => {
                        assert_eq!(rows.as_array().unwrap().len(), MANY as usize);
                        whole.set(whole.get() + 1);
                    }
                    Err(error) => {
                        assert!(
                            matches!(&error, Error::Refused(it) if matches!(it.code, Code::CopyNotWhole | Code::TryAgain)),
                            "{error:?}"
                        );
                        refused += 1;
                    }
                }
            }
        }
    };
    tokio::join!(writing, working, emptying, searching);
    assert!(whole.get() > 4 && refused > 0, "{whole:?} whole, {refused} refused");
    while ground.engine.copy_step().await.unwrap() > 0 {}
    while ground.engine.fill_step().await.unwrap() != freehold_engine::fill::Outcome::Idle {}
    for tenant in [&ground.a, &ground.b] {
        assert_eq!(check(&ground, tenant, "at last").await, MANY as usize);
    }
}

/// Rows of the test of many at once, each with two vectors.
const MANY: i32 = 30;

fn note(n: i32, word: i32) -> Value {
    json!({ "n": n, "title": format!("note {n}"), "text": format!("garden {word}") })
}

async fn write_much(ground: &Ground, going: &impl Fn() -> bool) {
    for word in 0.. {
        let (tenant, n) = (if word % 2 == 0 { &ground.a } else { &ground.b }, word * 7 % MANY);
        if !going() {
            break;
        }
        match word % 3 {
            0 => drop(ground.update(tenant, &format!("note?n=eq.{n}"), note(n, word)).await),
            1 => drop(ground.merge(tenant, "note?on_conflict=n", json!([note(n, word)])).await),
            _ => {
                // Somebody without keys, who leaves the vector as it is.
                let again = format!(
                    "update app.note set near = near || ''::bytea, at = null where n = {n}"
                );
                drop(ground.engine.raw_sql(tenant, &again).await);
            }
        }
    }
}
