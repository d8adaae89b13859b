//! Ways to spoil an installation, each with the check that must find it.

/// One thing spoilt.
pub(crate) struct Sabotage {
    /// The check.
    pub(crate) finds: &'static str,
    /// What is put right first, where the test server is not.
    pub(crate) before: &'static str,
    /// What is done, as a superuser.
    pub(crate) sql: &'static str,
}

const fn spoil(finds: &'static str, sql: &'static str) -> Sabotage {
    Sabotage { finds, before: "", sql }
}

const fn after(before: &'static str, finds: &'static str, sql: &'static str) -> Sabotage {
    Sabotage { finds, before, sql }
}

/// Another answer of the server, in place of its own.
macro_rules! said {
    ($name:literal, $value:literal) => {
        concat!(
            "set local search_path = pg_catalog; create or replace temp view pg_settings as
             select name, setting, reset_val from pg_catalog.pg_settings where name <> '",
            $name,
            "'
             union all select '",
            $name,
            "', '",
            $value,
            "', '",
            $value,
            "'; grant select on pg_temp.pg_settings to public"
        )
    };
}

macro_rules! in_database {
    ($sql:literal) => {
        concat!("do $$ begin execute format('", $sql, "', current_database()); end $$")
    };
}

const SURE: &str = "set local search_path = pg_catalog; create or replace temp view pg_settings as
    select name, case when name in ('fsync', 'full_page_writes') then 'on' else setting end as setting, reset_val from pg_catalog.pg_settings;
    grant select on pg_temp.pg_settings to public";

const NO_HBA: &str = "create or replace temp view pg_hba_file_rules as
    select 1 as line_number, 'host'::text as type, '{all}'::text[] as database, '{all}'::text[] as user_name, '10.0.0.0'::text as address,
    'scram-sha-256'::text as auth_method";

const WRAPPER: &str = "create foreign data wrapper w; create server s foreign data wrapper w; grant usage on foreign server s to freehold_app";

#[rustfmt::skip]
pub(crate) const SABOTAGES: &[Sabotage] = &[
    // Roles.
    spoil("FH-R01", "alter role freehold_app superuser"),
    spoil("FH-R01", "alter role freehold_gate bypassrls"),
    spoil("FH-R01", "alter role freehold_control replication"),
    spoil("FH-R01", "alter role freehold_owner bypassrls"),
    spoil("FH-R02", "grant pg_read_all_data to freehold_app"),
    spoil("FH-R02", "grant freehold_owner to freehold_control"),
    spoil("FH-R03", "alter role freehold_owner createrole"),
    spoil("FH-R03", "alter role freehold_app createdb"),
    spoil("FH-R04", "alter role freehold_owner login"),
    spoil("FH-R05", "create table public.mine (); alter table public.mine owner to freehold_app"),
    spoil("FH-R05", "alter schema public owner to freehold_control"),
    spoil("FH-R05", "alter table app.person owner to freehold_app"),
    spoil("FH-R05", in_database!("alter database %I owner to freehold_app")),
    spoil("FH-R06", "create role stranger; grant freehold_gate to stranger"),
    spoil("FH-R06", "create role stranger; grant freehold_app to stranger"),
    spoil("FH-R07", "alter role freehold_app set search_path = 'somewhere'"),
    spoil("FH-R07", in_database!("alter role freehold_control in database %I set statement_timeout = 0")),
    spoil("FH-R08", in_database!("alter database %I set row_security = off")),
    spoil("FH-R08", "alter role freehold_gate set session_replication_role = 'replica'"),
    spoil("FH-R09", "alter role freehold_app reset temp_file_limit"),
    spoil("FH-R09", "alter role freehold_app set temp_file_limit = -1"),
    after("alter role freehold_app connection limit 50", "FH-R10", "alter role freehold_app connection limit -1"),
    spoil("FH-R11", "alter role freehold_app password null"),
    spoil("FH-R11", "alter role freehold_control password 'md50123456789abcdef0123456789abcdef'"),
    spoil("FH-R12", "alter role freehold_catalog rename to was_catalog"),
    // Walls.
    spoil("FH-W01", "alter table app.person no force row level security"),
    spoil("FH-W01", "alter table freehold_shelf.\"person~0\" disable row level security"),
    spoil("FH-W01", "alter table freehold_shelf.\"commit~d\" no force row level security"),
    spoil("FH-W01", "alter table freehold.import_mark no force row level security"),
    spoil("FH-W01", "alter table freehold.embedding_due disable row level security"),
    spoil("FH-W01", "set local freehold.applying = 'on'; create table app.loose (tenant_id uuid not null)"),
    spoil("FH-W01", "alter event trigger freehold_guard disable; create table app.loose (tenant_id uuid not null)"),
    spoil("FH-W01", "create table public.loose partition of app.file for values in ('00000000-0000-0000-0000-000000000001')"),
    spoil("FH-W02", "drop policy wall on app.person"),
    spoil("FH-W02", "drop policy wall on app.person; create policy wall on app.person for all to public
        using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())"),
    spoil("FH-W02", "drop policy wall on app.person; create policy wall on app.person as restrictive for select to public using (tenant_id = freehold.tenant())"),
    spoil("FH-W02", "alter policy wall on app.person with check (true)"),
    spoil("FH-W02", "alter policy wall on app.person using (tenant_id = freehold.tenant() or id is not null)"),
    spoil("FH-W02", "alter policy wall on app.person using (tenant_id = current_setting('app.tenant')::uuid)"),
    spoil("FH-W02", "alter policy wall on app.person to freehold_app"),
    spoil("FH-W02", "create function public.tenant() returns uuid language sql stable return null::uuid;
        alter policy wall on app.person using (tenant_id = public.tenant())"),
    spoil("FH-W02", "drop policy wall on freehold.embedding_due"),
    spoil("FH-W03", "create policy more on app.person for select to public using (true)"),
    spoil("FH-W03", "alter policy use on app.person to public"),
    spoil("FH-W03", "create policy less on app.person as restrictive for all to freehold_app using (true)"),
    spoil("FH-W04", "create policy way on freehold_shelf.\"person~0\" for all to public using (true)"),
    spoil("FH-W05", "set local freehold.applying = 'on'; create table app.loose (id integer)"),
    spoil("FH-W05", "set local freehold.applying = 'on'; create table app.loose (tenant_id uuid)"),
    spoil("FH-W05", "set local freehold.applying = 'on'; create table app.loose (tenant_id text not null)"),
    spoil("FH-W06", "create table app.extra (tenant_id uuid not null)"),
    spoil("FH-W07", "drop table app.file"),
    spoil("FH-W08", "create view app.everything as select * from app.person"),
    spoil("FH-W08", "create view app.everything with (security_invoker = false) as select * from app.person"),
    spoil("FH-W13", "create view app.outside with (security_invoker) as select t.name from freehold.tenant t"),
    spoil("FH-W08", "create view public.everything as select * from app.person; grant select on public.everything to freehold_app"),
    spoil("FH-W09", "create materialized view app.everything as select 1 as one"),
    spoil("FH-W09", "create materialized view public.everything as select * from app.person; grant select on public.everything to public"),
    spoil("FH-W09", "create foreign data wrapper w; create server s foreign data wrapper w; create foreign table public.far (x integer) server s;
        grant select (x) on public.far to freehold_app"),
    spoil("FH-W10", "create rule also as on insert to app.person do instead nothing"),
    spoil("FH-W11", "create function public.spy() returns trigger language plpgsql as 'begin return new; end';
        create trigger spy before insert on app.person for each row execute function public.spy()"),
    spoil("FH-W11", "create function freehold_shelf.spy() returns trigger language plpgsql security definer as 'begin return new; end';
        alter function freehold_shelf.spy() owner to freehold_owner;
        create trigger spy before insert on app.person for each row execute function freehold_shelf.spy()"),
    spoil("FH-W12", "alter table freehold_shelf.\"commit~0\" disable trigger all"),
    spoil("FH-W12", "alter table app.commit disable trigger \"commit~made~due\""),
    spoil("FH-W14", "drop trigger noted on app.commit"),
    spoil("FH-W14", "drop trigger noted_moved on app.commit"),
    spoil("FH-W14", "drop trigger noted_update on app.commit"),
    spoil("FH-W14", "create or replace trigger noted_delete after delete on app.commit for each statement execute function freehold.note()"),
    // Grants.
    spoil("FH-G01", "grant truncate on app.person to freehold_app"),
    spoil("FH-G01", "grant references (id) on app.person to freehold_app"),
    spoil("FH-G01", "grant trigger on app.person to public"),
    spoil("FH-G02", "grant select on app.person to freehold_app"),
    spoil("FH-G02", "grant update on app.person to freehold_app"),
    spoil("FH-G02", "grant delete on app.person to freehold_control"),
    spoil("FH-G03", "grant select on freehold_shelf.\"person~0\" to freehold_app"),
    spoil("FH-G03", "grant select (handle) on freehold_shelf.\"person~d\" to public"),
    spoil("FH-G03", "create role stranger; grant select on freehold_shelf.\"person~1\" to stranger"),
    spoil("FH-G04", "grant update (tenant_id) on app.person to freehold_app"),
    spoil("FH-G04", "grant update (id) on app.person to freehold_app"),
    spoil("FH-G05", "create role stranger; grant select on app.person to stranger"),
    spoil("FH-G05", "create role stranger; grant select (handle) on app.person to stranger"),
    spoil("FH-G06", "grant select on freehold.mac_key to freehold_app"),
    spoil("FH-G06", "grant select (ipad) on freehold.mac_key to public"),
    spoil("FH-G06", "create role stranger; grant select on freehold.api_key to stranger"),
    spoil("FH-G06", "grant select on freehold.tenant to freehold_control"),
    spoil("FH-G06", "grant select on freehold.login_verifier to freehold_gate"),
    spoil("FH-G06", "grant truncate on freehold.import_mark to freehold_app"),
    spoil("FH-G07", "create role stranger; grant select on freehold.tenant to stranger"),
    spoil("FH-G08", "grant select (handle) on app.person to freehold_control"),
    spoil("FH-G09", "grant create on schema public to public"),
    spoil("FH-G09", "grant create on schema app to freehold_app"),
    spoil("FH-G09", "grant usage on schema freehold_shelf to freehold_app"),
    spoil("FH-G10", "grant usage on schema public to freehold_app"),
    spoil("FH-G11", in_database!("grant temporary on database %I to public")),
    spoil("FH-G11", in_database!("grant create on database %I to freehold_app")),
    spoil("FH-G12", in_database!("grant connect on database %I to public")),
    spoil("FH-G13", "create sequence public.counter; grant usage on sequence public.counter to freehold_app"),
    spoil("FH-G14", "alter default privileges for role freehold_owner grant select on tables to freehold_app"),
    spoil("FH-G14", "alter default privileges in schema app grant execute on functions to public"),
    spoil("FH-G15", "alter default privileges for role freehold_gate grant execute on functions to public"),
    spoil("FH-G16", "grant delete on app.person to freehold_app with grant option"),
    spoil("FH-G16", "grant select (handle) on app.person to freehold_app with grant option"),
    spoil("FH-G16", "grant execute on function freehold.tenant() to freehold_app with grant option"),
    spoil("FH-G17", "grant set on parameter session_replication_role to freehold_app"),
    spoil("FH-G17", "grant alter system on parameter log_statement to public"),
    spoil("FH-G18", WRAPPER),
    spoil("FH-G18", "create foreign data wrapper w; grant usage on foreign data wrapper w to public"),
    spoil("FH-G19", "grant insert (id) on app.person to freehold_anonymous"),
    spoil("FH-G19", "grant select (id) on app.person to freehold_anonymous"),
    spoil("FH-G20", "create policy anonymous on app.person for select to freehold_anonymous using (true); grant select (id) on app.person to freehold_anonymous"),
    // Keys and indexes.
    spoil("FH-K01", "create unique index on freehold_shelf.\"person~0\" (handle)"),
    spoil("FH-K01", "alter table freehold_shelf.\"person~0\" add constraint apart exclude using btree (handle with =)"),
    spoil("FH-K02", "create index on app.person (handle)"),
    spoil("FH-K02", "create index on freehold_shelf.\"person~0\" (handle, tenant_id)"),
    spoil("FH-K03", "create unique index on freehold_shelf.\"person~0\" (id);
        alter table freehold_shelf.\"commit~0\" add foreign key (author) references freehold_shelf.\"person~0\" (id)"),
    spoil("FH-K03", "create table public.word (word text primary key); alter table app.person add foreign key (handle) references public.word"),
    spoil("FH-K04", "alter table app.commit add foreign key (tenant_id, reviewer) references app.person (tenant_id, id) on delete set null"),
    spoil("FH-K05", "alter table freehold_shelf.\"commit~0\" add foreign key (tenant_id, author) references app.person (tenant_id, id) not valid"),
    spoil("FH-K06", "alter table app.person add constraint later check (handle <> 'x') not valid"),
    spoil("FH-K07", "update pg_index set indisvalid = false where indexrelid = 'app.\"person~handle~key\"'::regclass"),
    spoil("FH-K08", "alter table app.person alter column handle set statistics 100"),
    spoil("FH-K08", "alter table freehold_shelf.\"commit~3\" alter column money set statistics -1"),
    spoil("FH-K09", "create statistics app.spelt on handle, boss from app.person"),
    spoil("FH-K09", "create index on app.person (tenant_id, lower(handle))"),
    spoil("FH-K10", "create index on freehold_shelf.\"commit~0\" using hnsw (brought freehold_ext.vector_l2_ops)"),
    spoil("FH-K10", "create index on freehold_shelf.\"commit~0\" using ivfflat (brought freehold_ext.vector_l2_ops)"),
    spoil("FH-K11", "create function public.word() returns text language sql return 'x'; alter table app.person alter column handle set default public.word()"),
    spoil("FH-K11", "create function public.fine(text) returns boolean language sql immutable return true;
        alter table app.person add constraint fine check (public.fine(handle))"),
    spoil("FH-K12", "alter table app.person alter column handle set statistics 100;
        insert into app.person (tenant_id, handle) select gen_random_uuid(), 'x' from generate_series(1, 100);
        analyze app.person; alter table app.person alter column handle set statistics 0"),
    // Partitions and large objects.
    spoil("FH-P01", "alter table app.file detach partition freehold_shelf.\"file~d\""),
    spoil("FH-P02", "do $$ declare one uuid := (select id from freehold.tenant where name = 'acme'); begin
        execute format('create table freehold_shelf.%I partition of app.file for values in (%L)', 'file~' || left(one::text, 8), one); end $$"),
    spoil("FH-P02", "create table freehold_shelf.\"file~Acme\" partition of app.file for values in ('00000000-0000-0000-0000-000000000001')"),
    spoil("FH-P03", "create table freehold_shelf.\"file~x\" partition of app.file for values in
        ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002')"),
    spoil("FH-P04", "create table public.loose partition of app.file for values in ('00000000-0000-0000-0000-000000000001')"),
    spoil("FH-P04", "alter table freehold_shelf.\"file~0\" set schema app"),
    spoil("FH-P05", "select lo_create(0)"),
    // Functions.
    spoil("FH-F01", "create function public.one() returns integer language sql return 1"),
    spoil("FH-F01", "grant execute on function freehold.seal(uuid) to freehold_app"),
    spoil("FH-F02", "create function public.one() returns integer language sql security definer return 1"),
    spoil("FH-F02", "grant execute on function freehold.key_holder(text) to freehold_app"),
    spoil("FH-F02", "grant execute on function freehold.repair_login() to public"),
    spoil("FH-F03", "grant execute on function freehold.seal(uuid) to freehold_control"),
    spoil("FH-F04", "create function public.one() returns integer language plpgsql security definer as 'begin return 1; end';
        revoke all on function public.one() from public"),
    spoil("FH-F04", "create function public.one() returns integer language sql security definer set search_path = public, pg_catalog as 'select 1'"),
    spoil("FH-F04", "alter function freehold.embedding_due() reset search_path"),
    spoil("FH-F05", "create or replace procedure freehold.open(token text) language plpgsql security definer as 'begin perform freehold.seal(token::uuid); end'"),
    spoil("FH-F05", "create or replace procedure freehold.open(kid smallint, role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea)
        language plpgsql security definer as 'begin perform freehold.seal(tenant); end'"),
    spoil("FH-F05", "create or replace function freehold.no_ddl() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as 'begin end'"),
    spoil("FH-F05", "create or replace function freehold.genuine(role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea, ipad bytea, opad bytea)
        returns boolean language sql volatile return true"),
    spoil("FH-F05", "create or replace function freehold.vouched(tenant uuid, principal uuid, role smallint) returns boolean language sql stable return true"),
    spoil("FH-F06", "create function public.one() returns integer language sql security definer return 1"),
    spoil("FH-F06", "alter function freehold.platform() owner to postgres"),
    spoil("FH-F07", "alter table app.person owner to postgres"),
    spoil("FH-F07", "alter schema app owner to postgres"),
    spoil("FH-F07", "alter function freehold.uuidv7() owner to freehold_owner"),
    spoil("FH-F08", "create function public.sees(text) returns boolean language sql leakproof return true"),
    spoil("FH-F09", "alter function freehold.tenant() immutable"),
    spoil("FH-F09", "alter function freehold.tenant() owner to freehold_owner"),
    spoil("FH-F09", "create or replace function freehold.tenant() returns uuid language sql stable return current_setting('app.tenant')::uuid"),
    spoil("FH-F09", "update freehold.platform_version set mode = case mode when 'seal' then 'ticket' else 'seal' end"),
    spoil("FH-F10", "create cast (text as point) with inout as implicit"),
    spoil("FH-F10", "create operator public.=== (leftarg = integer, rightarg = integer, function = int4eq)"),
    spoil("FH-F11", "create language fake handler plpgsql_call_handler"),
    spoil("FH-F12", "update pg_extension set extname = 'dblink' where extname = 'plpgsql'"),
    spoil("FH-F13", in_database!("alter database %I set app.jwt_secret = ''x''")),
    spoil("FH-F13", "create function public.sign() returns text language sql as $$ select 'hmac' || 'secret: ' || 'abcdefghijklmnop' $$"),
    // PostgreSQL's own catalogue.
    spoil("FH-L01", "update freehold.platform_version set locked = false"),
    spoil("FH-L02", "grant execute on function pg_terminate_backend(integer, bigint) to public"),
    spoil("FH-L02", "grant execute on function pg_advisory_lock(bigint) to freehold_app"),
    spoil("FH-L02", "grant execute on function set_config(text, text, boolean) to freehold_app"),
    spoil("FH-L02", "grant execute on function pg_stat_get_activity(integer) to freehold_control"),
    spoil("FH-L02", "grant execute on function pg_relation_size(regclass, text) to public"),
    spoil("FH-L02", "grant execute on function lo_create(oid) to public"),
    spoil("FH-L03", "grant select on pg_stat_activity to public"),
    spoil("FH-L03", "grant select (relname) on pg_class to freehold_app"),
    spoil("FH-L04", "grant select on pg_authid to freehold_app"),
    spoil("FH-L04", "grant select on pg_statistic to freehold_app"),
    spoil("FH-L04", "grant insert on pg_class to public"),
    spoil("FH-L04", "grant execute on function pg_read_file(text) to public"),
    spoil("FH-L05", "grant usage on schema information_schema to public"),
    spoil("FH-L06", "grant usage on language plpgsql to freehold_app"),
    spoil("FH-L07", "drop event trigger freehold_guard"),
    spoil("FH-L07", "alter event trigger freehold_no_ddl disable"),
    spoil("FH-L07", "alter event trigger freehold_note_ddl enable replica"),
    spoil("FH-L07", "drop event trigger freehold_guard; create event trigger freehold_guard on ddl_command_end when tag in ('CREATE TABLE')
        execute function freehold.guard()"),
    spoil("FH-L07", "create function public.nothing() returns event_trigger language plpgsql as 'begin end'; drop event trigger freehold_no_ddl;
        create event trigger freehold_no_ddl on ddl_command_start execute function public.nothing()"),
    spoil("FH-L08", "create function public.nothing() returns event_trigger language plpgsql as 'begin end';
        create event trigger other on sql_drop execute function public.nothing()"),
    spoil("FH-L09", said!("event_triggers", "off")),
    // Modes, keys, versions.
    spoil("FH-M01", "grant set on parameter backtrace_functions to freehold_app"),
    spoil("FH-M01", "grant set on parameter backtrace_functions to public"),
    spoil("FH-M01", "grant set on parameter backtrace_functions to freehold_gate with grant option"),
    spoil("FH-M02", in_database!("alter database %I set backtrace_functions = ''abc''")),
    spoil("FH-M02", "alter role freehold_app set backtrace_functions = 'abc'"),
    spoil("FH-M02", said!("backtrace_functions", "abc")),
    spoil("FH-M03", "update freehold.platform_version set mode = 'seal'; revoke set on parameter backtrace_functions from freehold_gate"),
    spoil("FH-M04", "delete from freehold.mac_key where kid = 0"),
    spoil("FH-M04", "delete from freehold.mac_key where kid > 0"),
    spoil("FH-M04", "update freehold.mac_key set ipad = decode(repeat('36', 64), 'hex') where kid > 0"),
    spoil("FH-M05", "insert into freehold.api_key (hash, tenant_id, name, prefix) select sha256('x'), id, 'x', 'x' from freehold.tenant limit 1"),
    spoil("FH-M06", "insert into freehold.platform_version (version, mode) values (99, 'seal')"),
    spoil("FH-M07", "insert into freehold.apply_run (base_version, checksum, text, steps_total) values (1, 'x', 'x', 3)"),
    after("update freehold.platform_version set mode = 'seal'", "FH-M08", "update freehold.platform_version set mode = 'ticket'"),
    spoil("FH-V01", said!("server_version_num", "180003")),
    spoil("FH-V01", said!("server_version_num", "160013")),
    spoil("FH-V02", "update pg_extension set extversion = '0.8.1' where extname = 'vector'"),
    spoil("FH-V03", said!("server_version_num", "140023")),
    spoil("FH-D01", "alter table app.person add column likeness freehold_ext.vector(3)"),
    spoil("FH-D02", "create table app.face (tenant_id uuid not null) partition by list (tenant_id); create table freehold_shelf.\"face~d\" partition of app.face default"),
    // Settings.
    spoil("FH-S01", "set local log_statement = 'all'"),
    spoil("FH-S01", "set local log_min_duration_statement = 0"),
    spoil("FH-S01", "alter role freehold_app set log_statement = 'all'"),
    spoil("FH-S02", "set local log_min_duration_statement = 500"),
    spoil("FH-S02", "set local log_parameter_max_length_on_error = 100"),
    after(NO_HBA, "FH-S03", "create or replace temp view pg_hba_file_rules as select 7 as line_number, 'host'::text as type,
        '{all}'::text[] as database, '{all}'::text[] as user_name, '0.0.0.0'::text as address, 'md5'::text as auth_method"),
    spoil("FH-S04", said!("listen_addresses", "localhost, *")),
    after(SURE, "FH-S05", said!("fsync", "off")),
    after(SURE, "FH-S05", said!("full_page_writes", "off")),
    spoil("FH-S06", "set local password_encryption = 'md5'"),
    spoil("FH-S07", "set local session_replication_role = 'replica'"),
    spoil("FH-S07", "set local transform_null_equals = on"),
    spoil("FH-S07", said!("allow_system_table_mods", "on")),
    spoil("FH-S08", said!("max_prepared_transactions", "5")),
    spoil("FH-S09", "create publication everything for table app.person"),
    spoil("FH-S09", "create subscription other connection 'dbname=x' publication x with (connect = false, slot_name = none, enabled = false)"),
    spoil("FH-S10", said!("session_preload_libraries", "spy")),
    spoil("FH-S10", said!("shared_preload_libraries", "pg_stat_statements, spy")),
];
