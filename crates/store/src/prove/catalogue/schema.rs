//! The wall around tables: past it by partitions, views, functions and every kind of statement.

use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena, rows},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["W01", "every table at once", "Reads, changes and deletes B's row of every entity, by id and by tenant, and reads all."],
        "kernel",
        |arena| Box::pin(every_table(arena)),
    ),
    CLASS.run(
        ["W02", "partitions directly", "Uses the partitions, which have no policy, instead of the table, which has."],
        "kernel",
        |arena| Box::pin(partitions(arena)),
    ),
    CLASS.run(
        ["W03", "rows for another tenant", "Inserts rows into tenant B: one, many, by MERGE, by ON CONFLICT."],
        "kernel",
        |arena| Box::pin(foreign_rows(arena)),
    ),
    CLASS.run(
        ["W04", "rows moved to another tenant", "Gives its own rows to B."],
        "kernel",
        |arena| Box::pin(moved_rows(arena)),
    ),
    CLASS.blind(
        ["W05", "every kind of statement", "Looks for one that steps around the wall: MERGE, RETURNING, data-changing WITH, FOR UPDATE, TABLESAMPLE, WHERE CURRENT OF, without row security."],
        "kernel",
        &[
            "select * from only {t}",
            "select * from {t} for update",
            "select * from {t} for key share skip locked",
            "select * from {t} tablesample system (100)",
            "table {t}",
            "select {t}.*::text from {t}",
            "select json_agg(x) from {t} x",
            "with gone as (delete from {t} returning *) select * from gone",
            "with set as (update {t} set {c} = {c} returning *) select * from set",
            "update {t} set {c} = {c} where id = '{id_b}' returning *",
            "delete from {t} where id = '{id_b}' returning *",
            "delete from {t} x using {t} y where y.id <> x.id returning x.*, y.*",
            "set local row_security = off; select * from {t}",
            "select * from {t} x full join {t} y on false",
            "select * from {t} union all select * from {t}",
            "declare c cursor for select * from {t}; fetch all from c",
            "merge into {t} x using {t} y on x.id = y.id when matched then update set {c} = y.{c}; select * from {t}",
            "begin; select * from {t}",
            "select * from {t} where row(id, tenant_id) > row(id, '{a}'::uuid) or true",
        ],
    ),
    CLASS.run(
        ["W06", "copy", "Takes all rows out with COPY, and puts B's in."],
        "kernel",
        |arena| Box::pin(copy(arena)),
    ),
    CLASS.blind(
        ["W07", "errors that tell", "Makes casts and divisions fail on B's rows, so that the message shows a value."],
        "kernel",
        &[
            "select {text}::integer from {t} where tenant_id <> '{a}'",
            "select * from {t} where tenant_id <> '{a}' and {text}::integer = 1",
            "select * from {t} where 1 / (case when tenant_id = '{b}' then 0 else 1 end) = 1",
            "select * from {t} where tenant_id <> '{a}' order by {text}::date",
            "select xmlparse(document {text}) from {t}",
            "update {t} set {text} = {text}::integer where tenant_id <> '{a}'",
        ],
    ),
    CLASS.run(
        ["W08", "order of filters", "Puts a filter that fails on any row of B before the wall."],
        "kernel",
        |arena| Box::pin(order(arena)),
    ),
    CLASS.refused(
        ["W09", "truncate", "Empties a table; policies say nothing about that."],
        "kernel",
        &["truncate {t}", "truncate {t} cascade", "truncate {leaf}", "truncate {mid}"],
    ),
    CLASS.run(
        ["W10", "a table without a wall", "Looks for a table, partition or view that it may use and that is not walled."],
        "schema",
        |arena| Box::pin(shape(arena, UNWALLED)),
    ),
    CLASS.run(
        ["W11", "the owner", "Looks for a table that its login owns, or whose owner the wall does not bind."],
        "schema",
        |arena| Box::pin(shape(arena, UNFORCED)),
    ),
    CLASS.run(
        ["W12", "a second policy", "Looks for a table whose restrictive wall is missing, so that another policy would open it."],
        "schema",
        |arena| Box::pin(shape(arena, POLICIES)),
    ),
    CLASS.run(
        ["W13", "functions of others", "Looks for functions that run with their owner's rights, or are said to leak nothing, outside PostgreSQL's own."],
        "schema",
        |arena| Box::pin(shape(arena, FUNCTIONS)),
    ),
    CLASS.run(
        ["W14", "a context that is folded", "Looks whether the function of the tenant could be computed once and kept."],
        "schema",
        |arena| Box::pin(shape(arena, IMMUTABLE)),
    ),
    CLASS.run(
        ["W15", "a role above the wall", "Looks for a role that its login is a member of, or that it could inherit from."],
        "schema",
        |arena| Box::pin(shape(arena, ROLES)),
    ),
];

const CLASS: Class = Class::Schema;

const UNWALLED: &str = "select string_agg(c.oid::regclass::text, ', ') from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm', 'f') \
      and has_schema_privilege('freehold_app', n.oid, 'usage') \
      and (has_table_privilege('freehold_app', c.oid, 'select, insert, update, delete, truncate, references, trigger') \
        or has_any_column_privilege('freehold_app', c.oid, 'select, insert, update, references')) \
      and not (c.relkind in ('r', 'p') and c.relrowsecurity and exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive \
        and p.polcmd = '*' and 0 = any (p.polroles) and pg_get_expr(p.polqual, c.oid) = '(tenant_id = freehold.tenant())'))";
const UNFORCED: &str = "select string_agg(c.oid::regclass::text, ', ') from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname in ('app', 'freehold_shelf') and c.relkind in ('r', 'p') \
      and (not c.relrowsecurity or not c.relforcerowsecurity or c.relowner = 'freehold_app'::regrole)";
const POLICIES: &str = "select string_agg(c.oid::regclass::text, ', ') from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p') \
    and not exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive and p.polcmd = '*' and 0 = any (p.polroles) \
      and pg_get_expr(p.polqual, c.oid) = '(tenant_id = freehold.tenant())' and pg_get_expr(p.polwithcheck, c.oid) = '(tenant_id = freehold.tenant())')";
const FUNCTIONS: &str = "select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
    where n.nspname not in ('pg_catalog', 'information_schema') and has_function_privilege('freehold_app', p.oid, 'execute') \
      and has_schema_privilege('freehold_app', n.oid, 'usage') \
      and (p.prosecdef and not (n.nspname = 'freehold' and p.proname in ('open', 'tenant', 'position', 'stamp', 'copy_is_whole', 'copy_lacks', 'copy_refused', 'rows_removed', 'rows_erased') and p.proowner = 'freehold_gate'::regrole) or p.proleakproof)";
const IMMUTABLE: &str = "select string_agg(oid::regprocedure::text, ', ') from pg_proc \
    where pronamespace = 'freehold'::regnamespace and proname = 'tenant' and provolatile <> 's'";
const ROLES: &str = "select string_agg(r.rolname::text, ', ') from pg_roles r \
    where r.rolname not in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project') and (pg_has_role('freehold_app', r.oid, 'member') \
        or pg_has_role('freehold_anonymous', r.oid, 'member') \
        or pg_has_role('freehold_control', r.oid, 'member') or pg_has_role('freehold_project', r.oid, 'member')) \
      or r.rolname in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project', 'freehold_owner', 'freehold_gate', 'freehold_watch') and (r.rolsuper or r.rolbypassrls or r.rolreplication or r.rolcreatedb)";

/// What the operator's query lists is what is wrong.
pub(super) async fn shape(arena: &Arena, sql: &str) -> Result<Found, Error> {
    let wrong = arena.look(sql).await?;
    Ok(if wrong.is_empty() { Found::Nothing } else { Found::Leak(wrong) })
}

async fn every_table(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let b = arena.b().tenant.id();
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let (table, first) = (rows::table(entity), rows::ident(&entity.fields[0].name));
        let id = arena.b().rows[entity.name.as_str()];
        for what in [
            format!("select from {table} where id = '{id}'"),
            format!("select from {table} where tenant_id = '{b}'"),
            format!("select from {table} where id = '{id}' for update"),
            format!("update {table} set {first} = {first} where id = '{id}'"),
            format!("update {table} set {first} = {first} where tenant_id = '{b}'"),
            format!("delete from {table} where id = '{id}'"),
            format!("delete from {table} where tenant_id = '{b}'"),
        ] {
            if eve.within(arena.a(), &what).await.count() > 0 {
                leaks.push(format!(
                    "{} {}",
                    what.split(' ').next().unwrap_or_default(),
                    entity.name
                ));
            }
        }
        let all = format!("select * from {table}");
        if arena.spills(&all, eve.within(arena.a(), &all).await.text()) {
            leaks.push(format!("all of {}", entity.name));
        }
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

async fn partitions(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        for part in ["d", "0", "1", "2", "3", "4", "5", "6", "7"] {
            let part =
                format!("freehold_shelf.{}", rows::ident(&format!("{}~{part}", entity.name)));
            for what in ["select from", "delete from", "select count(*) from only"] {
                if eve.within(arena.a(), &format!("{what} {part}")).await.is_yes() {
                    leaks.push(format!("{what} {part}"));
                }
            }
        }
    }
    Ok(match leaks.len() {
        0 => Found::Nothing,
        n => Found::Leak(format!("{n} statements, the first {}", leaks[0])),
    })
}

async fn foreign_rows(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let b = arena.b().tenant.id();
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let table = rows::table(entity);
        for of in [arena.a(), arena.b()] {
            let (names, values) = arena.columns(entity, of);
            let insert = format!("insert into {table} (tenant_id, {names})");
            for what in [
                format!("{insert} values ('{b}', {values})"),
                format!("{insert} select '{b}'::uuid, {values}"),
                format!("{insert} values ('{b}', {values}) on conflict do nothing"),
                format!(
                    "merge into {table} using (select 1) one on false when not matched then insert (tenant_id, {names}) values ('{b}', {values})"
                ),
            ] {
                if eve.within(arena.a(), &what).await.count() > 0 {
                    leaks.push(format!(
                        "{} {}",
                        what.split(' ').next().unwrap_or_default(),
                        entity.name
                    ));
                }
            }
        }
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

async fn moved_rows(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let b = arena.b().tenant.id();
    let mut leaks = Vec::new();
    for entity in arena.entities() {
        let table = rows::table(entity);
        let id = arena.a().rows[entity.name.as_str()];
        for what in [
            format!("update {table} set tenant_id = '{b}'"),
            format!("update {table} set tenant_id = '{b}' where id = '{id}'"),
            format!("update {table} set (tenant_id) = row('{b}'::uuid)"),
            format!(
                "merge into {table} x using (select 1) one on x.id = '{id}' when matched then update set tenant_id = '{b}'"
            ),
        ] {
            if eve.within(arena.a(), &what).await.count() > 0 {
                leaks.push(format!(
                    "{} {}",
                    what.split(' ').next().unwrap_or_default(),
                    entity.name
                ));
            }
        }
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

async fn copy(arena: &Arena) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    for template in
        ["copy {t} to stdout", "copy (select * from {t}) to stdout", "copy {leaf} to stdout"]
    {
        let Some(sql) = arena.fill(template) else { continue };
        // A driver gives up on a connection whose copy it did not expect, so each has its own.
        let eve = arena.eve().await?;
        eve.open(arena.a()).await;
        if arena.spills(&sql, eve.copy(&sql).await.text()) {
            leaks.push(template.to_owned());
        }
    }
    for template in ["copy {t} from stdin", "copy {leaf} from stdin"] {
        let Some(sql) = arena.fill(template) else { continue };
        let eve = arena.eve().await?;
        eve.open(arena.a()).await;
        if !eve.say(&sql).await.is_refusal() {
            leaks.push(template.to_owned());
        }
    }
    Ok(Found::of(&leaks))
}

async fn order(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    // The division fails on rows of B alone: an answer means that it never saw one.
    let templates = [
        "select from {t} where 1 / (case when tenant_id = '{b}' then 0 else 1 end) > 0",
        "select from (select * from {t} offset 0) x where 1 / (case when tenant_id = '{b}' then 0 else 1 end) > 0",
        "select count(1 / (case when tenant_id = '{b}' then 0 else 1 end)) from {t}",
    ];
    let mut leaks = Vec::new();
    for template in templates {
        let Some(sql) = arena.fill(template) else { continue };
        if eve.within(arena.a(), &sql).await.state() == "22012" {
            leaks.push(template.to_owned());
        }
    }
    Ok(Found::of(&leaks))
}
