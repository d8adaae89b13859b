//! What plans, estimates and counters say about others.

use super::schema::shape;
use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena, eve::Eve, rows},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.refused(
        ["T01", "statistics of columns", "Reads most common values and histograms, which are of all tenants."],
        "kernel",
        &["select * from pg_stats", "select * from pg_statistic", "select * from pg_stats_ext", "select * from pg_statistic_ext", "select most_common_vals from pg_stats where schemaname = 'freehold_shelf'"],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["T02", "the catalogue", "Lists tables, partitions, their bounds, sizes and policies; roles and databases."],
        "kernel",
        &[
            "select relname, reltuples, relpages from pg_class",
            "select * from pg_inherits",
            "select * from pg_attribute",
            "select * from pg_policies",
            "select * from pg_roles",
            "select * from pg_user",
            "select * from pg_database",
            "select * from pg_tables",
            "select * from pg_partition_tree('{t}'::regclass)",
            "select * from information_schema.tables",
            "select pg_get_indexdef(2662)",
            "select obj_description(1, 'pg_class')",
        ],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["T03", "sizes and activity of tables", "Reads sizes of tables and counts of rows that were written."],
        "kernel",
        &[
            "select pg_relation_size(1259)",
            "select pg_total_relation_size(1259)",
            "select pg_table_size(1259)",
            "select pg_database_size(current_database())",
            "select * from pg_stat_user_tables",
            "select * from pg_stat_all_indexes",
            "select * from pg_statio_all_tables",
            "select pg_stat_get_tuples_inserted(1259)",
            "select pg_stat_get_live_tuples(1259)",
            "select pg_stat_get_xact_tuples_inserted(1259)",
        ],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["T04", "counters of the server", "Reads the positions of the log, of transactions, of the database."],
        "kernel",
        &[
            "select pg_current_wal_lsn()",
            "select pg_current_xact_id()",
            "select txid_current()",
            "select pg_current_snapshot()",
            "select pg_snapshot_xmax(pg_current_snapshot())",
            "select pg_last_committed_xact()",
            "select * from pg_stat_database",
            "select * from pg_stat_wal",
            "select * from pg_stat_bgwriter",
            "select * from pg_stat_slru",
            "select pg_postmaster_start_time()",
            "select pg_conf_load_time()",
            "select inet_server_addr()",
        ],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["T05", "others' sessions", "Reads what other sessions run, wait for and hold."],
        "kernel",
        &[
            "select query from pg_stat_activity",
            "select * from pg_stat_get_activity(null)",
            "select * from pg_locks",
            "select * from pg_stat_ssl",
            "select pg_blocking_pids(1)",
            "select pg_stat_get_backend_activity(1)",
            "select * from pg_stat_progress_vacuum",
            "select * from pg_backend_memory_contexts",
            "select * from pg_prepared_xacts",
            "select pg_export_snapshot()",
        ],
    )
    .needs_lockdown(),
    CLASS.run(
        ["T06", "columns with statistics", "Looks for columns of tenants' tables of which values are kept for the planner, as EXPLAIN would tell them."],
        "schema",
        |arena| Box::pin(shape(arena, KEPT)),
    ),
    CLASS.run(
        ["T07", "extraction by estimates", "Fills B with a repeated value, has statistics gathered, and finds the value by EXPLAIN, letter by letter."],
        "schema",
        |arena| Box::pin(extraction(arena)),
    )
    .not_in_production(),
    CLASS.run(
        ["T08", "estimates by value", "Compares by EXPLAIN how many rows PostgreSQL expects for a value of B and for one that is nowhere."],
        "schema",
        |arena| Box::pin(estimates(arena)),
    ),
    CLASS.run(
        ["T09", "counts by value", "Compares by EXPLAIN ANALYZE how many rows an index found and the wall removed, for a value of B and for one that is nowhere."],
        "schema",
        |arena| Box::pin(counts(arena)),
    ),
    CLASS.run(
        ["T10", "volume of neighbours", "Reads from EXPLAIN how many rows the shelf has that it shares with others, or the shelf of a tenant whose id it knows."],
        "schema",
        |arena| Box::pin(volume(arena)),
    ),
];

const CLASS: Class = Class::Statistics;

// Booleans and enums tell nothing beyond the model. Rows about what is stored now, not only what is said about it.
const KEPT: &str = "select left(string_agg(distinct k.attrelid::regclass || '.' || k.attname, ', '), 300) from pg_attribute k \
    join pg_class c on c.oid = k.attrelid \
    where c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) and c.relkind in ('r', 'p') and k.attnum > 0 and not k.attisdropped \
      and k.atttypid <> 'boolean'::regtype and coalesce(k.attstattarget, -1) <> 0 \
      and not exists (select from pg_constraint e where e.conrelid = k.attrelid and e.contype = 'c' and e.conname like '%~enum' and e.conkey = array[k.attnum])";

/// What EXPLAIN says, with the value that was asked for taken out.
async fn explained(
    arena: &Arena,
    how: &str,
    filter: &str,
    value: &str,
) -> Result<Option<String>, Error> {
    let Some(sql) =
        arena.fill(&format!("explain ({how}) select {{text}} from {{t}} where {filter} '{value}'"))
    else {
        return Ok(None);
    };
    let eve = arena.eve().await?;
    eve.say("set enable_seqscan = off").await;
    let said = eve.within(arena.a(), &sql).await;
    let time = |line: &&str| {
        !line.contains("Time:") && !line.contains("Buffers:") && !line.contains("Memory:")
    };
    let plan: Vec<&str> = said.text().lines().filter(time).collect();
    Ok(Some(plan.join("\n").replace(value, "…")))
}

async fn differ(arena: &Arena, how: &str, theirs: &str) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    for filter in ["{text} =", "{text} >=", "{text} <"] {
        let there = explained(arena, how, filter, theirs).await?;
        // Next to it, so that rows of A are on the same side of both.
        let nowhere = explained(arena, how, filter, &format!("{theirs}!")).await?;
        match (there, nowhere) {
            (Some(there), Some(nowhere)) if there != nowhere => {
                leaks.push(format!("{filter} tells"))
            }
            (None, _) => return Ok(Found::NothingThere("the model has no text".into())),
            _ => {}
        }
    }
    Ok(Found::of(&leaks))
}

async fn estimates(arena: &Arena) -> Result<Found, Error> {
    differ(arena, "costs, timing off, summary off", &arena.b().mark).await
}

async fn counts(arena: &Arena) -> Result<Found, Error> {
    differ(arena, "analyze, costs off, timing off, summary off", &arena.b().mark).await
}

/// The value is one that B has three hundred times.
async fn extraction(arena: &Arena) -> Result<Found, Error> {
    let (eve, bob) = (arena.eve().await?, arena.eve().await?);
    let Some((entity, update)) =
        arena.stage().zip(arena.fill("update {t} set {text} = '{mark_b}'"))
    else {
        return Ok(Found::NothingThere("the model has no text".into()));
    };
    let (columns, values) = arena.columns(entity, arena.b());
    let table = rows::table(entity);
    let fill =
        format!("insert into {table} ({columns}) select {values} from generate_series(1, 300)");
    bob.open(arena.b()).await;
    let (filled, set) = (bob.say(&fill).await, bob.say(&update).await);
    bob.say("commit").await;
    if set.count() < 300 {
        let why = format!("B could not be filled: {} {}", filled.text(), set.text());
        return Ok(Found::NothingThere(why));
    }
    arena.as_operator(&format!("analyze {table}")).await?;
    let mut known = String::from("canary");
    // Each letter: the one for which more rows are expected than for a letter that cannot be.
    while known.len() < arena.b().mark.len() {
        let mut next = None;
        let nowhere = expected(arena, &eve, &format!("{known}zzz")).await;
        for letter in "0123456789abcdef".chars() {
            if expected(arena, &eve, &format!("{known}{letter}")).await > nowhere + 20 {
                next = Some(letter);
                break;
            }
        }
        let Some(letter) = next else { break };
        known.push(letter);
    }
    Ok(if known.len() > "canary".len() {
        Found::Leak(format!("{} of 10 letters were found", known.len() - "canary".len()))
    } else {
        Found::Nothing
    })
}

/// How many rows PostgreSQL expects between a text and its successor.
async fn expected(arena: &Arena, eve: &Eve<'_>, from: &str) -> u64 {
    let template =
        format!("explain select 1 from {{t}} where {{text}} >= '{from}' and {{text}} < '{from}g'");
    let said = eve.within(arena.a(), &arena.fill(&template).unwrap_or_default()).await;
    let rows = |line: &str| {
        line.split_once("rows=").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok())
    };
    said.text().lines().filter_map(rows).max().unwrap_or_default()
}

async fn volume(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut seen = Vec::new();
    for template in
        ["explain select 1 from {t}", "explain select 1 from {t} where tenant_id = '{b}'"]
    {
        let Some(sql) = arena.fill(template) else { continue };
        if eve.within(arena.a(), &sql).await.is_yes() {
            seen.push(template);
        }
    }
    Ok(if seen.is_empty() {
        Found::Nothing
    } else {
        Found::Residual("EXPLAIN needs no right, and its estimates come from the sizes of files: how much the shelves hold, of all tenants together, can be guessed".into())
    })
}
