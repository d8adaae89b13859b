//! What one user of a pooled connection leaves to the next. A has the backend first, then B gets it.

use super::tokens::sees_b;
use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["S01", "swapped prepared statement", "Puts a statement of A's under the name of one that the driver has prepared; B's transaction would run it."],
        "gate",
        |arena| Box::pin(dirty(arena, &["prepare s0 as select 1", "deallocate all; prepare s0 as select 1", "prepare s0 as select 1; prepare s1 as select 2"])),
    ),
    CLASS.run(
        ["S02", "stolen token", "The same with the call that opens the tenant: A's statement would keep B's fresh token."],
        "pool",
        |arena| Box::pin(stolen_token(arena)),
    ),
    CLASS.run(
        ["S03", "cursor held open", "Leaves a cursor that outlives its transaction: A's for B to fetch, or B's for A."],
        "gate",
        |arena| Box::pin(held_cursor(arena)),
    ),
    CLASS.refused(
        ["S04", "texts of prepared statements", "Reads the texts of statements and cursors that the session before has left."],
        "kernel",
        &["select statement from pg_prepared_statements", "select * from pg_cursors", "select * from pg_prepared_statement()", "select * from pg_cursor()"],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["S05", "temporary shadow", "Makes a temporary table, view, type or function that is found before the real one."],
        "kernel",
        &[
            "create temp table shadow (id int)",
            "create temp table shadow as select 1",
            "select 1 into temp shadow",
            "create temp view shadow as select 1",
            "create function pg_temp.tenant() returns uuid language sql return null::uuid",
            "create temp sequence shadow",
        ],
    ),
    CLASS.run(
        ["S06", "poisoned settings", "Leaves settings that change what B's statements mean: dates, search path, row security, null comparison."],
        "pool",
        |arena| Box::pin(settings(arena, SETTINGS)),
    ),
    CLASS.run(
        ["S07", "poisoned search", "Leaves settings that make B's similarity search miss rows or take long."],
        "pool",
        |arena| Box::pin(settings(arena, KNOBS)),
    ),
    CLASS.run(
        ["S08", "left-over variable", "Reads a variable of the session that B's statements have set."],
        "pool",
        |arena| Box::pin(variable(arena)),
    ),
];

const CLASS: Class = Class::Session;

const SETTINGS: &[(&str, &str)] = &[
    ("search_path", "pg_temp, app"),
    ("DateStyle", "SQL, DMY"),
    ("TimeZone", "'Pacific/Kiritimati'"),
    ("IntervalStyle", "sql_standard"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("transform_null_equals", "on"),
    ("standard_conforming_strings", "off"),
    ("row_security", "off"),
    ("statement_timeout", "'3s'"),
    ("lock_timeout", "'2s'"),
    ("synchronous_commit", "off"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "serializable"),
    ("array_nulls", "off"),
];

const KNOBS: &[(&str, &str)] = &[
    ("enable_indexscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_partition_pruning", "off"),
    ("work_mem", "'64kB'"),
    ("max_parallel_workers_per_gather", "0"),
    ("hnsw.ef_search", "1"),
    ("ivfflat.probes", "1"),
];

/// B must not be opened in a backend that was left like that.
async fn dirty(arena: &Arena, leavings: &[&str]) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    for leaving in leavings {
        let eve = arena.eve().await?;
        eve.open(arena.a()).await;
        eve.say(leaving).await;
        eve.say(arena.ending()).await;
        if eve.open(arena.b()).await.is_yes() {
            leaks.push(format!("B was opened after: {leaving}"));
        }
    }
    Ok(Found::of(&leaks))
}

async fn stolen_token(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    // A statement that takes whatever a driver passes, under every name a driver might use.
    let names = ["s0", "s1", "stmt_0", "__asyncpg_stmt_1__", "_pg3_0", "lrupsc_1_0"];
    let prepare: Vec<String> =
        names.iter().map(|name| format!("prepare \"{name}\" (text) as select $1")).collect();
    eve.say(&prepare.join("; ")).await;
    if eve.open(arena.b()).await.is_yes() {
        leaks.push("B was opened beside A's statements".to_owned());
    }
    eve.end().await;
    // The refused call was sent as one simple query; nothing of it may be left to read.
    for look in [
        "select query from pg_stat_activity where pid = pg_backend_pid()",
        "select statement from pg_prepared_statements",
    ] {
        let said = eve.say(look).await;
        if said.text().contains(&arena.b().tenant.id().simple().to_string()) {
            leaks.push(look.to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn held_cursor(arena: &Arena) -> Result<Found, Error> {
    let Found::Leak(first) = dirty(arena, &["declare c cursor with hold for select 1"]).await?
    else {
        let eve = arena.eve().await?;
        let Some(declare) = arena.fill("declare c cursor with hold for select * from {t}") else {
            return Ok(Found::Nothing);
        };
        eve.open(arena.b()).await;
        eve.say(&declare).await;
        eve.say(arena.ending()).await;
        let fetched = eve.within(arena.a(), "fetch all from c").await;
        let spilt = arena.spills("", fetched.text());
        return Ok(Found::of(&if spilt { vec!["A fetched B's rows".to_owned()] } else { vec![] }));
    };
    Ok(Found::Leak(first))
}

async fn settings(arena: &Arena, settings: &[(&str, &str)]) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let show: Vec<String> = settings
        .iter()
        .map(|(name, _)| format!("coalesce(current_setting('{name}', true), '')"))
        .collect();
    let show = format!("select {}", show.join(", "));
    eve.open(arena.b()).await;
    let before = eve.say(&show).await;
    eve.say(arena.ending()).await;
    for (name, value) in settings {
        eve.within_committed(arena.a(), &format!("set session {name} = {value}"), arena.ending())
            .await;
    }
    eve.open(arena.b()).await;
    let after = eve.say(&show).await;
    eve.end().await;
    let changed: Vec<String> = settings
        .iter()
        .zip(before.text().trim().split('|').zip(after.text().trim().split('|')))
        .filter(|(_, (before, after))| before != after)
        .map(|((name, _), (_, after))| format!("{name} = {after}"))
        .collect();
    if !before.is_yes() || !after.is_yes() {
        return Ok(Found::NothingThere(format!("{} {}", before.text(), after.text())));
    }
    Ok(Found::of(&changed))
}

async fn variable(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mark = &arena.b().mark;
    eve.within_committed(arena.b(), &format!("set session audit.who = '{mark}'"), arena.ending())
        .await;
    let said = eve.within(arena.a(), "select current_setting('audit.who', true)").await;
    let mut leaks = Vec::new();
    if arena.spills("", said.text()) {
        leaks.push("a variable of B's session".to_owned());
    }
    if sees_b(arena, &eve).await {
        leaks.push("B's rows".to_owned());
    }
    Ok(Found::of(&leaks))
}
