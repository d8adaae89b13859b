//! The tenant of a transaction: forging it, carrying it over, becoming somebody else, finding the key.

use super::tokens::sees_b;
use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena, forge::Forge},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.run(
        ["C10", "forged setting", "Overwrites every parameter that could hold the tenant with B's id, then reads."],
        "kernel",
        |arena| Box::pin(forged_setting(arena)),
    ),
    CLASS.run(
        ["C11", "replayed context", "Reads what holds B's context in one transaction and plants it in the next one of the same backend."],
        "kernel",
        |arena| Box::pin(replayed(arena)),
    ),
    CLASS.run(
        ["C12", "swapped ticket", "Puts B's id into whatever holds A's own context."],
        "kernel",
        |arena| Box::pin(swapped(arena)),
    ),
    CLASS.run(
        ["C13", "two tenants in one transaction", "Opens B after A with genuine tokens of both; rolls back to a savepoint; resets all."],
        "gate",
        |arena| Box::pin(two_tenants(arena)),
    ),
    CLASS.run(
        ["C14", "left-over context", "Works in a backend in which B's transaction has just ended, without opening a tenant."],
        "kernel",
        |arena| Box::pin(left_over(arena)),
    ),
    CLASS.run(
        ["C15", "folded context", "Runs as A the plan of a statement that was prepared and planned for B: in a subquery, a join, in parallel."],
        "kernel",
        |arena| Box::pin(folded(arena)),
    ),
    CLASS.refused(
        ["C16", "inner functions of the gate", "Calls what seals, checks and refuses tokens directly."],
        "kernel",
        &[
            "select freehold.seal('{b}')",
            "select freehold.genuine(2::smallint, '{b}', '{b}', 1, 1, '\\x00', '\\x00', '\\x00')",
            "select freehold.vouched('{b}', '{b}', 2::smallint)",
            "call freehold.refuse(1::smallint, 2::smallint, '{b}', '{b}', 1, 1, '\\x00')",
        ],
    ),
    CLASS.refused(
        ["C17", "another role", "Becomes a role that passes the wall, or owns it."],
        "kernel",
        &[
            "set role freehold_owner",
            "set role freehold_gate",
            "set role freehold_control",
            "set role freehold_watch",
            "set role freehold_catalog",
            "set local role freehold_owner",
            "set session authorization freehold_owner",
            "set session authorization freehold_control",
            "set role pg_read_all_data",
            "set role pg_write_all_data",
            "set role pg_monitor",
            "set role pg_signal_backend",
            "set role pg_read_server_files",
            "set role pg_execute_server_program",
            "set role pg_checkpoint",
            "set role pg_database_owner",
        ],
    ),
    CLASS.run(
        ["C18", "reset role", "Goes back to the role that the connection logged in as."],
        "kernel",
        |arena| Box::pin(reset_role(arena)),
    ),
    CLASS.refused(
        ["C19", "the key in a table", "Reads the keys that tokens and tickets are signed with, and the passwords of logins."],
        "kernel",
        &[
            "select * from freehold.mac_key",
            "select ipad from freehold.mac_key where kid = 0",
            "insert into freehold.mac_key (kid, ipad, opad) values (7, repeat('a', 64)::bytea, repeat('a', 64)::bytea)",
            "update freehold.mac_key set kid = 8 where kid = 1",
            "select * from freehold.login_verifier",
            "select rolpassword from pg_authid",
        ],
    ),
    CLASS.refused(
        ["C20", "the key in the catalogue", "Looks for secrets in settings, function bodies and files of the server."],
        "kernel",
        &[
            "select prosrc from pg_proc",
            "select setconfig from pg_db_role_setting",
            "select * from pg_settings",
            "select * from pg_file_settings",
            "select pg_get_functiondef('freehold.tenant()'::regprocedure)",
            "select pg_get_function_sqlbody('freehold.tenant()'::regprocedure)",
            "select * from pg_hba_file_rules",
        ],
    )
    .needs_lockdown(),
];

const CLASS: Class = Class::Context;

async fn forged_setting(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for setting in [
        "backtrace_functions",
        "freehold.ticket",
        "freehold.tenant",
        "app.tenant_id",
        "app.current_tenant",
    ] {
        for value in ["{b_simple}", "{b}"] {
            for template in [
                format!("set {setting} = '{value}'"),
                format!("set local {setting} = '{value}'"),
                format!("set session {setting} = '{value}'"),
                format!("select set_config('{setting}', '{value}', true)"),
                format!("select set_config('{setting}', '{value}', false)"),
                format!("update pg_settings set setting = '{value}' where name = '{setting}'"),
            ] {
                let sql = arena.fill(&template).unwrap_or_default();
                for opened in [false, true] {
                    let begun =
                        if opened { eve.open(arena.a()).await } else { eve.say("begin").await };
                    let set = begun.is_yes() && eve.say(&sql).await.is_yes();
                    if set && sees_b(arena, &eve).await {
                        leaks.push(template.clone());
                    }
                    eve.end().await;
                }
            }
        }
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

const HOLDERS: &str = "select coalesce(current_setting('backtrace_functions', true), ''), \
                       coalesce(current_setting('freehold.ticket', true), ''), coalesce(current_setting('freehold.tenant', true), '')";

async fn replayed(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    eve.open(arena.b()).await;
    let held = eve.say(HOLDERS).await;
    eve.say("commit").await;
    plant(arena, &eve, held.text()).await
}

async fn swapped(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    eve.open(arena.a()).await;
    let held = eve.say(HOLDERS).await;
    eve.end().await;
    let (a, b) = (arena.a().tenant.id(), arena.b().tenant.id());
    let swapped = held
        .text()
        .replace(&a.simple().to_string(), &b.simple().to_string())
        .replace(&a.to_string(), &b.to_string());
    plant(arena, &eve, &swapped).await
}

/// Plants what the holders of a context held in a new transaction, with and without a tenant of its own.
async fn plant(
    arena: &Arena,
    eve: &crate::prove::eve::Eve<'_>,
    held: &str,
) -> Result<Found, Error> {
    let mut leaks = Vec::new();
    let names = ["backtrace_functions", "freehold.ticket", "freehold.tenant"];
    for (name, value) in names.iter().zip(held.trim().split('|')) {
        for opened in [false, true] {
            let begun = if opened { eve.open(arena.a()).await } else { eve.say("begin").await };
            if begun.is_yes()
                && eve.say(&format!("set local {name} = '{value}'")).await.is_yes()
                && sees_b(arena, eve).await
            {
                leaks.push((*name).to_owned());
            }
            eve.end().await;
        }
    }
    leaks.dedup();
    Ok(Found::of(&leaks))
}

async fn two_tenants(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let b = arena.token(&Forge::none(arena.b().tenant.id(), eve.pid));
    let mut leaks = Vec::new();
    for (what, between) in [("open twice", "select 1"), ("a savepoint", "savepoint s")] {
        eve.open(arena.a()).await;
        eve.say(between).await;
        if eve.say(&b.call()).await.is_yes() {
            leaks.push(what.to_owned());
        }
        eve.end().await;
    }
    let inner = format!("begin; savepoint s; {}; rollback to s", b.call());
    let forgotten = [
        ("after a rollback to a savepoint", inner),
        ("after reset all", format!("begin; {}; reset all", b.call())),
        ("after discard", format!("begin; {}; reset backtrace_functions", b.call())),
        ("in the next of a chain", format!("begin; {}; commit and chain", b.call())),
    ];
    for (what, sql) in forgotten {
        if eve.say(&sql).await.is_yes() && sees_b(arena, &eve).await {
            leaks.push(what.to_owned());
        }
        eve.end().await;
    }
    Ok(Found::of(&leaks))
}

async fn left_over(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for end in ["commit", "rollback"] {
        eve.open(arena.b()).await;
        eve.say(end).await;
        if sees_b(arena, &eve).await {
            leaks.push(format!("after {end}"));
        }
    }
    Ok(Found::of(&leaks))
}

async fn folded(arena: &Arena) -> Result<Found, Error> {
    let templates = [
        "select tenant_id from {t}",
        "with w as (select tenant_id from {t}) select * from w",
        "select x.tenant_id from {t} x join {t} y on y.id = x.id",
        "select (select max(tenant_id::text) from {t} where id = z.id) from {t} z",
        "select tenant_id from {t} where id in (select id from {t}) union all select tenant_id from {t}",
    ];
    let mut leaks = Vec::new();
    for template in templates {
        let Some(sql) = arena.fill(template) else { continue };
        let eve = arena.eve().await?;
        // Whatever is set so, plans are generic at once and workers take part.
        eve.say("set plan_cache_mode = force_generic_plan; set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0").await;
        eve.open(arena.b()).await;
        let Ok(statement) = eve.prepare(&sql).await else { continue };
        let own = eve.execute(&statement).await;
        eve.say("commit").await;
        eve.say("begin").await;
        if eve.execute(&statement).await.is_some_and(|rows| rows > 0) {
            leaks.push(format!("without a tenant: {template}"));
        }
        eve.end().await;
        eve.open(arena.a()).await;
        let filter =
            format!("select from ({sql}) as s(t) where t::text = '{}'", arena.b().tenant.id());
        if eve.execute(&statement).await > own || eve.say(&filter).await.count() > 0 {
            leaks.push(format!("as A: {template}"));
        }
        eve.end().await;
    }
    Ok(Found::of(&leaks))
}

async fn reset_role(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for sql in [
        "reset role",
        "set role none",
        "reset session authorization",
        "set session authorization default",
    ] {
        eve.open(arena.a()).await;
        eve.say(sql).await;
        if sees_b(arena, &eve).await {
            leaks.push(sql.to_owned());
        }
        eve.end().await;
    }
    Ok(Found::of(&leaks))
}
