//! A client that writes at random: every kind of statement, alone and in transactions, some of which are given up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use freehold_engine::{RootKey, Store, StoreConfig, Transaction, Typed, TypedError};

use super::{Chance, Tally, house::TENANTS};

/// Statements on one connection.
const IN_A_ROW: u64 = 60;

/// What became of a statement.
#[derive(PartialEq)]
enum Fate {
    Done,
    Refused,
    CutOff,
}

pub(super) async fn write(
    url: String,
    key: fn() -> RootKey,
    mut chance: Chance,
    over: Arc<AtomicBool>,
    tally: Tally,
) {
    let mut store = None;
    while !over.load(Ordering::Relaxed) {
        let tenant = TENANTS[usize::try_from(chance.below(TENANTS.len() as u64)).unwrap()];
        if store.is_none() {
            let config = StoreConfig { pool_size: 1, ..StoreConfig::new(url.clone(), key()) };
            store = Store::connect(config).await.ok();
        }
        let Ok(mut session) = open(store.as_ref(), tenant).await else {
            // Polls: the server is down and does not say when it will be up again.
            tokio::time::sleep(chance.between(20, 200)).await;
            continue;
        };
        for _ in 0..chance.below(IN_A_ROW) {
            let fate = transaction(&mut session, &mut chance, &tally).await;
            if fate == Fate::CutOff || over.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

async fn open(store: Option<&Store>, tenant: &str) -> Result<Typed, ()> {
    let store = store.ok_or(())?;
    let tenant = store.tenant_named(tenant).await.map_err(drop)?;
    store.typed(&tenant).await.map_err(drop)
}

async fn transaction(session: &mut Typed, chance: &mut Chance, tally: &Tally) -> Fate {
    let fate = if chance.below(100) < 60 {
        run(session, &statement(chance)).await
    } else {
        several(session, chance).await
    };
    if session.transaction() != Transaction::None {
        let _ = run(session, "rollback").await;
    }
    let mut counts = tally.lock().unwrap();
    match fate {
        Fate::Done => counts.transactions += 1,
        Fate::Refused => counts.refused += 1,
        Fate::CutOff => counts.cut_off += 1,
    }
    fate
}

/// A transaction of several statements, with savepoints that are rolled back, some of it open for a while.
async fn several(session: &mut Typed, chance: &mut Chance) -> Fate {
    let mut texts = vec!["begin".to_owned()];
    for number in 0..=chance.below(4) {
        if chance.below(3) == 0 {
            texts.extend([format!("savepoint s{number}"), statement(chance)]);
            if chance.below(2) == 0 {
                texts.push(format!("rollback to s{number}"));
            }
        }
        texts.push(statement(chance));
    }
    for text in &texts {
        let fate = run(session, text).await;
        if fate != Fate::Done {
            return fate;
        }
    }
    if chance.below(6) == 0 {
        // Plays: what commits late must not be missed.
        tokio::time::sleep(chance.between(10, 600)).await;
    }
    run(session, if chance.below(5) == 0 { "rollback" } else { "commit" }).await
}

async fn run(session: &mut Typed, text: &str) -> Fate {
    match session.run(text, std::future::pending()).await {
        Ok(_) => Fate::Done,
        Err(TypedError::Said(said)) => {
            // Classes of their own: what a row breaks, who is in whose way, what the other one did meanwhile.
            let expected = ["23", "40", "55P03", "57P", "25P02"];
            let known = expected.iter().any(|class| said.state.starts_with(class));
            assert!(known, "{text}: {said:?}");
            if said.state.starts_with("57P") { Fate::CutOff } else { Fate::Refused }
        }
        Err(TypedError::Stopped) => panic!("nobody stopped it"),
        Err(TypedError::Other(_)) => Fate::CutOff,
    }
}

/// One of an entity's rows.
fn one(chance: &mut Chance, entity: &str) -> String {
    format!("(select id from {entity} order by md5(id::text || '{}') limit 1)", chance.below(1000))
}

fn statement(chance: &mut Chance) -> String {
    match chance.below(10) {
        0..5 => insert(chance),
        5..8 => update(chance),
        8 => upsert(chance),
        _ => delete(chance),
    }
}

fn insert(chance: &mut Chance) -> String {
    let (a, b) = (chance.below(1_000_000), chance.below(20));
    match chance.below(12) {
        0 => format!(
            "insert into team (name) select 'team {a}' where (select count(*) from team) < 12"
        ),
        1 | 2 => format!(
            "insert into person (handle, team) select 'p{a}', {} where (select count(*) from person) < 60",
            one(chance, "team")
        ),
        3..7 => format!(
            "insert into task (number, person, label, points) select {a}, id, 'label {b}', {b} from person order by md5(id::text || '{a}') limit 1"
        ),
        7 => {
            let rows = 20 + chance.below(600);
            format!(
                "insert into task (number, person, label, points) select {a} + n, p.id, 'label ' || n % 30, n % 50
                 from generate_series(1, {rows}) n, (select id from person order by md5(id::text || '{a}') limit 1) p
                 where (select count(*) from task) < 4000 on conflict do nothing"
            )
        }
        8 => format!(
            "insert into mark (task, weight) select id, {b} from task where points = {b} and (select count(*) from mark) < 8000"
        ),
        _ => format!(
            "insert into mark (task, weight) select id, {b} from task order by md5(id::text || '{a}') limit 1"
        ),
    }
}

fn update(chance: &mut Chance) -> String {
    let b = chance.below(20);
    match chance.below(8) {
        0 => format!(
            "update team set name = name || '.' where id = {} and length(name) < 40",
            one(chance, "team")
        ),
        1 => format!(
            "update person set team = {} where id = {}",
            one(chance, "team"),
            one(chance, "person")
        ),
        2 => format!("update person set team = null where id = {}", one(chance, "person")),
        3 => format!(
            "update task set person = {} where id = {}",
            one(chance, "person"),
            one(chance, "task")
        ),
        4 => format!("update task set points = points + 1 where label = 'label {b}'"),
        5 => format!("update task set label = 'label {b}' where id = {}", one(chance, "task")),
        6 => format!("update mark set weight = weight + {b} where task = {}", one(chance, "task")),
        _ => format!(
            "update mark set task = {} where task = {}",
            one(chance, "task"),
            one(chance, "task")
        ),
    }
}

fn upsert(chance: &mut Chance) -> String {
    let (a, b) = (chance.below(400), chance.below(20));
    format!(
        "insert into task (number, person, label, points) select {a}, id, 'label {b}', {b} from person order by md5(id::text || '{b}') limit 1
         on conflict (tenant_id, number) do update set person = excluded.person, label = excluded.label, points = task.points + 1"
    )
}

fn delete(chance: &mut Chance) -> String {
    match chance.below(8) {
        0 => format!("delete from person where id = {}", one(chance, "person")),
        1 => format!("delete from team where id = {}", one(chance, "team")),
        2 => format!("delete from task where number % 7 = {}", chance.below(7)),
        3 => format!("delete from mark where weight = {}", chance.below(40)),
        4 | 5 => format!("delete from task where id = {}", one(chance, "task")),
        _ => format!("delete from mark where task = {}", one(chance, "task")),
    }
}
