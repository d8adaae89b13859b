//! Similarity search over tables that tenants share.

use super::schema::shape;
use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["V01", "nearest rows of others", "Searches by the very vector of B's row, with all the planner's ways, and in parallel."],
        "kernel",
        |arena| Box::pin(nearest(arena)),
    ),
    CLASS.run(
        ["V02", "shared graph", "Looks for an approximate index that several tenants share: its answers would tell where others' vectors are dense, by their number or by the time."],
        "schema",
        |arena| Box::pin(shape(arena, SHARED_GRAPH)),
    ),
    CLASS.run(
        ["V03", "starved search", "Searches where B's vectors are; all of A's own rows must come."],
        "schema",
        |arena| Box::pin(starved(arena)),
    ),
    CLASS.run(
        ["V04", "poisoned search", "Puts many vectors beside B's; B's search must find its own."],
        "schema",
        |arena| Box::pin(poisoned(arena)),
    )
    .not_in_production(),
];

const CLASS: Class = Class::Vectors;

// A partition of one tenant may have a graph of its own; the default ones are shared.
const SHARED_GRAPH: &str = "select string_agg(i.indexrelid::regclass::text, ', ') from pg_index i join pg_class x on x.oid = i.indexrelid \
    join pg_am m on m.oid = x.relam join pg_class c on c.oid = i.indrelid \
    where c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) and m.amname in ('hnsw', 'ivfflat') \
      and not coalesce(pg_get_expr(c.relpartbound, c.oid) like 'FOR VALUES IN (%' and pg_get_expr(c.relpartbound, c.oid) not like '%,%', false)";

const SEARCH: &str =
    "select tenant_id, id from {t} where {vec} is not null order by {vec} {op} {point}";

async fn nearest(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let Some(search) = arena.fill(SEARCH) else { return Ok(no_vector()) };
    let mut leaks = Vec::new();
    for how in [
        "",
        "set local enable_seqscan = off; ",
        "set local enable_indexscan = off; ",
        "set local enable_sort = off; set local hnsw.iterative_scan = relaxed_order; ",
        "set local min_parallel_table_scan_size = 0; set local parallel_setup_cost = 0; ",
    ] {
        let said = eve.within(arena.a(), &format!("{how}{search} limit 100")).await;
        if arena.spills(&search, said.text()) {
            leaks.push(format!("rows of B {how}"));
        }
    }
    Ok(Found::of(&leaks))
}

async fn starved(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let Some(search) = arena.fill(SEARCH) else { return Ok(no_vector()) };
    let own = arena.fill("select from {t} where {vec} is not null").unwrap_or_default();
    let there = eve.within(arena.a(), &own).await.count();
    let found = eve.within(arena.a(), &search).await.count();
    let mut leaks = Vec::new();
    if found != there || there == 0 {
        leaks.push(format!("{found} of its own {there} rows are found"));
    }
    Ok(Found::of(&leaks))
}

async fn poisoned(arena: &Arena) -> Result<Found, Error> {
    let (eve, bob) = (arena.eve().await?, arena.eve().await?);
    let (Some(search), Some(entity)) = (arena.fill(SEARCH), arena.stage()) else {
        return Ok(no_vector());
    };
    let before = bob.within(arena.b(), &format!("{search} limit 10")).await;
    let (columns, values) = arena.columns(entity, arena.a());
    let table = crate::prove::rows::table(entity);
    eve.open(arena.a()).await;
    let planted = eve
        .say(&format!(
            "insert into {table} ({columns}) select {values} from generate_series(1, 400)"
        ))
        .await;
    eve.say("commit").await;
    let mut leaks = Vec::new();
    let again = "set local enable_seqscan = off; set local enable_sort = off; ";
    for how in ["", again] {
        let after = bob.within(arena.b(), &format!("{how}{search} limit 10")).await;
        if after.count() != before.count() {
            leaks.push(format!("B finds {} of {} rows", after.count(), before.count()));
        }
    }
    if planted.count() != 400 {
        return Ok(Found::NothingThere(format!("nothing was planted: {}", planted.text())));
    }
    Ok(Found::of(&leaks))
}

fn no_vector() -> Found {
    Found::NothingThere("the model has no vector".into())
}
