//! Rights nobody looks at: DDL, files, parameters, the login itself, system columns.

use crate::{
    error::Error,
    prove::{Attack, Class, Found, arena::Arena},
};

pub(super) const ATTACKS: &[Attack] = &[
    CLASS.refused(
        ["G01", "own objects", "Makes tables, views, functions, types, schemas, casts, operators and extensions of its own."],
        "kernel",
        &[
            "create table app.mine (id int)",
            "create table public.mine (id int)",
            "create table freehold_shelf.mine (id int)",
            "create table mine as select 1",
            "create unlogged table app.mine (id int)",
            "create view app.mine as select 1",
            "create materialized view app.mine as select 1",
            "create sequence app.mine",
            "create schema mine",
            "create type app.mine as (id int)",
            "create domain app.mine as int",
            "create function app.mine() returns int language sql return 1",
            "create function app.mine() returns int language sql cost 0.0001 leakproof return 1",
            "create procedure app.mine() language sql as 'select 1'",
            "create aggregate app.mine (int) (sfunc = int4pl, stype = int)",
            "create operator app.=== (leftarg = int, rightarg = int, function = int4eq)",
            "create cast (text as int) with inout as implicit",
            "create collation app.mine from \"C\"",
            "create conversion app.mine for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1",
            "create extension dblink",
            "create extension postgres_fdw",
            "create foreign data wrapper mine",
            "create server mine foreign data wrapper mine",
            "create language mine handler plpgsql_call_handler",
            "create event trigger mine on ddl_command_start execute function freehold.no_ddl()",
            "create publication mine for all tables",
            "create text search configuration app.mine (copy = pg_catalog.english)",
            "create statistics app.mine on {c}, id from {t}",
            "create role mine",
            "create access method mine type index handler bthandler",
        ],
    ),
    CLASS.refused(
        ["G02", "others' objects", "Changes tables, policies, triggers, rules, owners and rights; comments; reindexes."],
        "kernel",
        &[
            "alter table {t} disable row level security",
            "alter table {t} no force row level security",
            "alter table {t} owner to freehold_app",
            "alter table {t} add column mine int",
            "alter table {t} disable trigger all",
            "alter table {t} set schema public",
            "drop policy wall on {t}",
            "alter policy wall on {t} using (true)",
            "create policy mine on {t} using (true)",
            "drop table {t}",
            "create rule mine as on select to {t} do instead nothing",
            "create index on {t} (id)",
            "create index on {leaf} (id)",
            "cluster {t}",
            "refresh materialized view {t}",
            "grant select on {t} to public",
            "grant freehold_owner to freehold_app",
            "grant all on schema app to freehold_app",
            "revoke select on {t} from freehold_app",
            "alter default privileges grant select on tables to public",
            "alter function freehold.tenant() immutable",
            "alter function freehold.tenant() owner to freehold_app",
            "drop function freehold.tenant()",
            "alter schema app owner to freehold_app",
            "alter event trigger freehold_no_ddl disable",
            "alter extension vector set schema public",
            "comment on table {t} is 'mine'",
            "security label on table {t} is 'mine'",
            "alter role freehold_owner login",
            "alter role freehold_control password 'mine'",
            "drop role freehold_control",
            "reassign owned by freehold_owner to freehold_app",
            "import foreign schema x from server y into app",
        ],
    ),
    CLASS.refused(
        ["G03", "triggers and references", "Plants a trigger that would run in B's session, or a table whose reference would tell what exists."],
        "kernel",
        &[
            "create trigger mine before insert on {t} for each row execute function freehold.embedding_due('a', 'b')",
            "create trigger mine after insert on {leaf} for each row execute function suppress_redundant_updates_trigger()",
            "create table app.mine (tenant_id uuid, id uuid, foreign key (tenant_id, id) references {t} (tenant_id, id))",
            "create temp table mine (tenant_id uuid, id uuid, foreign key (tenant_id, id) references {t} (tenant_id, id))",
        ],
    ),
    CLASS.refused(
        ["G04", "drop owned", "Drops what its login owns, which is all its rights: an outage for every tenant."],
        "kernel",
        &["drop owned by current_user", "drop owned by freehold_app cascade", "drop owned by session_user"],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["G05", "its own login", "Changes the password, the settings and the validity of its own login (rolled back)."],
        "kernel",
        &[
            "alter role freehold_app password 'mine'",
            "alter role current_user set statement_timeout = 0",
            "alter role freehold_app set search_path = pg_temp",
        ],
    )
    .residual("any role may change its own password and settings; servers put both right within a second, and log in on their own settings"),
    CLASS.refused(
        ["G06", "its own login, further", "Makes its login a superuser, lets it bypass row security, lifts its limits."],
        "kernel",
        &[
            "alter role freehold_app superuser",
            "alter role freehold_app bypassrls",
            "alter role freehold_app createrole",
            "alter role freehold_app replication",
            "alter role freehold_app connection limit 1",
            "alter role freehold_app valid until '2000-01-01'",
            "alter role freehold_app nologin",
            "alter role freehold_app rename to mine",
            "alter role freehold_app set temp_file_limit = -1",
            "alter role freehold_app set backtrace_functions = '{b_simple}'",
        ],
    ),
    CLASS.refused(
        ["G07", "files and programs", "Runs programs and reads or writes files of the server."],
        "kernel",
        &[
            "copy {t} to program 'cat'",
            "copy {t} to '/tmp/mine'",
            "copy (select 1) to program 'id'",
            "copy {t} from program 'id'",
            "copy {t} from '/etc/passwd'",
            "select pg_read_file('/etc/passwd')",
            "select pg_read_binary_file('PG_VERSION')",
            "select pg_ls_dir('.')",
            "select * from pg_ls_waldir()",
            "select * from pg_stat_file('PG_VERSION')",
            "select pg_current_logfile()",
            "load '$libdir/auto_explain'",
            "load 'auto_explain'",
        ],
    ),
    CLASS.refused(
        ["G08", "parameters of superusers", "Sets what only superusers may: triggers off, logging, preloads, limits."],
        "kernel",
        &[
            "set session_replication_role = replica",
            "set log_statement = 'all'",
            "set log_min_duration_statement = 0",
            "set temp_file_limit = -1",
            "set session_preload_libraries = 'auto_explain'",
            "set zero_damaged_pages = on",
            "set track_activities = off",
            "set allow_system_table_mods = on",
            "set backtrace_functions = 'palloc'",
            "set local lc_messages = 'C'",
            "select set_config('session_replication_role', 'replica', true)",
        ],
    ),
    CLASS.refused(
        ["G09", "system columns", "Reads where its rows lie and when they were written: gaps tell what others write."],
        "kernel",
        &["select ctid from {t}", "select xmin from {t}", "select xmax from {t}", "select tableoid from {t}", "select cmin from {t}"],
    ),
    CLASS.refused(
        ["G10", "sequences", "Reads and sets sequences that are shared, and the last value of the session before."],
        "kernel",
        &["select lastval()", "select nextval('freehold.ddl_log_n_seq')", "select setval('freehold.model_version_version_seq', 1)", "select last_value from freehold.ddl_log_n_seq", "select currval('freehold.ddl_log_n_seq')"],
    ),
    CLASS.refused(
        ["G11", "code without a function", "Runs code of its own in place: an anonymous block, a query given as text."],
        "kernel",
        &[
            "do 'begin perform 1; end'",
            "do language plpgsql 'begin null; end'",
            "select query_to_xml('select 1', true, false, '')",
            "select schema_to_xml('app', true, false, '')",
            "select database_to_xml(true, false, '')",
        ],
    )
    .needs_lockdown(),
    CLASS.refused(
        ["G12", "upkeep", "Runs upkeep on shared tables, which takes locks and time."],
        "kernel",
        &["checkpoint", "alter table {t} set (fillfactor = 10)", "alter index \"x\" rename to y"],
    ),
    CLASS.run(
        ["G13", "outside of transactions", "Makes databases, tablespaces and subscriptions, rebuilds indexes, changes the server's settings."],
        "kernel",
        |arena| Box::pin(outside(arena)),
    ),
];

const CLASS: Class = Class::Grants;

async fn outside(arena: &Arena) -> Result<Found, Error> {
    let eve = arena.eve().await?;
    let mut leaks = Vec::new();
    for template in [
        "create database freehold_mine",
        "create tablespace mine location '/nonexistent'",
        "create subscription mine connection '' publication mine",
        "reindex system",
        "alter system set log_statement = 'all'",
        "alter database postgres set search_path = pg_temp",
        "create index concurrently on {t} (id)",
    ] {
        let Some(sql) = arena.fill(template) else { continue };
        let said = eve.say(&sql).await;
        if said.is_yes() {
            leaks.push(template.to_owned());
        } else if !said.is_refusal() {
            arena.note_void(format!("{template}: {} {}", said.state(), said.text()));
        }
    }
    Ok(Found::of(&leaks))
}
