-- FH-L01 not-locked-down error managed: residual PostgreSQL's own catalogue is open to every role: tenants' SQL sees that there are neighbours, can end their statements and take advisory locks
-- what: a platform that was set up without the lockdown of PostgreSQL's own catalogue
-- why: without it SQL in a tenant's session sees the sessions, statistics and sizes of all, and can end others' statements
-- mend: freehold apply, once, as a superuser
select 'freehold', 'the catalogue is not locked down' from (select locked from freehold.platform_version order by version desc limit 1) p where not p.locked

-- FH-L02 function-open error managed: residual functions of PostgreSQL that reveal or disturb other sessions stay open to tenants' SQL
-- what: a function of PostgreSQL that does or tells something beyond the statement at hand, and that a login of the servers may execute
-- why: with these one tenant ends another's statements, reads its queries, counts its rows, or speaks past the wall
-- mend: revoke execute on function <function> from public; freehold apply does it for all
select p.oid::regprocedure::text, 'executable by ' || string_agg(l.name, ', ' order by l.name)
  from pg_proc p, login l
  where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(l.oid, p.oid, 'execute')
    and (p.provolatile = 'v' and p.proname not in ('clock_timestamp', 'timeofday', 'random', 'random_normal', 'setseed', 'gen_random_uuid', 'uuidv4',
        'uuidv7', 'array_sample', 'array_shuffle', 'pg_is_in_recovery')
        and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'language_handler'::regtype, 'internal'::regtype,
          'index_am_handler'::regtype, 'table_am_handler'::regtype, 'tsm_handler'::regtype, 'fdw_handler'::regtype)
      or p.proname ~ '^(pg_stat_get_|pg_get_(expr|.*def|userbyid|partition|statisticsobj|serial|shmem|wait|loaded|backend|aios|replication|publication|wal)|pg_(total_)?relation_|pg_(table|indexes|database|tablespace)_size|has_|to_reg|(database|schema|table|cursor|query)_to_xml|(col|obj|shobj)_description|pg_(lock_|prepared_|cursor|show_|settings|hba|ident|file|config|control|current_|last_|export|safe_|blocking|isolation|backend_|identify|describe|options_to|sequence_)|txid_|inet_client|inet_server|aclexplode|row_security_active)'
        and p.proname !~ '_(recv|send|in|out)$' and p.proname not in ('pg_backend_pid', 'pg_get_keywords', 'to_regtype', 'to_regtypemod')
      or p.proname in ('age', 'mxid_age') and p.proargtypes[0] = 'xid'::regtype)
  group by p.oid

-- FH-L03 relation-open error managed: residual system tables and views stay readable for tenants' SQL
-- what: a table or view of PostgreSQL's catalogue that a login of the servers may read, beyond the names of types and time zones
-- why: pg_stat_activity shows the statements of others, pg_stats their values, pg_class how much they have
-- mend: revoke select on <relation> from public; freehold apply does it for all
select c.oid::regclass::text, 'readable by ' || string_agg(l.name, ', ' order by l.name)
  from pg_class c, login l
  where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v')
    and c.relname not in ('pg_type', 'pg_namespace', 'pg_range', 'pg_enum', 'pg_timezone_names', 'pg_timezone_abbrevs')
    and has_any_column_privilege(l.oid, c.oid, 'select')
  group by c.oid

-- FH-L04 secrets-of-server severe managed: same
-- what: a catalogue table that PostgreSQL keeps for superusers, or a function on the server's files and processes, opened to a login of the servers
-- why: passwords, sampled values of all tenants, large objects and files of the server are past every wall
-- mend: revoke all on <object> from public, freehold_app, freehold_control
-- By their rights as they stand: a superuser is another check's.
select c.oid::regclass::text, x.privilege_type || ' for ' || r.name
  from pg_class c, aclexplode(c.relacl) x join reach r on r.oid = x.grantee
  where c.relnamespace = 'pg_catalog'::regnamespace and c.relacl is not null
    and (x.privilege_type not in ('SELECT', 'UPDATE') or x.privilege_type = 'UPDATE' and c.relname <> 'pg_settings'
      or c.relname in ('pg_authid', 'pg_shadow', 'pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_subscription', 'pg_user_mapping',
        'pg_hba_file_rules', 'pg_ident_file_mappings', 'pg_file_settings', 'pg_replication_origin_status', 'pg_backend_memory_contexts', 'pg_shmem_allocations'))
union all
select p.oid::regprocedure::text, 'execute for ' || r.name
  from pg_proc p, aclexplode(p.proacl) x join reach r on r.oid = x.grantee
  where p.pronamespace = 'pg_catalog'::regnamespace and p.proacl is not null
    and (p.proname like any (array['pg\_read\_%', 'pg\_ls\_%', 'pg\_file\_%', 'pg\_backup\_%', 'pg\_replication\_origin%', 'pg\_stat\_reset%'])
      or p.proname in ('pg_stat_file', 'lo_import', 'lo_export', 'pg_reload_conf', 'pg_rotate_logfile', 'pg_promote', 'pg_switch_wal',
        'pg_create_restore_point', 'pg_log_backend_memory_contexts', 'pg_import_system_collations'))

-- FH-L05 information-schema error managed: residual information_schema stays open to tenants' SQL
-- what: usage of information_schema for a login of the servers
-- why: it is a second door to the catalogue
-- mend: revoke usage on schema information_schema from public
select 'information_schema', 'usage for ' || l.name from login l, pg_namespace n
  where n.nspname = 'information_schema' and has_schema_privilege(l.oid, n.oid, 'usage')

-- FH-L06 language-usable error managed: residual tenants' SQL may run DO blocks
-- what: usage of a language for a login of the servers
-- why: a DO block loops, catches errors and runs for long: it turns one injected statement into a program
-- mend: revoke usage on language <language> from public
select g.lanname::text, 'usage for ' || l.name from pg_language g, login l where g.lanpltrusted and has_language_privilege(l.oid, g.oid, 'usage')

-- FH-L07 event-trigger severe managed: residual a table that somebody makes in schema app has no wall until the next apply or audit, and no server hears of changes at once
-- what: one of Freehold's event triggers is missing, switched off, or is not a superuser's or not of Freehold's function
-- why: freehold_no_ddl keeps the servers' logins from all DDL, freehold_guard walls tables at birth, freehold_note_ddl tells servers to look again
-- mend: freehold apply as a superuser; or: alter event trigger <trigger> enable
select w.name, case when e.oid is null then 'missing' when e.evtenabled not in ('O', 'A') then 'switched off'
    else 'on ' || e.evtevent || ', runs ' || e.evtfoid::regprocedure || ', owned by ' || e.evtowner::regrole end
  from (values ('freehold_no_ddl', 'ddl_command_start', 'no_ddl'), ('freehold_guard', 'ddl_command_end', 'guard'),
      ('freehold_note_ddl', 'ddl_command_end', 'note_ddl')) w (name, event, function)
    left join pg_event_trigger e on e.evtname = w.name
    left join pg_proc f on f.oid = e.evtfoid and f.pronamespace in (select oid from platform) and f.proname = w.function
  where (select locked from freehold.platform_version order by version desc limit 1)
    and (e.oid is null or e.evtenabled not in ('O', 'A') or e.evtevent <> w.event or f.oid is null
      or not exists (select from pg_roles r where r.oid = e.evtowner and r.rolsuper)
      or w.name = 'freehold_guard' and not e.evttags @> '{CREATE TABLE,CREATE TABLE AS,SELECT INTO}'
      or w.name <> 'freehold_guard' and e.evttags is not null)

-- FH-L08 foreign-event-trigger warning managed: same
-- what: an event trigger that is not Freehold's
-- why: its function runs inside every apply, with the operator's rights
-- mend: drop event trigger <trigger>
select e.evtname::text, 'runs ' || e.evtfoid::regprocedure from pg_event_trigger e
  where e.evtname not in ('freehold_no_ddl', 'freehold_guard', 'freehold_note_ddl')

-- FH-L09 event-triggers-off error managed: no
-- what: event triggers are switched off for the whole server
-- why: no table is walled at birth then, and servers' logins are not kept from DDL
-- mend: alter system reset event_triggers; select pg_reload_conf()
select s.name, s.setting from pg_settings s where s.name = 'event_triggers' and s.setting = 'off'
